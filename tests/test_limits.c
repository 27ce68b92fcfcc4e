// tests/test_limits.c: a shop of its own that wants more than its plan has harms itself alone: what its containers do
// to CPU, memory and processes, its neighbour on the same host doesn't notice.
#include <signal.h>

#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/own_market.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"

enum {
    WAIT_MS = 60000,
    PAUSE_MS = 20,
    MILLICPU = 150,                   // PostgreSQL's part of 250
    PROCESSES = 256,                  // of PostgreSQL's container
    PERIOD_NS = 100 * 1000 * 1000,    // of the kernel's CPU limit
};

static OwnShops shops;
static OwnGateway gateway;
static Engine *engine;
static Buyers *buyers, *others;                             // of 'bazar', and of its neighbour 'stall'
static Str postgres, shopd, other_postgres, other_shopd;    // their containers

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }

static Str name_of(const char *slug, const char *role)
{
    return test_value(shops.runner.world.control, shops.runner.world.arena,
                      LINE("select 'shop-' || p.name || '-' || t.cell || '-%s' from control.tenants t, "
                           "control.platforms p where t.slug = '%s'",
                           role, slug));
}

static void open_all(void)
{
    own_shops_open(&shops, HOST_UNIX);
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    (void)run(0, "tenant create stall --plan own --email a@b.example");
    own_shop_stock(&shops, "bazar");
    own_shop_stock(&shops, "stall");
    own_gateway_open(&gateway, &shops);
    engine = engine_server_connect(shops.engine);
    postgres = name_of("bazar", "postgres");
    other_postgres = name_of("stall", "postgres");
    shopd = name_of("bazar", "shopd");
    other_shopd = name_of("stall", "shopd");
}

static void close_all(void)
{
    engine_close(&engine);
    own_gateway_close(&gateway);
    own_shops_close(&shops);
}

// ---- what the engine says of a container

static Json *call(const char *path)
{
    Json *answer = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(engine, &(EngineCall){.method = "GET", .path = str_of(path)}, &answer, &err), &err);
    return answer;
}

// When its main process started, and how often the engine had to start it again.
typedef struct Life {
    Str started;
    int64_t restarts;
} Life;

static Life life_of(Str container)
{
    CLEANUP(json_close) Json *there = call(LINE("/containers/%.*s/json", STR_ARG(container)));
    const Json *state = json_get(there, "State");
    return (Life){.started = str_copy(shops.runner.world.arena, json_str(json_get(state, "StartedAt"))),
                  .restarts = json_int64(json_get(there, "RestartCount"))};
}

// Its main process is killed, and its engine starts it again.
static void life_end(Str container)
{
    CLEANUP(json_close) Json *there = call(LINE("/containers/%.*s/json", STR_ARG(container)));
    Life before = life_of(container);
    ck_assert_int_eq(kill((pid_t)json_int64(json_get(json_get(there, "State"), "Pid")), SIGKILL), 0);
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; life_of(container).restarts == before.restarts;
         clock_sleep_ms(PAUSE_MS))
        ck_assert_msg(clock_ms() < deadline_ms, "%.*s isn't started again", STR_ARG(container));
}

typedef struct Lives {
    Life postgres, shopd;
} Lives;

static Lives neighbours_lives(void) { return (Lives){life_of(other_postgres), life_of(other_shopd)}; }

static void check_unharmed(const Lives *before)
{
    Lives now = neighbours_lives();
    ck_assert_str(now.postgres.started, before->postgres.started);
    ck_assert_str(now.shopd.started, before->shopd.started);
    ck_assert_int_eq(now.postgres.restarts + now.shopd.restarts, 0);
}

// ---- what is done in a container

typedef struct Shell {
    EngineExec *exec;
    StrBuf said;
    bool is_over;
} Shell;

static Shell shell_open(Str container, const char *const *argv)
{
    Shell shell = {.said = {.arena = shops.runner.world.arena}};
    Error err = {0};
    const EngineExecSpec spec = {.container = container, .argv = argv, .has_stderr = true};
    ck_assert_ok(engine_exec(engine, &spec, &shell.exec, &err), &err);
    return shell;
}

// A process whose container dies may take its connection with it.
static void shell_read(Shell *shell)
{
    EngineOutput output;
    Error err = {0};
    Str part = S("");
    do {
        shell->is_over =
            shell->is_over || !engine_exec_receive(shell->exec, &part, &output, &shell->is_over, &err) || err.code;
        strbuf_add(&shell->said, part);
    } while (!shell->is_over && part.len);
}

static void shell_await(Shell *shell, Str text)
{
    for (int64_t deadline_ms = clock_ms() + WAIT_MS;; clock_sleep_ms(PAUSE_MS)) {
        shell_read(shell);
        Str said = strbuf_str(&shell->said);
        if (str_find(said, text) < said.len)
            return;
        ck_assert_msg(!shell->is_over && clock_ms() < deadline_ms, "it says '%.*s'", STR_ARG(said));
    }
}

// ---- processes and CPU

static Json *stats_of(Str container) { return call(LINE("/containers/%.*s/stats?stream=false", STR_ARG(container))); }

static int64_t processes_of(Str container)
{
    CLEANUP(json_close) Json *stats = stats_of(container);
    return json_int64(json_get(json_get(stats, "pids_stats"), "current"));
}

// Its processes wait for the connection's end; it says how many it could make, unless that was refused.
static const char *const FORKS[] = {
    "sh", "-c",
    "exec 3<&0; (i=0; while [ $i -lt 1000 ]; do (read x <&3) & i=$((i+1)); done; echo made $i); echo tried; read x",
    NULL};

static void too_many_processes(void)
{
    Shell shell = shell_open(postgres, FORKS);
    shell_await(&shell, S("tried"));
    ck_assert_contains(strbuf_str(&shell.said), S("Cannot fork"));
    ck_assert_lacks(strbuf_str(&shell.said), S("made"));
    ck_assert_int_le(processes_of(postgres), PROCESSES);
    ck_assert_int_gt(processes_of(postgres), PROCESSES / 2);
    ck_assert_contains(run(0, "tenant psql stall -c select(1234567)"), S("1234567"));    // by a process more in each
    own_buyers_await(others);
    engine_exec_close(&shell.exec);
    own_buyers_await(buyers);
}

// As the kernel counts: periods in which the container had something to do, those in which it was stopped, and CPU
// time.
typedef struct CpuUse {
    int64_t periods, stopped, used_ns;
} CpuUse;

static CpuUse cpu_of(Str container)
{
    CLEANUP(json_close) Json *stats = stats_of(container);
    const Json *cpu = json_get(stats, "cpu_stats"), *periods = json_get(cpu, "throttling_data");
    return (CpuUse){.periods = json_int64(json_get(periods, "periods")),
                    .stopped = json_int64(json_get(periods, "throttled_periods")),
                    .used_ns = json_int64(json_get(json_get(cpu, "cpu_usage"), "total_usage"))};
}

static const char *const BURNS[] = {"sh", "-c",
                                    "for i in 1 2 3 4; do (while :; do :; done) & done; while :; do :; done", NULL};

static void too_much_cpu(void)
{
    enum { PERIODS = 20 };
    (void)run(0, "tenant resize bazar --cpu 250m");    // less than a machine with other work has for it
    Shell shell = shell_open(postgres, BURNS);
    CpuUse first = cpu_of(postgres), now = first;
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; now.stopped < first.stopped + PERIODS; now = cpu_of(postgres))
        ck_assert_msg(clock_ms() < deadline_ms, "the kernel doesn't stop it");
    int64_t allowed_ns = (now.periods - first.periods + 1) * PERIOD_NS / 1000 * MILLICPU;
    ck_assert_int_le(now.used_ns - first.used_ns, allowed_ns * 3 / 2);
    own_buyers_await(others);
    engine_exec_close(&shell.exec);
    life_end(postgres);    // and with it what burns
    own_buyers_await(buyers);
    (void)run(0, "tenant resize bazar --plan-size");
}

// ---- memory

// A query whose result has to be in memory at once: some gigabytes, for a container that may have 256 MiB.
#define HOGS                                                                                                           \
    "tenant psql bazar -c "                                                                                            \
    "select(length((array_agg(repeat(md5(i::text),30000)))::text))from\tgenerate_series(1,9000)t(i)"

// One of PostgreSQL's processes, or the first one, which takes the others with it.
static size_t deaths_in(Str log)
{
    return raw_count(log, S("was terminated by signal 9")) + raw_count(log, S("was not properly shut down"));
}

static void too_much_memory(void)
{
    Str log = run(0, "tenant logs bazar --container postgres");
    size_t before = deaths_in(log);
    CommandResult hog = command_runner_run(&shops.runner, HOGS, S(""), NULL, NULL);
    ck_assert_int_ne(hog.exit_code, 0);
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; deaths_in(log) == before; clock_sleep_ms(100)) {
        log = run(0, "tenant logs bazar --container postgres");
        ck_assert_msg(clock_ms() < deadline_ms, "nothing was killed: %.*s%.*s", STR_ARG(hog.said),
                      STR_ARG(str_skip(log, log.len - MIN(log.len, (size_t)(2 * KIB)))));
    }
    own_buyers_await(others);
    own_buyers_await(buyers);
    life_end(postgres);    // as where the kernel takes its first process
    life_end(shopd);
    own_buyers_await(buyers);
}

TEST(who_takes_more_than_allowed_harms_nobody_else_and_loses_no_order)
{
    open_all();
    Lives before = neighbours_lives();
    others = own_buyers_open(&gateway, "stall", 1);
    buyers = own_buyers_open(&gateway, "bazar", 2);
    too_many_processes();
    too_much_cpu();
    too_much_memory();
    (void)own_buyers_end(&shops, "bazar", &buyers);    // which counts its orders
    ck_assert_uint_eq(own_buyers_end(&shops, "stall", &others), 0);
    check_unharmed(&before);
    close_all();
}

SUITE(limits, ONCE(who_takes_more_than_allowed_harms_nobody_else_and_loses_no_order))
