// tests/test_controller.c: what the controller does by itself: it goes on with what was left, keeps spares, and removes
// what has had its time, and no more.
#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

#include <signal.h>
#include <unistd.h>

enum { SOON_MS = 60000, STEP_MS = 50, STOP_MS = 20000 };

static void controller_start(TestWorld *world, Process *out)
{
    const char *build = getenv("TEST_BUILD");
    ck_assert_msg(build != NULL, "TEST_BUILD is unset: run this by `make check`");
    const char *argv[] = {"env",
                          str_format(world->arena, "SHOPCTL_CONTROL_DSN=%.*s", STR_ARG(world->control_dsn)).data,
                          str_format(world->arena, "SHOPCTL_DATA=%.*s", STR_ARG(world->data)).data,
                          str_format(world->arena, "%s/bin/shopctl", build).data,
                          "controller",
                          NULL};
    Error err = {0};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .output = STDERR_FILENO}, out, &err), &err);
}

static void await(TestWorld *world, Db *db, const char *sql, const char *wanted)
{
    Str value = S("");
    for (int64_t until_ms = clock_ms() + SOON_MS; clock_ms() < until_ms; clock_sleep_ms(STEP_MS)) {
        value = test_value(db, world->arena, sql);
        if (str_eq(value, str_of(wanted)))
            return;
    }
    ck_abort_msg("'%s' stays '%.*s', not '%s'", sql, STR_ARG(value), wanted);
}

TEST(the_controller_finishes_fills_and_removes)
{
    TestWorld world;
    Error err = {0};
    Process controller = {0};
    ProcessEnd end = {0};
    test_world_open(&world, "controller", false);
    test_world_bring(&world, "old", "deleted");
    test_world_bring(&world, "young", "deleted");
    test_world_bring(&world, "left", "active");
    Str expired = test_value(world.control, world.arena, "select path from control.dumps where slug = 'old'");
    Str kept = test_value(world.control, world.arena, "select path from control.dumps where slug = 'young'");
    ck_assert_ok(
        db_script(
            world.control,
            S("update control.dumps set expires_at = now() + case slug when 'old' then interval '-1 second' else "
              "interval '1 hour' end; "
              "select control.operation_begin('suspend', 'left', '{\"from\": \"active\", \"to\": \"suspended\"}', "
              "'{cell,record}', 'elsewhere 1 1', 'tester'); "
              "update control.leases set heard_at = now() - interval '61 seconds'"),
            &err) &&
            db_script(world.cell,
                      S("insert into cell.fences (operation, epoch, raised_at) values (900001, 1, now() - interval "
                        "'25 hours'), (900002, 2, now() - interval '23 hours')"),
                      &err),
        &err);
    ck_assert(file_exists(expired));
    controller_start(&world, &controller);
    await(&world, world.control, "select string_agg(slug, ' ') from control.dumps", "young");
    await(&world, world.cell, "select string_agg(operation::text, ' ') from cell.fences where operation > 900000",
          "900002");
    await(&world, world.cell, "select count(*) from cell.tenants where state = 'spare'", "4");
    ck_assert_str(test_world_status(&world, "left"), S("suspended"));
    ck_assert(!file_exists(expired));
    ck_assert(file_exists(kept));
    process_signal(&controller, SIGTERM);
    ck_assert(has_process_ended(&controller, STOP_MS, &end));
    ck_assert_int_eq(end.exit_code, 0);
    test_world_check(&world, "left", "gone on with by the controller");
    ck_assert_ok(tenant_restore(world.platform, test_slug("young"), &err), &err);
    ck_assert(!tenant_restore(world.platform, test_slug("old"), &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "retention has passed");
    test_world_close(&world);
}

SUITE(controller, ONCE(the_controller_finishes_fills_and_removes))
