// tests/test_kill.c: every operation killed before and after each of its steps, made from the drivers' step arrays: it
// goes on or is taken back, and then the world equals the record.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "provisioner/cell.h"
#include "provisioner/container_driver.h"
#include "provisioner/move_driver.h"
#include "provisioner/schema_driver.h"
#include "tests/support/more_check.h"
#include "tests/support/operation_kind.h"
#include "tests/support/pg_server.h"
#include "tests/support/step_moment.h"
#include "tests/support/test_world.h"

enum { QUICK_MS = 1, NEVER_STOPPED = 42 };

// ---- the kill

// Runs the command (or takes operation `revert` back) in a process that kills itself at the point.
static void run_killed(TestWorld *world, const OperationKind *kind, const char *slug, int64_t revert, StepMoment point)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        Platform *platform = test_world_platform(world, 0);
        platform_observe(platform, step_moment_kill, &point);
        bool ok = revert ? operation_revert(platform, revert, &err) : kind->run(platform, world, slug, &err);
        (void)fprintf(stderr, "%s: not killed: %s %s\n", kind->driver->kind, ok ? "done" : err.what, err.why);
        _exit(NEVER_STOPPED);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not killed at step %zu",
                  kind->driver->kind, point.step);
}

static int64_t unfinished(TestWorld *world, const char *slug)
{
    Str sql = str_format(world->arena,
                         "select coalesce((select id from control.operations where slug = '%s' and state = 'running'), "
                         "0)",
                         slug);
    Error err = {0};
    int64_t id = 0;
    ck_assert_ok(str_int64(test_value(world->control, world->arena, sql.data), 1, INT64_MAX, &id, &err), &err);
    return id;
}

static const char *moment_text(TestWorld *world, const Driver *driver, StepMoment point, const char *then)
{
    return str_format(world->arena, "%s killed %s '%s', then %s", driver->kind,
                      point.phase == EVENT_BEFORE  ? "before"
                      : point.phase == EVENT_AFTER ? "after"
                                                   : "having reverted",
                      driver->steps[point.step].name, then)
        .data;
}

static void resume(TestWorld *world, int64_t id, const char *moment)
{
    Error err = {0};
    ck_assert_msg(operation_resume(world->platform, id, &err), "%s: %s: %s", moment, err.what, err.why);
}

static void kill_and_resume(TestWorld *world, const OperationKind *kind, StepMoment point, size_t count)
{
    const char *slug = kind_prepare(world, kind, count);
    const char *moment = moment_text(world, kind->driver, point, "resumed");
    run_killed(world, kind, slug, 0, point);
    resume(world, unfinished(world, slug), moment);
    kind_check_end(world, kind, slug, false, moment);
}

static void kill_and_revert(TestWorld *world, const OperationKind *kind, StepMoment point, size_t count)
{
    Error err = {0};
    const char *slug = kind_prepare(world, kind, count);
    const char *moment = moment_text(world, kind->driver, point, "reverted");
    run_killed(world, kind, slug, 0, point);
    int64_t id = unfinished(world, slug);
    bool is_reverted = operation_revert(world->platform, id, &err);
    if (is_past_return(kind->driver, point)) {
        ck_assert_msg(!is_reverted, "%s: what can't be taken back was", moment);
        ck_assert_says(&err, ERR_STATE, "only goes forward");
        resume(world, id, moment);
    } else {
        ck_assert_msg(is_reverted, "%s: %s: %s", moment, err.what, err.why);
    }
    kind_check_end(world, kind, slug, is_reverted, moment);
}

static void kill_and_repeat(TestWorld *world, const OperationKind *kind, StepMoment point, size_t count)
{
    Error err = {0};
    const char *slug = kind_prepare(world, kind, count);
    const char *moment = moment_text(world, kind->driver, point, "run again");
    run_killed(world, kind, slug, 0, point);
    ck_assert_msg(kind->run(world->platform, world, slug, &err), "%s: %s: %s", moment, err.what, err.why);
    kind_check_end(world, kind, slug, false, moment);
}

static void kill_while_reverting(TestWorld *world, const OperationKind *kind, size_t last, StepMoment point,
                                 size_t count)
{
    const char *slug = kind_prepare(world, kind, count);
    const char *moment = moment_text(world, kind->driver, point, "resumed backward");
    run_killed(world, kind, slug, 0, (StepMoment){last, EVENT_AFTER});
    int64_t id = unfinished(world, slug);
    run_killed(world, kind, slug, id, point);
    resume(world, id, moment);
    kind_check_end(world, kind, slug, true, moment);
}

// One world for all of a kind's moments: each check compares everything that is in it, so a moment that left something
// behind is seen by those after it as well.
// Afterwards it goes on, is taken back and is asked for again: one of the three in turn, with TEST_ALL each.
static void kill_at_every_moment(const OperationKind *kind)
{
    const bool is_all = getenv("TEST_ALL") != NULL;
    static const EventPhase FORWARD[] = {EVENT_BEFORE, EVENT_AFTER}, BACK[] = {EVENT_BEFORE, EVENT_REVERTED};
    TestWorld world;
    test_world_open(&world, "kill", true);
    size_t count = 0, last = kind->driver->count - 1;
    static void (*const AFTERWARDS[])(TestWorld * world, const OperationKind *kind, StepMoment point,
                                      size_t count) = {kill_and_resume, kill_and_revert, kill_and_repeat};
    for (size_t step = 0; step < kind->driver->count; step++)
        for (size_t phase = 0; phase < COUNT(FORWARD); phase++)
            for (size_t i = 0; i < COUNT(AFTERWARDS); i++)
                if (is_all || (step * COUNT(FORWARD) + phase) % COUNT(AFTERWARDS) == i)
                    AFTERWARDS[i](&world, kind, (StepMoment){step, FORWARD[phase]}, count++);
    while (last < kind->driver->count && is_past_return(kind->driver, (StepMoment){last, EVENT_AFTER}))
        last--;    // to SIZE_MAX where no step can be taken back
    for (size_t step = 0; step <= last && last < kind->driver->count; step++)
        for (size_t phase = is_all ? 0 : step % COUNT(BACK); phase < COUNT(BACK); phase += is_all ? 1 : COUNT(BACK))
            kill_while_reverting(&world, kind, last, (StepMoment){step, BACK[phase]}, count++);
    test_world_close(&world);
}

TEST(killed_at_any_moment_it_goes_on_or_is_taken_back_or_is_asked_for_again)
{
    kill_at_every_moment(&KINDS[_i]);
}

// Those that need a container engine are killed in test_container, test_own_move and torture_own_shops.
static const Driver *const ELSEWHERE[] = {&CONTAINER_CREATE,         &CONTAINER_DELETE,  &CONTAINER_RESTORE,
                                          &CONTAINER_RESIZE,         &CONTAINER_UPGRADE, &TENANT_MOVE_DEDICATED,
                                          &TENANT_FINALIZE_DEDICATED};

static bool is_elsewhere(const Driver *driver)
{
    for (size_t i = 0; i < COUNT(ELSEWHERE); i++)
        if (ELSEWHERE[i] == driver)
            return true;
    return false;
}

TEST(every_kind_of_operation_is_killed_here_or_where_its_engine_is)
{
    for (size_t i = 0; DRIVERS[i]; i++) {
        size_t k = 0;
        while (k < KIND_COUNT && KINDS[k].driver != DRIVERS[i])
            k++;
        ck_assert_msg(k < KIND_COUNT || is_elsewhere(DRIVERS[i]), "the driver '%s' is in no row of KINDS",
                      DRIVERS[i]->kind);
        for (size_t step = 0; step < DRIVERS[i]->count; step++)
            ck_assert_msg(DRIVERS[i]->steps[step].probe && DRIVERS[i]->steps[step].apply,
                          "the step '%s' of '%s' can't be resumed", DRIVERS[i]->steps[step].name, DRIVERS[i]->kind);
    }
}

TEST(the_controller_goes_on_with_what_is_silent_for_long)
{
    TestWorld world;
    Error err = {0};
    int64_t id = 0;
    test_world_open(&world, "kill", true);
    CLEANUP(platform_close) Platform *hasty = test_world_platform(&world, QUICK_MS);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const OperationKind *kind = &KINDS[i];
        const char *slug = kind_prepare(&world, kind, 0);
        run_killed(&world, kind, slug, 0, (StepMoment){kind->driver->count / 2, EVENT_AFTER});
        int64_t left = unfinished(&world, slug);
        ck_assert_ok(operation_adopt(world.platform, &id, &err), &err);
        ck_assert_msg(id == 0, "an operation was taken up before its time");
        clock_sleep_ms(QUICK_MS * 2);
        ck_assert_ok(operation_adopt(hasty, &id, &err), &err);
        ck_assert_int_eq(id, left);
        kind_check_end(&world, kind, slug, false, "taken up by the controller");
    }
    ck_assert_ok(operation_adopt(hasty, &id, &err), &err);
    ck_assert_int_eq(id, 0);
    test_world_close(&world);
}

// ---- a process that isn't dead, only slow

typedef struct Slow {
    TestWorld *world;
    size_t step;
} Slow;

static void overtake(void *context, const Event *event)
{
    Slow *slow = context;
    if (event->phase != EVENT_BEFORE || event->position != slow->step)
        return;
    slow->step = SIZE_MAX;
    resume(slow->world, event->id, "overtaken");
}

TEST(a_process_that_was_overtaken_writes_nothing_more)
{
    TestWorld world;
    test_world_open(&world, "kill", true);
    for (size_t step = 0; step < SCHEMA_CREATE.count; step++) {
        Error err = {0};
        CLEANUP(platform_close) Platform *platform = test_world_platform(&world, 0);
        Slow slow = {.world = &world, .step = step};
        platform_observe(platform, overtake, &slow);
        const char *slug = str_format(world.arena, "slow-%zu", step).data;
        ck_assert(!KINDS[0].run(platform, &world, slug, &err));
        ck_assert_says(&err, ERR_BUSY, "another process");
        kind_check_end(&world, &KINDS[0], slug, false, "overtaken");
    }
    test_world_close(&world);
}

// ---- the database is killed, not the process

static void cut(void *context, const Event *event)
{
    Slow *slow = context;
    if (event->phase != EVENT_BEFORE || event->position != slow->step)
        return;
    slow->step = SIZE_MAX;
    Error err = {0};
    static const Str CUT = S("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = "
                             "current_database() and usename = current_user and pid <> pg_backend_pid()");
    ck_assert_ok(db_run(slow->world->control, CUT, NO_PARAMS, &err) && db_run(slow->world->cell, CUT, NO_PARAMS, &err),
                 &err);
}

TEST(an_operation_goes_on_after_its_connections_were_cut)
{
    TestWorld world;
    test_world_open(&world, "kill", true);
    for (size_t step = 0; step < SCHEMA_CREATE.count; step++) {
        Error err = {0};
        Slow slow = {.world = &world, .step = step};
        const char *slug = str_format(world.arena, "cut-%zu", step).data;
        platform_observe(world.platform, cut, &slow);
        bool ok = KINDS[0].run(world.platform, &world, slug, &err);
        platform_observe(world.platform, NULL, NULL);
        ck_assert_msg(!ok, "step %zu was done without a connection", step);
        ck_assert_says(&err, ERR_UNREACHABLE, "shopctl operation resume");
        Str sql =
            str_format(world.arena, "select id from control.operations where slug = '%s' and state = 'failed'", slug);
        int64_t id = 0;
        error_clear(&err);
        ck_assert_ok(str_int64(test_value(world.control, world.arena, sql.data), 1, INT64_MAX, &id, &err), &err);
        resume(&world, id, "its connections were cut, then resumed");
        kind_check_end(&world, &KINDS[0], slug, false, "its connections were cut, then resumed");
    }
    test_world_close(&world);
}

TEST(a_shop_that_does_not_answer_waits_for_whoever_goes_on)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "kill", false);
    ck_assert_ok(cell_add(world.platform, &(CellSpec){.name = S("main"), .url = S("http://127.0.0.1:1")}, &err), &err);
    CLEANUP(platform_close) Platform *platform = NULL;
    ck_assert_ok(
        platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn, .smoke_ms = 30}, &platform, &err),
        &err);
    ck_assert(!KINDS[0].run(platform, &world, "mute", &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "'mute' doesn't answer");
    ck_assert_says(&err, ERR_UNREACHABLE, "shopctl operation revert");
    error_clear(&err);
    ck_assert_str(test_world_status(&world, "mute"), S("provisioning"));
    ck_assert(!KINDS[0].run(platform, &world, "mute", &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "'mute' doesn't answer");
    error_clear(&err);
    ck_assert_ok(operation_revert(platform, 1, &err), &err);
    ck_assert_str(test_world_status(&world, "mute"), S(""));
    test_world_check(&world, "mute", "reverted after it didn't answer");
    test_world_close(&world);
}

SUITE(kill, ONCE(every_kind_of_operation_is_killed_here_or_where_its_engine_is),
      TIMES(killed_at_any_moment_it_goes_on_or_is_taken_back_or_is_asked_for_again, KIND_COUNT),
      ONCE(the_controller_goes_on_with_what_is_silent_for_long), ONCE(a_process_that_was_overtaken_writes_nothing_more),
      ONCE(an_operation_goes_on_after_its_connections_were_cut),
      ONCE(a_shop_that_does_not_answer_waits_for_whoever_goes_on))
