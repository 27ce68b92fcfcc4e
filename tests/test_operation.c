// tests/test_operation.c: the engine: what it records when, who may go on with an operation, and what becomes of one
// whose steps fail.
#include "provisioner/operation.h"

#include "base/clock.h"
#include "provisioner/cell.h"
#include "provisioner/schema_driver.h"
#include "provisioner/spare.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

enum { QUICK_MS = 1, SMOKE_MS = 20, ATTEMPTS = 5, SILENT_S = 100, RECORDS_MAX = 64 };

static Str control_text(TestWorld *world, const char *sql) { return test_value(world->control, world->arena, sql); }

static int64_t control_number(TestWorld *world, const char *sql)
{
    Error err = {0};
    int64_t number = 0;
    ck_assert_ok(str_int64(control_text(world, sql), 0, INT64_MAX, &number, &err), &err);
    return number;
}

static void run_sql(Db *db, const char *sql)
{
    Error err = {0};
    ck_assert_ok(db_script(db, str_of(sql), &err), &err);
}

// The newest operation, as "suspend running 1: cell running, record pending".
static const char NEWEST[] =
    "select concat(o.kind, ' ', o.state, ' ', o.attempts, ': ', string_agg(s.name || ' ' || s.state, ', ' order by "
    "s.position)) from control.operations o join control.operation_steps s on s.operation = o.id where o.id = (select "
    "max(id) from control.operations) group by o.id";

static int64_t newest_id(TestWorld *world) { return control_number(world, "select max(id) from control.operations"); }

// ---- records

typedef struct Recorder {
    TestWorld *world;
    Str records[RECORDS_MAX];    // as of each event
    size_t count;
} Recorder;

static void record(void *context, const Event *event)
{
    Recorder *recorder = context;
    static const char *const PHASES[] = {[EVENT_BEGUN] = "begun",
                                         [EVENT_BEFORE] = "before",
                                         [EVENT_AFTER] = "after",
                                         [EVENT_REVERTED] = "back",
                                         [EVENT_ENDED] = "ended"};
    ck_assert_uint_lt(recorder->count, RECORDS_MAX);
    recorder->records[recorder->count++] =
        str_format(recorder->world->arena, "%s %s| %.*s", PHASES[event->phase], event->step ? event->step : "-",
                   STR_ARG(control_text(recorder->world, NEWEST)));
}

static void check_records(const Recorder *recorder, const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < MIN(count, recorder->count); i++)
        ck_assert_str(recorder->records[i], str_of(wanted[i]));
    ck_assert_uint_eq(recorder->count, count);
}

TEST(the_record_speaks_before_and_after_each_step)
{
    static const char *const FORWARD[] = {
        "begun -| suspend running 1: cell running, record pending",
        "before cell| suspend running 1: cell running, record pending",
        "after cell| suspend running 1: cell running, record pending",
        "before record| suspend running 1: cell done, record running",
        "after record| suspend running 1: cell done, record running",
        "ended -| suspend done 1: cell done, record done",
    };
    static const char *const BACK[] = {
        "begun -| resume running 1: cell running, record pending",
        "before cell| resume running 1: cell running, record pending",
        "after cell| resume running 1: cell running, record pending",
        "before record| resume running 1: cell done, record running",
        "before record| resume running 1: cell done, record reverting",
        "back record| resume running 1: cell done, record reverting",
        "before cell| resume running 1: cell reverting, record reverted",
        "back cell| resume running 1: cell reverting, record reverted",
        "ended -| resume reverted 1: cell reverted, record reverted",
    };
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    Recorder recorder = {.world = &world};
    platform_observe(world.platform, record, &recorder);
    ck_assert_ok(tenant_suspend(world.platform, test_slug("shop"), &err), &err);
    check_records(&recorder, FORWARD, COUNT(FORWARD));
    test_world_check(&world, "shop", "suspended");

    // A step that fails for good is taken back at once, with those before it; the record says why.
    recorder.count = 0;
    run_sql(world.control, "alter table control.tenants add constraint no_more check (status <> 'active') not valid");
    ck_assert(!tenant_resume(world.platform, test_slug("shop"), &err));
    ck_assert_int_ne(err.code, ERR_BUSY);
    check_records(&recorder, BACK, COUNT(BACK));
    ck_assert_int_gt(control_number(&world, "select position('no_more' in (error ->> 'what')) from control.operations "
                                            "order by id desc limit 1"),
                     0);
    platform_observe(world.platform, NULL, NULL);
    run_sql(world.control, "alter table control.tenants drop constraint no_more");
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));
    test_world_check(&world, "shop", "not resumed");
    test_world_close(&world);
}

// ---- one at a time

typedef struct Rival {
    TestWorld *world;
    Platform *platform;
    size_t refused;
} Rival;

static void check_rivals_refused(Rival *rival, const Event *event)
{
    typedef bool Command(Platform * platform, Slug slug, Error * err);
    static Command *const COMMANDS[] = {tenant_suspend, tenant_archive};
    char number[24];
    (void)snprintf(number, sizeof(number), "operation %lld", (long long)event->id);
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        Error err = {0};
        if (COMMANDS[i](rival->platform, test_slug("shop"), &err))
            ck_abort_msg("the command %zu was done beside operation %lld", i, (long long)event->id);
        if (err.code == ERR_FORBIDDEN)
            continue;    // by now the tenant is what the command can't begin with
        ck_assert_says(&err, ERR_BUSY, number);
        rival->refused++;
    }
    Error err = {0};
    ck_assert(!tenant_set(rival->platform, test_slug("shop"), &(TenantChange){.name = S("Other")}, &err));
    ck_assert_says(&err, ERR_BUSY, number);
    error_clear(&err);
    ck_assert_ok(tenant_set(rival->platform, test_slug("other"), &(TenantChange){.name = S("Other")}, &err), &err);
}

static void compete(void *context, const Event *event)
{
    if (event->phase == EVENT_BEFORE || event->phase == EVENT_AFTER)
        check_rivals_refused(context, event);
}

TEST(a_tenant_has_one_operation_at_a_time)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    test_world_bring(&world, "other", "active");
    CLEANUP(platform_close) Platform *second = test_world_platform(&world, 0);
    Rival rival = {.world = &world, .platform = second};
    platform_observe(world.platform, compete, &rival);
    ck_assert_ok(tenant_suspend(world.platform, test_slug("shop"), &err), &err);
    platform_observe(world.platform, NULL, NULL);
    ck_assert_uint_ge(rival.refused, 4);
    ck_assert_ok(tenant_resume(second, test_slug("shop"), &err), &err);
    test_world_check(&world, "shop", "after its rivals");
    test_world_check(&world, "other", "beside it");
    test_world_close(&world);
}

// ---- epochs

// Every function that writes for an operation takes its epoch: called with an older one, each is refused.
static void check_functions_refuse(Db *db, Arena *arena, int64_t operation, int64_t epoch, const char *schema,
                                   int64_t least)
{
    Error err = {0};
    CLEANUP(rows_close) Rows *calls = NULL;
    ck_assert_ok(
        db_query(db,
                 S("select format('select %s(%s)', p.oid::regproc, (select string_agg(case p.proargnames[i] when "
                   "'p_operation' then $2 when 'p_id' then $2 when 'p_epoch' then $3 else 'null' end || '::' || "
                   "format_type(p.proargtypes[i - 1], null), ', ' order by i) from generate_series(1, p.pronargs) i)) "
                   "from pg_proc p where pronamespace = $1::regnamespace and 'p_epoch' = any (proargnames[1:pronargs]) "
                   "and proname <> 'fence_raise' order by proname"),
                 PARAMS(str_of(schema), str_format(arena, "%lld", (long long)operation),
                        str_format(arena, "%lld", (long long)epoch)),
                 &calls, &err),
        &err);
    ck_assert_int_ge((int64_t)rows_count(calls), least);
    for (size_t i = 0; i < rows_count(calls); i++) {
        Str call = rows_str(calls, i, 0);
        bool is_done = db_run(db, call, NO_PARAMS, &err);
        ck_assert_msg(!is_done, "%.*s: a stale call was done", STR_ARG(call));
        ck_assert_msg(err.code == ERR_BUSY, "%.*s: %s", STR_ARG(call), err.what);
        error_clear(&err);
    }
}

static void break_cell(TestWorld *world)
{
    run_sql(world->cell, "alter function cell.tenant_state_set rename to tenant_state_away");
}

static void mend_cell(TestWorld *world)
{
    run_sql(world->cell, "alter function cell.tenant_state_away rename to tenant_state_set");
}

static const char LEASE_EPOCH[] = "select epoch from control.leases";

typedef struct Overtaking {
    TestWorld *world;
    Platform *platform;
    const char *step;
    bool is_revert;
    int64_t id, epoch;    // of the process that is overtaken
} Overtaking;

static void overtake(void *context, const Event *event)
{
    Overtaking *overtaking = context;
    if (event->phase != EVENT_BEFORE || strcmp(event->step, overtaking->step) != 0 || overtaking->id)
        return;
    overtaking->id = event->id;
    overtaking->epoch = control_number(overtaking->world, LEASE_EPOCH);
    Error err = {0};
    if (overtaking->is_revert)
        ck_assert_ok(operation_revert(overtaking->platform, event->id, &err), &err);
    else
        ck_assert_ok(operation_resume(overtaking->platform, event->id, &err), &err);
}

TEST(a_stale_holder_can_write_neither_into_the_cell_nor_into_the_record)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    CLEANUP(platform_close) Platform *second = test_world_platform(&world, 0);
    Overtaking overtaking = {.world = &world, .platform = second, .step = "settings"};
    TenantSpec spec = test_world_spec(&world, "shop");
    platform_observe(world.platform, overtake, &overtaking);
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_BUSY, "another process");
    error_clear(&err);
    platform_observe(world.platform, NULL, NULL);
    test_world_check(&world, "shop", "overtaken");

    int64_t number = control_number(&world, "select number from control.tenants");
    check_functions_refuse(world.cell, world.arena, overtaking.id, overtaking.epoch, "cell", 6);
    check_functions_refuse(world.control, world.arena, overtaking.id, overtaking.epoch, "control", 10);
    ck_assert(!tenant_drop(world.cell, overtaking.id, overtaking.epoch, number, &err));
    ck_assert_says(&err, ERR_BUSY, "another process");
    test_world_check(&world, "shop", "written by a stale holder");
    test_world_close(&world);
}

TEST(an_older_operation_cannot_write_over_a_newer_one)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "suspended");
    Str number = control_text(&world, "select number from control.tenants");
    Str epoch = test_value(world.cell, world.arena, "select epoch from cell.tenants where slug = 'shop'");
    Str operation = test_value(world.cell, world.arena, "select operation from cell.tenants where slug = 'shop'");
    Str before = str_format(world.arena, "%lld",
                            (long long)(control_number(&world, "select last_value from "
                                                               "control.epochs") -
                                        1));
    static const Str SET = S("select cell.tenant_state_set($1::bigint, $2::bigint, $3::bigint, 'active')");
    ck_assert(!db_run(world.cell, SET, PARAMS(S("1"), before, number), &err));
    char wrote[64];
    (void)snprintf(wrote, sizeof(wrote), "operation %.*s wrote it since", STR_ARG(operation));
    ck_assert_says(&err, ERR_BUSY, wrote);
    error_clear(&err);
    ck_assert_ok(db_run(world.cell, S("select cell.tenant_state_set($1::bigint, $2::bigint, $3::bigint, 'suspended')"),
                        PARAMS(operation, epoch, number), &err),
                 &err);
    test_world_check(&world, "shop", "older writes refused");
    test_world_close(&world);
}

TEST(the_fence_waits_for_a_write_that_is_under_way)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    CLEANUP(db_close) Db *slow = test_db_open(world.cell_dsn);
    run_sql(slow, "begin; select cell.epoch_check(7, 10)");
    run_sql(world.cell, "set lock_timeout = '100ms'");
    ck_assert(!db_run(world.cell, S("select cell.fence_raise(7, 11)"), NO_PARAMS, &err));
    ck_assert_says(&err, ERR_BUSY, "lock");
    error_clear(&err);
    run_sql(slow, "commit");
    run_sql(world.cell, "select cell.fence_raise(7, 11)");
    ck_assert(!db_run(slow, S("select cell.epoch_check(7, 10)"), NO_PARAMS, &err));
    ck_assert_says(&err, ERR_BUSY, "operation 7 is another process's now");
    error_clear(&err);
    run_sql(world.cell, "select cell.fence_raise(7, 9)");    // one that is late lowers nothing
    ck_assert(!db_run(slow, S("select cell.epoch_check(7, 10)"), NO_PARAMS, &err));
    run_sql(slow, "select cell.epoch_check(7, 11); select cell.epoch_check(8, 1)");
    test_world_close(&world);
}

// ---- taking up what others left

// An operation of a process on another machine, of which nobody knows whether it lives.
static int64_t begin_elsewhere(TestWorld *world, const char *kind, const char *slug, const char *from, const char *to)
{
    Str sql = str_format(world->arena,
                         "select id from control.operation_begin('%s', '%s', '{\"from\": \"%s\", \"to\": \"%s\"}', "
                         "'{cell,record}', 'elsewhere 1 1', 'tester')",
                         kind, slug, from, to);
    return control_number(world, sql.data);
}

static void be_silent(TestWorld *world, int seconds)
{
    Str sql = str_format(world->arena, "update control.leases set heard_at = clock_timestamp() - interval '%d seconds'",
                         seconds);
    run_sql(world->control, sql.data);
}

TEST(the_controller_takes_up_what_was_silent_for_its_time_and_nothing_earlier)
{
    TestWorld world;
    Error err = {0};
    int64_t id = 0;
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    int64_t left = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    be_silent(&world, 50);
    ck_assert_ok(operation_adopt(world.platform, &id, &err), &err);
    ck_assert_int_eq(id, 0);
    be_silent(&world, 61);
    Str beat = str_format(world.arena, "select control.operation_beat(%lld, (%s))", (long long)left, LEASE_EPOCH);
    run_sql(world.control, beat.data);    // it lives
    ck_assert_ok(operation_adopt(world.platform, &id, &err), &err);
    ck_assert_int_eq(id, 0);
    ck_assert(!tenant_suspend(world.platform, test_slug("shop"), &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    error_clear(&err);
    be_silent(&world, 61);
    ck_assert_ok(operation_adopt(world.platform, &id, &err), &err);
    ck_assert_int_eq(id, left);
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));
    test_world_check(&world, "shop", "adopted");
    ck_assert_ok(operation_adopt(world.platform, &id, &err), &err);
    ck_assert_int_eq(id, 0);

    // Between its look and its taking somebody else may have gone on: the lock decides.
    left = begin_elsewhere(&world, "resume", "shop", "suspended", "active");
    Str take =
        str_format(world.arena, "select control.operation_take(%lld, 'controller', 60000, null)", (long long)left);
    ck_assert(!db_run(world.control, take, NO_PARAMS, &err));
    ck_assert_says(&err, ERR_BUSY, "is under way");
    error_clear(&err);
    be_silent(&world, 61);
    ck_assert_ok(tenant_resume(world.platform, test_slug("shop"), &err), &err);    // the same command goes on as well
    ck_assert_int_eq(newest_id(&world), left);
    test_world_check(&world, "shop", "gone on with");
    test_world_close(&world);
}

TEST(resume_and_revert_come_before_the_holder_and_the_controller)
{
    TestWorld world;
    Error err = {0};
    int64_t id = 0;
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    ck_assert_ok(
        operation_resume(world.platform, begin_elsewhere(&world, "suspend", "shop", "active", "suspended"), &err),
        &err);
    ck_assert_str(control_text(&world, NEWEST), S("suspend done 2: cell done, record done"));
    ck_assert_ok(
        operation_revert(world.platform, begin_elsewhere(&world, "resume", "shop", "suspended", "active"), &err), &err);
    ck_assert_str(control_text(&world, NEWEST), S("resume reverted 2: cell reverted, record reverted"));
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));
    test_world_check(&world, "shop", "resumed and reverted");

    // The controller is in the middle of it.
    CLEANUP(platform_close) Platform *controller = test_world_platform(&world, QUICK_MS);
    Overtaking overtaking = {.world = &world, .platform = world.platform, .step = "record", .is_revert = true};
    platform_observe(controller, overtake, &overtaking);
    int64_t left = begin_elsewhere(&world, "resume", "shop", "suspended", "active");
    be_silent(&world, 1);
    ck_assert(!operation_adopt(controller, &id, &err));
    ck_assert_int_eq(id, left);
    ck_assert_says(&err, ERR_BUSY, "another process");
    error_clear(&err);
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));
    test_world_check(&world, "shop", "taken from the controller");
    ck_assert_ok(operation_adopt(controller, &id, &err), &err);
    ck_assert_int_eq(id, 0);
    test_world_close(&world);
}

TEST(what_has_ended_or_is_unknown_is_not_gone_on_with)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    bool (*const ACTS[])(Platform * platform, int64_t id, Error * err) = {operation_resume, operation_revert};
    for (size_t i = 0; i < COUNT(ACTS); i++) {
        ck_assert(!ACTS[i](world.platform, newest_id(&world), &err));
        ck_assert_says(&err, ERR_STATE, "it has ended");
        error_clear(&err);
        ck_assert(!ACTS[i](world.platform, 4711, &err));
        ck_assert_says(&err, ERR_NOT_FOUND, "there is no operation 4711");
        error_clear(&err);
    }
    int64_t id = begin_elsewhere(&world, "teleport", "shop", "here", "there");
    ck_assert(!operation_resume(world.platform, id, &err));
    ck_assert_says(&err, ERR_STATE, "'teleport'");
    test_world_close(&world);
}

// ---- --dry-run

// All that the control database and the cell record.
static Str everything(TestWorld *world)
{
    static const char CONTROL[] =
        "select concat((select string_agg(t::text, ';') from control.tenants t), (select string_agg(o::text, ';') from "
        "control.operations o), (select string_agg(s::text, ';') from control.operation_steps s), (select "
        "string_agg(l::text, ';') from control.leases l))";
    static const char CELL[] = "select concat((select string_agg(t::text, ';') from cell.tenants t), (select "
                               "string_agg(f::text, ';') from cell.fences f))";
    return str_format(world->arena, "%.*s;%.*s", STR_ARG(control_text(world, CONTROL)),
                      STR_ARG(test_value(world->cell, world->arena, CELL)));
}

static void check_preview(TestWorld *world, int64_t id, bool is_revert, const char *key, const char *wanted)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    Str before = everything(world), steps = S("");
    ck_assert_ok(operation_preview(world->platform, id, is_revert, &answer, &err), &err);
    ck_assert_ok(json_print(json_get(answer, key), 0, world->arena, &steps, &err), &err);
    ck_assert_str(steps, str_of(wanted));
    ck_assert_str(everything(world), before);
}

static void check_preview_refused(TestWorld *world, int64_t id, bool is_revert, ErrorCode code, const char *says)
{
    Error err = {0};
    Json *answer = NULL;
    Str before = everything(world);
    ck_assert(!operation_preview(world->platform, id, is_revert, &answer, &err));
    ck_assert_says(&err, code, says);
    ck_assert_ptr_null(answer);
    ck_assert_str(everything(world), before);
}

TEST(what_would_be_done_is_what_the_world_says_is_not)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    int64_t id = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    check_preview(&world, id, false, "would_do", "[\"cell\",\"record\"]");
    check_preview(&world, id, true, "would_revert", "[\"cell\"]");
    ck_assert_ok(operation_revert(world.platform, id, &err), &err);
    check_preview_refused(&world, id, false, ERR_STATE, "it has ended");
    check_preview_refused(&world, id, true, ERR_STATE, "it has ended");
    check_preview_refused(&world, 4711, false, ERR_NOT_FOUND, "there is no operation 4711");

    run_sql(world.cell, "update cell.tenants set state = 'suspended' where slug = 'shop'");
    id = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    check_preview(&world, id, false, "would_do", "[\"record\"]");
    ck_assert_ok(operation_resume(world.platform, id, &err), &err);
    test_world_check(&world, "shop", "suspended as it was said");

    id = begin_elsewhere(&world, "delete", "shop", "suspended", "deleted");
    run_sql(world.control, "update control.operations set input = '{\"dump\": \"/nowhere\"}' where state = 'running'");
    check_preview(&world, id, false, "would_do", "[\"dump\",\"unregister\",\"drop\",\"forget\"]");
    run_sql(world.cell, "delete from cell.domains; update cell.tenants set number = -number where slug = 'shop'");
    check_preview_refused(&world, id, true, ERR_STATE, "its step 'drop' is done, which only goes forward");
    run_sql(world.control, "update control.operations set kind = 'teleport' where state = 'running'");
    check_preview_refused(&world, id, false, ERR_STATE, "'teleport'");
    test_world_close(&world);
}

// ---- steps that fail

TEST(a_step_that_fails_is_tried_five_times_and_then_taken_back)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    ck_assert_ok(cell_add(world.platform, &(CellSpec){.name = S("main"), .url = S("http://127.0.0.1:1")}, &err), &err);
    CLEANUP(platform_close) Platform *controller = NULL;
    ck_assert_ok(
        platform_open_with(
            &(PlatformOptions){.control_dsn = world.control_dsn, .smoke_ms = SMOKE_MS, .takeover_ms = QUICK_MS},
            &controller, &err),
        &err);
    TenantSpec spec = test_world_spec(&world, "mute");
    ck_assert(!tenant_create(controller, &spec, NULL, &err));
    int64_t id = newest_id(&world), adopted = 0;
    for (int64_t attempt = 1;; attempt++) {
        ck_assert_says(&err, ERR_UNREACHABLE, "'mute' doesn't answer");
        ck_assert_msg(error_says(&err, "shopctl operation resume"), "%s", err.next);
        error_clear(&err);
        ck_assert_str(control_text(&world, NEWEST),
                      str_format(world.arena,
                                 "create failed %lld: reserve done, spare done, settings done, register done, smoke "
                                 "failed, activate pending",
                                 (long long)attempt));
        ck_assert_str(test_world_status(&world, "mute"), S("provisioning"));
        clock_sleep_ms(QUICK_MS * 2);
        if (attempt == ATTEMPTS)
            break;
        ck_assert(!operation_adopt(controller, &adopted, &err));
        ck_assert_int_eq(adopted, id);
    }
    ck_assert_ok(operation_adopt(controller, &adopted, &err), &err);
    ck_assert_int_eq(adopted, id);
    ck_assert_str(test_world_status(&world, "mute"), S(""));
    ck_assert_str(control_text(&world, "select state || ' ' || is_revert from control.operations"), S("reverted true"));
    test_world_check(&world, "mute", "given up");
    ck_assert_ok(operation_adopt(controller, &adopted, &err), &err);
    ck_assert_int_eq(adopted, 0);
    test_world_close(&world);
}

TEST(also_one_that_was_resumed_by_hand_is_given_up_in_the_end)
{
    TestWorld world;
    Error err = {0};
    int64_t adopted = 0;
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    CLEANUP(platform_close) Platform *controller = test_world_platform(&world, QUICK_MS);
    int64_t id = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    run_sql(world.control, "update control.operations set attempts = 8 where state = 'running'");
    run_sql(world.cell, "create function cell.busy() returns trigger language plpgsql as $$ begin if new.state = "
                        "'suspended' then perform cell.refuse('busy', 'not now'); end if; return new; end $$; create "
                        "trigger busy before update on cell.tenants for each row execute function cell.busy()");
    be_silent(&world, 1);
    ck_assert(!operation_adopt(controller, &adopted, &err));
    ck_assert_says(&err, ERR_BUSY, "not now");
    error_clear(&err);
    clock_sleep_ms(QUICK_MS * 2);
    ck_assert_ok(operation_adopt(controller, &adopted, &err), &err);
    ck_assert_int_eq(adopted, id);
    ck_assert_str(control_text(&world, NEWEST), S("suspend reverted 10: cell reverted, record reverted"));
    run_sql(world.cell, "drop trigger busy on cell.tenants; drop function cell.busy()");
    ck_assert_str(test_world_status(&world, "shop"), S("active"));
    test_world_check(&world, "shop", "given up");
    test_world_close(&world);
}

TEST(a_revert_that_fails_keeps_its_tenant_and_goes_on_backward)
{
    TestWorld world;
    Error err = {0};
    int64_t adopted = 0;
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    int64_t id = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    break_cell(&world);
    ck_assert(!operation_revert(world.platform, id, &err));
    ck_assert_says(&err, ERR_FAILED, "the step 'cell' can't be taken back");
    error_clear(&err);
    ck_assert_str(control_text(&world, NEWEST), S("suspend failed 2: cell failed, record reverted"));
    ck_assert_str(control_text(&world, "select concat(is_revert, ' ', error ->> 'what') from control.operations order "
                                       "by id desc limit 1"),
                  S("t the step 'cell' can't be taken back"));
    ck_assert(!tenant_set(world.platform, test_slug("shop"), &(TenantChange){.name = S("Other")}, &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    error_clear(&err);
    CLEANUP(platform_close) Platform *controller = test_world_platform(&world, QUICK_MS);
    clock_sleep_ms(QUICK_MS * 2);
    ck_assert(!operation_adopt(controller, &adopted, &err));
    ck_assert_int_eq(adopted, id);
    error_clear(&err);
    mend_cell(&world);
    ck_assert_ok(operation_resume(world.platform, id, &err), &err);
    ck_assert_str(control_text(&world, NEWEST), S("suspend reverted 4: cell reverted, record reverted"));
    ck_assert_str(test_world_status(&world, "shop"), S("active"));
    test_world_check(&world, "shop", "reverted in the end");
    test_world_close(&world);
}

// ---- what steps and commands ask of the engine

TEST(what_a_dead_process_left_is_finished_before_the_same_is_begun)
{
    TestWorld world;
    Error err = {0};
    int64_t id = 0;
    CLEANUP(json_close) Json *input = json_build("{s:s, s:s}", "from", "active", "to", "suspended");
    OperationSpec spec = {.driver = &TENANT_SUSPEND, .slug = S("shop"), .input = input};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    int64_t left = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    ck_assert(!operation_run(world.platform, &spec, &id, &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    error_clear(&err);
    be_silent(&world, SILENT_S);
    ck_assert_ok(operation_run(world.platform, &spec, &id, &err), &err);
    ck_assert_int_eq(id, left);
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));

    test_world_bring(&world, "shop", "active");
    left = begin_elsewhere(&world, "suspend", "shop", "active", "suspended");
    run_sql(world.control, "update control.operations set is_revert = true where state = 'running'");
    be_silent(&world, SILENT_S);
    ck_assert_ok(operation_run(world.platform, &spec, &id, &err), &err);
    ck_assert_int_gt(id, left);
    ck_assert_str(test_world_status(&world, "shop"), S("suspended"));
    ck_assert_str(control_text(&world, "select string_agg(state, ' ' order by id) from control.operations where kind = "
                                       "'suspend'"),
                  S("done reverted done"));
    test_world_check(&world, "shop", "suspended after all");
    test_world_close(&world);
}

TEST(a_long_step_is_heard_of_once_in_a_while_until_another_takes_over)
{
    static const char HEARD[] =
        "select (heard_at > clock_timestamp() - interval '5 seconds')::text from control.leases";
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "operation", false);
    test_world_bring(&world, "shop", "active");
    Operation long_one = {.platform = world.platform,
                          .id = begin_elsewhere(&world, "suspend", "shop", "active", "suspended"),
                          .epoch = control_number(&world, "select epoch from control.leases"),
                          .beat_ms = clock_ms() - SILENT_S * INT64_C(1000)};
    be_silent(&world, SILENT_S);
    ck_assert_ok(operation_beat(&long_one, &err), &err);
    ck_assert_str(control_text(&world, HEARD), S("true"));
    be_silent(&world, SILENT_S);
    ck_assert_ok(operation_beat(&long_one, &err), &err);    // it was heard of just now
    ck_assert_str(control_text(&world, HEARD), S("false"));
    long_one.beat_ms -= SILENT_S * INT64_C(1000);
    long_one.epoch--;
    ck_assert(!operation_beat(&long_one, &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    test_world_close(&world);
}

SUITE(operation, ONCE(the_record_speaks_before_and_after_each_step), ONCE(a_tenant_has_one_operation_at_a_time),
      ONCE(a_stale_holder_can_write_neither_into_the_cell_nor_into_the_record),
      ONCE(an_older_operation_cannot_write_over_a_newer_one), ONCE(the_fence_waits_for_a_write_that_is_under_way),
      ONCE(the_controller_takes_up_what_was_silent_for_its_time_and_nothing_earlier),
      ONCE(resume_and_revert_come_before_the_holder_and_the_controller),
      ONCE(what_has_ended_or_is_unknown_is_not_gone_on_with), ONCE(what_would_be_done_is_what_the_world_says_is_not),
      ONCE(a_step_that_fails_is_tried_five_times_and_then_taken_back),
      ONCE(also_one_that_was_resumed_by_hand_is_given_up_in_the_end),
      ONCE(a_revert_that_fails_keeps_its_tenant_and_goes_on_backward),
      ONCE(what_a_dead_process_left_is_finished_before_the_same_is_begun),
      ONCE(a_long_step_is_heard_of_once_in_a_while_until_another_takes_over))
