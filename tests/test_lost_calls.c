// tests/test_lost_calls.c: every operation loses its connection to PostgreSQL with any one of its calls, before the
// server hears of it or before it answers, or an arena of its is spent, or its disk fails: asked for again, resumed or
// taken back it comes to its end, and then the world equals the record.
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/pg.h"
#include "tests/support/loss.h"
#include "tests/support/more_check.h"
#include "tests/support/operation_kind.h"
#include "tests/support/pg_server.h"

enum { EXIT_OTHER = 3 };

// Of what an operation could lose each so-and-so-many-th is lost.
static const LossStep FIRST[LOSS_COUNT] = {{13, 2}, {17, 5}, {251, 29}, {3, 1}, {5, 1}};
static const LossStep LATER[LOSS_COUNT] = {{37, 5}, {41, 11}, {211, 37}, {5, 2}, {7, 1}};
static const long LEAST[LOSS_COUNT] = {8, 8, 60, 0, 0};    // that any operation could lose

// ---- an operation that is asked for again

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
        loss_arm(loss, number, world->arena);
        bool ok = kind->run(platform, world, slug, &err), is_fired = loss_disarm();
        if (!ok && !loss_is_why(&err))
            (void)fprintf(stderr, "%s: %s (%s)\n", error_name(err.code), err.what, err.why);
        platform_close(&platform);
        LOSS_LEAVE(!is_fired ? HAS_FEWER_CALLS : ok ? AS_USUAL : loss_is_why(&err) ? HAS_FAILED : EXIT_OTHER);
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
    const char *moment = str_format(world->arena, "%s lost %s %ld", kind->driver->kind, LOSSES[loss], number).data;
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

TEST(what_is_lost_is_done_when_it_is_asked_for_again)
{
    const OperationKind *kind = &KINDS[_i];
    TestWorld world;
    test_world_open(&world, "lost", true);
    for (Loss loss = 0; loss < LOSS_COUNT; loss++) {
        long number = 1;
        while (lose_one(&world, kind, number, loss))
            number += loss_step(FIRST, loss);
        ck_assert_int_gt(number, LEAST[loss]);
    }
    test_world_close(&world);
}

// ---- one that is gone on with, or taken back

typedef struct Later {
    TestWorld world;
    const OperationKind *kind;
    size_t count;    // of rounds
    size_t step;     // the last one that was done before
    bool is_back;
} Later;

static void stop_after(void *context, const Event *event)
{
    const Later *later = context;
    if (event->phase == EVENT_AFTER && event->position == later->step)
        loss_arm(OF_CALL, 1, later->world.arena);
}

static Str newest(TestWorld *world, const char *slug, const char *column)
{
    Str sql = str_format(world->arena,
                         "select %s::text from control.operations o where slug = '%s' order by o.id desc limit 1",
                         column, slug);
    return test_value(world->control, world->arena, sql.data);
}

// Leaves an operation that did its steps up to later->step, and lost the call that records it.
static int64_t operation_leave(Later *later, const char *slug)
{
    Error err = {0};
    int64_t id = 0;
    CLEANUP(platform_close) Platform *platform = test_world_platform(&later->world, 0);
    platform_observe(platform, stop_after, later);
    bool ok = later->kind->run(platform, &later->world, slug, &err);
    ck_assert(!ok && loss_disarm());
    ck_assert_says(&err, ERR_UNREACHABLE, "terminat");
    error_clear(&err);
    ck_assert_ok(str_int64(newest(&later->world, slug, "id"), 1, INT64_MAX, &id, &err), &err);
    return id;
}

// Goes on until it has ended. One that was to be taken back and can't be says so, and goes forward from then on.
static void finish(Later *later, const char *slug, int64_t id, const char *moment)
{
    static const Str ENDED[] = {S("done"), S("reverted")};
    Str state;
    for (int attempt = 0;
         state = newest(&later->world, slug, "state"), !str_eq(state, ENDED[0]) && !str_eq(state, ENDED[1]);
         attempt++) {
        Error err = {0};
        bool ok = operation_resume(later->world.platform, id, &err);
        ck_assert_msg(ok || (attempt == 0 && later->is_back && error_says(&err, "only goes forward")),
                      "%s, then resumed: %s: %s (%s)", moment, error_name(err.code), err.what, err.why);
    }
    kind_check_end(&later->world, later->kind, slug, str_eq(state, ENDED[1]), moment);
}

// False: it makes fewer calls.
static bool lose_later(Later *later, long number, Loss loss)
{
    TestWorld *world = &later->world;
    const Driver *driver = later->kind->driver;
    Error err = {0};
    const char *slug = kind_prepare(world, later->kind, later->count++);
    const char *moment =
        str_format(world->arena, "%s, left after '%s', %s, lost %s %ld", driver->kind, driver->steps[later->step].name,
                   later->is_back ? "taken back" : "resumed", LOSSES[loss], number)
            .data;
    int64_t id = operation_leave(later, slug);
    Platform *platform = test_world_platform(world, 0);
    loss_arm(loss, number, world->arena);
    bool ok = later->is_back ? operation_revert(platform, id, &err) : operation_resume(platform, id, &err);
    bool is_lost = loss_disarm();
    ck_assert_msg(ok || loss_is_why(&err) || (later->is_back && error_says(&err, "only goes forward")),
                  "%s: %s: %s (%s)", moment, error_name(err.code), err.what, err.why);
    platform_close(&platform);
    finish(later, slug, id, moment);
    return is_lost;
}

// Spread over its steps, each of which begins with another one, some of all that can be lost are. Of what is lost, too,
// a step has one kind, unless TEST_POINTS is set.
TEST(what_is_lost_by_one_who_goes_on_or_back_is_done_by_the_next)
{
    Later later = {.kind = &KINDS[_i]};
    test_world_open(&later.world, "lost", false);
    for (size_t round = 0; round < later.kind->driver->count * 2 * LOSS_COUNT; round++) {
        Loss loss = (Loss)(round % LOSS_COUNT);
        later.step = round / LOSS_COUNT / 2;
        later.is_back = round / LOSS_COUNT % 2;
        if (!getenv("TEST_POINTS") && (later.step + later.is_back) % LOSS_COUNT != loss)
            continue;
        long number = 1 + (long)later.step % loss_step(LATER, loss);
        while (lose_later(&later, number, loss))
            number += loss_step(LATER, loss);
    }
    test_world_close(&later.world);
}

SUITE(lost_calls, TIMES(what_is_lost_is_done_when_it_is_asked_for_again, KIND_OF_MOVE),
      TIMES(what_is_lost_by_one_who_goes_on_or_back_is_done_by_the_next, KIND_OF_MOVE))
