// tests/test_http.c: a real server on a free port, asked by raw sockets: framing, order, deadlines, limits, drain.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "runtime/core/connection.h"
#include "runtime/core/plain_page.h"
#include "runtime/core/token.h"
#include "tests/support/core_server.h"
#include "tests/support/more_check.h"

enum { ANSWER_MAX = 4 * MIB, WAIT_MS = 5000 };

// ---- the server's routes ----

static atomic_int handled, resumed;

static bool hello_get(Request *r, Error *err UNUSED)
{
    atomic_fetch_add(&handled, 1);
    return respond(r, 200, S("text/plain"), S("hello"));
}

static bool echo_post(Request *r, Error *err)
{
    Form form;
    atomic_fetch_add(&handled, 1);
    return request_form(r, &form, err) && respond(r, 200, S("text/plain"), r->body);
}

static bool json_post(Request *r, Error *err)
{
    const Json *json;
    return request_json(r, &json, err) && respond_json(r, 201, r->body);
}

static bool item_get(Request *r, Error *err UNUSED)
{
    respond_header(r, S("X-Item"), request_segment(r, "id"));
    return respond(r, 200, S("text/plain"), request_segment(r, "id"));
}

typedef struct Pause {
    Timer timer;
    Request *r;
} Pause;

static void pause_over(Timer *timer)
{
    Request *r = container_of(timer, Pause, timer)->r;
    atomic_fetch_add(&resumed, 1);
    request_resume(r, respond(r, 200, S("text/plain"), str_format(r->arena, "waited for %.*s", STR_ARG(r->query))));
}

static bool wait_get(Request *r, Error *err)
{
    Pause *pause = arena_new(r->arena, Pause);
    if (!arena_ok(r->arena, err))
        return false;
    *pause = (Pause){.timer.due = pause_over, .r = r};
    timer_start(r->thread->loop, &pause->timer, 200);
    request_wait(r);
    return true;
}

static bool fail_get(Request *r UNUSED, Error *err)
{
    error_set(err, ERR_FAILED, "a secret went wrong");
    return error_why(err, "password=hunter2");
}

static bool fault_post(Request *r, Error *err)
{
    Faults faults = {.arena = r->arena};
    faults_add(&faults, &(Fault){.where = S("email"), .what = S("x"), .why = S("it has no @"), .next = S("add one")});
    faults_add(&faults, &(Fault){.where = S("name"), .what = S(""), .why = S("it is empty"), .next = S("write it")});
    return faults_none(&faults, S("the form"), err) || respond_error(r, err, &faults);
}

static bool big_get(Request *r, Error *err UNUSED) { return core_server_big(r, CORE_SERVER_PART_MAX); }

static bool move_get(Request *r, Error *err UNUSED) { return respond_redirect(r, 303, r->query); }

static bool odd_get(Request *r, Error *err UNUSED)
{
    respond_header(r, S("X-Odd"), S("a\r\nSet-Cookie: evil=1\0"));
    return respond(r, 200, S("text/plain"), S(""));
}

static const Route ROWS[] = {
    {.method = METHOD_GET, .pattern = "/hello", .module = "core", .handler = hello_get},
    {.method = METHOD_POST, .pattern = "/echo", .module = "core", .handler = echo_post, .body = BODY_FORM},
    {.method = METHOD_POST,
     .pattern = "/api/json",
     .module = "core",
     .handler = json_post,
     .body = BODY_JSON,
     .body_max_bytes = 100,
     .class_ = CLASS_API},
    {.method = METHOD_GET, .pattern = "/api/items/{id}", .module = "core", .handler = item_get},
    {.method = METHOD_GET, .pattern = "/wait", .module = "core", .handler = wait_get},
    {.method = METHOD_GET, .pattern = "/api/fail", .module = "core", .handler = fail_get},
    {.method = METHOD_POST, .pattern = "/api/faults", .module = "core", .handler = fault_post},
    {.method = METHOD_GET, .pattern = "/big", .module = "core", .handler = big_get},
    {.method = METHOD_GET, .pattern = "/move", .module = "core", .handler = move_get},
    {.method = METHOD_GET, .pattern = "/odd", .module = "core", .handler = odd_get},
};

static const RouteSet SETS[] = {{ROWS, COUNT(ROWS)}};

// ---- the server and its clients ----

static atomic_int tenants_held;

static bool tenant_find(Thread *thread UNUSED, Str host, TenantRef *out)
{
    static const struct {
        Str host, slug;
        ErrorCode refusal;
        int64_t rate;
    } TENANTS[] = {{S("acme.localhost"), S("acme"), ERR_NONE, 0},
                   {S("slow.localhost"), S("slow"), ERR_NONE, 5},
                   {S("closed.localhost"), S("closed"), ERR_SUSPENDED, 0}};
    for (size_t i = 0; i < COUNT(TENANTS); i++)
        if (str_eq(TENANTS[i].host, host)) {
            *out = (TenantRef){.tenant = (const Tenant *)(const void *)&TENANTS[i],
                               .number = (int64_t)i + 1,
                               .slug = TENANTS[i].slug,
                               .refusal = TENANTS[i].refusal,
                               .requests_per_second = TENANTS[i].rate};
            atomic_fetch_add(&tenants_held, 1);
            return true;
        }
    return false;
}

static void tenant_release(Thread *thread UNUSED, const Tenant *tenant UNUSED) { atomic_fetch_sub(&tenants_held, 1); }

static const ServerHooks TENANT_HOOKS = {.find_tenant = tenant_find, .release_tenant = tenant_release};

static Server *server_start(Settings settings, const ServerHooks *hooks)
{
    return core_server_open(&settings, hooks, SETS);
}

static Settings short_times(void)
{
    Settings settings = shopd_settings_default();
    settings.listen = S("127.0.0.1:0");
    settings.threads = 1;
    settings.head_timeout_ms = 300;
    settings.idle_timeout_ms = 600;
    settings.linger_ms = 300;
    settings.rate_grace_ms = 400;
    settings.drain_timeout_ms = 3000;
    return settings;
}

static void server_end(Server **server)
{
    core_server_close(server);
    ck_assert_int_eq(atomic_load(&tenants_held), 0);
}

static int client_open(const Server *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static bool client_send(int fd, Str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = str_skip(bytes, (size_t)sent);
    }
    return true;
}

// All that comes until the server closes, or `quiet_ms` pass without a byte. *out_closed tells which.
static Str client_read(int fd, Arena *arena, int quiet_ms, bool *out_closed)
{
    char *bytes = arena_array(arena, ANSWER_MAX, char);
    size_t len = 0;
    bool is_closed = false;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (!is_closed && len < ANSWER_MAX && poll(&ready, 1, quiet_ms) == 1) {
        ssize_t got = recv(fd, bytes + len, ANSWER_MAX - len, 0);
        is_closed = got <= 0;
        len += got > 0 ? (size_t)got : 0;
    }
    if (out_closed)
        *out_closed = is_closed;
    return (Str){bytes, len};
}

// The same, but the first byte may take its time.
static Str client_await(int fd, Arena *arena, int quiet_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, WAIT_MS), 1);
    return client_read(fd, arena, quiet_ms, NULL);
}

// Sends, and reads until the server closes.
static Str ask(const Server *server, Arena *arena, Str request)
{
    int fd = client_open(server);
    (void)client_send(fd, request);
    bool is_closed;
    Str answer = client_read(fd, arena, WAIT_MS, &is_closed);
    fd_close(&fd);
    ck_assert_msg(is_closed, "the server kept the connection after '%.*s'", STR_ARG(request));
    return answer;
}

static int status_of(Str answer)
{
    int64_t status = 0;
    Error err = {0};
    return str_has_prefix(answer, S("HTTP/1.1 ")) && str_int64(str_slice(answer, 9, 12), 100, 599, &status, &err)
               ? (int)status
               : 0;
}

static size_t count_of(Str text, Str part)
{
    size_t count = 0;
    for (size_t at = str_find(text, part); at < text.len; at = str_find(text, part)) {
        count++;
        text = str_skip(text, at + part.len);
    }
    return count;
}

#define BUDGET (64 * (size_t)MIB)
#define SMUGGLED "GET /hello HTTP/1.1\r\nHost: evil\r\n\r\n"
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"

// ---- framing ----

static const struct {
    Str request;
    int status;
} MALFORMED[] = {
    // which end is meant?
    {S(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 3, 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: +3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: -3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 0x3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 3 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length:\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 99999999999999999999\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length: 3;x\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "Content-Length : 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "X: y\r\n Content-Length: 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "X:\rContent-Length: 3\r\n\r\nabc" SMUGGLED), 400},
    {S(POST "X:\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: identity\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: \x0b"
            "chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
     400},
    {S(POST "Transfer-Encoding:\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {S("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    // chunks
    {S(POST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n" SMUGGLED), 400},
    {S(POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n" SMUGGLED), 400},
    // the line and the host
    {S("GET /hello HTTP/1.1\r\n\r\n" SMUGGLED), 400},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" SMUGGLED), 400},
    {S("GET /hello HTTP/1.1\r\nHost:\r\n\r\n"), 400},
    {S("GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {S("GET http://b/hello HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {S("GET hello HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {S("GET /hello\r\n\r\n"), 400},
    {S("GET /hello HTTP/1.1\nHost: a\n\n" SMUGGLED), 400},
    {S("GET /hel\0lo HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"), 400},
    {S("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n"), 505},
    {S("GET /hello HTTP/1.2\r\nHost: a\r\n\r\n"), 505},
    {S("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 501},
    {S("FROB /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 501},
    {S("get /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 501},
    // a wrong frame comes before an unknown path
    {S("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {S("POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n"), 400},
};

TEST(a_request_that_could_be_read_in_two_ways_is_refused_and_ends_the_connection)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    for (size_t i = 0; i < COUNT(MALFORMED); i++) {
        arena_reset(arena);
        atomic_store(&handled, 0);
        Str answer = ask(server, arena, MALFORMED[i].request);
        ck_assert_msg(status_of(answer) == MALFORMED[i].status, "'%.*s' gets '%.*s'", STR_ARG(MALFORMED[i].request),
                      STR_ARG(answer));
        ck_assert_msg(count_of(answer, S("\r\nDate: ")) == 1 && atomic_load(&handled) == 0, "'%.*s' gets '%.*s'",
                      STR_ARG(MALFORMED[i].request), STR_ARG(answer));
        ck_assert_contains(answer, S("Connection: close\r\n"));
    }
    server_end(&server);
}

#define LAST "GET /api/items/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define PIPELINE                                                                                                       \
    POST "Content-Length: 5\r\n\r\na=one"                                                                              \
         "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" POST                                                                 \
         "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\na=t\r\n2\r\nwo\r\n0\r\nT: u\r\n\r\n"                              \
         "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" LAST

static void pipeline_check(Str answer, Arena *arena)
{
    const Str bodies[] = {S("\r\n\r\na=one"), S("\r\n\r\nhello"), S("\r\n\r\na=two"), S("\r\n\r\nHTTP/1.1 200"),
                          S("\r\n\r\nlast")};
    ck_assert_msg(count_of(answer, S("HTTP/1.1 200 OK")) == COUNT(bodies), "%.*s", STR_ARG(answer));
    Str rest = answer;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        size_t at = str_find(rest, bodies[i]);
        ck_assert_msg(at < rest.len, "no '%.*s' in '%.*s'", STR_ARG(bodies[i]), STR_ARG(rest));
        rest = str_skip(rest, at + 4);
    }
    arena_reset(arena);
}

TEST(pipelined_requests_are_answered_in_order_however_they_are_split)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    Str requests = S(PIPELINE);
    for (size_t at = 0; at < requests.len; at++) {
        int fd = client_open(server);
        ck_assert(client_send(fd, str_slice(requests, 0, at)));
        struct timespec moment = {.tv_nsec = 300000};
        (void)nanosleep(&moment, NULL);
        ck_assert(client_send(fd, str_skip(requests, at)));
        pipeline_check(client_read(fd, arena, WAIT_MS, NULL), arena);
        fd_close(&fd);
    }
    int fd = client_open(server);    // and byte by byte
    for (size_t at = 0; at < requests.len; at++)
        ck_assert(client_send(fd, str_slice(requests, at, at + 1)));
    pipeline_check(client_read(fd, arena, WAIT_MS, NULL), arena);
    fd_close(&fd);
    server_end(&server);
}

TEST(a_waiting_request_holds_back_those_behind_it)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), &TENANT_HOOKS);
    atomic_store(&handled, 0);
    int fd = client_open(server);
    ck_assert(client_send(fd, S("GET /wait?one HTTP/1.1\r\nHost: acme.localhost\r\n\r\n"
                                "GET /wait?two HTTP/1.1\r\nHost: acme.localhost\r\n\r\n"
                                "GET /hello HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\n\r\n")));
    clock_sleep_ms(100);
    ck_assert_int_eq(atomic_load(&handled), 0);
    Str answer = client_read(fd, arena, WAIT_MS, NULL);
    ck_assert_uint_eq(count_of(answer, S("HTTP/1.1 200 OK")), 3);
    ck_assert_uint_lt(str_find(answer, S("waited for one")), str_find(answer, S("waited for two")));
    ck_assert_uint_lt(str_find(answer, S("waited for two")), str_find(answer, S("\r\n\r\nhello")));
    fd_close(&fd);
    server_end(&server);
}

TEST(a_client_that_goes_during_its_wait_leaves_a_request_that_ends_by_itself)
{
    Server *server = server_start(short_times(), &TENANT_HOOKS);
    atomic_store(&resumed, 0);
    for (int i = 0; i < 20; i++) {
        int fd = client_open(server);
        ck_assert(client_send(fd, S("GET /wait?gone HTTP/1.1\r\nHost: acme.localhost\r\n\r\n")));
        clock_sleep_ms(5);
        fd_close(&fd);
    }
    server_end(&server);    // waits for them
    ck_assert_int_eq(atomic_load(&resumed), 20);
}

// ---- statuses ----

static const struct {
    Str request;
    int status;
    Str says;
} ANSWERS[] = {
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200, S("\r\n\r\nhello")},
    {S("GET http://a/hello HTTP/1.1\r\nHost: A:80\r\nConnection: close\r\n\r\n"), 200, S("\r\n\r\nhello")},
    {S("GET /hello HTTP/1.0\r\n\r\n"), 200, S("Connection: close\r\n")},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n"), 200,
     S("\r\n\r\nhello")},
    {S("HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200, S("Content-Length: 5\r\n")},
    {S("OPTIONS /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 204, S("Allow: GET, HEAD, OPTIONS\r\n")},
    {S("GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 404, S("text/html")},
    {S("GET /api/caf\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, S("application/problem+json")},
    {S("GET /caf\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, S("text/html")},
    {S("GET /api/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 404,
     S("\"type\":\"https://localhost/problems/not-found\",\"title\":\"Not found\",\"status\":404")},
    {S("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), 405,
     S("Allow: GET, HEAD, OPTIONS\r\n")},
    {S("TRACE /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 405, S("Allow: GET, HEAD, OPTIONS\r\n")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
       "Connection: close\r\n\r\n{}"),
     415, S("unsupported-media-type")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"), 415, S("")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n"
       "Connection: close\r\n\r\n{}"),
     201, S("\r\n\r\n{}")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n"
       "Connection: close\r\n\r\n{\"a\": }"),
     400, S("\"field\":\"1:7\"")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
       "Connection: close\r\n\r\n[]"),
     400, S("a JSON object")},
    {S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 101\r\n\r\n"), 413,
     S("101 bytes; more than 100")},
    {S("GET /api/fail HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 500, S("something is wrong here")},
    {S("POST /api/faults HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), 422,
     S("\"errors\":[{\"field\":\"email\",\"detail\":\"it has no @\",\"next\":\"add one\"},{\"field\":\"name\",")},
    {S("GET /api/items/%2e%2e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 404, S("")},
    {S("GET /api/items/%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 400, S("")},
    {S("GET /api/items/a%2Fb HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200, S("\r\n\r\na/b")},
    {S("GET /api/items/a%0d%0aX:%20y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200, S("X-Item: a  X: y\r\n")},
    {S("GET /odd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200, S("X-Odd: a  Set-Cookie: evil=1 \r\n")},
    {S("GET /move?/cart HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 303, S("Location: /cart\r\n")},
    {S("GET /move?//evil.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 303, S("Location: /\r\n")},
    {S("GET /move?/\\evil.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 303, S("Location: /\r\n")},
    {S("GET /move?https://evil.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 303, S("Location: /\r\n")},
    {S("GET /healthz HTTP/1.0\r\n\r\n"), 200, S("\r\n\r\nok\n")},
    {S("GET /readyz HTTP/1.0\r\n\r\n"), 200, S("\r\n\r\nready\n")},
    {S("GET /metrics HTTP/1.0\r\n\r\n"), 200, S("# TYPE shopd_requests_total counter\n")},
    {S("GET /metrics HTTP/1.0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"), 403, S("")},
    {S("GET /metrics HTTP/1.0\r\nX-Forwarded-For:\r\n\r\n"), 403, S("")},
    {S("GET /metrics HTTP/1.0\r\nForwarded: for=1.2.3.4\r\n\r\n"), 403, S("")},
    {S("GET /metrics HTTP/1.0\r\nVia: 1.1 gateway\r\n\r\n"), 403, S("")},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
       "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"),
     200, S("Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-")},
    {S("GET /hello HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n"),
     200, S("X-Request-Id: ")},
};

static unsigned digit(char c) { return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10); }

// Base64 of bytes that are given as hexadecimal digits, as many as SHA-256 has.
static Str base64_of_hex(const char hex[SHA256_HEX], Arena *arena)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    StrBuf out = {.arena = arena};
    for (size_t i = 0; i < SHA256_HEX; i += 6) {
        unsigned bits = 0;
        for (size_t at = i; at < i + 6; at++)
            bits = bits << 4 | (at < SHA256_HEX ? digit(hex[at]) : 0);
        for (size_t at = 0; at < 4; at++)
            strbuf_add_char(&out, i + 4 < SHA256_HEX || at < 3 ? DIGITS[bits >> (18 - 6 * at) & 63] : '=');
    }
    return strbuf_str(&out);
}

TEST(a_plain_page_is_whole_escapes_what_it_says_and_its_policy_allows_its_style)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const PlainPage page = {404, S("Not Found"), S("there is <no> shop & nothing"), S("check \"it\"")};
    Str html = plain_page(&page, arena), style = html;
    ck_assert_contains(html, S("<h1>Not Found</h1>\n<p>There is &lt;no&gt; shop &amp; nothing.</p>\n"));
    ck_assert_contains(html, S("<p>Check &quot;it&quot;.</p>\n"));
    ck_assert_contains(html, S("</html>"));
    style = str_skip(style, str_find(style, S("<style>")) + sizeof("<style>") - 1);
    style = str_slice(style, 0, str_find(style, S("</style>")));
    char hex[SHA256_HEX];
    sha256_hex(style, hex);
    ck_assert_contains(PLAIN_PAGE_POLICY, str_format(arena, "'sha256-%.*s'", STR_ARG(base64_of_hex(hex, arena))));
}

static const Str USUAL_POLICY = S("\r\nContent-Security-Policy: default-src 'none'; img-src 'self' http: https: data:; "
                                  "style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
                                  "frame-ancestors 'none'\r\n");

TEST(each_request_gets_its_status_and_what_it_says)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        arena_reset(arena);
        Str answer = ask(server, arena, ANSWERS[i].request);
        ck_assert_msg(status_of(answer) == ANSWERS[i].status && str_find(answer, ANSWERS[i].says) <= answer.len &&
                          (ANSWERS[i].says.len == 0 || str_find(answer, ANSWERS[i].says) < answer.len),
                      "'%.*s' gets '%.*s'", STR_ARG(ANSWERS[i].request), STR_ARG(answer));
        ck_assert_contains(answer, S("\r\nX-Content-Type-Options: nosniff\r\n"));
        bool is_plain_page = str_find(answer, S("<!doctype html>")) < answer.len;
        ck_assert_contains(answer, is_plain_page ? PLAIN_PAGE_POLICY : USUAL_POLICY);
        ck_assert_contains(answer, S("\r\nReferrer-Policy: "));
        ck_assert_contains(answer, S("\r\nDate: "));
        ck_assert_uint_eq(str_find(answer, S("hunter2")), answer.len);
        ck_assert_uint_eq(str_find(answer, S("Strict-Transport-Security")), answer.len);
        ck_assert_uint_eq(str_find(answer, S("X-Request-Id: mine")), answer.len);
    }
    server_end(&server);
}

TEST(a_head_request_gets_no_body)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    const Str requests[] = {S("HEAD /hello HTTP/1.0\r\n\r\n"), S("HEAD /nothing HTTP/1.0\r\n\r\n"),
                            S("HEAD /big HTTP/1.0\r\n\r\n")};
    for (size_t i = 0; i < COUNT(requests); i++)
        ck_assert(str_has_suffix(ask(server, arena, requests[i]), S("\r\n\r\n")));
    server_end(&server);
}

TEST(a_trusted_proxy_is_believed)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.trusted_proxies = S("loopback");
    Server *server = server_start(settings, NULL);
    Str answer = ask(server, arena,
                     S("GET /hello HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\n"
                       "Connection: close\r\n\r\n"));
    ck_assert_contains(answer, S("Strict-Transport-Security: max-age="));
    ck_assert_contains(answer, S("X-Request-Id: mine\r\n"));
    server_end(&server);
}

TEST(a_large_answer_is_sent_whole_to_a_slow_reader)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.rate_grace_ms = 5000;
    Server *server = server_start(settings, NULL);
    int fd = client_open(server);
    ck_assert(client_send(fd, S("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.0\r\n\r\n")));
    clock_sleep_ms(200);
    Str answer = client_read(fd, arena, WAIT_MS, NULL);
    ck_assert_contains(answer, S("Content-Length: 3276800\r\n"));
    ck_assert_uint_gt(answer.len, CORE_SERVER_PARTS * CORE_SERVER_PART_MAX);
    ck_assert(str_has_suffix(answer, S("\r\n\r\nhello")));
    fd_close(&fd);
    server_end(&server);
}

TEST(a_client_that_never_reads_is_cut)
{
    Server *server = server_start(short_times(), NULL);
    int fd = client_open(server);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    for (int i = 0; i < 8; i++)
        (void)client_send(fd, S("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    int64_t start = clock_ms();
    while (core_server_held() == 0 && clock_ms() - start < WAIT_MS)
        clock_sleep_ms(5);
    while (core_server_held() > 0 && clock_ms() - start < WAIT_MS)
        clock_sleep_ms(20);
    ck_assert_int_eq(core_server_held(), 0);    // its answer was dropped
    ck_assert_int_ge(clock_ms() - start, 380);
    fd_close(&fd);
    server_end(&server);
}

// ---- tenants ----

TEST(an_unknown_host_gets_a_404_that_names_no_tenant)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), &TENANT_HOOKS);
    const Str unknown[] = {S("GET /hello HTTP/1.1\r\nHost: evil.localhost\r\nConnection: close\r\n\r\n"),
                           S("GET /hello HTTP/1.0\r\n\r\n")};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        Str answer = ask(server, arena, unknown[i]);
        ck_assert_int_eq(status_of(answer), 404);
        ck_assert_uint_eq(str_find(answer, S("acme")), answer.len);
        ck_assert_uint_eq(str_find(answer, S("evil")), answer.len);
    }
    const Str known[] = {S("GET /hello HTTP/1.1\r\nHost: ACME.localhost.:8080\r\nConnection: close\r\n\r\n"),
                         S("GET /healthz HTTP/1.1\r\nHost: evil.localhost\r\nConnection: close\r\n\r\n")};
    for (size_t i = 0; i < COUNT(known); i++)
        ck_assert_int_eq(status_of(ask(server, arena, known[i])), 200);
    Str closed = ask(server, arena, S("GET /hello HTTP/1.1\r\nHost: closed.localhost\r\nConnection: close\r\n\r\n"));
    ck_assert_int_eq(status_of(closed), 503);
    ck_assert_contains(closed, S("Retry-After: "));
    server_end(&server);
}

TEST(requests_over_a_tenants_rate_get_429_on_all_threads_together)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.threads = 3;
    Server *server = server_start(settings, &TENANT_HOOKS);
    int passed = 0, limited = 0;
    int64_t start = clock_ms();
    for (int i = 0; i < 25; i++) {
        arena_reset(arena);
        Str answer = ask(server, arena, S("GET /hello HTTP/1.1\r\nHost: slow.localhost\r\nConnection: close\r\n\r\n"));
        passed += status_of(answer) == 200;
        limited += status_of(answer) == 429;
        ck_assert_msg(status_of(answer) == 200 || status_of(answer) == 429, "'%.*s'", STR_ARG(answer));
        if (status_of(answer) == 429)
            ck_assert_contains(answer, S("Retry-After: 1\r\n"));
    }
    ck_assert_int_eq(passed + limited, 25);
    ck_assert_int_ge(passed, 5);
    ck_assert_int_le(passed, 5 + (int)((clock_ms() - start) / 200) + 1);
    server_end(&server);
}

// ---- time ----

TEST(a_dripped_head_is_cut_with_408)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    int fd = client_open(server);
    int64_t start = clock_ms();
    ck_assert(client_send(fd, S("GET /hello HTTP/1.1\r\nHost: a\r\n")));
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, 50) == 0 && clock_ms() - start < WAIT_MS)
        (void)client_send(fd, S("X"));
    Str answer = client_read(fd, arena, WAIT_MS, NULL);
    ck_assert_int_eq(status_of(answer), 408);
    ck_assert_int_ge(clock_ms() - start, 280);
    ck_assert_int_lt(clock_ms() - start, 3000);
    fd_close(&fd);
    server_end(&server);
}

TEST(a_slow_body_is_cut_with_408_and_a_steady_one_is_not)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.body_rate_bytes = 20;
    Server *server = server_start(settings, NULL);
    int fd = client_open(server);
    ck_assert(client_send(fd, S(POST "Content-Length: 1000\r\n\r\na=")));
    ck_assert_int_eq(status_of(client_read(fd, arena, WAIT_MS, NULL)), 408);
    fd_close(&fd);

    fd = client_open(server);
    ck_assert(client_send(fd, S(POST "Content-Length: 302\r\nConnection: close\r\n\r\na=")));
    for (int i = 0; i < 30; i++) {    // longer than any deadline, but steady
        ck_assert(client_send(fd, S("0123456789")));
        clock_sleep_ms(40);
    }
    ck_assert_int_eq(status_of(client_read(fd, arena, WAIT_MS, NULL)), 200);
    fd_close(&fd);
    server_end(&server);
}

TEST(an_idle_connection_is_closed_without_a_word)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    int fd = client_open(server);
    bool is_closed;
    int64_t start = clock_ms();
    ck_assert_uint_eq(client_read(fd, arena, WAIT_MS, &is_closed).len, 0);
    ck_assert(is_closed);
    ck_assert_int_ge(clock_ms() - start, 580);
    fd_close(&fd);
    server_end(&server);
}

TEST(a_client_sees_an_early_refusal_though_it_goes_on_sending)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    int fd = client_open(server);
    ck_assert(client_send(fd, S("POST /api/json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                                "Content-Length: 100000000\r\n\r\n")));
    static char bytes[64 * KIB];
    for (int i = 0; i < 10; i++) {
        (void)client_send(fd, (Str){bytes, sizeof(bytes)});
        clock_sleep_ms(5);
    }
    bool is_closed;
    Str answer = client_read(fd, arena, WAIT_MS, &is_closed);
    ck_assert_int_eq(status_of(answer), 413);
    ck_assert(is_closed);
    fd_close(&fd);
    server_end(&server);
}

TEST(a_chunked_body_that_is_mostly_extensions_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    StrBuf request = {.arena = arena};
    strbuf_add(&request, S(POST "Transfer-Encoding: chunked\r\n\r\n1;"));
    for (int i = 0; i < 2000; i++)
        strbuf_add(&request, S("extension-"));
    strbuf_add(&request, S("\r\na\r\n0\r\n\r\n"));
    ck_assert_int_eq(status_of(ask(server, arena, strbuf_str(&request))), 413);
    server_end(&server);
}

TEST(a_head_over_16_kib_gets_431_and_one_below_is_read)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    for (int lines = 10; lines <= 20; lines += 10) {
        StrBuf request = {.arena = arena};
        strbuf_add(&request, S("GET /hello HTTP/1.0\r\n"));
        for (int i = 0; i < lines; i++)
            strbuf_format(&request, "X-%d: %01000d\r\n", i, 0);
        strbuf_add(&request, S("\r\n"));
        ck_assert_int_eq(status_of(ask(server, arena, strbuf_str(&request))), lines == 10 ? 200 : 431);
    }
    server_end(&server);
}

TEST(a_target_over_8_kib_gets_414_and_one_below_is_read)
{
    enum { LONG = 9000 };
    static const struct {
        int bytes, status;
    } TARGETS[] = {{8000, 200}, {LONG, 414}, {2 * LONG, 414}};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    for (size_t i = 0; i < COUNT(TARGETS); i++) {
        Str request =
            str_format(arena, "GET /hello?%0*d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", TARGETS[i].bytes, 0);
        ck_assert_int_eq(status_of(ask(server, arena, request)), TARGETS[i].status);
    }
    server_end(&server);
}

TEST(a_body_is_asked_for_when_the_client_waits_for_that)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    int fd = client_open(server);
    ck_assert(client_send(fd, S(POST "Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")));
    ck_assert_str(client_await(fd, arena, 100), S("HTTP/1.1 100 Continue\r\n\r\n"));
    ck_assert(client_send(fd, S("a=b")));
    ck_assert_int_eq(status_of(client_read(fd, arena, WAIT_MS, NULL)), 200);
    fd_close(&fd);
    Str answer = ask(server, arena,
                     S("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Expect: 100-continue\r\n\r\n"));
    ck_assert_int_eq(status_of(answer), 404);
    server_end(&server);
}

TEST(a_refused_small_body_keeps_its_connection)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *server = server_start(short_times(), NULL);
    Str answer = ask(server, arena, S("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd" LAST));
    ck_assert_int_eq(status_of(answer), 404);
    ck_assert(str_has_suffix(answer, S("\r\n\r\nlast")));
    server_end(&server);
}

// ---- the cap and the drain ----

TEST(the_longest_idle_connection_makes_room_at_the_cap)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.clients_max = 4;
    settings.idle_timeout_ms = WAIT_MS;
    Server *server = server_start(settings, NULL);
    int fds[8];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = client_open(server);
        ck_assert(client_send(fds[i], S("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")));
        ck_assert_int_eq(status_of(client_await(fds[i], arena, 50)), 200);
        arena_reset(arena);
    }
    for (size_t i = 0; i < COUNT(fds); i++) {
        bool is_closed;
        (void)client_read(fds[i], arena, 50, &is_closed);
        ck_assert_int_eq(is_closed, i < 4);
        fd_close(&fds[i]);
        arena_reset(arena);
    }
    server_end(&server);
}

TEST(a_drain_answers_what_is_under_way_and_closes_the_rest)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Settings settings = short_times();
    settings.idle_timeout_ms = WAIT_MS;
    Server *server = server_start(settings, &TENANT_HOOKS);
    int idle = client_open(server), busy = client_open(server);
    ck_assert(client_send(busy, S("GET /wait?x HTTP/1.1\r\nHost: acme.localhost\r\n\r\n")));
    clock_sleep_ms(50);
    int64_t start = clock_ms();
    server_stop(server);
    ck_assert(server_wait(server));
    ck_assert_int_lt(clock_ms() - start, 1500);
    Str answer = client_read(busy, arena, WAIT_MS, NULL);
    ck_assert_contains(answer, S("waited for x"));
    ck_assert_contains(answer, S("Connection: close\r\n"));
    bool is_closed;
    (void)client_read(idle, arena, WAIT_MS, &is_closed);
    ck_assert(is_closed);
    fd_close(&idle);
    fd_close(&busy);
    server_close(&server);
}

TEST(two_servers_do_not_share_an_address)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Server *first = server_start(short_times(), NULL), *second = NULL;
    Settings settings = short_times();
    settings.listen = str_format(arena, "127.0.0.1:%u", server_port(first));
    Error err = {0};
    ck_assert(!server_open(&(ServerOptions){.settings = &settings, .is_embedded = true}, &second, &err));
    ck_assert_says(&err, ERR_EXISTS, "another program listens");
    error_clear(&err);
    settings.listen = S("nowhere");
    ck_assert(!server_open(&(ServerOptions){.settings = &settings, .is_embedded = true}, &second, &err));
    ck_assert_says(&err, ERR_USAGE, "isn't an address");
    server_end(&first);
}

SUITE(http, ONCE(a_request_that_could_be_read_in_two_ways_is_refused_and_ends_the_connection),
      ONCE(pipelined_requests_are_answered_in_order_however_they_are_split),
      ONCE(a_waiting_request_holds_back_those_behind_it),
      ONCE(a_client_that_goes_during_its_wait_leaves_a_request_that_ends_by_itself),
      ONCE(each_request_gets_its_status_and_what_it_says),
      ONCE(a_plain_page_is_whole_escapes_what_it_says_and_its_policy_allows_its_style),
      ONCE(a_head_request_gets_no_body), ONCE(a_trusted_proxy_is_believed),
      ONCE(a_large_answer_is_sent_whole_to_a_slow_reader), ONCE(a_client_that_never_reads_is_cut),
      ONCE(an_unknown_host_gets_a_404_that_names_no_tenant),
      ONCE(requests_over_a_tenants_rate_get_429_on_all_threads_together), ONCE(a_dripped_head_is_cut_with_408),
      ONCE(a_slow_body_is_cut_with_408_and_a_steady_one_is_not), ONCE(an_idle_connection_is_closed_without_a_word),
      ONCE(a_client_sees_an_early_refusal_though_it_goes_on_sending),
      ONCE(a_chunked_body_that_is_mostly_extensions_is_refused),
      ONCE(a_head_over_16_kib_gets_431_and_one_below_is_read), ONCE(a_target_over_8_kib_gets_414_and_one_below_is_read),
      ONCE(a_body_is_asked_for_when_the_client_waits_for_that), ONCE(a_refused_small_body_keeps_its_connection),
      ONCE(the_longest_idle_connection_makes_room_at_the_cap),
      ONCE(a_drain_answers_what_is_under_way_and_closes_the_rest), ONCE(two_servers_do_not_share_an_address))
