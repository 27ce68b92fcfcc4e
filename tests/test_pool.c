// tests/test_pool.c: a thread's connections: tenants' queues, deadlines, lost connections, backends that met many.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/core/pool.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum { TIMEOUT_MS = 1500, QUERIES_MAX = 512 };

typedef struct Stage {
    Arena *arena;
    Str dsn;
    Db *db;
    Loop *loop;
    Pool *pool;
    Timer limit;
    unsigned left;    // queries that haven't ended
    unsigned ended;
} Stage;

// This program's own, and so the pool's: so many descriptors can't be watched.
static int unwatched;

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation != EPOLL_CTL_ADD || unwatched == 0)
        return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    unwatched--;
    errno = ENOSPC;
    return -1;
}

typedef struct Asked {
    Query query;
    Stage *stage;
    Str value;    // the first one of the answer
    unsigned place;
} Asked;

static void limit_due(Timer *timer) { loop_stop(container_of(timer, Stage, limit)->loop); }

static void stage_open(Stage *stage, unsigned connections, int tenants)
{
    Error err = {0};
    *stage = (Stage){.arena = arena_open(16 * MIB), .dsn = test_database("pool"), .limit.due = limit_due};
    stage->db = test_db_open(stage->dsn);
    Str sql = str_format(stage->arena,
                         "create schema cell; do $$ begin for n in 1..%d loop execute format('create schema t_%%1$s; "
                         "create function t_%%1$s.who() returns text language sql as ''select ''''%%1$s'''' ''', n); "
                         "end loop; end $$",
                         tenants);
    ck_assert_ok(db_script(stage->db, sql, &err), &err);
    ck_assert_ok(loop_open(stage->arena, &stage->loop, &err), &err);
    PoolOptions options = {.dsn = stage->dsn, .connections = connections, .timeout_ms = TIMEOUT_MS};
    ck_assert_ok(pool_open(stage->loop, &options, &stage->pool, &err), &err);
}

static void stage_close(Stage *stage)
{
    pool_close(&stage->pool);
    loop_close(&stage->loop);
    db_close(&stage->db);
    arena_close(&stage->arena);
}

static void ended(Query *query)
{
    Asked *asked = container_of(query, Asked, query);
    Stage *stage = asked->stage;
    if (query->rows)
        asked->value = str_copy(stage->arena, rows_str(query->rows, 0, 0));
    rows_close(&query->rows);
    asked->place = stage->ended++;
    if (--stage->left == 0)
        loop_stop(stage->loop);
}

static Asked *ask(Stage *stage, int64_t tenant, Str sql)
{
    Asked *asked = arena_new(stage->arena, Asked);
    asked->stage = stage;
    asked->query = (Query){.tenant = tenant, .sql = sql, .ended = ended};
    stage->left++;
    pool_query(stage->pool, &asked->query);
    return asked;
}

static void run(Stage *stage)
{
    timer_start(stage->loop, &stage->limit, 10000);
    loop_run(stage->loop);
    ck_assert_uint_eq(stage->left, 0);
}

// Another pool, of which all connections are there, and whose tenants wait for their own.
static void stage_reopen(Stage *stage, unsigned connections, int64_t patience_ms)
{
    Error err = {0};
    PoolOptions options = {
        .dsn = stage->dsn, .connections = connections, .timeout_ms = 10 * TIMEOUT_MS, .patience_ms = patience_ms};
    pool_close(&stage->pool);
    ck_assert_ok(pool_open(stage->loop, &options, &stage->pool, &err), &err);
    while (pool_counts(stage->pool).connected < connections) {
        (void)ask(stage, 0, S("select 1 from pg_sleep(0.01)"));
        run(stage);
    }
}

TEST(each_query_runs_in_its_own_tenants_schema)
{
    Stage stage;
    stage_open(&stage, 2, 20);
    Asked *asked[20];
    for (int i = 0; i < 20; i++)
        asked[i] = ask(&stage, i + 1, S("select who()"));
    run(&stage);
    for (int i = 0; i < 20; i++)
        ck_assert_str(asked[i]->value, str_format(stage.arena, "%d", i + 1));
    ck_assert_uint_eq(pool_counts(stage.pool).queries, 20);
    stage_close(&stage);
}

TEST(a_tenant_waits_for_the_connection_that_knows_it_but_not_for_long)
{
    enum { TENANTS = 3 };
    Stage stage;
    stage_open(&stage, 2, TENANTS);
    stage_reopen(&stage, 2, TIMEOUT_MS);
    Str backend[TENANTS + 1] = {0};
    for (int i = 1; i <= TENANTS; i++) {
        Asked *first = ask(&stage, i, S("select pg_backend_pid()::text"));
        run(&stage);
        backend[i] = first->value;
    }
    int one = str_eq(backend[1], backend[2]) || str_eq(backend[1], backend[3]) ? 1 : 2;
    int other = str_eq(backend[one], backend[one + 1]) ? one + 1 : TENANTS;
    ck_assert_str(backend[one], backend[other]);    // of three tenants two share a connection of two

    Asked *held = ask(&stage, one, S("select pg_backend_pid()::text from pg_sleep(0.1)"));
    Asked *waits = ask(&stage, other, S("select pg_backend_pid()::text"));
    run(&stage);
    ck_assert_str(held->value, backend[one]);
    ck_assert_str(waits->value, backend[other]);

    Asked *sleeps = ask(&stage, one, S("select pg_backend_pid()::text from pg_sleep(3)"));
    waits = ask(&stage, other, S("select pg_backend_pid()::text"));
    run(&stage);
    ck_assert_uint_lt(waits->place, sleeps->place);
    ck_assert(!str_eq(waits->value, backend[other]));
    Asked *known = ask(&stage, one, S("select pg_backend_pid()::text from pg_sleep(0.5)"));
    waits = ask(&stage, other, S("select pg_backend_pid()::text"));
    run(&stage);
    ck_assert_uint_lt(waits->place, known->place);    // both backends know it by now
    stage_close(&stage);
}

// A buyer who asks as soon as the last answer is there.
typedef struct Buyer {
    Query query;
    Stage *stage;
    int rounds;
    StrBuf *backends;    // one after the other
} Buyer;

static void buyer_ask(Query *query)
{
    Buyer *buyer = container_of(query, Buyer, query);
    if (query->rows) {
        strbuf_add(buyer->backends, rows_str(query->rows, 0, 0));
        strbuf_add_char(buyer->backends, ' ');
    }
    rows_close(&query->rows);
    if (buyer->rounds-- == 0) {
        if (--buyer->stage->left == 0)
            loop_stop(buyer->stage->loop);
        return;
    }
    *query = (Query){.tenant = 1, .sql = S("select pg_backend_pid()::text from pg_sleep(0.02)"), .ended = buyer_ask};
    pool_query(buyer->stage->pool, query);
}

TEST(a_tenant_that_keeps_its_connection_busy_by_itself_is_met_by_others)
{
    enum { BUYERS = 3, ROUNDS = 12 };
    Stage stage;
    stage_open(&stage, 4, 1);
    stage_reopen(&stage, 4, 200);    // for as long nobody waits
    StrBuf backends = {.arena = stage.arena};
    Buyer buyers[BUYERS];
    for (int i = 0; i < BUYERS; i++) {
        buyers[i] = (Buyer){.stage = &stage, .rounds = ROUNDS, .backends = &backends};
        stage.left++;
        buyer_ask(&buyers[i].query);
    }
    run(&stage);
    Str rest = strbuf_str(&backends), backend, first = S("");
    size_t strangers = 0, all = 0;
    while (str_cut(&rest, ' ', &backend) && backend.len > 0) {
        first = all++ == 0 ? backend : first;
        strangers += !str_eq(backend, first);
    }
    ck_assert_uint_eq(all, BUYERS * ROUNDS);
    ck_assert_uint_gt(strangers, all / 4);
    stage_close(&stage);
}

TEST(a_tenant_that_asks_much_makes_no_other_wait_for_all_of_it)
{
    Stage stage;
    stage_open(&stage, 2, 2);
    Asked *last = NULL;
    for (int i = 0; i < 20; i++)
        last = ask(&stage, 1, S("select who() from pg_sleep(0.02)"));
    Asked *other = ask(&stage, 2, S("select who()"));
    run(&stage);
    ck_assert_str(other->value, S("2"));
    ck_assert_uint_lt(other->place, 4);
    ck_assert_uint_eq(last->place, 20);
    stage_close(&stage);
}

TEST(a_failure_is_the_querys_own)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    Asked *bad = ask(&stage, 1, S("select 1 / 0")), *good = ask(&stage, 1, S("select who()"));
    Asked *stranger = ask(&stage, 9, S("select who()"));    // no such schema: no such function
    run(&stage);
    ck_assert_says(&bad->query.err, ERR_INVALID, "division by zero");
    ck_assert_str(good->value, S("1"));
    ck_assert_int_ne(stranger->query.err.code, ERR_NONE);
    stage_close(&stage);
}

TEST(a_query_that_takes_too_long_is_ended_and_one_that_waited_too_long_too)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    int64_t start_ms = clock_ms();
    Asked *slow = ask(&stage, 1, S("select who() from pg_sleep(60)")), *behind = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_int_eq(slow->query.err.code, ERR_BUSY);
    ck_assert_int_eq(behind->query.err.code, ERR_BUSY);
    ck_assert_int_lt(clock_ms() - start_ms, TIMEOUT_MS + 3000);
    Asked *after = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_str(after->value, S("1"));
    stage_close(&stage);
}

static const struct {
    bool is_write;
    const char *says;
} LOST[] = {{true, "unknown whether"}, {false, NULL}};

TEST(a_read_is_tried_again_on_another_connection_and_a_write_says_that_nobody_knows)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    Error err = {0};
    ck_assert_ok(db_script(stage.db, S("create sequence t_1.tries; create table t_1.killed (n int)"), &err), &err);
    // the first try ends its own backend
    Asked *asked = ask(&stage, 1,
                       S("select case when nextval('tries') = 1 then pg_terminate_backend(pg_backend_pid())"
                         "::text else 'again' end from generate_series(1, 1)"));
    asked->query.is_write = LOST[_i].is_write;
    run(&stage);
    if (LOST[_i].says)
        ck_assert_says(&asked->query.err, ERR_UNREACHABLE, LOST[_i].says);
    else
        ck_assert_str(asked->value, S("again"));
    Asked *after = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_str(after->value, S("1"));
    stage_close(&stage);
}

TEST(a_backend_that_has_met_many_tenants_is_replaced)
{
    enum { TENANTS = 250 };
    Stage stage;
    stage_open(&stage, 1, TENANTS);
    for (int i = 0; i < TENANTS; i++)
        (void)ask(&stage, i + 1, S("select who()"));
    run(&stage);
    Asked *after = ask(&stage, 7, S("select who()"));
    run(&stage);
    ck_assert_str(after->value, S("7"));
    ck_assert_uint_eq(pool_counts(stage.pool).recycled, 1);
    stage_close(&stage);
}

TEST(a_backend_that_is_never_idle_is_replaced_too)
{
    enum { TENANTS = 450 };
    Stage stage;
    stage_open(&stage, 1, TENANTS);
    Asked *asked[TENANTS];
    for (int i = 0; i < TENANTS; i++)
        asked[i] = ask(&stage, i + 1, S("select pg_backend_pid()::text"));
    run(&stage);
    ck_assert(!str_eq(asked[0]->value, asked[TENANTS - 1]->value));
    stage_close(&stage);
}

TEST(two_backends_that_have_met_many_tenants_are_replaced_one_after_the_other)
{
    enum { TENANTS = 600 };
    Stage stage;
    stage_open(&stage, 2, TENANTS);
    for (int i = 0; i < TENANTS; i++)
        (void)ask(&stage, i + 1, S("select who() from pg_sleep(0)"));
    run(&stage);
    int64_t until_ms = clock_ms() + 10000;
    for (int tenant = 1; pool_counts(stage.pool).recycled < 2 && clock_ms() < until_ms; tenant = tenant % TENANTS + 1) {
        Asked *after = ask(&stage, tenant, S("select who() from pg_sleep(0.002)"));    // one may have met few so far
        run(&stage);
        ck_assert_str(after->value, str_format(stage.arena, "%d", tenant));
    }
    ck_assert_uint_ge(pool_counts(stage.pool).recycled, 2);
    stage_close(&stage);
}

TEST(a_read_that_was_lost_comes_before_those_that_waited_behind_it)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    Error err = {0};
    ck_assert_ok(db_script(stage.db, S("create sequence t_1.tries"), &err), &err);
    Asked *lost = ask(&stage, 1,
                      S("select case when nextval('tries') = 1 then pg_terminate_backend(pg_backend_pid())"
                        "::text else 'again' end from generate_series(1, 1)"));
    Asked *behind = ask(&stage, 1, S("select who()")), *last = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_str(lost->value, S("again"));
    ck_assert_str(behind->value, S("1"));
    ck_assert_uint_lt(lost->place, behind->place);
    ck_assert_uint_lt(behind->place, last->place);
    stage_close(&stage);
}

TEST(one_that_has_less_time_leaves_the_queue_from_its_middle)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    Asked *slow = ask(&stage, 1, S("select who() from pg_sleep(0.4)"));
    Asked *first = ask(&stage, 1, S("select who()"));
    pool_timeout_set(stage.pool, 100);
    Asked *hasty = ask(&stage, 1, S("select who()"));
    pool_timeout_set(stage.pool, TIMEOUT_MS);
    Asked *last = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_int_eq(hasty->query.err.code, ERR_BUSY);
    ck_assert_uint_eq(hasty->place, 0);
    const Asked *others[] = {slow, first, last};
    for (size_t i = 0; i < COUNT(others); i++)
        ck_assert_str(others[i]->value, S("1"));
    stage_close(&stage);
}

TEST(a_connection_that_cannot_be_watched_is_tried_again)
{
    Stage stage;
    stage_open(&stage, 1, 1);
    pool_close(&stage.pool);
    Error err = {0};
    PoolOptions options = {.dsn = stage.dsn, .connections = 2, .timeout_ms = TIMEOUT_MS};
    unwatched = 3;
    ck_assert_ok(pool_open(stage.loop, &options, &stage.pool, &err), &err);
    Asked *refused = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_int_eq(refused->query.err.code, ERR_UNREACHABLE);    // both have failed
    int64_t until_ms = clock_ms() + 5000;
    Asked *asked = refused;
    while (asked->query.err.code != ERR_NONE && clock_ms() < until_ms) {
        clock_sleep_ms(5);
        asked = ask(&stage, 1, S("select who()"));
        run(&stage);
    }
    ck_assert_str(asked->value, S("1"));
    ck_assert_int_eq(unwatched, 0);
    Pool *none = NULL;
    pool_close(&none);
    stage_close(&stage);
}

TEST(without_a_database_a_query_fails_at_once)
{
    Stage stage = {.arena = arena_open(MIB), .limit.due = limit_due};
    Error err = {0};
    ck_assert_ok(loop_open(stage.arena, &stage.loop, &err), &err);
    PoolOptions options = {.dsn = S("host=/nowhere dbname=x"), .connections = 2, .timeout_ms = TIMEOUT_MS};
    ck_assert_ok(pool_open(stage.loop, &options, &stage.pool, &err), &err);
    int64_t start_ms = clock_ms();
    Asked *asked = ask(&stage, 1, S("select who()"));
    run(&stage);
    ck_assert_int_eq(asked->query.err.code, ERR_UNREACHABLE);
    ck_assert_int_lt(clock_ms() - start_ms, TIMEOUT_MS);
    ck_assert(!pool_is_up(stage.pool));
    stage_close(&stage);
}

// A server that is away for some seconds, and there again: its sockets' directory comes back under another name.
typedef struct Return {
    Stage *stage;
    Timer timer;
    const char *link;
    const char *directory;
    int64_t returned_ms;
    int64_t reached_ms;    // by the last lane
} Return;

static void return_due(Timer *timer)
{
    Return *back = container_of(timer, Return, timer);
    if (back->returned_ms == 0) {
        ck_assert_int_eq(symlink(back->directory, back->link), 0);
        back->returned_ms = clock_ms();
    }
    if (pool_counts(back->stage->pool).connected == 4) {
        back->reached_ms = clock_ms();
        loop_stop(back->stage->loop);
        return;
    }
    timer_start(back->stage->loop, timer, 10);
}

TEST(a_server_that_was_away_is_found_at_once_by_all_connections)
{
    enum { AWAY_MS = 3300, SOON_MS = 1000 };
    Stage stage = {.arena = arena_open(MIB), .limit.due = limit_due};
    Error err = {0};
    char link[] = "/tmp/shop-pool.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(link));
    ck_assert_int_eq(rmdir(link), 0);
    Str dsn = test_database("pool"), directory;
    ck_assert_ok(dsn_value(dsn, "host", stage.arena, &directory, &err), &err);
    ck_assert_ok(dsn_with(dsn, "host", str_of(link), stage.arena, &stage.dsn, &err), &err);
    ck_assert_ok(loop_open(stage.arena, &stage.loop, &err), &err);
    PoolOptions options = {.dsn = stage.dsn, .connections = 4, .timeout_ms = TIMEOUT_MS};
    ck_assert_ok(pool_open(stage.loop, &options, &stage.pool, &err), &err);
    Return back = {.stage = &stage, .timer.due = return_due, .link = link, .directory = directory.data};
    timer_start(stage.loop, &back.timer, AWAY_MS);
    timer_start(stage.loop, &stage.limit, 10000);
    loop_run(stage.loop);
    ck_assert_int_gt(back.reached_ms, 0);
    ck_assert_int_lt(back.reached_ms - back.returned_ms, SOON_MS);
    (void)unlink(link);
    pool_close(&stage.pool);
    loop_close(&stage.loop);
    arena_close(&stage.arena);
}

SUITE(pool, ONCE(a_tenant_that_keeps_its_connection_busy_by_itself_is_met_by_others),
      ONCE(a_server_that_was_away_is_found_at_once_by_all_connections),
      ONCE(a_tenant_waits_for_the_connection_that_knows_it_but_not_for_long),
      ONCE(each_query_runs_in_its_own_tenants_schema), ONCE(a_tenant_that_asks_much_makes_no_other_wait_for_all_of_it),
      ONCE(a_failure_is_the_querys_own), ONCE(a_query_that_takes_too_long_is_ended_and_one_that_waited_too_long_too),
      EACH(a_read_is_tried_again_on_another_connection_and_a_write_says_that_nobody_knows, LOST),
      ONCE(a_backend_that_has_met_many_tenants_is_replaced), ONCE(a_backend_that_is_never_idle_is_replaced_too),
      ONCE(two_backends_that_have_met_many_tenants_are_replaced_one_after_the_other),
      ONCE(a_read_that_was_lost_comes_before_those_that_waited_behind_it),
      ONCE(one_that_has_less_time_leaves_the_queue_from_its_middle),
      ONCE(a_connection_that_cannot_be_watched_is_tried_again), ONCE(without_a_database_a_query_fails_at_once))
