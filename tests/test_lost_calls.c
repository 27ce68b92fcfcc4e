// tests/test_lost_calls.c: every operation loses its connection to PostgreSQL with any one of its calls, before the
// server hears of it or before it answers, or an arena of its is spent: asked for again, resumed or taken back it comes
// to its end, and then the world equals the record.
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/pg_pipe.h"
#include "provisioner/dump.h"
#include "provisioner/product_import.h"
#include "provisioner/schema_driver.h"
#include "provisioner/spare.h"
#include "tests/support/loss.h"
#include "tests/support/more_check.h"
#include "tests/support/operation_kind.h"
#include "tests/support/pg_server.h"

enum { EXIT_OTHER = 3 };

// A fork's check for leaks would count what its parent holds; without sanitizers it writes down what it covered.
#ifdef DEF_SANITIZE
#define LEAVE _exit
#else
#define LEAVE exit
#endif

// Of what an operation could lose each so-and-so-many-th is lost; the other number is that of TEST_POINTS.
typedef struct Every {
    long usual, points;
} Every;
static const Every FIRST[LOSS_COUNT] = {{13, 1}, {17, 2}, {251, 13}, {3, 1}};
static const Every LATER[LOSS_COUNT] = {{37, 3}, {41, 7}, {211, 17}, {5, 1}};
static const Every WORKED[LOSS_COUNT] = {{7, 1}, {11, 2}, {97, 3}, {4, 1}};
static const long LEAST[LOSS_COUNT] = {8, 8, 60, 0};    // that any operation could lose

static long step_of(const Every *every, Loss loss)
{
    return getenv("TEST_POINTS") ? every[loss].points : every[loss].usual;
}

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
        CLEANUP(db_close) Db *killer = test_db_open(world->control_dsn);
        loss_arm(loss, number, killer, world->arena);
        bool ok = kind->run(platform, world, slug, &err), is_fired = loss_disarm();
        if (!ok && !loss_is_why(&err))
            (void)fprintf(stderr, "%s: %s (%s)\n", error_name(err.code), err.what, err.why);
        platform_close(&platform);
        db_close(&killer);
        LEAVE(!is_fired ? HAS_FEWER_CALLS : ok ? AS_USUAL : loss_is_why(&err) ? HAS_FAILED : EXIT_OTHER);
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
            number += step_of(FIRST, loss);
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
        loss_arm(OF_CALL, 1, later->world.control, later->world.arena);
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
    loss_arm(loss, number, world->control, world->arena);
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
        long number = 1 + (long)later.step % step_of(LATER, loss);
        while (lose_later(&later, number, loss))
            number += step_of(LATER, loss);
    }
    test_world_close(&later.world);
}

// ---- what is no operation: questions, and work that is done again from its beginning

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
    loss_arm(loss, number, world->control, world->arena);
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
    Later later = {.kind = &KINDS[2]};
    TestWorld *world = &later.world;
    Error err = {0};
    test_world_open(world, "lost", false);
    test_world_bring(world, "shop", "active");
    test_world_bring(world, "left", "active");
    test_world_bring(world, "kept", "archived");
    test_world_bring(world, "gone", "deleted");
    TenantSpec wished = test_world_spec(world, "wished");
    ck_assert_ok(tenant_request(world->platform, &wished, &err), &err);
    (void)operation_leave(&later, "left");
    for (size_t row = 0; row < COUNT(WORK); row++)
        for (Loss loss = 0; loss < LOSS_COUNT; loss++) {
            long number = 1;
            while (lose_of(world, row, number, loss))
                number += step_of(WORKED, loss);
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
        loss_arm(OF_ARENA, 1, NULL, arena);
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

SUITE(lost_calls, {what_is_lost_is_done_when_it_is_asked_for_again, KIND_COUNT},
      {what_is_lost_by_one_who_goes_on_or_back_is_done_by_the_next, KIND_COUNT},
      ONCE(a_connection_string_that_there_is_no_memory_for_leads_nowhere),
      ONCE(what_is_no_operation_says_what_it_lost_and_is_done_again))
