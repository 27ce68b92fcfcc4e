// tests/test_controller.c: what the controller does by itself: it goes on with what was left, keeps spares, and removes
// what has had its time, and no more.
#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { SOON_MS = 60000, STEP_MS = 50, STOP_MS = 20000 };

static void controller_start(TestWorld *world, int output, Process *out)
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
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .output = output}, out, &err), &err);
}

static void controller_stop(Process *controller)
{
    ProcessEnd end = {0};
    process_signal(controller, SIGTERM);
    ck_assert(has_process_ended(controller, STOP_MS, &end));
    ck_assert_int_eq(end.exit_code, 0);
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

static void run_sql(Db *db, Str sql)
{
    Error err = {0};
    ck_assert_ok(db_script(db, sql, &err), &err);
}

// A suspension whose process went long ago.
static void suspension_leave(TestWorld *world, const char *slug)
{
    run_sql(world->control,
            str_format(world->arena,
                       "select control.operation_begin('suspend', '%s', '{\"from\": \"active\", \"to\": "
                       "\"suspended\"}', '{cell,record}', 'elsewhere 1 1', 'tester'); "
                       "update control.leases set heard_at = now() - interval '61 seconds'",
                       slug));
}

TEST(the_controller_finishes_fills_and_removes)
{
    TestWorld world;
    Error err = {0};
    Process controller = {0};
    test_world_open(&world, "controller", false);
    test_world_bring(&world, "old", "deleted");
    test_world_bring(&world, "young", "deleted");
    test_world_bring(&world, "left", "active");
    Str expired = test_value(world.control, world.arena, "select path from control.dumps where slug = 'old'");
    Str kept = test_value(world.control, world.arena, "select path from control.dumps where slug = 'young'");
    run_sql(world.control,
            S("update control.dumps set expires_at = now() + case slug when 'old' then interval '-1 second' "
              "else interval '1 hour' end"));
    suspension_leave(&world, "left");
    run_sql(world.cell, S("insert into cell.fences (operation, epoch, raised_at) values (900001, 1, now() - interval "
                          "'25 hours'), (900002, 2, now() - interval '23 hours')"));
    ck_assert(file_exists(expired));
    controller_start(&world, STDERR_FILENO, &controller);
    await(&world, world.control, "select string_agg(slug, ' ') from control.dumps", "young");
    await(&world, world.cell, "select string_agg(operation::text, ' ') from cell.fences where operation > 900000",
          "900002");
    await(&world, world.cell, "select count(*) from cell.tenants where state = 'spare'", "4");
    ck_assert_str(test_world_status(&world, "left"), S("suspended"));
    ck_assert(!file_exists(expired));
    ck_assert(file_exists(kept));
    controller_stop(&controller);
    test_world_check(&world, "left", "gone on with by the controller");
    ck_assert_ok(tenant_restore(world.platform, test_slug("young"), &err), &err);
    ck_assert(!tenant_restore(world.platform, test_slug("old"), &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "retention has passed");
    test_world_close(&world);
}

// ---- the control database goes and comes back

// Shuts the control database to new connections, and ends those that there are but the test's own; or opens it again.
static void control_shut(TestWorld *world, bool is_shut)
{
    Str name = test_value(world->control, world->arena, "select current_database()");
    run_sql(world->cell, str_format(world->arena, "alter database %.*s allow_connections %s", STR_ARG(name),
                                    is_shut ? "false" : "true"));
    if (is_shut)
        run_sql(world->control, S("select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                                  "where datname = current_database() and pid <> pg_backend_pid()"));
}

// What the log has from this text on, once it is there after `offset`.
static Str log_await(TestWorld *world, Str path, size_t offset, const char *text)
{
    Error err = {0};
    Str log = S("");
    for (int64_t until_ms = clock_ms() + SOON_MS; clock_ms() < until_ms; clock_sleep_ms(STEP_MS)) {
        ck_assert_ok(file_read(path, MIB, world->arena, &log, &err), &err);
        size_t at = str_find(str_skip(log, offset), str_of(text));
        if (offset + at < log.len)
            return str_skip(log, offset + at);
    }
    Str end = str_skip(log, log.len - MIN(log.len, (size_t)KIB));
    ck_abort_msg("the log hasn't '%s': ...%.*s", text, STR_ARG(end));
    return S("");
}

TEST(after_a_round_the_wait_for_the_database_begins_anew)
{
    TestWorld world;
    Process controller = {0};
    test_world_open(&world, "controller", false);
    test_world_bring(&world, "one", "active");
    Str path = str_format(world.arena, "%.*s/controller.log", STR_ARG(world.data));
    CLEANUP(fd_close) int output = open(path.data, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(output, 0);
    control_shut(&world, true);
    controller_start(&world, output, &controller);
    (void)log_await(&world, path, 0, "\"wait_ms\":200}");
    control_shut(&world, false);
    run_sql(world.control, S("update control.cells set spares = 5"));
    await(&world, world.cell, "select count(*) from cell.tenants where state = 'spare'", "5");
    suspension_leave(&world, "one");    // is gone on with by the round after the one that made the spares
    await(&world, world.control, "select (control.tenant_of('one')).status", "suspended");
    off_t length = lseek(output, 0, SEEK_END);
    control_shut(&world, true);
    ck_assert(str_has_prefix(log_await(&world, path, (size_t)length, "\"wait_ms\""), S("\"wait_ms\":50}")));
    control_shut(&world, false);
    controller_stop(&controller);
    test_world_close(&world);
}

SUITE(controller, ONCE(after_a_round_the_wait_for_the_database_begins_anew),
      ONCE(the_controller_finishes_fills_and_removes))
