// tests/test_lost_calls.c: every operation loses its connection to PostgreSQL with any one of its calls, before the
// server hears of it or before it answers: asked for again it comes to its end, and then the world equals the record.
#include <sys/wait.h>
#include <unistd.h>

#include "base/pg.h"
#include "tests/support/more_check.h"
#include "tests/support/operation_kind.h"
#include "tests/support/pg_server.h"

enum { EXIT_OTHER = 3, STEP = 4 };    // each fourth call of an operation is lost, all of them where TEST_POINTS is set

// A fork's check for leaks would count what its parent holds; without sanitizers it writes down what it covered.
#ifdef DEF_SANITIZE
#define LEAVE _exit
#else
#define LEAVE exit
#endif

typedef enum Loss { OF_CALL, OF_ANSWER, LOSS_COUNT } Loss;

static struct {
    Db *killer;    // ends the connection's backend
    long left;     // until the call that is lost; 0: none is
    Loss loss;
} armed;

bool __real_db_query(Db *db, Str sql, Params params, Rows **out, Error *err);
bool __real_db_run(Db *db, Str sql, Params params, Error *err);
bool __real_db_script(Db *db, Str sql, Error *err);
bool __wrap_db_query(Db *db, Str sql, Params params, Rows **out, Error *err);
bool __wrap_db_run(Db *db, Str sql, Params params, Error *err);
bool __wrap_db_script(Db *db, Str sql, Error *err);

static bool is_turn(void) { return armed.left > 0 && --armed.left == 0; }

// What libpq says of a connection whose backend was ended is the caller's error.
static bool lose(Db *db, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    ck_assert_ok(__real_db_query(db, S("select pg_backend_pid()::text"), NO_PARAMS, &rows, err) &&
                     __real_db_run(armed.killer, S("select pg_terminate_backend($1::integer, 5000)"),
                                   PARAMS(rows_str(rows, 0, 0)), err),
                 err);
    ck_assert(!__real_db_run(db, S("select 1"), NO_PARAMS, err));
    return false;
}

bool __wrap_db_query(Db *db, Str sql, Params params, Rows **out, Error *err)
{
    if (!is_turn())
        return __real_db_query(db, sql, params, out, err);
    if (armed.loss == OF_ANSWER && __real_db_query(db, sql, params, out, err))
        rows_close(out);
    return lose(db, err);
}

bool __wrap_db_run(Db *db, Str sql, Params params, Error *err)
{
    if (!is_turn())
        return __real_db_run(db, sql, params, err);
    if (armed.loss == OF_ANSWER)
        ck_assert_ok(__real_db_run(db, sql, params, err), err);
    return lose(db, err);
}

bool __wrap_db_script(Db *db, Str sql, Error *err)
{
    if (!is_turn())
        return __real_db_script(db, sql, err);
    if (armed.loss == OF_ANSWER)
        ck_assert_ok(__real_db_script(db, sql, err), err);
    return lose(db, err);
}

typedef enum Ended { AS_USUAL, HAS_FAILED, HAS_FEWER_CALLS } Ended;

// Runs the command in a process of its own, so that nobody holds what it leaves, and loses one of its calls.
static Ended run_alone(TestWorld *world, const OperationKind *kind, const char *slug, long number, Loss loss)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        CLEANUP(platform_close) Platform *platform = test_world_platform(world, 0);
        CLEANUP(db_close) Db *killer = test_db_open(world->control_dsn);
        armed.killer = killer;
        armed.loss = loss;
        armed.left = number;
        bool ok = kind->run(platform, world, slug, &err), is_fired = armed.left == 0;
        if (!ok && err.code != ERR_UNREACHABLE)
            (void)fprintf(stderr, "%s: %s (%s)\n", error_name(err.code), err.what, err.why);
        platform_close(&platform);
        db_close(&killer);
        LEAVE(!is_fired ? HAS_FEWER_CALLS : ok ? AS_USUAL : err.code == ERR_UNREACHABLE ? HAS_FAILED : EXIT_OTHER);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < EXIT_OTHER, "%s, call %ld: status %d", kind->driver->kind,
                  number, status);
    return (Ended)WEXITSTATUS(status);
}

// False: it makes fewer calls.
static bool lose_one(TestWorld *world, const OperationKind *kind, long number, Loss loss)
{
    Error err = {0};
    const char *slug = kind_prepare(world, kind, (size_t)(number * LOSS_COUNT + (long)loss));
    const char *moment = str_format(world->arena, "%s lost %s %ld", kind->driver->kind,
                                    loss == OF_CALL ? "call" : "the answer of call", number)
                             .data;
    Ended ended = run_alone(world, kind, slug, number, loss);
    // where the answer to its last record was lost there is nothing left to do
    Str lease = str_format(world->arena, "select count(*) from control.leases where slug = '%s'", slug);
    bool is_left = str_eq(test_value(world->control, world->arena, lease.data), S("1")) ||
                   !str_eq(test_world_status(world, slug), str_of(kind->after)) ||
                   strcmp(kind->before, kind->after) == 0;
    if (ended == HAS_FAILED && is_left)
        ck_assert_msg(kind->run(world->platform, world, slug, &err), "%s, then asked again: %s: %s", moment, err.what,
                      err.why);
    kind_check_end(world, kind, slug, false, moment);
    return ended != HAS_FEWER_CALLS;
}

TEST(a_call_that_is_lost_is_made_again)
{
    const OperationKind *kind = &KINDS[_i];
    TestWorld world;
    test_world_open(&world, "lost", true);
    long number = 1, step = getenv("TEST_POINTS") ? 1 : STEP;
    while (lose_one(&world, kind, number, OF_CALL) && lose_one(&world, kind, number, OF_ANSWER))
        number += step;
    ck_assert_int_gt(number, 2 * STEP);
    test_world_close(&world);
}

SUITE(lost_calls, {a_call_that_is_lost_is_made_again, KIND_COUNT})
