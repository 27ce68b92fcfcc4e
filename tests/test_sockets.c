// tests/test_sockets.c: system calls that fail or do a part, and clients that end at every moment: the connection ends
// or goes on as if nothing had been, and all others are served.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/core/connection.h"
#include "tests/support/core_server.h"
#include "tests/support/more_check.h"
#include "tests/support/raw_client.h"

// ---- calls that fail: these are this program's own, and so those of the server in it ----

typedef enum Call { CALL_NONE, CALL_RECV, CALL_SEND, CALL_ACCEPT, CALL_WATCH, CALL_QUEUED, CALL_START } Call;

static atomic_int armed;         // a Call
static atomic_long left;         // until the first one that fails
static atomic_long times;        // so many of them fail
static atomic_int number;        // errno; 0: a send moves one byte
static atomic_long hit_count;    // that have failed
static _Thread_local bool is_exempt;

static bool is_hit(Call call)
{
    if (is_exempt || atomic_load(&armed) != (int)call || atomic_fetch_sub(&left, 1) > 1)
        return false;
    if (atomic_fetch_sub(&times, 1) <= 0)
        return false;
    atomic_fetch_add(&hit_count, 1);
    errno = atomic_load(&number);
    return true;
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    return is_hit(CALL_RECV) ? -1 : syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!is_hit(CALL_SEND))
        return syscall(SYS_sendmsg, fd, message, flags);
    if (errno != 0)
        return -1;
    struct iovec one = {message->msg_iov[0].iov_base, 1};
    return syscall(SYS_sendmsg, fd, &(struct msghdr){.msg_iov = &one, .msg_iovlen = 1}, flags);
}

int accept4(int fd, struct sockaddr *restrict from, socklen_t *restrict size, int flags)
{
    return is_hit(CALL_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, from, size, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && (is_hit(CALL_WATCH) || is_hit(CALL_START)))
        return -1;
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return is_hit(CALL_QUEUED) ? -1 : (int)syscall(SYS_ioctl, fd, request, argument);
}

int socket(int domain, int type, int protocol)
{
    return is_hit(CALL_START) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int bind(int fd, const struct sockaddr *at, socklen_t size)
{
    return is_hit(CALL_START) ? -1 : (int)syscall(SYS_bind, fd, at, size);
}

int listen(int fd, int backlog) { return is_hit(CALL_START) ? -1 : (int)syscall(SYS_listen, fd, backlog); }

int getsockname(int fd, struct sockaddr *restrict at, socklen_t *restrict size)
{
    return is_hit(CALL_START) ? -1 : (int)syscall(SYS_getsockname, fd, at, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return is_hit(CALL_START) ? -1 : (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

int epoll_create1(int flags) { return is_hit(CALL_START) ? -1 : (int)syscall(SYS_epoll_create1, flags); }

int eventfd(unsigned count, int flags) { return is_hit(CALL_START) ? -1 : (int)syscall(SYS_eventfd2, count, flags); }

static void arm(Call call, long first, long count, int error)
{
    atomic_store(&left, first);
    atomic_store(&times, count);
    atomic_store(&number, error);
    atomic_store(&hit_count, 0);
    atomic_store(&armed, (int)call);
}

static long disarm(void)
{
    atomic_store(&armed, CALL_NONE);
    return atomic_load(&hit_count);
}

// ---- the server ----

enum { BUDGET = 256 * MIB, QUIET_MS = 1000, CROWD = 300, ONE_BY_ONE = 100000 };

static bool hello_get(Request *r, Error *err UNUSED) { return respond(r, 200, S("text/plain"), S("hello")); }

static bool echo_post(Request *r, Error *err UNUSED) { return respond(r, 200, S("text/plain"), r->body); }

static bool big_get(Request *r, Error *err UNUSED) { return core_server_big(r, 8 * KIB); }

typedef struct Pause {
    Timer timer;
    Request *r;
} Pause;

static void pause_over(Timer *timer)
{
    Request *r = container_of(timer, Pause, timer)->r;
    request_resume(r, respond(r, 200, S("text/plain"), S("waited")));
}

static bool wait_get(Request *r, Error *err)
{
    Pause *pause = arena_new(r->arena, Pause);
    if (!arena_ok(r->arena, err))
        return false;
    *pause = (Pause){.timer.due = pause_over, .r = r};
    timer_start(r->thread->loop, &pause->timer, 100);
    request_wait(r);
    return true;
}

static bool odd_get(Request *r, Error *err)
{
    static const char *const RESULTS[] = {"true", "false"};    // with neither an answer nor an error
    (void)err;
    return str_eq(r->query, str_of(RESULTS[0]));
}

static bool html_get(Request *r UNUSED, Error *err) { return error_set(err, ERR_INVALID, "<i>\"Fish\" & chips</i>"); }

static const Route ROWS[] = {
    {.method = METHOD_GET, .pattern = "/hello", .module = "core", .handler = hello_get},
    {.method = METHOD_POST, .pattern = "/echo", .module = "core", .handler = echo_post, .body = BODY_FORM},
    {.method = METHOD_GET, .pattern = "/big", .module = "core", .handler = big_get},
    {.method = METHOD_GET, .pattern = "/wait", .module = "core", .handler = wait_get},
    {.method = METHOD_GET, .pattern = "/odd", .module = "core", .handler = odd_get},
    {.method = METHOD_GET, .pattern = "/html", .module = "core", .handler = html_get},
};
static const RouteSet SETS[] = {{ROWS, COUNT(ROWS)}};

static Settings settings_of_test(void)
{
    Settings settings = shopd_settings_default();
    settings.listen = S("127.0.0.1:0");
    settings.threads = 1;
    settings.linger_ms = 200;
    settings.rate_grace_ms = 400;
    settings.drain_timeout_ms = 3000;
    return settings;
}

static Server *server_start(const Settings *settings, const ServerHooks *hooks)
{
    is_exempt = true;
    return core_server_open(settings, hooks, SETS);
}

#define POST "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
#define LAST "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// What is sent in one go, and what has come back once the server has closed.
static Str answer_of(const Server *server, Str request, Arena *arena)
{
    bool is_closed = false;
    int fd = raw_open(server_port(server));
    (void)raw_send(fd, request);
    Str answer = raw_read(fd, arena, RAW_WAIT_MS, &is_closed);
    fd_close(&fd);
    ck_assert_msg(is_closed, "the server kept the connection after '%.*s'", STR_ARG(request));
    return answer;
}

static void check_served(const Server *server, Arena *arena)
{
    Str answer = answer_of(server, S(LAST), arena);
    ck_assert_msg(str_has_suffix(answer, S("\r\n\r\nhello")), "'%.*s'", STR_ARG(answer));
}

// ---- calls ----

static const struct {
    Str request;
    int count;    // of answers, all of them 200
    Str end;
} REQUESTS[] = {
    {S(LAST), 1, S("\r\n\r\nhello")},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" LAST), 2, S("\r\n\r\nhello")},
    {S(POST "Content-Length: 3\r\n\r\na=b" LAST), 2, S("\r\n\r\nhello")},
    {S(POST "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\na=b\r\n0\r\n\r\n"), 1, S("\r\n\r\na=b")},
    {S("GET /big HTTP/1.1\r\nHost: a\r\n\r\n" LAST), 2, S("\r\n\r\nhello")},
};

static const struct {
    Call call;
    int error;
    long count;
} NUISANCES[] = {
    {CALL_RECV, EINTR, 1},    {CALL_RECV, EAGAIN, 3},   {CALL_SEND, EINTR, 2},      {CALL_SEND, EAGAIN, 3},
    {CALL_SEND, 0, 1},        {CALL_SEND, 0, 50},       {CALL_ACCEPT, EINTR, 1},    {CALL_ACCEPT, ECONNABORTED, 2},
    {CALL_ACCEPT, EMFILE, 1}, {CALL_ACCEPT, ENFILE, 1}, {CALL_ACCEPT, ENOBUFS, 1},  {CALL_ACCEPT, ENOMEM, 1},
    {CALL_ACCEPT, EAGAIN, 1}, {CALL_ACCEPT, EPERM, 1},  {CALL_SEND, 0, ONE_BY_ONE},
};

TEST(a_call_that_comes_to_nothing_or_does_a_part_changes_no_answer)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    for (size_t i = 0; i < COUNT(REQUESTS); i++)
        for (long first = 1; first <= (NUISANCES[_i].call == CALL_ACCEPT ? 1 : 3); first++) {
            bool is_long = NUISANCES[_i].count == ONE_BY_ONE && str_has_prefix(REQUESTS[i].request, S("GET /big"));
            arm(NUISANCES[_i].call, first, is_long ? 100 : NUISANCES[_i].count, NUISANCES[_i].error);
            Str answer = answer_of(server, REQUESTS[i].request, arena);
            long hits = disarm();
            ck_assert_msg(hits > 0 || first > 1, "no call was hit");
            ck_assert_msg(raw_count(answer, S("HTTP/1.1 200 OK\r\n")) == (size_t)REQUESTS[i].count &&
                              str_has_suffix(answer, REQUESTS[i].end),
                          "'%.*s' gets '%.*s'", STR_ARG(REQUESTS[i].request), STR_ARG(answer));
            arena_reset(arena);
        }
    core_server_close(&server);
}

static const struct {
    Call call;
    int error;
} BREAKS[] = {{CALL_RECV, ECONNRESET}, {CALL_SEND, EPIPE}, {CALL_SEND, ECONNRESET}, {CALL_WATCH, ENOMEM}};

TEST(a_connection_whose_calls_fail_ends_and_no_other_does)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    int other = raw_open(server_port(server));
    ck_assert(raw_send(other, S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")));
    ck_assert_int_eq(raw_status(raw_await(other, arena, 20)), 200);
    for (size_t i = 0; i < COUNT(REQUESTS); i++) {
        arm(BREAKS[_i].call, 1, 1, BREAKS[_i].error);
        Str answer = answer_of(server, REQUESTS[i].request, arena);
        ck_assert_int_eq(disarm(), 1);
        ck_assert_msg(answer.len == 0, "'%.*s' gets '%.*s'", STR_ARG(REQUESTS[i].request), STR_ARG(answer));
        check_served(server, arena);
    }
    ck_assert(raw_send(other, S(LAST)));
    ck_assert_int_eq(raw_status(raw_await(other, arena, QUIET_MS)), 200);
    fd_close(&other);
    core_server_close(&server);
}

TEST(an_answer_that_breaks_off_in_its_middle_lets_go_of_what_it_holds)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    int fd = raw_open(server_port(server));
    arm(CALL_SEND, 1, 1, EAGAIN);    // it waits for room, then
    (void)raw_send(fd, S("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    while (atomic_load(&hit_count) == 0)
        clock_sleep_ms(1);
    (void)disarm();
    (void)raw_read(fd, arena, 20, NULL);
    (void)raw_send(fd, S("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    fd_close(&fd);    // a reset
    int64_t until_ms = clock_ms() + RAW_WAIT_MS;
    while (core_server_held() > 0 && clock_ms() < until_ms)
        clock_sleep_ms(1);
    ck_assert_int_eq(core_server_held(), 0);
    check_served(server, arena);
    core_server_close(&server);
}

TEST(a_queue_that_cannot_be_asked_for_counts_as_empty)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    int fd = raw_open(server_port(server));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    arm(CALL_QUEUED, 1, ONE_BY_ONE, ENOTTY);
    for (int i = 0; i < 16; i++)
        (void)raw_send(fd, S("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    int64_t until_ms = clock_ms() + RAW_WAIT_MS;
    while (core_server_held() == 0 && clock_ms() < until_ms)
        clock_sleep_ms(1);
    while (core_server_held() > 0 && clock_ms() < until_ms)
        clock_sleep_ms(5);
    ck_assert_int_eq(core_server_held(), 0);    // a reader that takes nothing is cut all the same
    ck_assert_int_gt(disarm(), 0);
    fd_close(&fd);
    check_served(server, arena);
    core_server_close(&server);
}

// ---- clients that end ----

static const Str ENDINGS[] = {
    S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" LAST),
    S(POST "Content-Length: 3\r\n\r\na=b"),
    S(POST "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\nGET /wait HTTP/1.1\r\nHost: a\r\n\r\n"),
    S(POST "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"),
    S("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\nabc"),
    S("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n"),
    S("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"),
};

typedef enum Ending { ENDING_CLOSE, ENDING_HALF, ENDING_RESET, ENDING_COUNT } Ending;

static void end_after(const Server *server, Str bytes, Ending ending)
{
    int fd = raw_open(server_port(server));
    (void)raw_send(fd, bytes);
    if (ending == ENDING_HALF)
        (void)shutdown(fd, SHUT_WR);
    if (ending == ENDING_RESET)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    if (ending == ENDING_HALF) {
        struct pollfd gone = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&gone, 1, RAW_WAIT_MS), 1);    // the server answers or closes; it doesn't wait for more
    }
    fd_close(&fd);
}

// Until the server has so many connections and requests beside the one that asks for that.
static void await_open(const Server *server, Arena *arena, unsigned connections, unsigned requests)
{
    int64_t until_ms = clock_ms() + RAW_WAIT_MS;
    Str connections_line = str_format(arena, "\nshopd_connections_open %u\n", connections + 1);
    Str requests_line = str_format(arena, "\nshopd_requests_open %u\n", requests + 1);
    bool is_so = false;
    while (!is_so) {
        Str metrics = answer_of(server, S("GET /metrics HTTP/1.0\r\n\r\n"), arena);
        is_so = str_find(metrics, connections_line) < metrics.len && str_find(metrics, requests_line) < metrics.len;
        ck_assert_msg(is_so || clock_ms() < until_ms, "%.*s", STR_ARG(metrics));
    }
}

TEST(a_client_may_end_after_any_byte)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    for (size_t len = 0; len <= ENDINGS[_i].len; len++)
        for (Ending ending = 0; ending < ENDING_COUNT; ending++)
            end_after(server, str_slice(ENDINGS[_i], 0, len), ending);
    await_open(server, arena, 0, 0);
    check_served(server, arena);
    core_server_close(&server);
}

// ---- many ----

TEST(a_crowd_of_half_sent_requests_is_answered_and_its_memory_goes)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    settings.rate_grace_ms = 60000;
    Server *server = server_start(&settings, NULL);
    static int fds[CROWD];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < CROWD; i++) {
            fds[i] = raw_open(server_port(server));
            ck_assert(raw_send(fds[i], S(POST "Content-Length: 3\r\nConnection: close\r\n\r\na")));
        }
        await_open(server, arena, CROWD, CROWD);
        for (size_t i = 0; i < CROWD; i++)
            ck_assert(raw_send(fds[i], S("=b")));
        for (size_t i = 0; i < CROWD; i++) {
            Str answer = raw_await(fds[i], arena, QUIET_MS);
            ck_assert_msg(str_has_suffix(answer, S("\r\n\r\na=b")), "'%.*s'", STR_ARG(answer));
            fd_close(&fds[i]);
            arena_reset(arena);
        }
    }
    core_server_close(&server);
}

TEST(accepting_pauses_while_all_places_are_busy_and_goes_on_after)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    settings.clients_max = 2;
    Server *server = server_start(&settings, NULL);
    int fds[6];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = raw_open(server_port(server));
        ck_assert(raw_send(fds[i], S("GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")));
    }
    for (size_t i = 0; i < COUNT(fds); i++) {
        ck_assert_contains(raw_await(fds[i], arena, QUIET_MS), S("\r\n\r\nwaited"));
        fd_close(&fds[i]);
    }
    core_server_close(&server);
}

TEST(without_a_descriptor_the_longest_idle_connection_goes)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    int idle = raw_open(server_port(server));
    ck_assert(raw_send(idle, S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")));
    ck_assert_int_eq(raw_status(raw_await(idle, arena, 20)), 200);
    arm(CALL_ACCEPT, 1, 1, EMFILE);
    int64_t start_ms = clock_ms();
    check_served(server, arena);
    ck_assert_int_eq(disarm(), 1);
    ck_assert_int_ge(clock_ms() - start_ms, 90);    // it paused
    bool is_closed = false;
    ck_assert_uint_eq(raw_read(idle, arena, RAW_WAIT_MS, &is_closed).len, 0);
    ck_assert(is_closed);
    fd_close(&idle);
    core_server_close(&server);
}

// ---- the start ----

static bool start_fails(Server *server UNUSED, Error *err) { return error_set(err, ERR_STATE, "the start hook fails"); }
static bool thread_fails(Thread *thread, Error *err)
{
    return thread->number == 0 || error_set(err, ERR_STATE, "a thread's hook fails");
}

static const struct {
    ServerHooks hooks;
    const char *says;
} HOOKS[] = {{{.start = start_fails}, "the start hook fails"},
             {{.thread_start = thread_fails}, "a thread's hook fails"}};

TEST(a_server_whose_hook_fails_does_not_start_and_says_what_the_hook_said)
{
    Settings settings = settings_of_test();
    Error err = {0};
    Server *server = NULL;
    settings.threads = 3;
    ServerOptions options = {.settings = &settings, .hooks = &HOOKS[_i].hooks, .is_embedded = true};
    ck_assert(!server_open(&options, &server, &err));
    ck_assert_says(&err, ERR_STATE, HOOKS[_i].says);
    ck_assert_ptr_null(server);
    server_close(&server);
}

static int lowest_fd(void)
{
    int fd = dup(STDERR_FILENO);
    (void)close(fd);
    return fd;
}

TEST(a_server_without_descriptors_does_not_start_says_so_and_keeps_none)
{
    Settings settings = settings_of_test();
    settings.threads = 2;
    ServerOptions options = {
        .settings = &settings, .routes = SETS, .route_set_count = COUNT(SETS), .is_embedded = true};
    long refused = 0, hits = 1;
    int before = lowest_fd();
    for (long first = 1; hits > 0; first++) {
        Error err = {0};
        Server *server = NULL;
        is_exempt = false;
        arm(CALL_START, first, 1, EMFILE);
        bool ok = server_open(&options, &server, &err);
        hits = disarm();
        is_exempt = true;
        ck_assert_msg(ok || err.what[0], "call %ld: no error is said", first);
        refused += !ok;
        if (ok)
            core_server_close(&server);
        ck_assert_int_eq(lowest_fd(), before);
    }
    ck_assert_int_gt(refused, 10);
}

// ---- ends of the server ----

TEST(a_drain_whose_time_is_over_cuts_who_is_left_and_says_so)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    settings.drain_timeout_ms = 100;
    settings.rate_grace_ms = 60000;
    Server *server = server_start(&settings, NULL);
    const Str begun[] = {S(""), S("GET /hel"), S(POST "Content-Length: 3\r\n\r\na")};
    int fds[COUNT(begun)];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = raw_open(server_port(server));
        ck_assert(raw_send(fds[i], begun[i]));
    }
    await_open(server, arena, COUNT(fds), 1);
    int64_t start_ms = clock_ms();
    server_stop(server);
    ck_assert(!server_wait(server));
    ck_assert_int_lt(clock_ms() - start_ms, 2000);
    for (size_t i = 0; i < COUNT(fds); i++) {
        bool is_closed = false;
        ck_assert_uint_eq(raw_read(fds[i], arena, RAW_WAIT_MS, &is_closed).len, 0);
        ck_assert(is_closed);
        fd_close(&fds[i]);
    }
    server_close(&server);
}

TEST(a_request_that_comes_during_the_drain_is_the_last_of_its_connection)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    int fd = raw_open(server_port(server)), waiting = raw_open(server_port(server));
    ck_assert(raw_send(fd, S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")));
    ck_assert_int_eq(raw_status(raw_await(fd, arena, 20)), 200);
    ck_assert(raw_send(waiting, S("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")));
    await_open(server, arena, 2, 1);
    server_stop(server);
    ck_assert(raw_send(fd, S("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")));
    ck_assert(server_wait(server));
    const int both[] = {fd, waiting};
    for (size_t i = 0; i < COUNT(both); i++) {
        Str answer = raw_await(both[i], arena, QUIET_MS);
        ck_assert_contains(answer, S("\r\n\r\nwaited"));
        ck_assert_contains(answer, S("\r\nConnection: close\r\n"));
    }
    fd_close(&fd);
    fd_close(&waiting);
    server_close(&server);
}

// ---- requests that are odd ----

static const struct {
    Str request;
    int status;
    Str says;
} ODD[] = {
    {S("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 204, S("X-Request-Id: ")},
    {S("GET /odd?true HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 500, S("omething is wrong here")},
    {S("GET /odd?false HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 500, S("omething is wrong here")},
    {S("GET /html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 422,
     S("<p>&lt;i&gt;&quot;Fish&quot; &amp; chips&lt;/i&gt;.</p>")},
    {S("POST /echo HTTP/1.0\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n"
       "Content-Length: 3\r\n\r\na=b"),
     200, S("\r\n\r\na=b")},
    {S("GET /hello HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" LAST), 200, S("Connection: keep-alive\r\n")},
    // its small body doesn't come: it isn't waited for longer than a moment
    {S("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab"), 404, S("Connection: close\r\n")},
    {S("POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"), 404, S("Connection: close\r\n")},
    {S("POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd0\r\n\r\n"), 400,
     S("Connection: close\r\n")},
    {S(POST "Content-Length: 3\r\n\r\na=b" POST "Transfer-Encoding: chunked\r\n\r\n3\r\na=c\r\n0\r\n\r\n" LAST), 200,
     S("\r\n\r\nhello")},
};

TEST(each_odd_request_has_its_answer)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    Str answer = answer_of(server, ODD[_i].request, arena);
    ck_assert_msg(raw_status(answer) == ODD[_i].status, "'%.*s' gets '%.*s'", STR_ARG(ODD[_i].request),
                  STR_ARG(answer));
    ck_assert_contains(answer, ODD[_i].says);
    ck_assert_uint_eq(str_find(answer, S("HTTP/1.1 100")), answer.len);
    core_server_close(&server);
}

TEST(a_second_head_grows_in_the_place_of_the_first)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    for (int bytes = 3000; bytes <= 12000; bytes += 3000) {
        Str requests = str_format(arena,
                                  "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n"
                                  "Connection: close\r\n\r\n",
                                  bytes, 0);
        Str answer = answer_of(server, requests, arena);
        ck_assert_uint_eq(raw_count(answer, S("HTTP/1.1 200 OK\r\n")), 2);
    }
    core_server_close(&server);
}

static const char *const TRACES[] = {
    "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
    "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473:-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473/-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
};

TEST(a_trace_that_is_not_of_the_form_is_left_out)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, NULL);
    for (size_t i = 0; i < COUNT(TRACES); i++) {
        Str answer =
            answer_of(server, str_format(arena, "GET /hello HTTP/1.0\r\nTraceparent: %s\r\n\r\n", TRACES[i]), arena);
        ck_assert_int_eq(raw_status(answer), 200);
        ck_assert_msg(str_find(answer, S("Traceparent")) == answer.len, "%s", TRACES[i]);
    }
    core_server_close(&server);
}

TEST(an_id_of_a_trusted_proxy_is_taken_where_it_is_one)
{
    static const struct {
        const char *id;
        bool is_taken;
    } IDS[] = {{"abc", true},
               {"a b", false},
               {"", false},
               {"0123456789012345678901234567890123456789012345678901234567890123", true},
               {"01234567890123456789012345678901234567890123456789012345678901234", false}};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    settings.trusted_proxies = S("loopback");
    Server *server = server_start(&settings, NULL);
    for (size_t i = 0; i < COUNT(IDS); i++) {
        Str answer =
            answer_of(server, str_format(arena, "GET /hello HTTP/1.0\r\nX-Request-Id: %s\r\n\r\n", IDS[i].id), arena);
        Str line = str_format(arena, "\r\nX-Request-Id: %s\r\n", IDS[i].id);
        ck_assert_msg((str_find(answer, line) < answer.len) == IDS[i].is_taken, "%s: %.*s", IDS[i].id, STR_ARG(answer));
    }
    core_server_close(&server);
}

static bool is_never_ready(Server *server UNUSED) { return false; }

TEST(a_server_that_is_not_ready_says_503)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = settings_of_test();
    Server *server = server_start(&settings, &(ServerHooks){.ready = is_never_ready});
    Str answer = answer_of(server, S("GET /readyz HTTP/1.0\r\n\r\n"), arena);
    ck_assert_int_eq(raw_status(answer), 503);
    ck_assert_contains(answer, S("Retry-After: "));
    ck_assert_int_eq(raw_status(answer_of(server, S("GET /healthz HTTP/1.0\r\n\r\n"), arena)), 200);
    core_server_close(&server);
}

SUITE(sockets, EACH(a_call_that_comes_to_nothing_or_does_a_part_changes_no_answer, NUISANCES),
      EACH(a_connection_whose_calls_fail_ends_and_no_other_does, BREAKS),
      ONCE(an_answer_that_breaks_off_in_its_middle_lets_go_of_what_it_holds),
      ONCE(a_queue_that_cannot_be_asked_for_counts_as_empty), EACH(a_client_may_end_after_any_byte, ENDINGS),
      ONCE(a_crowd_of_half_sent_requests_is_answered_and_its_memory_goes),
      ONCE(accepting_pauses_while_all_places_are_busy_and_goes_on_after),
      ONCE(without_a_descriptor_the_longest_idle_connection_goes),
      EACH(a_server_whose_hook_fails_does_not_start_and_says_what_the_hook_said, HOOKS),
      ONCE(a_server_without_descriptors_does_not_start_says_so_and_keeps_none),
      ONCE(a_drain_whose_time_is_over_cuts_who_is_left_and_says_so),
      ONCE(a_request_that_comes_during_the_drain_is_the_last_of_its_connection),
      EACH(each_odd_request_has_its_answer, ODD), ONCE(a_second_head_grows_in_the_place_of_the_first),
      ONCE(a_trace_that_is_not_of_the_form_is_left_out), ONCE(an_id_of_a_trusted_proxy_is_taken_where_it_is_one),
      ONCE(a_server_that_is_not_ready_says_503))
