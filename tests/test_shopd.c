// tests/test_shopd.c: the program shopd: its start, its rights, its signals, its end.
#include <arpa/inet.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/core/privileges.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"
#include "tests/support/shop_cell.h"
#include "tests/support/test_platform.h"

enum { WAIT_MS = 10000, WORDS_MAX = 32, FIRST_FD = 3 };
static const char USER[] = "nobody";

typedef struct Daemon {
    TestCell cell;
    Str folder;    // with its log and its config file
    Str config;
    int pid;
    unsigned port;
    int socket;       // to pass on; -1: it binds by itself
    bool one_core;    // it may run on a single one
    ShopClient *shopper;
    ShopAnswer answer;
} Daemon;

// ---- starting and asking ----

static int socket_bound(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void config_write(const Daemon *d, const char *content)
{
    Error err = {0};
    ck_assert_ok(file_write(d->config, str_of(content), 0644, &err), &err);
}

static Str log_read(Daemon *d)
{
    Error err = {0};
    Str text = S("");
    Str path = str_format(d->cell.arena, "%.*s/log", STR_ARG(d->folder));
    ck_assert_ok(file_read(path, 16 * MIB, d->cell.arena, &text, &err), &err);
    return text;
}

static void daemon_open(Daemon *d)
{
    char folder[] = "/tmp/shopd-XXXXXX";
    *d = (Daemon){.socket = -1};
    test_cell_open(&d->cell, "shopd");
    test_cell_sql(&d->cell, "create or replace function cell.session_key() returns text language sql as $$"
                            " select 'a secret of ' || current_database() $$");
    ck_assert(mkdtemp(folder) && chmod(folder, 0755) == 0);
    d->folder = str_copy(d->cell.arena, str_of(folder));
    d->config = str_format(d->cell.arena, "%s/config", folder);
    config_write(d, "");
    Error err = {0};
    Str log = str_format(d->cell.arena, "%s/log", folder);
    ck_assert_ok(file_write(log, S(""), 0644, &err), &err);
    int fd = socket_bound(&d->port);
    (void)close(fd);
    d->shopper = shop_client_open(d->port, "acme.localhost");
}

// Becomes shopd in a child; `words` are options beside the usual ones.
static void child_run(const Daemon *d, const char *const *words)
{
    Arena *arena = d->cell.arena;
    const char *argv[WORDS_MAX] = {str_format(arena, "%s/bin/shopd", getenv("TEST_BUILD")).data};
    size_t count = 1;
    for (; *words; words++)
        argv[count++] = *words;
    argv[count] = NULL;
    int log = open(str_format(arena, "%.*s/log", STR_ARG(d->folder)).data, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    if (d->socket >= 0) {
        if (dup2(d->socket, FIRST_FD) < 0)
            _exit(EXIT_FAILURE);
        (void)setenv("LISTEN_FDS", "1", 1);
        (void)setenv("LISTEN_PID", str_format(arena, "%d", getpid()).data, 1);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);    // of a test that failed nothing is left
    cpu_set_t cores;
    if (d->one_core && sched_getaffinity(0, sizeof(cores), &cores) == 0) {
        for (size_t core = 0, kept = 0; core < CPU_SETSIZE; core++)
            if (CPU_ISSET(core, &cores) && kept++ > 0)
                CPU_CLR(core, &cores);
        (void)sched_setaffinity(0, sizeof(cores), &cores);
    }
    (void)execv(argv[0], (char **)(uintptr_t)argv);
    _exit(EXIT_FAILURE);
}

static void daemon_fork(Daemon *d, const char *const *words)
{
    d->pid = fork();
    ck_assert_int_ge(d->pid, 0);
    if (d->pid == 0)
        child_run(d, words);
}

static int asked(Daemon *d, const char *method, const char *path)
{
    shop_answer_close(&d->answer);
    ShopRequest request = {.method = method, .path = path, .body = strcmp(method, "POST") == 0 ? "{}" : NULL};
    return shop_call(d->shopper, &request, d->cell.arena, &d->answer) ? d->answer.status : 0;
}

// Returns when /readyz says 200.
static void daemon_await(Daemon *d)
{
    int64_t until_ms = clock_ms() + WAIT_MS;
    while (asked(d, "GET", "/readyz") != 200) {
        Str log = log_read(d);
        ck_assert_msg(clock_ms() < until_ms && waitpid(d->pid, NULL, WNOHANG) == 0, "shopd isn't ready: %.*s",
                      STR_ARG(log));
        clock_sleep_ms(5);
    }
}

static void daemon_start(Daemon *d, const char *const *words)
{
    daemon_fork(d, words);
    daemon_await(d);
}
#define START(d, ...) daemon_start(d, (const char *const[]){__VA_ARGS__, NULL})
#define CELL(d) "--cell", (d)->cell.dsn.data, "--role", "postgres"
#define LISTEN(d) "--listen", str_format((d)->cell.arena, "127.0.0.1:%u", (d)->port).data

// Its exit code, once it has ended; -1 for a signal.
static int daemon_end(Daemon *d)
{
    int status = 0;
    int64_t until_ms = clock_ms() + WAIT_MS;
    while (waitpid(d->pid, &status, WNOHANG) == 0) {
        ck_assert_msg(clock_ms() < until_ms, "shopd doesn't end");
        clock_sleep_ms(5);
    }
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int daemon_stop(Daemon *d)
{
    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    return daemon_end(d);
}

static void daemon_close(Daemon *d)
{
    if (d->pid > 0)
        ck_assert_int_eq(daemon_stop(d), EXIT_SUCCESS);
    shop_answer_close(&d->answer);
    shop_client_close(&d->shopper);
    fd_close(&d->socket);
    Error err = {0};
    Str output;
    const char *const remove[] = {"rm", "-r", d->folder.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = remove}, WAIT_MS, d->cell.arena, &output, &err), &err);
    test_cell_close(&d->cell);
}

// ---- the start ----

// The value of a line of /proc/PID/status, its blanks made single.
static Str status_line(Str status, const char *name)
{
    size_t at = str_find(status, str_of(name));
    ck_assert_msg(at < status.len, "there is no '%s'", name);
    Str rest = str_skip(status, at + strlen(name));
    return str_trim(str_slice(rest, 0, str_find_char(rest, '\n')));
}

TEST(started_by_root_it_becomes_its_user_for_good)
{
    if (geteuid() != 0)
        return;
    Daemon d;
    Error err = {0};
    User user;
    daemon_open(&d);
    ck_assert_ok(user_find(USER, &user, &err), &err);
    START(&d, CELL(&d), LISTEN(&d), "--threads", "2", "--user", USER);
    Arena *arena = d.cell.arena;
    Str threads, thread;
    const char *const list[] = {"sh", "-c", str_format(arena, "ls /proc/%d/task", d.pid).data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = list}, WAIT_MS, arena, &threads, &err), &err);
    size_t count = 0;
    for (; threads.len > 0 && str_cut(&threads, '\n', &thread); count++) {
        Str status;
        Str path = str_format(arena, "/proc/%d/task/%.*s/status", d.pid, STR_ARG(thread));
        ck_assert_ok(file_read(path, 64 * KIB, arena, &status, &err), &err);
        Str uids = str_format(arena, "%u\t%u\t%u\t%u", user.uid, user.uid, user.uid, user.uid);
        Str gids = str_format(arena, "%u\t%u\t%u\t%u", user.gid, user.gid, user.gid, user.gid);
        ck_assert_str(status_line(status, "\nUid:"), uids);    // real, effective, saved: none of them root's
        ck_assert_str(status_line(status, "\nGid:"), gids);
        ck_assert_str(status_line(status, "\nGroups:"), S(""));
        ck_assert_str(status_line(status, "\nNoNewPrivs:"), S("1"));
        ck_assert_str(status_line(status, "\nSeccomp:"), S("2"));    // it has a filter
        static const char *const SETS[] = {"\nCapInh:", "\nCapPrm:", "\nCapEff:", "\nCapBnd:", "\nCapAmb:"};
        for (size_t i = 0; i < COUNT(SETS); i++)
            ck_assert_str(status_line(status, SETS[i]), S("0000000000000000"));
    }
    ck_assert_uint_ge(count, 3);
    ck_assert_int_eq(asked(&d, "GET", "/products/taza-azul"), 200);
    daemon_close(&d);
}

TEST(started_by_root_its_home_is_no_longer_roots)
{
    if (geteuid() != 0)
        return;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        struct passwd *user = getpwnam(USER);
        bool ok = user && setenv("HOME", "/root", 1) == 0 && privileges_drop(str_of(USER), &err);
        _exit(ok && str_eq(str_of(getenv("HOME")), str_of(user->pw_dir)) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, EXIT_SUCCESS);
}

static void secrets_sought(Daemon *d, const char *file, bool is_there)
{
    static const Str SECRETS[] = {S("hunter2"), S("a secret of")};
    Error err = {0};
    Str content, path = str_format(d->cell.arena, "/proc/%d/%s", d->pid, file);
    ck_assert_ok(file_read(path, MIB, d->cell.arena, &content, &err), &err);
    ck_assert_msg((content.len > 0) == is_there, "%s has %zu bytes", path.data, content.len);
    for (size_t i = 0; i < COUNT(SECRETS); i++)
        ck_assert_msg(str_find(content, SECRETS[i]) == content.len, "%s tells '%.*s'", path.data, STR_ARG(SECRETS[i]));
}

// `told_by`, its command line or its environment, still says which cell it serves.
static void secrets_are_kept(Daemon *d, const char *told_by)
{
    Error err = {0};
    Str limits, told;
    secrets_sought(d, "cmdline", true);
    secrets_sought(d, "environ", true);
    ck_assert_ok(file_read(str_format(d->cell.arena, "/proc/%d/%s", d->pid, told_by), MIB, d->cell.arena, &told, &err),
                 &err);
    ck_assert_contains(told, S("dbname=shopd_"));
    ck_assert_ok(
        file_read(str_format(d->cell.arena, "/proc/%d/limits", d->pid), 64 * KIB, d->cell.arena, &limits, &err), &err);
    Str core = status_line(limits, "\nMax core file size");
    ck_assert_msg(str_has_prefix(core, S("0 ")) && raw_count(core, S(" 0 ")) == 1, "core: '%.*s'", STR_ARG(core));
    ck_assert_int_eq(asked(d, "GET", "/products/taza-azul"), 200);
    ck_assert_int_eq(kill(d->pid, SIGHUP), 0);    // reads the command line again
    ck_assert_int_eq(asked(d, "GET", "/none"), 404);
    test_cell_sql(&d->cell, "select pg_terminate_backend(pid) from pg_stat_activity where application_name <> '' and "
                            "pid <> pg_backend_pid() and datname = current_database()");
    int64_t until_ms = clock_ms() + WAIT_MS;    // it comes back with the same password
    while (asked(d, "GET", "/api/v1/store/products?per_page=1") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(20);
    ck_assert_int_eq(asked(d, "GET", "/api/v1/store/products?per_page=2"), 200);
    Str log = log_read(d);
    ck_assert_uint_eq(raw_count(log, S("hunter2")), 0);
    ck_assert_uint_eq(raw_count(log, S("a secret of")), 0);
    ck_assert_int_eq(daemon_stop(d), EXIT_SUCCESS);
}

TEST(no_password_and_no_key_is_told_to_others)
{
    Daemon d;
    daemon_open(&d);
    Str dsn = str_format(d.cell.arena, "%.*s password=hunter2", STR_ARG(d.cell.dsn));
    (void)START(&d, "--cell", dsn.data, "--role", "postgres", LISTEN(&d), "--log-level", "debug");
    secrets_are_kept(&d, "cmdline");
    (void)START(&d, str_format(d.cell.arena, "--cell=%.*s", STR_ARG(dsn)).data, "--role", "postgres", LISTEN(&d));
    secrets_are_kept(&d, "cmdline");
    ck_assert_int_eq(setenv("SHOPD_CELL", dsn.data, 1), 0);
    ck_assert_int_eq(setenv("PGPASSWORD", "hunter2", 1), 0);
    (void)START(&d, "--role", "postgres", LISTEN(&d));
    (void)unsetenv("SHOPD_CELL");
    (void)unsetenv("PGPASSWORD");
    secrets_are_kept(&d, "environ");
    daemon_close(&d);
}

TEST(without_its_database_it_says_so_and_ends)
{
    Daemon d;
    daemon_open(&d);
    daemon_fork(&d, (const char *const[]){"--cell", "host=/nowhere dbname=none", LISTEN(&d), NULL});
    ck_assert_int_eq(daemon_end(&d), error_exit_code(ERR_UNREACHABLE));
    ck_assert_contains(log_read(&d), S("the database 'none' on '/nowhere' can't be reached"));
    daemon_close(&d);
}

TEST(a_cell_that_is_not_there_yet_is_waited_for_as_long_as_it_is_said)
{
    Daemon d;
    daemon_open(&d);
    test_cell_sql(&d.cell, "alter schema cell rename to late");
    int64_t from_ms = clock_ms();
    daemon_fork(&d, (const char *const[]){CELL(&d), LISTEN(&d), "--start-timeout", "700", NULL});
    ck_assert_int_ne(daemon_end(&d), EXIT_SUCCESS);
    ck_assert_int_ge(clock_ms() - from_ms, 700);
    ck_assert_contains(log_read(&d), S("the cell isn't ready for shopd"));
    daemon_fork(&d, (const char *const[]){CELL(&d), LISTEN(&d), "--start-timeout", "60000", NULL});
    clock_sleep_ms(300);
    test_cell_sql(&d.cell, "alter schema late rename to cell");
    daemon_await(&d);
    daemon_close(&d);
}

TEST(a_user_that_is_not_there_is_refused)
{
    Daemon d;
    daemon_open(&d);
    daemon_fork(&d, (const char *const[]){CELL(&d), LISTEN(&d), "--user", "no-such-user", NULL});
    ck_assert_int_eq(daemon_end(&d), error_exit_code(ERR_NOT_FOUND));
    ck_assert_contains(log_read(&d), S("there is no user 'no-such-user'"));
    daemon_close(&d);
}

TEST(sockets_that_it_is_given_are_served)
{
    Daemon d;
    daemon_open(&d);
    shop_client_close(&d.shopper);
    d.socket = socket_bound(&d.port);
    ck_assert_int_eq(listen(d.socket, 16), 0);
    d.shopper = shop_client_open(d.port, "acme.localhost");
    unsigned other;
    int taken = socket_bound(&other);    // and those of --listen are not
    START(&d, CELL(&d), "--threads", "2", "--listen", str_format(d.cell.arena, "127.0.0.1:%u", other).data);
    ck_assert_int_eq(asked(&d, "GET", "/products/taza-azul"), 200);
    (void)close(taken);
    daemon_close(&d);
}

TEST(zero_threads_are_one_for_each_core_that_it_may_use)
{
    Daemon d;
    daemon_open(&d);
    d.one_core = true;
    START(&d, CELL(&d), LISTEN(&d), "--threads", "0");
    shop_client_close(&d.shopper);
    d.shopper = shop_client_open(d.port, "localhost");
    ck_assert_int_eq(asked(&d, "GET", "/metrics"), 200);
    ck_assert_contains(d.answer.body, S("\nshopd_threads 1\n"));
    daemon_close(&d);
}

TEST(two_processes_of_a_cell_keep_a_shops_rate_together)
{
    enum { RATE = 5, CALLS = 60 };
    Daemon d, other;
    daemon_open(&d);
    daemon_open(&other);    // for its folder and its port; it serves the first one's cell
    test_cell_sql(&d.cell, "update cell.tenants set limits = '{\"requests_per_second\": 5}' where number = 1");
    START(&d, CELL(&d), LISTEN(&d), "--threads", "2");
    START(&other, CELL(&d), LISTEN(&other), "--threads", "2");
    int64_t begun_ms = clock_ms();
    int passed = 0;
    for (int i = 0; i < CALLS; i++) {
        int status = asked(i % 2 ? &other : &d, "GET", "/products/taza-azul");
        ck_assert(status == 200 || status == 429);
        passed += status == 200;
    }
    int64_t seconds = (clock_ms() - begun_ms) / 1000 + 1;
    ck_assert_int_ge(passed, RATE);
    ck_assert_int_le(passed, RATE + RATE * seconds);
    ck_assert_int_lt(RATE + RATE * seconds, CALLS);    // else this has shown nothing
    daemon_close(&other);
    daemon_close(&d);
}

// ---- settings ----

TEST(a_fault_in_the_config_file_is_named_with_its_line)
{
    Daemon d;
    daemon_open(&d);
    config_write(&d, "# shops\nthreads = 1\nidle-timeuot = 5\n");
    daemon_fork(&d, (const char *const[]){CELL(&d), LISTEN(&d), "--config", d.config.data, NULL});
    ck_assert_int_eq(daemon_end(&d), error_exit_code(ERR_USAGE));
    Str log = log_read(&d);
    ck_assert_contains(log, str_format(d.cell.arena, "%.*s:3", STR_ARG(d.config)));
    ck_assert_contains(log, S("'--idle-timeout'"));
    daemon_close(&d);
}

static void logged(Daemon *d, Str part)
{
    int64_t until_ms = clock_ms() + WAIT_MS;
    for (Str log = log_read(d); str_find(log, part) == log.len; log = log_read(d)) {
        ck_assert_msg(clock_ms() < until_ms, "'%.*s' isn't in the log: %.*s", STR_ARG(part), STR_ARG(log));
        clock_sleep_ms(5);
    }
}

// Whether shopd closes an idle connection within this time.
static bool closes_within(const Daemon *d, int timeout_ms)
{
    unsigned char byte;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)d->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    ssize_t got = recv(fd, &byte, 1, 0);
    (void)close(fd);
    return got == 0;
}

// A thread hears of a change after the log does: one that was connected before keeps its time.
static bool closes_soon(const Daemon *d) { return closes_within(d, 1000) || closes_within(d, 3000); }

TEST(sighup_changes_what_can_be_changed_and_names_the_rest)
{
    Daemon d;
    daemon_open(&d);
    config_write(&d, "threads = 2\n");
    START(&d, CELL(&d), LISTEN(&d), "--config", d.config.data);
    ck_assert(!closes_within(&d, 300));
    config_write(&d, "threads = 3\npin = true\nidle-timeout = 100\ncache-bytes = 0\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    logged(&d, S("\"changed\":\"cache-bytes, idle-timeout\",\"waits_for_restart\":\"threads, pin\""));
    ck_assert(closes_soon(&d));
    config_write(&d, "threads = many\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    logged(&d, S("\"event\":\"reload_failed\""));
    config_write(&d, "trusted-proxies = everyone\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    logged(&d, S("the trusted proxy 'everyone'"));
    ck_assert(closes_soon(&d));    // faults have changed nothing
    config_write(&d, "threads = 2\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    logged(&d, S("\"changed\":\"cache-bytes, idle-timeout\",\"waits_for_restart\":\"\""));
    for (int64_t until_ms = clock_ms() + WAIT_MS;
         closes_within(&d, 300);)    // a thread may not have taken them over yet
        ck_assert_int_lt(clock_ms(), until_ms);
    daemon_close(&d);
}

TEST(the_last_of_many_sighups_counts)
{
    Daemon d;
    daemon_open(&d);
    START(&d, CELL(&d), LISTEN(&d), "--threads", "2", "--config", d.config.data);
    for (int i = 0; i < 300; i++) {
        config_write(&d, str_format(d.cell.arena, "idle-timeout = %d\nlog-level = %s\ntrusted-proxies = 10.0.0.%d\n",
                                    20000 + i, i % 2 ? "info" : "error", i % 200)
                             .data);
        ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
        if (i % 3 == 0)
            ck_assert_int_eq(asked(&d, "GET", "/products/taza-azul"), 200);
    }
    config_write(&d, "idle-timeout = 100\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    clock_sleep_ms(200);
    ck_assert(closes_soon(&d));
    daemon_close(&d);
}

// ---- the end ----

TEST(sigterm_answers_what_is_under_way_and_closes_what_idles)
{
    Daemon d;
    daemon_open(&d);
    START(&d, CELL(&d), LISTEN(&d), "--threads", "2");
    test_cell_sql(&d.cell, "create table t_1.seen (n int); grant insert on t_1.seen to public;"
                           "create or replace function t_1.cart_create_1() returns json language sql as $$"
                           "insert into t_1.seen values (1); select pg_sleep(1); select '{\"id\":\"slow\"}'::json $$");
    ShopClient *idle[4];
    for (size_t i = 0; i < COUNT(idle); i++) {
        ShopAnswer answer;
        idle[i] = shop_client_open(d.port, "acme.localhost");
        ck_assert(shop_call(idle[i], &(ShopRequest){.method = "GET", .path = "/"}, d.cell.arena, &answer));
        ck_assert_int_eq(answer.status, 200);
        shop_answer_close(&answer);
    }
    int stopper = fork();
    ck_assert_int_ge(stopper, 0);
    if (stopper == 0) {
        clock_sleep_ms(300);
        (void)kill(d.pid, SIGTERM);
        _exit(0);
    }
    int64_t begun_ms = clock_ms();
    ck_assert_int_eq(asked(&d, "POST", "/api/v1/store/carts"), 201);
    ck_assert_str(shop_answer_header(&d.answer, S("Connection")), S("close"));
    ck_assert_int_eq(waitpid(stopper, NULL, 0), stopper);
    ck_assert_int_eq(daemon_end(&d), EXIT_SUCCESS);    // though four connections are still open on our side
    ck_assert_int_lt(clock_ms() - begun_ms, 5000);
    ck_assert_str(test_value(d.cell.db, d.cell.arena, "select count(*) from t_1.seen"), S("1"));
    ck_assert_int_eq(asked(&d, "GET", "/"), 0);    // nobody accepts
    for (size_t i = 0; i < COUNT(idle); i++)
        shop_client_close(&idle[i]);
    daemon_close(&d);
}

// ---- the platform's own ----

TEST(started_by_root_it_takes_a_dsn_of_status)
{
    if (geteuid() != 0)
        return;
    Daemon d;
    TestPlatform platform;
    daemon_open(&d);
    test_platform_up(&platform);
    CLEANUP(json_close) Json *status = test_platform_status(&platform);
    Str dsn = str_copy(d.cell.arena, json_str(json_get(json_element(json_get(status, "cells"), 0), "dsn")));
    START(&d, "--cell", dsn.data, LISTEN(&d), "--user", "shopd");
    (void)SHOPCTL(&platform, "tenant", "create", "acme", "--plan", "standard", "--name", "Acme", "--email",
                  "owner@acme.example");
    int64_t until_ms = clock_ms() + WAIT_MS;
    while (asked(&d, "GET", "/") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(20);
    ck_assert_int_eq(asked(&d, "GET", "/"), 200);    // it has heard of the shop, and asked for its page
    ck_assert_int_eq(daemon_stop(&d), EXIT_SUCCESS);
    test_platform_down(&platform);
    daemon_close(&d);
}

SUITE(shopd, ONCE(started_by_root_it_becomes_its_user_for_good), ONCE(started_by_root_its_home_is_no_longer_roots),
      ONCE(no_password_and_no_key_is_told_to_others), ONCE(without_its_database_it_says_so_and_ends),
      ONCE(a_cell_that_is_not_there_yet_is_waited_for_as_long_as_it_is_said), ONCE(a_user_that_is_not_there_is_refused),
      ONCE(sockets_that_it_is_given_are_served), ONCE(two_processes_of_a_cell_keep_a_shops_rate_together),
      ONCE(zero_threads_are_one_for_each_core_that_it_may_use), ONCE(a_fault_in_the_config_file_is_named_with_its_line),
      ONCE(sighup_changes_what_can_be_changed_and_names_the_rest), ONCE(the_last_of_many_sighups_counts),
      ONCE(sigterm_answers_what_is_under_way_and_closes_what_idles), ONCE(started_by_root_it_takes_a_dsn_of_status))
