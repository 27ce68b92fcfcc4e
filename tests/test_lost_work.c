// tests/test_lost_work.c: what is no operation loses its connection to PostgreSQL with any one of its calls, or an
// arena or JSON of its is refused: it says so in an error that can be tried again, and is right when it is done again.
#include "base/arena.h"
#include "base/file.h"
#include "base/pg_pipe.h"
#include "provisioner/dump.h"
#include "provisioner/product_import.h"
#include "provisioner/schema_driver.h"
#include "provisioner/spare.h"
#include "tests/support/loss.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

static const LossStep WORKED[LOSS_COUNT] = {{7, 2}, {11, 7}, {97, 29}, {4, 2}, {3, 1}};

enum { IMPORTED = 1 };    // the product that an import brings

static bool closed(bool ok, Json **answer)
{
    json_close(answer);
    return ok;
}

static TenantSpec spec_whole(const TestWorld *world, const char *slug, const Json *colors, const Json *shipping)
{
    static const Str HOST = S("new.example");
    TenantSpec spec = test_world_spec(world, slug);
    spec.cell = S("main");
    spec.logo = S("https://new.example/logo.svg");
    spec.payment_instructions = S("Bank");
    spec.colors = colors;
    spec.shipping = shipping;
    spec.domains = &HOST;
    spec.domain_count = 1;
    return spec;
}

#define COLORS json_build("{s:s}", "primary", "#8a3f26")
#define SHIPPING json_build("{s:s}", "standard", "4.90")

static bool create_preview(Platform *platform, const TestWorld *world, Error *err)
{
    Json *answer = NULL;
    CLEANUP(json_close) Json *colors = COLORS;
    CLEANUP(json_close) Json *shipping = SHIPPING;
    TenantSpec spec = spec_whole(world, "new", colors, shipping);
    return closed(tenant_create_preview(platform, &spec, &answer, err), &answer);
}

static bool request_preview(Platform *platform, const TestWorld *world, Error *err)
{
    Json *answer = NULL;
    TenantSpec spec = test_world_spec(world, "new");
    return closed(tenant_request_preview(platform, &spec, &answer, err), &answer);
}

static bool place_check(Platform *platform, const TestWorld *world, Error *err)
{
    TenantSpec spec = spec_whole(world, "new", NULL, NULL);
    return tenant_place_check(platform, &spec, err);
}

static bool set_changes(Platform *platform, const TestWorld *world, Error *err)
{
    static const Str HOST = S("new.example");
    Json *answer = NULL;
    CLEANUP(json_close) Json *colors = COLORS;
    CLEANUP(json_close) Json *shipping = SHIPPING;
    TenantChange change = {.name = S("New"),
                           .logo = S("https://new.example/logo.svg"),
                           .colors = colors,
                           .shipping = shipping,
                           .plan = world->plan,
                           .limit_names = {"products"},
                           .limits = {7},
                           .limit_count = 1,
                           .domains_added = &HOST,
                           .domains_added_count = 1};
    return closed(tenant_set_changes(platform, test_slug("shop"), &change, &answer, err), &answer);
}

static bool delete_check(Platform *platform, const TestWorld *world, Error *err)
{
    (void)world;
    return tenant_delete_check(platform, test_slug("kept"), err);
}

static bool tenants(Platform *platform, const TestWorld *world, Error *err)
{
    Json *list = NULL, *shown = NULL;
    (void)world;
    return closed(tenant_list(platform, S("active"), S("main"), 5, &list, err), &list) &&
           closed(tenant_show(platform, test_slug("shop"), &shown, err), &shown);
}

// A tenant of each status, with what is asked of it.
static bool previews(Platform *platform, const TestWorld *world, Error *err)
{
    static const struct {
        const char *verb, *slug;
    } ROWS[] = {{"suspend", "shop"},   {"delete", "kept"},   {"restore", "gone"},
                {"approve", "wished"}, {"reject", "wished"}, {"suspend", "left"}};
    (void)world;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Json *answer = NULL;
        if (!closed(tenant_preview(platform, ROWS[i].verb, test_slug(ROWS[i].slug), &answer, err), &answer))
            return false;
    }
    return true;
}

// One that was left: operation_left finds it.
static bool operations(Platform *platform, const TestWorld *world, Error *err)
{
    Json *answer = NULL;
    int64_t id = 0;
    (void)world;
    return operation_left(platform, &TENANT_SUSPEND, S("left"), &id, err) &&
           closed(operation_preview(platform, id, false, &answer, err), &answer) &&
           closed(operation_preview(platform, id, true, &answer, err), &answer) &&
           closed(operation_show(platform, id, &answer, err), &answer) &&
           closed(operation_list(platform, S("left"), S("failed"), 0, &answer, err), &answer);
}

static bool nothing_adopted(Platform *platform, const TestWorld *world, Error *err)
{
    int64_t id = 0;
    (void)world;
    return operation_adopt(platform, &id, err) && id == 0;
}

static bool spares(Platform *platform, const TestWorld *world, Error *err)
{
    size_t count = 0;
    (void)world;
    return spares_make(platform, S("main"), SPARES_PER_TRANSACTION + 1, err) &&
           spares_fill(platform, S("main"), 0, &count, err);
}

static void dump_old(TestWorld *world)
{
    Error err = {0};
    Str path = str_format(world->arena, "%.*s/dumps/old", STR_ARG(world->data));
    ck_assert_ok(directory_make(path, 0700, &err) &&
                     file_write(str_format(world->arena, "%.*s/manifest.json", STR_ARG(path)), S("{}"), 0600, &err) &&
                     db_run(world->control,
                            S("insert into control.dumps (tenant_id, slug, path, operation, expires_at) "
                              "values (0, 'old', $1, 0, now()) on conflict do nothing"),
                            PARAMS(path), &err),
                 &err);
}

static bool dumps_are_expired(Platform *platform, const TestWorld *world, Error *err)
{
    size_t count = 0;
    Str path = str_format(world->arena, "%.*s/dumps/old", STR_ARG(world->data));
    return dumps_expire(platform, &count, err) && !dump_is_there(path);
}

static const char CSV[] = "Handle,Title,Body (HTML),Type,Tags,Variant Price,Image Src\n"
                          "mug,Mug,<p>It <b>holds</b></p>,Cups,\"blue, new\",1.00,./mug.gif\n";

static void file_make(TestWorld *world)
{
    Error err = {0};
    ck_assert_ok(
        file_write(str_format(world->arena, "%.*s/mug.gif", STR_ARG(world->data)), S("GIF89ax"), 0600, &err) &&
            file_write(str_format(world->arena, "%.*s/mug.csv", STR_ARG(world->data)), str_of(CSV), 0600, &err),
        &err);
}

// Two files that are to be applied again.
static void migration_forget(TestWorld *world)
{
    Error err = {0};
    ck_assert_ok(db_run(world->control,
                        S("delete from control.migrations where name in (select name from control.migrations where "
                          "name like 'functions/%' order by name limit 2)"),
                        NO_PARAMS, &err),
                 &err);
}

static bool migrated(Platform *platform, const TestWorld *world, Error *err)
{
    size_t pending = 0;
    return platform_migrate(world->control_dsn, 0, err) &&
           platform_pending(platform_control(platform), &pending, err) && pending == 0;
}

static bool products(Platform *platform, const TestWorld *world, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = NULL;
    Json *answer = NULL;
    TenantRecord shop;
    ImportReport report = {0};
    Str path = str_format(world->arena, "%.*s/mug.csv", STR_ARG(world->data));
    return platform_tenant(platform, test_slug("shop"), arena, &shop, err) &&
           platform_cell_open(platform, S("main"), &db, err) &&
           product_import(db, shop.number, path, &(ImportOptions){0}, arena, &report, err) &&
           closed(product_import_json(&report, &answer, err), &answer) && report.products == IMPORTED;
}

static const struct {
    const char *name;
    void (*prepare)(TestWorld *world);
    bool (*ask)(Platform *platform, const TestWorld *world, Error *err);    // false with an empty error: a wrong answer
} WORK[] = {
    {"create --dry-run", NULL, create_preview},
    {"request --dry-run", NULL, request_preview},
    {"create a file", NULL, place_check},
    {"set --dry-run", NULL, set_changes},
    {"delete", NULL, delete_check},
    {"list and show", NULL, tenants},
    {"moves --dry-run", NULL, previews},
    {"operations", NULL, operations},
    {"the controller's look", NULL, nothing_adopted},
    {"spares", NULL, spares},
    {"expiry of dumps", dump_old, dumps_are_expired},
    {"import", file_make, products},
    {"migration", migration_forget, migrated},
};

static bool lose_of(TestWorld *world, size_t row, long number, Loss loss)
{
    Error err = {0};
    if (WORK[row].prepare)
        WORK[row].prepare(world);
    Platform *platform = test_world_platform(world, 0);
    loss_arm(loss, number, world->arena);
    bool ok = WORK[row].ask(platform, world, &err), is_lost = loss_disarm();
    ck_assert_msg(ok || loss_is_why(&err), "%s lost %s %ld: %s: %s (%s)", WORK[row].name, LOSSES[loss], number,
                  error_name(err.code), err.what, err.why);
    platform_close(&platform);
    error_clear(&err);
    ck_assert_msg(WORK[row].ask(world->platform, world, &err), "%s lost %s %ld, then again: %s: %s (%s)",
                  WORK[row].name, LOSSES[loss], number, error_name(err.code), err.what, err.why);
    return is_lost;
}

TEST(what_is_no_operation_says_what_it_lost_and_is_done_again)
{
    TestWorld opened, *world = &opened;
    Error err = {0};
    test_world_open(world, "lost", false);
    test_world_bring(world, "shop", "active");
    test_world_bring(world, "left", "active");
    test_world_bring(world, "kept", "archived");
    test_world_bring(world, "gone", "deleted");
    TenantSpec wished = test_world_spec(world, "wished");
    ck_assert_ok(tenant_request(world->platform, &wished, &err), &err);
    ck_assert_ok(
        db_script(world->control,
                  S("select control.operation_begin('suspend', 'left', '{\"from\": \"active\", \"to\": "
                    "\"suspended\"}', '{cell,record}', '', 'tester');"
                    "update control.operations set state = 'failed' where slug = 'left' and state = 'running'"),
                  &err),
        &err);
    for (size_t row = 0; row < COUNT(WORK); row++)
        for (Loss loss = 0; loss < LOSS_COUNT; loss++) {
            long number = 1;
            while (lose_of(world, row, number, loss))
                number += loss_step(WORKED, loss);
            ck_assert_msg(number > 1 || loss != OF_CALL, "%s makes no call", WORK[row].name);
        }
    test_world_close(world);
}

// An empty connection string is that of libpq's default, which may be there.
TEST(a_connection_string_that_there_is_no_memory_for_leads_nowhere)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *work = getenv("TEST_WORK"), *host = work ? work : "/tmp";
    Str dsn = str_format(arena, "host=%s user=postgres dbname=template1", host), whole = S("");
    ck_assert_int_eq(setenv("PGHOST", host, 1), 0);
    ck_assert_int_eq(setenv("PGUSER", "postgres", 1), 0);
    for (int i = 0; i < 3; i++) {
        CLEANUP(db_close) Db *db = NULL;
        CLEANUP(pipe_close) Pipe *pipe = NULL;
        Error err = {0};
        loss_arm(OF_ARENA, 1, arena);
        bool ok = i == 0   ? db_open(dsn, NULL, &db, &err)
                  : i == 1 ? pipe_open(dsn, "test", &pipe, &err)
                           : dsn_complete(dsn, dsn, arena, &whole, &err);
        ck_assert(loss_disarm());
        ck_assert_msg(!ok, "row %d: a connection without its name", i);
        ck_assert_int_eq(err.code, ERR_NO_MEMORY);
    }
    ck_assert_int_eq(unsetenv("PGHOST"), 0);
    ck_assert_int_eq(unsetenv("PGUSER"), 0);
}

SUITE(lost_work, ONCE(a_connection_string_that_there_is_no_memory_for_leads_nowhere),
      ONCE(what_is_no_operation_says_what_it_lost_and_is_done_again))
