// tests/test_own_move.c: shops go to a cell of their own, back, and from host to host, between real engines.
#include "provisioner/move_driver.h"
#include "provisioner/tenant_move.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"
#include "tests/support/pg_server.h"
#include "tests/support/step_moment.h"

static OwnShops shops;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }
static Str value(const char *sql) { return test_value(shops.runner.world.control, shops.runner.world.arena, sql); }
static Str cell_value(const char *sql) { return test_value(shops.runner.world.cell, shops.runner.world.arena, sql); }
static size_t things(void) { return own_shops_things(&shops, "bazar"); }

// A customer more, wherever the shop lives.
static void mark(const char *name)
{
    Str number = value("select (control.tenant_of('bazar')).number");
    if (str_eq(value("select (control.tenant_of('bazar')).cell"), S("main")))
        (void)cell_value(
            LINE("insert into t_%s.customers (email) values ('%s@buyer.example') returning id", number.data, name));
    else
        (void)run(0, LINE("tenant psql bazar --command insert\tinto\tcustomers\t(email)\tvalues\t('%s@buyer.example')",
                          name));
}

static void check_marks(const char *count)
{
    Str number = value("select (control.tenant_of('bazar')).number");
    if (str_eq(value("select (control.tenant_of('bazar')).cell"), S("main")))
        ck_assert_str(cell_value(LINE("select count(*) from t_%s.customers", number.data)), str_of(count));
    else
        ck_assert_contains(run(0, "tenant psql bazar --command select\tcount(*)\tfrom\tcustomers"), str_of(count));
}

static void check_lives(const char *plan, size_t parts)
{
    ck_assert_contains(run(0, "tenant show bazar -o json"), str_of(LINE("\"plan\": \"%s\"", plan)));
    ck_assert_int_eq(own_shops_status(&shops, "bazar", "/"), 200);
    ck_assert_uint_eq(things(), parts);
    ck_assert_str(value("select count(*) from control.leases"), S("0"));
}

// What a shop leaves in the shared cell and its cluster.
static void check_shared_is_empty(void)
{
    ck_assert_str(cell_value("select count(*) from cell.tenants where state <> 'spare'"), S("0"));
    ck_assert_str(cell_value("select count(*) from pg_replication_slots where database = current_database()"), S("0"));
    ck_assert_str(cell_value("select count(*) from pg_publication"), S("0"));
    ck_assert_str(value("select placed from control.cells where name = 'main'"), S("0"));
}

TEST(a_shop_gets_a_cell_of_its_own_and_goes_back_with_all_that_it_has)
{
    own_shops_open(&shops, HOST_SSH);
    (void)run(0, "tenant create bazar --plan free --email a@b.example");
    mark("first");
    ck_assert_contains(run(0, "tenant set-plan bazar own --dry-run"), S("hold"));
    Str moved = run(0, "tenant set-plan bazar own -o json");
    static const char *const SAYS[] = {"\"rows\": ",           "\"bytes\": ",       "\"checksums_equal\": true",
                                       "\"write_pause_ms\": ", "\"duration_ms\": ", "\"is_pending\": true"};
    for (size_t i = 0; i < COUNT(SAYS); i++)
        ck_assert_contains(moved, str_of(SAYS[i]));
    check_lives("own", 5);
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("\"kept_cell\": \"main\""));
    ck_assert_contains(run(0, "doctor -o json"), S("\"problems\": []"));
    mark("second");
    check_marks("2");
    ck_assert_contains(run(1, "tenant move bazar"), S("isn't finished"));
    ck_assert_contains(run(0, "tenant move bazar --rollback -o json"), S("\"checksums_equal\": true"));
    check_lives("free", 0);
    check_marks("2");

    (void)run(0, "tenant set-plan bazar own");
    (void)run(0, "tenant move bazar --finalize");
    check_lives("own", 5);
    check_marks("2");
    check_shared_is_empty();
    ck_assert_contains(run(0, "doctor -o json"), S("\"problems\": []"));

    (void)run(0, "tenant set-plan bazar free");
    mark("third");
    (void)run(0, "tenant move bazar --finalize");
    check_lives("free", 0);
    check_marks("3");
    own_shops_close(&shops);
}

TEST(a_drained_host_has_no_shops_and_can_be_removed)
{
    EngineServer there = {0};
    own_shops_open(&shops, HOST_UNIX);
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    mark("first");
    ck_assert_contains(run(1, "tenant move bazar"), S("is where it lives"));
    ck_assert_contains(run(2, "host drain here --dry-run -o json"), S("no host has room"));
    ck_assert_contains(run(2, "host drain here -o json"), S("no host has room"));
    check_lives("own", 5);
    // A move on the same host keeps a place there, too.
    (void)run(0, "host drain here --undo");
    (void)run(0, "tenant move bazar --host here");
    check_lives("own", 10);
    ck_assert_contains(run(1, "host remove here"), S("shops live on it: bazar"));
    engine_server_start(&there);
    (void)run(0, LINE("host add there %s --address %s", there.url.data, there.address.data));
    ck_assert_contains(run(0, "host drain here --dry-run -o json"), S("\"slug\": \"bazar\""));
    check_lives("own", 10);
    Str drained = run(0, "host drain here -o json");
    ck_assert_contains(drained, S("\"slug\": \"bazar\""));
    ck_assert_contains(drained, S("\"state\": \"draining\""));
    ck_assert_contains(drained, S("\"tenants\": 0"));
    check_lives("own", 0);    // of the engine "here"
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("\"host\": \"there\""));
    check_marks("1");
    (void)run(0, "host remove here");
    (void)run(0, "tenant suspend bazar");
    (void)run(0, "tenant archive bazar");
    (void)run(0, "tenant delete bazar --yes");
    own_shops_close(&shops);
    engine_server_remove(&there);
}

// ---- kills

// Around each step with TEST_ALL, else around some, resumed or taken back in turn.
TEST(a_set_plan_that_is_killed_goes_on_or_back)
{
    const Driver *driver = &TENANT_MOVE_DEDICATED;
    size_t turn = 0;
    own_shops_open(&shops, HOST_UNIX);
    (void)run(0, "tenant create bazar --plan free --email a@b.example");
    mark("first");
    for (size_t step = 0; step < driver->count; step += getenv("TEST_ALL") ? 1 : 6) {
        StepMoment moment = {.step = step, .phase = turn % 2 ? EVENT_BEFORE : EVENT_AFTER};
        own_shops_killed(&shops, OWN_KINDS[OWN_MOVE].act, moment);
        const char *id = value("select max(id) from control.operations").data;
        if (is_past_return(driver, moment) || turn++ % 2) {
            (void)run(0, LINE("operation resume %s", id));
            check_lives("own", 5);
            check_marks("1");
            (void)run(0, "tenant move bazar --rollback");
        } else {
            (void)run(0, LINE("operation revert %s", id));
        }
        check_lives("free", 0);
        check_marks("1");
        ck_assert_str(value("select count(*) from control.moves"), S("0"));
    }
    for (size_t step = getenv("TEST_ALL") ? 0 : 2; step < TENANT_FINALIZE_DEDICATED.count; step++) {
        (void)run(0, "tenant set-plan bazar own");
        (void)run(0, "tenant move bazar --finalize");
        (void)run(0, "tenant set-plan bazar free");
        own_shops_killed(&shops, OWN_KINDS[OWN_FINALIZE].act, (StepMoment){step, EVENT_AFTER});
        (void)run(0, "tenant move bazar --finalize");
        check_lives("free", 0);
        check_marks("1");
        ck_assert_str(value("select count(*) from control.cells"), S("1"));
    }
    own_shops_close(&shops);
}

SUITE(own_move, ONCE(a_shop_gets_a_cell_of_its_own_and_goes_back_with_all_that_it_has),
      ONCE(a_drained_host_has_no_shops_and_can_be_removed), ONCE(a_set_plan_that_is_killed_goes_on_or_back))
