// tests/test_move.c: shops that go to another cell and back while buyers buy: nothing is lost, and what goes wrong on
// the way leaves the shop where it was. test_kill kills each step.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/operation.h"
#include "provisioner/product_import.h"
#include "provisioner/tenant_move.h"
#include "provisioner/tenant_path.h"
#include "tests/support/buyers.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

enum { BUYERS = 8, MOVES = 6, BETWEEN_MS = 200, STOP_MS = 10000 };

static TestWorld world;

static void import(const char *slug)
{
    static const Str CATALOGUE =
        S("Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory Tracker,Variant Inventory Qty,"
          "Variant Inventory Policy\n"
          "scarce,Scarce,Title,Default Title,5.00,shopify,50,deny\n"
          "plenty,\"Plenty, \"\"quoted\"\" 'and' \\back\",Title,Default Title,7.00,shopify,1000000,deny\n");
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(64 * MIB);
    CLEANUP(db_close) Db *db = test_db_open(world.cell_dsn);
    ImportReport report = {0};
    int64_t number = 0;
    Str text =
        test_value(world.control, arena, str_format(arena, "select (control.tenant_of('%s')).number", slug).data);
    Str path = str_format(arena, "%.*s/catalogue.csv", STR_ARG(world.data));
    ck_assert_ok(file_write(path, CATALOGUE, 0644, &err), &err);
    ck_assert_ok(str_int64(text, 1, INT64_MAX, &number, &err) &&
                     product_import(db, number, path, &(ImportOptions){.skip_invalid = false}, arena, &report, &err),
                 &err);
    ck_assert(report.is_changed);
}

static void open_all(void)
{
    Error err = {0};
    test_world_open(&world, "move", true);
    test_world_open_other(&world);
    test_world_bring(&world, "acme", "active");
    ck_assert_ok(tenant_set(world.platform, test_slug("acme"),
                            &(TenantChange){.limit_names = {"requests_per_second"}, .limits = {0}, .limit_count = 1},
                            &err),
                 &err);
    import("acme");
}

static Str cell_of(const char *slug)
{
    return test_value(world.control, world.arena,
                      str_format(world.arena, "select (control.tenant_of('%s')).cell", slug).data);
}

// The test's own connection to the shop's cell, in the shop's schema.
static Db *schema_of(const char *slug)
{
    Error err = {0};
    Db *db = test_db_open(str_eq(cell_of(slug), S("main")) ? world.cell_dsn : world.other.dsn);
    Str number = test_value(world.control, world.arena,
                            str_format(world.arena, "select (control.tenant_of('%s')).number", slug).data);
    ck_assert_ok(db_script(db, str_format(world.arena, "set search_path = t_%.*s", STR_ARG(number)), &err), &err);
    return db;
}

static void check_moved(const Json *answer)
{
    ck_assert_int_eq(json_kind(json_get(answer, "checksums_equal")), JSON_KIND_TRUE);
    ck_assert_int_gt(json_int64(json_get(answer, "rows")), 0);
    ck_assert_int_gt(json_int64(json_get(answer, "bytes")), 0);
    ck_assert_int_ge(json_int64(json_get(answer, "duration_ms")), json_int64(json_get(answer, "write_pause_ms")));
}

static void move(const char *slug)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    ck_assert_ok(tenant_move(world.platform, test_slug(slug), &(TenantMove){.plan = NULL}, &answer, &err), &err);
    ck_assert_int_eq(json_kind(json_get(answer, "is_pending")), JSON_KIND_TRUE);
    check_moved(answer);
}

static void finalize(const char *slug)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    ck_assert_ok(tenant_move_finalize(world.platform, test_slug(slug), &answer, &err), &err);
    ck_assert_int_eq(json_kind(json_get(answer, "is_pending")), JSON_KIND_FALSE);
}

// Answers what was copied for it: nothing where the old place was brought up to date.
static int64_t roll_back(const char *slug)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    ck_assert_ok(tenant_move_rollback(world.platform, test_slug(slug), &answer, &err), &err);
    ck_assert_int_eq(json_kind(json_get(answer, "is_pending")), JSON_KIND_FALSE);
    return json_int64(json_get(answer, "bytes"));
}

TEST(a_shop_sells_on_while_it_moves_and_moves_back)
{
    open_all();
    const unsigned ports[] = {world.port, world.other.port};
    Buyers *buyers = buyers_start(BUYERS, "acme.localhost", ports, COUNT(ports));
    for (int i = 0; i < MOVES; i++) {
        size_t before = buyers_orders(buyers);
        while (buyers_orders(buyers) == before)
            clock_sleep_ms(BETWEEN_MS);
        move("acme");
        clock_sleep_ms(BETWEEN_MS);
        if (i % 2 == 0)
            finalize("acme");
        else
            ck_assert_int_eq(roll_back("acme"), 0);
        test_world_check(&world, "acme", "moved under load");
    }
    buyers_stop(buyers);
    CLEANUP(db_close) Db *db = schema_of("acme");
    buyers_check(buyers, db);
    buyers_close(&buyers);
    test_world_close(&world);
}

// ---- what goes wrong

typedef struct Moment {
    const char *step;
    EventPhase phase;
    void (*act)(void);
    bool is_done;
} Moment;

static void act_at(void *context, const Event *event)
{
    Moment *moment = context;
    if (!moment->is_done && event->step && event->phase == moment->phase && strcmp(event->step, moment->step) == 0) {
        moment->is_done = true;
        moment->act();
    }
}

static Str reserved_at_target(void)
{
    return test_value(world.other.db, world.arena, "select number from cell.tenants where state = 'reserved'");
}

static void change_the_copy(void)
{
    Error err = {0};
    ck_assert_ok(
        db_script(world.other.db,
                  str_format(world.arena, "update t_%.*s.products set vendor = 'another' where handle = 'plenty'",
                             STR_ARG(reserved_at_target())),
                  &err),
        &err);
}

static void lose_a_row_of_the_copy(void)
{
    Error err = {0};
    ck_assert_ok(db_script(world.other.db,
                           str_format(world.arena, "delete from t_%.*s.stock_movements", STR_ARG(reserved_at_target())),
                           &err),
                 &err);
}

// Where it was: an order is taken there.
static void check_it_sells(void)
{
    const unsigned ports[] = {world.port};
    Buyers *buyers = buyers_start(1, "acme.localhost", ports, COUNT(ports));
    while (buyers_orders(buyers) == 0)
        clock_sleep_ms(BETWEEN_MS);
    buyers_stop(buyers);
    buyers_close(&buyers);
}

static const struct {
    void (*act)(void);
    const char *says;
} SPOILED[] = {{change_the_copy, "checksums"}, {lose_a_row_of_the_copy, "rows of"}};

TEST(a_copy_that_differs_is_found_and_the_shop_stays_where_it_is)
{
    open_all();
    Error err = {0};
    Json *answer = NULL;
    Moment moment = {.step = "hold", .phase = EVENT_BEFORE, .act = SPOILED[_i].act};
    platform_observe(world.platform, act_at, &moment);
    ck_assert(!tenant_move(world.platform, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err));
    platform_observe(world.platform, NULL, NULL);
    ck_assert_says(&err, ERR_FAILED, SPOILED[_i].says);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check(&world, "acme", "after a copy that differed");
    check_it_sells();
    move("acme");
    test_world_check(&world, "acme", "moved after all");
    test_world_close(&world);
}

static void write_while_it_is_held(void)
{
    CLEANUP(arena_close) Arena *arena = arena_open(4 * MIB);
    CLEANUP(db_close) Db *db = test_db_open(world.cell_dsn);
    Error err = {0};
    int64_t number = 0;
    Str text = test_value(world.cell, arena, "select tenant from cell.gates");
    ck_assert_ok(str_int64(text, 1, INT64_MAX, &number, &err) && db_begin(db, &err), &err);
    ck_assert(!tenant_write_begin(db, number, &err));
    ck_assert_says(&err, ERR_BUSY, "is moving to another cell");
    ShopClient *client = shop_client_open(world.port, "acme.localhost");
    ShopAnswer page, cart;
    ck_assert(shop_call(client, &(ShopRequest){.method = "GET", .path = "/products/plenty"}, arena, &page));
    ck_assert_int_eq(page.status, 200);
    ck_assert(
        shop_call(client, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"}, arena, &cart));
    ck_assert_int_eq(cart.status, 503);
    ck_assert(shop_answer_header(&cart, S("Retry-After")).len > 0);
    ck_assert_contains(cart.body, S("busy"));
    shop_answer_close(&page);
    shop_answer_close(&cart);
    shop_client_close(&client);
}

TEST(while_it_is_held_pages_are_served_and_writers_are_told_to_come_again)
{
    open_all();
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    Moment moment = {.step = "switch", .phase = EVENT_BEFORE, .act = write_while_it_is_held};
    platform_observe(world.platform, act_at, &moment);
    ck_assert_ok(tenant_move(world.platform, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err), &err);
    platform_observe(world.platform, NULL, NULL);
    ck_assert(moment.is_done);
    test_world_check(&world, "acme", "moved while somebody wrote");
    test_world_close(&world);
}

static void stop_the_target(void) { test_world_stop_other(&world); }

// Nobody can say where the cell's shopd is, or something else is there.
static void target_set(const char *cell, const char *url)
{
    Error err = {0};
    ck_assert_ok(db_run(world.control, S("update control.cells set url = $2 where name = $1"),
                        PARAMS(str_of(cell), str_of(url)), &err),
                 &err);
}

static Str newest_state(void)
{
    return test_value(world.control, world.arena, "select state from control.operations order by id desc limit 1");
}

TEST(a_shop_is_not_held_for_a_target_that_does_not_answer)
{
    open_all();
    Error err = {0};
    Json *answer = NULL;
    CLEANUP(platform_close) Platform *hasty = NULL;
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn, .smoke_ms = 30}, &hasty, &err),
                 &err);
    Moment moment = {.step = "hold", .phase = EVENT_BEFORE, .act = stop_the_target};
    platform_observe(hasty, act_at, &moment);
    ck_assert(!tenant_move(hasty, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "the shopd of the cell 'other' doesn't answer");
    ck_assert_str(newest_state(), S("reverted"));
    check_it_sells();
    test_world_start_other(&world);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check(&world, "acme", "after a target that didn't answer");

    error_clear(&err);
    move("acme");
    test_world_mark(&world, "acme");
    target_set("main", "");    // the way back's
    ck_assert(!tenant_move_rollback(hasty, test_slug("acme"), &answer, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "shopctl cell add main --url");
    ck_assert_str(newest_state(), S("reverted"));
    error_clear(&err);
    target_set("main", str_format(world.arena, "%.*s/nothing", STR_ARG(world.url)).data);
    ck_assert(!tenant_move_rollback(hasty, test_slug("acme"), &answer, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "start it, then move the shop again");
    ck_assert_says(&err, ERR_UNREACHABLE, "it answers with status 404");
    ck_assert_str(newest_state(), S("reverted"));
    error_clear(&err);
    target_set("main", world.url.data);
    ck_assert_int_eq(process_stop(&world.shopd, SIGTERM, STOP_MS), true);
    ck_assert(!tenant_move_rollback(hasty, test_slug("acme"), &answer, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "the shopd of the cell 'main' doesn't answer");
    ck_assert_str(newest_state(), S("reverted"));
    ck_assert_str(cell_of("acme"), S("other"));
    ck_assert_str(test_value(world.other.db, world.arena,
                             "select count(*) from pg_replication_slots where database = current_database()"),
                  S("1"));    // what is written is kept for the next way back
    test_world_mark(&world, "acme");
    test_world_close(&world);
}

// ---- who writes in the cluster, in whatever database

// Lives as long as its thread: it ends its transaction once the move has named it and said that it is alive.
typedef struct Writer {
    Db *db;
    Str name;    // "process 4711 ("
    atomic_bool is_named, is_over;
} Writer;

static void named_by(void *context, const char *text)
{
    Writer *writer = context;
    if (str_find(str_of(text), writer->name) < strlen(text))
        writer->is_named = true;
}

static void writer_open(Writer *writer)
{
    Error err = {0};
    *writer = (Writer){.db = test_db_open(str_of(getenv("TEST_PG")))};
    ck_assert_ok(db_begin(writer->db, &err), &err);
    (void)test_value(writer->db, world.arena, "select pg_current_xact_id()");
    writer->name = str_format(world.arena, "process %d (", db_pid(writer->db));
}

static void *writer_end(void *context)
{
    static const char HEARD[] = "select coalesce(max(heard_at), 'epoch') from control.leases";
    Writer *writer = context;
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *control = test_db_open(world.control_dsn);
    while (!writer->is_named && !writer->is_over)
        clock_sleep_ms(BETWEEN_MS);
    Str heard = test_value(control, arena, HEARD);
    while (!writer->is_over && str_eq(test_value(control, arena, HEARD), heard))
        clock_sleep_ms(BETWEEN_MS);
    db_close(&writer->db);
    return NULL;
}

TEST(who_writes_is_waited_for_and_named_while_the_move_says_that_it_is_alive)
{
    open_all();
    Error err = {0};
    Writer writer;
    pthread_t thread;
    CLEANUP(json_close) Json *answer = NULL;
    writer_open(&writer);
    platform_warned(world.platform, named_by, &writer);
    ck_assert_int_eq(pthread_create(&thread, NULL, writer_end, &writer), 0);
    bool ok = tenant_move(world.platform, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err);
    writer.is_over = true;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ok(ok, &err);
    ck_assert(writer.is_named);
    test_world_check(&world, "acme", "moved after somebody wrote");
    test_world_close(&world);
}

static Writer endless;

static void begin_to_write(void) { writer_open(&endless); }

static const char *const MADE_SLOTS[] = {"copy", "hold"};    // the steps before which a writer appears

TEST(a_move_that_waits_in_vain_names_whom_and_is_taken_back)
{
    static const char LEFT[] =
        "select (select count(*) from pg_replication_slots where database = current_database()) + "
        "(select count(*) from pg_stat_activity where backend_type = 'walsender' and datname = current_database()) + "
        "(select count(*) from pg_publication)";
    open_all();
    Error err = {0};
    Json *answer = NULL;
    CLEANUP(platform_close) Platform *hasty = NULL;
    Moment moment = {.step = MADE_SLOTS[_i], .phase = EVENT_BEFORE, .act = begin_to_write};
    ck_assert_ok(
        platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn, .writers_ms = 3000}, &hasty, &err),
        &err);
    platform_observe(hasty, act_at, &moment);
    ck_assert(!tenant_move(hasty, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    ck_assert_msg(str_find(str_of(err.why), endless.name) < strlen(err.why), "%s", err.why);
    ck_assert_str(newest_state(), S("reverted"));
    ck_assert_str(test_value(world.cell, world.arena, LEFT), S("0"));
    check_it_sells();
    db_close(&endless.db);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check(&world, "acme", "after it waited in vain");
    error_clear(&err);
    move("acme");
    test_world_close(&world);
}

// An import that is under way is waited for, and what it wrote moves with the shop.
static Db *importer;
static pthread_t importing;

static void *import_end(void *context)
{
    Error err = {0};
    (void)context;
    clock_sleep_ms(2 * BETWEEN_MS);
    return db_commit(importer, &err) ? &importing : NULL;
}

static void import_begin(void)
{
    Error err = {0};
    int64_t number = 0;
    Str text = test_value(world.control, world.arena, "select (control.tenant_of('acme')).number");
    ck_assert_ok(str_int64(text, 1, INT64_MAX, &number, &err) && db_begin(importer, &err) &&
                     tenant_write_begin(importer, number, &err) &&
                     db_script(importer, S("insert into customers (email) values ('late@buyer.example')"), &err),
                 &err);
    ck_assert_int_eq(pthread_create(&importing, NULL, import_end, NULL), 0);
}

TEST(what_is_being_imported_moves_with_the_shop)
{
    open_all();
    void *is_committed = NULL;
    importer = schema_of("acme");
    Moment moment = {.step = "hold", .phase = EVENT_BEFORE, .act = import_begin};
    platform_observe(world.platform, act_at, &moment);
    move("acme");
    platform_observe(world.platform, NULL, NULL);
    ck_assert_int_eq(pthread_join(importing, &is_committed), 0);
    ck_assert_ptr_nonnull(is_committed);
    db_close(&importer);
    CLEANUP(db_close) Db *db = schema_of("acme");
    ck_assert_str(test_value(db, world.arena, "select count(*) from customers where email like 'late@%'"), S("1"));
    test_world_close(&world);
}

TEST(the_way_back_is_copied_anew_where_its_changes_are_lost)
{
    open_all();
    Error err = {0};
    move("acme");
    test_world_mark(&world, "acme");
    ck_assert_ok(db_script(world.other.db,
                           S("select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                             "where database = current_database()"),
                           &err),
                 &err);
    test_world_mark(&world, "acme");
    ck_assert_int_gt(roll_back("acme"), 0);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check_marked(&world, "acme", "rolled back by a copy");
    test_world_check(&world, "acme", "rolled back by a copy");
    test_world_close(&world);
}

static void old_place_run(const char *sql)
{
    Error err = {0};
    Str text =
        str_format(world.arena, "begin; set local search_path = t_%.*s; %s; commit",
                   STR_ARG(test_value(world.control, world.arena, "select source_number from control.moves")), sql);
    ck_assert_ok(db_script(world.cell, text, &err), &err);
}

static void roll_back_fails(ErrorCode code, const char *says)
{
    Error err = {0};
    Json *answer = NULL;
    ck_assert(!tenant_move_rollback(world.platform, test_slug("acme"), &answer, &err));
    ck_assert_says(&err, code, says);
    ck_assert_str(cell_of("acme"), S("other"));
}

TEST(a_copy_of_the_way_back_that_failed_is_not_taken_for_one)
{
    open_all();
    Error err = {0};
    move("acme");
    ck_assert_ok(db_script(world.other.db,
                           S("select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                             "where database = current_database()"),
                           &err),
                 &err);
    test_world_mark(&world, "acme");    // what the slot that is made next doesn't have
    old_place_run("alter table settings add constraint refused check (false) not valid");
    roll_back_fails(ERR_INVALID, "can't be copied");
    old_place_run("alter table settings drop constraint refused");
    ck_assert_int_gt(roll_back("acme"), 0);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check_marked(&world, "acme", "rolled back by a second copy");
    test_world_check(&world, "acme", "rolled back by a second copy");
    test_world_close(&world);
}

TEST(an_old_place_that_differs_is_copied_anew_by_the_next_try)
{
    open_all();
    move("acme");
    test_world_mark(&world, "acme");
    old_place_run("update products set vendor = 'another' where handle = 'plenty'");
    roll_back_fails(ERR_FAILED, "checksums");
    ck_assert_int_gt(roll_back("acme"), 0);
    ck_assert_str(cell_of("acme"), S("main"));
    test_world_check_marked(&world, "acme", "rolled back by a copy");
    test_world_check(&world, "acme", "rolled back by a copy");
    test_world_close(&world);
}

TEST(a_suspended_shop_moves_and_stays_suspended)
{
    open_all();
    test_world_bring(&world, "acme", "suspended");
    move("acme");
    ck_assert_str(test_world_status(&world, "acme"), S("suspended"));
    test_world_check(&world, "acme", "moved while it was suspended");
    test_world_close(&world);
}

// ---- what is refused

static void refused(const TenantMove *to, ErrorCode code, const char *says)
{
    Error err = {0};
    Json *answer = NULL;
    ck_assert(!tenant_move(world.platform, test_slug("acme"), to, &answer, &err));
    ck_assert_says(&err, code, says);
    error_clear(&err);
    ck_assert(!tenant_move_preview(world.platform, test_slug("acme"), to, &answer, &err));
    ck_assert_says(&err, code, says);
}

TEST(a_move_that_cannot_be_is_refused_and_changes_nothing)
{
    open_all();
    Error err = {0};
    Json *answer = NULL;
    refused(&(TenantMove){.cell = S("main")}, ERR_STATE, "lives in the cell 'main' already");
    refused(&(TenantMove){.cell = S("third")}, ERR_NOT_FOUND, "there is no cell 'third'");
    refused(&(TenantMove){.host = S("here")}, ERR_INVALID, "a host is refused");
    ck_assert_ok(db_script(world.control, S("update control.cells set url = '' where name = 'other'"), &err), &err);
    refused(&(TenantMove){.plan = NULL}, ERR_STATE, "no other cell has room");
    Str url = str_format(world.arena, "update control.cells set url = 'http://127.0.0.1:%u' where name = 'other'",
                         world.other.port);
    ck_assert_ok(db_script(world.control, url, &err), &err);
    finalize("acme");    // nothing is pending
    ck_assert_int_eq(roll_back("acme"), 0);
    test_world_check(&world, "acme", "after refusals");
    ck_assert_str(
        test_value(world.control, world.arena, "select count(*) from control.operations where kind like 'move%'"),
        S("0"));
    move("acme");
    refused(&(TenantMove){.plan = NULL}, ERR_STATE, "isn't finished");
    test_world_bring(&world, "acme", "archived");
    ck_assert(!tenant_delete(world.platform, test_slug("acme"), &err));
    ck_assert_says(&err, ERR_STATE, "--finalize");
    finalize("acme");
    test_world_bring(&world, "acme", "deleted");
    test_world_check(&world, "acme", "deleted after its move");
    error_clear(&err);
    ck_assert(!tenant_move(world.platform, test_slug("acme"), &(TenantMove){.plan = NULL}, &answer, &err));
    ck_assert_says(&err, ERR_STATE, "it is deleted");
    test_world_close(&world);
}

SUITE(move, ONCE(a_shop_sells_on_while_it_moves_and_moves_back),
      EACH(a_copy_that_differs_is_found_and_the_shop_stays_where_it_is, SPOILED),
      ONCE(while_it_is_held_pages_are_served_and_writers_are_told_to_come_again),
      ONCE(a_shop_is_not_held_for_a_target_that_does_not_answer),
      ONCE(who_writes_is_waited_for_and_named_while_the_move_says_that_it_is_alive),
      EACH(a_move_that_waits_in_vain_names_whom_and_is_taken_back, MADE_SLOTS),
      ONCE(what_is_being_imported_moves_with_the_shop), ONCE(the_way_back_is_copied_anew_where_its_changes_are_lost),

      ONCE(a_copy_of_the_way_back_that_failed_is_not_taken_for_one),
      ONCE(an_old_place_that_differs_is_copied_anew_by_the_next_try), ONCE(a_suspended_shop_moves_and_stays_suspended),
      ONCE(a_move_that_cannot_be_is_refused_and_changes_nothing))
