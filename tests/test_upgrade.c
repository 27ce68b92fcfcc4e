// tests/test_upgrade.c: shops of their own get another shopd and another PostgreSQL while people buy.
#include "provisioner/container.h"
#include "provisioner/container_driver.h"
#include "provisioner/tenant_upgrade.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"
#include "tests/support/own_market.h"
#include "tests/support/pg_server.h"

enum { WAIT_MS = 15000, BUYERS = 4 };

static OwnShops shops;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }
static Str member(Str document, const char *path) { return command_member(&shops.runner, document, path); }
static Str value(const char *sql) { return test_value(shops.runner.world.control, shops.runner.world.arena, sql); }
static int status_of(const char *path) { return own_shops_status(&shops, "bazar", path); }

static void prepare(void)
{
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    own_shop_stock(&shops, "bazar");
}

static void open_all(void) { own_shops_borrow(&shops, prepare); }
static void close_all(void) { own_shops_give_back(); }

// ---- a shop that an older version made

static void age(bool has_postgres, bool has_shopd) { own_shops_age(&shops, has_postgres, has_shopd); }

// Where the shop's containers are as this version makes them, nothing is to be done.
static void check_new(const char *moment)
{
    ck_assert_str(member(run(0, "tenant upgrade bazar --dry-run -o json"), "changes"), S("[]"));
    ck_assert_msg(status_of("/products/plenty") == 200, "%s: the shop doesn't answer", moment);
    ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: it isn't whole", moment);
    ck_assert_str(value("select count(*) from control.cells where port_next is not null"), S("0"));
    ck_assert_str(value("select count(*) from control.leases"), S("0"));
    ck_assert_msg(str_eq(own_shops_mended(&shops, ERR_NONE, ""), S("[]")), "%s: something had to be mended", moment);
}

static Str cell_url(void) { return value("select url from control.cells where host is not null"); }

TEST(what_another_version_made_is_replaced_and_what_is_new_stays)
{
    open_all();
    Str url = cell_url();
    Str same = run(0, "tenant upgrade bazar -o json");
    ck_assert_str(member(same, "changed"), S("false"));
    ck_assert_str(member(same, "changes"), S("[]"));
    ck_assert_contains(run(66, "tenant upgrade nobody"), S("there is no tenant"));
    (void)run(0, "tenant create stall --plan free --email a@b.example");
    ck_assert_contains(run(1, "tenant upgrade stall"), S("has no containers of its own"));
    ck_assert_contains(run(64, "tenant upgrade"), S("no shop is named"));
    ck_assert_contains(run(64, "tenant upgrade bazar --all"), S("goes without a shop"));

    age(true, true);
    ck_assert_contains(run(0, "tenant upgrade bazar --dry-run"),
                       S("postgres: shopctl/postgres:old -> shopctl/postgres:"));
    ck_assert_str(value("select count(*) from control.operations where kind = 'upgrade'"), S("0"));
    Str changed = run(0, "tenant upgrade --all -o json");
    ck_assert_str(member(changed, "total"), S("1"));
    ck_assert_str(member(changed, "items.0.changed"), S("true"));
    ck_assert_str(member(changed, "items.0.changes.1.key"), S("\"shopd\""));
    ck_assert_str(member(changed, "items.0.url"), str_of(LINE("\"%s\"", url.data)));
    ck_assert_str_ne(member(changed, "items.0.write_pause_ms").data, "0");
    ck_assert_str_ne(member(changed, "items.0.away_ms").data, "0");
    check_new("upgraded");
    ck_assert_contains(run(0, "doctor"), S("0 problems"));

    // shopd alone, at another port and back.
    for (int i = 0; i < 2; i++) {
        age(false, true);
        changed = run(0, "tenant upgrade bazar --new-port -o json");
        ck_assert_str(member(changed, "write_pause_ms"), S("0"));
        ck_assert_str(member(changed, "away_ms"), S("0"));
        ck_assert_int_eq(str_eq(cell_url(), url), i == 1);
        check_new("at another port");
    }
    close_all();
}

TEST(a_new_shopd_that_is_not_fit_is_taken_back)
{
    open_all();
    Str url = cell_url();
    (void)setenv("SHOPCTL_SHOPD", "/bin/false", 1);
    ck_assert_contains(run(1, "tenant upgrade bazar"), S("the new shopd of the shop 'bazar' isn't ready"));
    (void)setenv("SHOPCTL_SHOPD", LINE("%s/bin/shopd", getenv("TEST_BUILD")), 1);
    ck_assert_str(value("select state from control.operations order by id desc limit 1"), S("reverted"));
    ck_assert_str(cell_url(), url);
    check_new("taken back");
    close_all();
}

// ---- behind the gateway

static OwnGateway gateway;

static Buyers *buyers_open(void) { return own_buyers_open(&gateway, "bazar", BUYERS); }
static size_t buyers_end(Buyers **buyers) { return own_buyers_end(&shops, "bazar", buyers); }

// The same program with its path at its end is another version.
static void version_make(int number)
{
    Error err = {0};
    Str output, directory = str_of(LINE("%s/%d", shops.runner.world.data.data, number));
    const char *argv[] = {
        "sh", "-c",           "mkdir \"$1\" && cp \"$2/bin/shopd\" \"$1\" && echo \"$1\" >>\"$1/shopd\"",
        "sh", directory.data, getenv("TEST_BUILD"),
        NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, WAIT_MS, shops.runner.world.arena, &output, &err), &err);
    (void)setenv("SHOPCTL_SHOPD", LINE("%s/shopd", directory.data), 1);
}

TEST(behind_the_gateway_no_request_is_lost)
{
    enum { VERSIONS = 2 };
    open_all();
    own_gateway_open(&gateway, &shops);
    Str url = cell_url();
    Buyers *buyers = buyers_open();
    for (int i = 0; i < VERSIONS; i++) {
        version_make(i);
        Str changed = run(0, "tenant upgrade bazar -o json");
        ck_assert_str(member(changed, "changed"), S("true"));
        ck_assert_str(member(changed, "away_ms"), S("0"));
        ck_assert_int_eq(str_eq(cell_url(), url), i == 1);
    }
    ck_assert_uint_eq(buyers_end(&buyers), 0);
    (void)setenv("SHOPCTL_SHOPD", LINE("%s/bin/shopd", getenv("TEST_BUILD")), 1);
    (void)run(0, "tenant upgrade bazar");
    own_gateway_close(&gateway);
    close_all();
}

TEST(postgresql_is_replaced_on_its_volume_and_no_order_is_lost)
{
    open_all();
    own_gateway_open(&gateway, &shops);
    Buyers *buyers = buyers_open();
    age(true, false);
    Str changed = run(0, "tenant upgrade bazar -o json"), changes = member(changed, "changes");
    ck_assert_str(member(changed, "changes.0.key"), S("\"postgres\""));
    ck_assert_uint_eq(str_find(changes, S("shopd\"")), changes.len);
    ck_assert_str_ne(member(changed, "write_pause_ms").data, "0");
    (void)buyers_end(&buyers);
    own_gateway_close(&gateway);
    close_all();
}

// ---- kills

// As before the upgrade: both containers are the older version's.
static void check_old(const char *moment)
{
    Str would = run(0, "tenant upgrade bazar --dry-run -o json");
    ck_assert_str(member(would, "changes.0.from"), S("\"shopctl/postgres:old\""));
    ck_assert_str(member(would, "changes.1.from"), S("\"shopctl/shopd:old\""));
    ck_assert_msg(status_of("/products/plenty") == 200, "%s: the shop doesn't answer", moment);
    ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: something is left", moment);
    ck_assert_str(value("select count(*) from control.cells where port_next is not null"), S("0"));
}

typedef enum Then { REVERTED, RESUMED, REPEATED } Then;

static const struct {
    const char *step;
    EventPhase phase;
    bool is_moved;
    Then then;
} KILLS[] = {
    // torture_own_shops has all of them
    {"postgres", EVENT_AFTER, false, REVERTED}, {"ready", EVENT_BEFORE, false, REVERTED},
    {"switch", EVENT_AFTER, true, REVERTED},    {"leave", EVENT_AFTER, true, RESUMED},
    {"takeover", EVENT_BEFORE, true, REPEATED}, {"takeover", EVENT_AFTER, false, RESUMED},
};

static size_t step_of(const char *name)
{
    size_t at = 0;
    while (strcmp(CONTAINER_UPGRADE.steps[at].name, name) != 0)
        ck_assert_uint_lt(++at, CONTAINER_UPGRADE.count);
    return at;
}

TEST(an_upgrade_that_is_killed_goes_on_or_back)
{
    open_all();
    age(true, true);
    for (size_t i = 0; i < COUNT(KILLS); i += getenv("TEST_ALL") ? 1 : 3) {
        StepMoment moment = {step_of(KILLS[i].step), KILLS[i].phase};
        own_shops_killed(&shops, OWN_KINDS[KILLS[i].is_moved ? OWN_UPGRADE_MOVED : OWN_UPGRADE_IN_PLACE].act, moment);
        const char *id = value("select max(id) from control.operations").data;
        if (KILLS[i].then == REVERTED) {
            (void)run(0, LINE("operation revert %s", id));
            check_old(KILLS[i].step);
            continue;
        }
        bool is_past = moment.step == CONTAINER_UPGRADE.count - 1 && moment.phase == EVENT_AFTER;
        if (is_past_return(&CONTAINER_UPGRADE, moment))
            ck_assert_contains(run(1, LINE("operation revert %s", id)), S("only goes forward"));
        (void)run(0, KILLS[i].then == RESUMED ? LINE("operation resume %s", id) : "tenant upgrade bazar");
        check_new(KILLS[i].step);
        if (!is_past)
            age(true, true);
    }
    close_all();
}

SUITE(upgrade, ONCE(what_another_version_made_is_replaced_and_what_is_new_stays),
      ONCE(a_new_shopd_that_is_not_fit_is_taken_back), ONCE(behind_the_gateway_no_request_is_lost),
      ONCE(postgresql_is_replaced_on_its_volume_and_no_order_is_lost), ONCE(an_upgrade_that_is_killed_goes_on_or_back))
