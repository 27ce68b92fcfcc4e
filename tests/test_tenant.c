// tests/test_tenant.c: a tenant's life from wish to dump and back, and what is refused on the way.
#include <pthread.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "provisioner/cell.h"
#include "provisioner/dump.h"
#include "provisioner/operation.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

static Str show(TestWorld *world, const char *slug, const char *key)
{
    Error err = {0};
    CLEANUP(json_close) Json *document = NULL;
    ck_assert_ok(tenant_show(world->platform, test_slug(slug), &document, &err), &err);
    const Json *value = json_get(document, key);
    Str text = json_str(value);
    if (json_kind(value) != JSON_KIND_STRING)
        ck_assert_ok(json_print(value, 0, world->arena, &text, &err), &err);
    return str_copy(world->arena, text);
}

static void check_status(TestWorld *world, const char *slug, const char *status)
{
    ck_assert_str(show(world, slug, "status"), str_of(status));
    test_world_check(world, slug, status);
}

// ---- making

TEST(a_new_tenant_is_recorded_served_and_shown)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    const Str hosts[] = {S("bazar.example"), S("www.bazar.example")};
    TenantSpec spec = test_world_spec(&world, "bazar-sur");
    spec.domains = hosts;
    spec.domain_count = COUNT(hosts);
    int64_t id = 0;
    ck_assert_ok(tenant_create(world.platform, &spec, &id, &err), &err);
    ck_assert_int_gt(id, 0);
    check_status(&world, "bazar-sur", "active");
    static const char *const SHOWN[][2] = {{"slug", "bazar-sur"},
                                           {"name", "Bazar Sur"},
                                           {"plan", "free"},
                                           {"tier", "shared"},
                                           {"cell", "main"},
                                           {"currency", "EUR"},
                                           {"language", "es"},
                                           {"country", "ES"},
                                           {"email", "owner@bazar.example"},
                                           {"domains", "[\"bazar.example\",\"www.bazar.example\"]"}};
    for (size_t i = 0; i < COUNT(SHOWN); i++)
        ck_assert_str(show(&world, "bazar-sur", SHOWN[i][0]), str_of(SHOWN[i][1]));
    ck_assert_str(show(&world, "bazar-sur", "url"),
                  str_format(world.arena, "http://bazar-sur.localhost:%u/", world.port));
    ck_assert_str(
        show(&world, "bazar-sur", "schema"),
        test_value(world.cell, world.arena, "select 't_' || number from cell.tenants where slug = 'bazar-sur'"));
    test_world_close(&world);
}

typedef struct Wrong {
    TenantSpec spec;
    const char *says;
} Wrong;

static const Str TWICE[] = {S("z.example"), S("z.example")};
static const Str WRONG_HOST[] = {S("https://bazar.example")}, OWN_HOST[] = {S("other.localhost")},
                 ADDRESS_HOST[] = {S("127.0.0.1")};

static const Wrong WRONG[] = {
    {{.slug = S("ab"), .email = S("a@b.example")}, "2 characters"},
    {{.slug = S("Acme"), .email = S("a@b.example")}, "character 1 is 'A'"},
    {{.slug = S("acme")}, "the email is missing"},
    {{.slug = S("acme"), .email = S("nobody")}, "isn't an address"},
    {{.slug = S("acme"), .email = S("a b@c.example")}, "isn't an address"},
    {{.slug = S("acme"), .email = S("a@b.example"), .currency = S("EURO")}, "ISO 4217"},
    {{.slug = S("acme"), .email = S("a@b.example"), .language = S("fr")}, "use en or es"},
    {{.slug = S("acme"), .email = S("a@b.example"), .country = S("Spain")}, "two capital letters"},
    {{.slug = S("acme"), .email = S("a@b.example"), .logo = S("javascript:alert(1)")}, "https://"},
    {{.slug = S("acme"), .email = S("a@b.example"), .name = S("\xff")}, "UTF-8"},
    {{.slug = S("acme"), .email = S("a@b.example"), .name = S("a\nb")}, "control character"},
    {{.slug = S("acme"), .email = S("a@b.example"), .payment_instructions = S("a\x1b[31m")}, "control character"},
    {{.slug = S("acme"), .email = S("a@b.example"), .country = S("ZZ")}, "a country of ISO 3166-1"},
    {{.slug = S("acme"), .email = S("a@b.example"), .domains = TWICE, .domain_count = 2}, "it is given twice"},
    {{.slug = S("acme"), .email = S("a@b.example"), .domains = WRONG_HOST, .domain_count = 1}, "host name"},
    {{.slug = S("acme"), .email = S("a@b.example"), .domains = OWN_HOST, .domain_count = 1}, "platform's own domain"},
    {{.slug = S("acme"), .email = S("a@b.example"), .domains = ADDRESS_HOST, .domain_count = 1},
     "an address, not a name"},
};

static void check_nothing_written(TestWorld *world)
{
    ck_assert_str(test_value(world->control, world->arena,
                             "select concat_ws(' ', (select count(*) from control.tenants), (select count(*) from "
                             "control.operations), (select count(*) from control.domains))"),
                  S("0 0 0"));
}

TEST(a_wrong_field_is_refused_and_nothing_is_written)
{
    TestWorld world;
    test_world_open(&world, "tenant", false);
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        TenantSpec spec = WRONG[i].spec;
        spec.plan = world.plan;
        for (int is_request = 0; is_request < 2; is_request++) {
            Error err = {0};
            ck_assert(is_request ? !tenant_request(world.platform, &spec, &err)
                                 : !tenant_create(world.platform, &spec, NULL, &err));
            ck_assert_says(&err, ERR_INVALID, WRONG[i].says);
        }
    }
    check_nothing_written(&world);
    test_world_close(&world);
}

TEST(colours_are_checked_by_name_and_value)
{
    static const char *const COLORS[][2] = {{"{\"primary\": \"red\"}", "the colour 'red' is refused"},
                                            {"{\"primary\": \"#12345\"}", "isn't a colour"},
                                            {"{\"border\": \"#123456\"}", "no such colour"}};
    TestWorld world;
    test_world_open(&world, "tenant", false);
    for (size_t i = 0; i < COUNT(COLORS); i++) {
        Error err = {0};
        CLEANUP(json_close) Json *colors = NULL;
        ck_assert_ok(json_parse(str_of(COLORS[i][0]), &colors, &err), &err);
        TenantSpec spec = test_world_spec(&world, "acme");
        spec.colors = colors;
        ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
        ck_assert_says(&err, ERR_INVALID, COLORS[i][1]);
    }
    check_nothing_written(&world);
    test_world_close(&world);
}

TEST(a_slug_and_a_host_belong_to_one_tenant)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    const Str host = S("bazar.example");
    TenantSpec spec = test_world_spec(&world, "first");
    spec.domains = &host;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_EXISTS, "there is a tenant 'first' already");
    error_clear(&err);
    spec.slug = S("second");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_EXISTS, "'bazar.example' belongs to another tenant");
    error_clear(&err);
    ck_assert(!tenant_show(world.platform, test_slug("fist"), &(Json *){NULL}, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "did you mean 'first'?");
    test_world_check(&world, "first", "after refusals");
    test_world_check(&world, "second", "after refusals");
    test_world_close(&world);
}

// All that the control database says.
static const char RECORDED[] =
    "select concat_ws(E'\\n', (select string_agg(t::text, ';' order by t.id) from control.tenants t), (select "
    "string_agg(o::text, ';' order by o.id) from control.operations o), (select string_agg(s::text, ';' order by "
    "operation, position) from control.operation_steps s), (select string_agg(l::text, ';' order by slug) from "
    "control.leases l), (select string_agg(d::text, ';' order by host) from control.domains d), (select "
    "string_agg(c::text, ';' order by name) from control.cells c), (select string_agg(p::text, ';' order by name, "
    "version) from control.plans p))";

// Of another slug, so that it is refused for its host or its cell.
static void check_refused_without_trace(TestWorld *world, const TenantSpec *spec, ErrorCode code, const char *says)
{
    Error err = {0};
    Str before = test_value(world->control, world->arena, RECORDED);
    ck_assert(!tenant_create(world->platform, spec, NULL, &err));
    ck_assert_says(&err, code, says);
    Str after = test_value(world->control, world->arena, RECORDED);
    ck_assert_msg(str_eq(before, after), "the refusal '%s' changed the record", says);
}

TEST(a_refused_creation_leaves_no_trace)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", false);
    const Str host = S("bazar.example");
    TenantSpec spec = test_world_spec(&world, "first");
    spec.domains = &host;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    check_refused_without_trace(&world, &spec, ERR_EXISTS, "there is a tenant 'first' already");
    spec.slug = S("second");
    check_refused_without_trace(&world, &spec, ERR_EXISTS, "'bazar.example' belongs to another tenant");
    spec = test_world_spec(&world, "second");
    spec.cell = S("mian");
    check_refused_without_trace(&world, &spec, ERR_NOT_FOUND, "there is no cell 'mian'");
    spec = test_world_spec(&world, "wish");
    ck_assert_ok(tenant_request(world.platform, &spec, &err), &err);
    check_refused_without_trace(&world, &spec, ERR_EXISTS, "shopctl tenant approve wish");
    test_world_bring(&world, "first", "archived");
    spec = test_world_spec(&world, "first");
    check_refused_without_trace(&world, &spec, ERR_EXISTS, "it is archived");
    test_world_close(&world);
}

// Asks for the same shop again while the first one is being made by a process that lives.
typedef struct Second {
    TestWorld *world;
    size_t refused;
} Second;

static void create_meanwhile(void *context, const Event *event)
{
    Second *second = context;
    if (event->phase != EVENT_BEFORE && event->phase != EVENT_AFTER)
        return;
    TenantSpec spec = test_world_spec(second->world, "first");
    Error err = {0};
    Str before = test_value(second->world->control, second->world->arena, RECORDED);
    check_refused_without_trace(second->world, &spec, ERR_EXISTS, "there is a tenant 'first' already");
    ck_assert(!tenant_request(second->world->platform, &spec, &err));
    ck_assert_says(&err, ERR_EXISTS, "there is a tenant 'first' already");
    ck_assert_str(test_value(second->world->control, second->world->arena, RECORDED), before);
    second->refused++;
}

TEST(a_shop_that_is_being_made_is_there_already)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", false);
    CLEANUP(platform_close) Platform *platform = test_world_platform(&world, 0);
    Second second = {.world = &world};
    platform_observe(platform, create_meanwhile, &second);
    TenantSpec spec = test_world_spec(&world, "first");
    ck_assert_ok(tenant_create(platform, &spec, NULL, &err), &err);
    ck_assert_uint_ge(second.refused, 10);
    test_world_check(&world, "first", "asked for twice");
    test_world_close(&world);
}

// ---- at once

enum { AT_ONCE = 4, PAUSE_MS = 5, SOON_MS = 60000 };

typedef struct Attempt {
    TestWorld *world;
    Platform *platform;
    char slug[24];
    bool ok;
    Error err;
} Attempt;

static void *attempt_run(void *context)
{
    Attempt *attempt = context;
    TenantSpec spec = test_world_spec(attempt->world, attempt->slug);
    attempt->ok = tenant_create(attempt->platform, &spec, NULL, &attempt->err);
    return NULL;
}

static size_t create_at_once(TestWorld *world, bool is_one_slug, Attempt attempts[AT_ONCE])
{
    pthread_t threads[AT_ONCE];
    size_t done = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        attempts[i] = (Attempt){.world = world, .platform = test_world_platform(world, 0)};
        (void)snprintf(attempts[i].slug, sizeof(attempts[i].slug), "shop-%d", is_one_slug ? 0 : i);
    }
    for (int i = 0; i < AT_ONCE; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, attempt_run, &attempts[i]), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        platform_close(&attempts[i].platform);
        done += attempts[i].ok;
    }
    return done;
}

TEST(of_several_at_once_one_gets_the_slug)
{
    TestWorld world;
    Attempt attempts[AT_ONCE];
    test_world_open(&world, "tenant", true);
    ck_assert_uint_eq(create_at_once(&world, true, attempts), 1);
    for (int i = 0; i < AT_ONCE; i++)
        ck_assert_msg(attempts[i].ok || attempts[i].err.code == ERR_EXISTS, "%s: %s", error_name(attempts[i].err.code),
                      attempts[i].err.what);
    ck_assert_str(test_value(world.control, world.arena,
                             "select concat(count(*), ' ', bool_and(o.id = t.operation and o.state = 'done')) from "
                             "control.operations o, control.tenants t"),
                  S("1 t"));
    check_status(&world, "shop-0", "active");
    test_world_close(&world);
}

// Takes each spare as soon as it is seen.
typedef struct Thief {
    TestWorld *world;
    int stop;
} Thief;

static void *thief_run(void *context)
{
    Thief *thief = context;
    CLEANUP(db_close) Db *cell = test_db_open(thief->world->cell_dsn);
    Error err = {0};
    while (!__atomic_load_n(&thief->stop, __ATOMIC_RELAXED))
        ck_assert_ok(db_script(cell,
                               S("update cell.tenants set state = 'reserved', slug = 'stolen-' || number, "
                                 "operation = -number where state = 'spare'"),
                               &err),
                     &err);
    return NULL;
}

TEST(a_spare_that_was_made_for_one_is_no_others)
{
    TestWorld world;
    Error err = {0};
    pthread_t thread;
    test_world_open(&world, "tenant", true);
    Thief thief = {.world = &world};
    ck_assert_int_eq(pthread_create(&thread, NULL, thief_run, &thief), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        TenantSpec spec = test_world_spec(&world, str_format(world.arena, "shop-%d", i).data);
        ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    }
    __atomic_store_n(&thief.stop, 1, __ATOMIC_RELAXED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str(test_value(world.cell, world.arena, "select count(*) from cell.tenants where slug like 'shop-%'"),
                  S("4"));
    test_world_close(&world);
}

// The request's transaction is held open: it is there, and nobody sees it yet.
TEST(a_creation_waits_for_a_request_of_its_slug_and_leaves_no_trace)
{
    TestWorld world;
    Error err = {0};
    pthread_t thread;
    test_world_open(&world, "tenant", false);
    Attempt attempt = {.world = &world, .platform = test_world_platform(&world, 0), .slug = "wish"};
    CLEANUP(db_close) Db *watch = test_db_open(world.control_dsn);
    Db *control = platform_control(world.platform);
    TenantSpec spec = test_world_spec(&world, "wish");
    ck_assert_ok(db_script(control, S("begin"), &err), &err);
    ck_assert_ok(tenant_request(world.platform, &spec, &err), &err);
    Str requested = test_value(control, world.arena, RECORDED);
    ck_assert_int_eq(pthread_create(&thread, NULL, attempt_run, &attempt), 0);
    static const char WAITING[] = "select count(*) from pg_stat_activity where datname = current_database() and "
                                  "wait_event_type = 'Lock'";
    int64_t until_ms = clock_ms() + SOON_MS;
    while (!str_eq(test_value(watch, world.arena, WAITING), S("1")) && clock_ms() < until_ms)
        clock_sleep_ms(PAUSE_MS);
    ck_assert_ok(db_script(control, S("commit"), &err), &err);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    platform_close(&attempt.platform);
    ck_assert(!attempt.ok);
    ck_assert_says(&attempt.err, ERR_EXISTS, "there is a tenant 'wish' already");
    ck_assert_str(test_value(world.control, world.arena, RECORDED), requested);
    ck_assert_ok(tenant_approve(world.platform, test_slug("wish"), &err), &err);
    check_status(&world, "wish", "active");
    test_world_close(&world);
}

TEST(several_at_once_do_not_pass_a_cells_capacity)
{
    TestWorld world;
    Error err = {0};
    Attempt attempts[AT_ONCE];
    test_world_open(&world, "tenant", true);
    ck_assert_ok(cell_add(world.platform, &(CellSpec){.name = S("main"), .capacity = 2}, &err), &err);
    ck_assert_uint_eq(create_at_once(&world, false, attempts), 2);
    for (int i = 0; i < AT_ONCE; i++) {
        if (!attempts[i].ok)
            ck_assert_says(&attempts[i].err, ERR_STATE, "no cell has room");
        test_world_check(&world, attempts[i].slug, "a full cell");
    }
    TenantSpec spec = test_world_spec(&world, "more");
    spec.cell = S("main");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_STATE, "it holds 2 tenants of 2");
    error_clear(&err);
    spec.cell = S("mian");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "there is no cell 'mian'");
    test_world_close(&world);
}

TEST(a_cell_without_an_address_gets_no_shop)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", false);
    CellSpec other = {.name = S("mute"), .dsn = test_database("tenant")};
    TenantSpec spec = test_world_spec(&world, "shop"), there = spec;
    there.cell = S("mute");
    ck_assert_ok(cell_add(world.platform, &other, &err), &err);
    test_world_bring(&world, "first", "active");    // so that the other one has more room
    ck_assert(!tenant_create(world.platform, &there, NULL, &err));
    ck_assert_says(&err, ERR_STATE, "the cell 'mute' has no address");
    ck_assert_says(&err, ERR_STATE, "shopctl cell add mute --url");
    error_clear(&err);
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    static const char WHERE[] = "select cell from control.tenants where slug = 'shop'";
    ck_assert_str(test_value(world.control, world.arena, WHERE), S("main"));
    ck_assert_ok(db_script(world.control, S("update control.cells set capacity = placed where name = 'main'"), &err),
                 &err);
    spec.slug = S("late");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_STATE, "room is in cells without an address: mute");
    test_world_close(&world);
}

TEST(a_restored_shop_goes_back_to_its_cell_where_that_has_room)
{
    static const char WHERE[] = "select (control.tenant_of('shop')).cell";
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", false);
    CellSpec other = {.name = S("other"), .dsn = test_database("tenant"), .url = world.url};
    ck_assert_ok(cell_add(world.platform, &other, &err), &err);
    TenantSpec spec = test_world_spec(&world, "shop");
    spec.cell = S("other");
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    test_world_bring(&world, "shop", "deleted");
    // Both are empty, and of those the default is 'main'.
    test_world_bring(&world, "shop", "active");
    ck_assert_str(test_value(world.control, world.arena, WHERE), S("other"));
    test_world_bring(&world, "shop", "deleted");
    spec.slug = S("filler");
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    ck_assert_ok(db_script(world.control, S("update control.cells set capacity = 1 where name = 'other'"), &err), &err);
    test_world_bring(&world, "shop", "active");
    ck_assert_str(test_value(world.control, world.arena, WHERE), S("main"));
    ck_assert_str(test_value(world.control, world.arena,
                             "select string_agg(placed::text, ' ' order by name) from "
                             "control.cells"),
                  S("1 1"));
    test_world_close(&world);
}

// ---- wishes

TEST(a_list_counts_what_its_limit_leaves_out_too)
{
    TestWorld world;
    test_world_open(&world, "tenant", false);
    Error err = {0};
    static const char *const SLUGS[] = {"acme", "beta", "gone"};
    for (size_t i = 0; i < COUNT(SLUGS); i++) {
        TenantSpec spec = test_world_spec(&world, SLUGS[i]);
        ck_assert_ok(tenant_request(world.platform, &spec, &err), &err);
    }
    ck_assert_ok(tenant_reject(world.platform, test_slug("gone"), &err), &err);
    ck_assert_ok(tenant_approve(world.platform, test_slug("acme"), &err), &err);
    ck_assert_ok(tenant_suspend(world.platform, test_slug("acme"), &err), &err);
    CLEANUP(json_close) Json *all = NULL;
    CLEANUP(json_close) Json *active = NULL;
    CLEANUP(json_close) Json *operations = NULL;
    ck_assert_ok(tenant_list(world.platform, S(""), S(""), 1, &all, &err), &err);
    ck_assert_uint_eq(json_count(json_get(all, "items")), 1);
    ck_assert_int_eq(json_int64(json_get(all, "total")), 2);
    ck_assert_ok(tenant_list(world.platform, S("requested"), S(""), 1, &active, &err), &err);
    ck_assert_int_eq(json_int64(json_get(active, "total")), 1);
    ck_assert_ok(operation_list(world.platform, S("acme"), S("done"), 1, &operations, &err), &err);
    ck_assert_uint_eq(json_count(json_get(operations, "items")), 1);
    ck_assert_int_eq(json_int64(json_get(operations, "total")), 2);
    test_world_close(&world);
}

TEST(a_wish_is_granted_or_rejected)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    TenantSpec spec = test_world_spec(&world, "wish");
    ck_assert_ok(tenant_request(world.platform, &spec, &err), &err);
    check_status(&world, "wish", "requested");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_EXISTS, "shopctl tenant approve wish");
    error_clear(&err);
    ck_assert_ok(tenant_reject(world.platform, test_slug("wish"), &err), &err);
    check_status(&world, "wish", "rejected");
    ck_assert(!tenant_approve(world.platform, test_slug("wish"), &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "is rejected");
    error_clear(&err);
    ck_assert_ok(tenant_request(world.platform, &spec, &err), &err);
    ck_assert_ok(tenant_approve(world.platform, test_slug("wish"), &err), &err);
    check_status(&world, "wish", "active");
    test_world_close(&world);
}

// ---- every command in every state

typedef bool Act(Platform *platform, Slug slug, Error *err);

static bool set_name(Platform *platform, Slug slug, Error *err)
{
    return tenant_set(platform, slug, &(TenantChange){.name = S("Other")}, err);
}

typedef struct Verb {
    const char *name;
    Act *act;
    const char *after;    // the tenant's status then; NULL: as before
} Verb;

enum { VERB_REQUEST, VERB_CREATE, VERB_SET = 4, VERB_DELETE = 8 };
static const Verb VERBS[] = {
    [VERB_REQUEST] = {"request", NULL, "requested"},
    [VERB_CREATE] = {"create", NULL, "active"},
    {"approve", tenant_approve, "active"},
    {"reject", tenant_reject, "rejected"},
    [VERB_SET] = {"set", set_name, NULL},
    {"suspend", tenant_suspend, "suspended"},
    {"resume", tenant_resume, "active"},
    {"archive", tenant_archive, "archived"},
    [VERB_DELETE] = {"delete", tenant_delete, "deleted"},
    {"restore", tenant_restore, "active"},
};

// x: it is done; s: refused, since its state is another one; e: it exists; n: there is none; b: an operation is at
// work.
typedef struct Life {
    const char *status;
    const char *outcomes;    // in the order of VERBS
} Life;

static const Life LIVES[] = {
    {"", "xxnnnnnnnn"},          {"requested", "eexxxsssss"},    {"rejected", "xxssssssss"},
    {"approved", "eexsxsssss"},  {"provisioning", "eebsbsbsbs"}, {"active", "eessxxssss"},
    {"suspended", "eessxsxxss"}, {"archived", "eessxsssxs"},     {"deleted", "xxsssssssx"},
};

static ErrorCode outcome_code(char outcome)
{
    return outcome == 's' ? ERR_FORBIDDEN : outcome == 'e' ? ERR_EXISTS : outcome == 'n' ? ERR_NOT_FOUND : ERR_BUSY;
}

static bool act(TestWorld *world, const char *slug, size_t verb, Error *err)
{
    TenantSpec spec = test_world_spec(world, slug);
    if (verb == VERB_REQUEST)
        return tenant_request(world->platform, &spec, err);
    if (verb == VERB_CREATE)
        return tenant_create(world->platform, &spec, NULL, err);
    return VERBS[verb].act(world->platform, test_slug(slug), err);
}

// What --dry-run says of it.
static bool foresee(TestWorld *world, const char *slug, size_t verb, Error *err)
{
    CLEANUP(json_close) Json *said = NULL;
    TenantSpec spec = test_world_spec(world, slug);
    if (verb == VERB_REQUEST)
        return tenant_request_preview(world->platform, &spec, &said, err);
    if (verb == VERB_CREATE)
        return tenant_create_preview(world->platform, &spec, &said, err);
    if (verb == VERB_SET)
        return tenant_set_changes(world->platform, test_slug(slug), &(TenantChange){.name = S("Other")}, &said, err);
    return tenant_preview(world->platform, VERBS[verb].name, test_slug(slug), &said, err);
}

static void control_script(TestWorld *world, const char *sql)
{
    Error err = {0};
    ck_assert_ok(db_script(world->control, str_of(sql), &err), &err);
}

// Also to the states that commands pass through.
static void bring(TestWorld *world, const char *slug, const char *status)
{
    Error err = {0};
    bool is_wish =
        strcmp(status, "requested") == 0 || strcmp(status, "rejected") == 0 || strcmp(status, "approved") == 0;
    if (is_wish)
        ck_assert_ok(act(world, slug, VERB_REQUEST, &err), &err);
    if (strcmp(status, "rejected") == 0)
        ck_assert_ok(tenant_reject(world->platform, test_slug(slug), &err), &err);
    if (strcmp(status, "approved") == 0) {    // and then there was no room
        control_script(world, "update control.cells set capacity = greatest(placed, 1), placed = greatest(placed, 1)");
        ck_assert(!tenant_approve(world->platform, test_slug(slug), &err));
        control_script(world, "update control.cells set capacity = 1000, placed = (select count(*) from "
                              "control.tenants where cell = 'main')");
    } else if (strcmp(status, "provisioning") == 0) {    // by a process of another machine
        control_script(world, "update control.cells set url = 'http://127.0.0.1:1'");
        CLEANUP(platform_close) Platform *hasty = NULL;
        ck_assert_ok(
            platform_open_with(&(PlatformOptions){.control_dsn = world->control_dsn, .smoke_ms = 20}, &hasty, &err),
            &err);
        TenantSpec spec = test_world_spec(world, slug);
        ck_assert(!tenant_create(hasty, &spec, NULL, &err));
        ck_assert_ok(db_run(world->control, S("update control.cells set url = $1"), PARAMS(world->url), &err), &err);
        control_script(world, "update control.leases set holder = 'elsewhere 1 1'; "
                              "update control.operations set state = 'running' where state = 'failed'");
    } else if (!is_wish && *status) {
        test_world_bring(world, slug, status);
    }
    ck_assert_str(test_world_status(world, slug), str_of(status));
}

static void check_refused(TestWorld *world, const char *slug, const Life *life, size_t verb)
{
    Error err = {0};
    Str before = test_value(world->control, world->arena, RECORDED);
    ck_assert_msg(!act(world, slug, verb, &err), "'%s' was done where the tenant is '%s'", VERBS[verb].name,
                  life->status);
    ck_assert_msg(err.code == outcome_code(life->outcomes[verb]) && (err.next[0] || err.code == ERR_NOT_FOUND),
                  "'%s' where the tenant is '%s': %s: %s (%s) next: %s", VERBS[verb].name, life->status,
                  error_name(err.code), err.what, err.why, err.next);
    if (err.code == ERR_FORBIDDEN)
        ck_assert_says(&err, ERR_FORBIDDEN, life->status);
    Error foreseen = {0};
    ck_assert_msg(!foresee(world, slug, verb, &foreseen), "'%s --dry-run' where the tenant is '%s' isn't refused",
                  VERBS[verb].name, life->status);
    ck_assert_str(str_of(foreseen.what), str_of(err.what));
    ck_assert_int_eq(foreseen.code, err.code);
    Str after = test_value(world->control, world->arena, RECORDED);
    ck_assert_msg(str_eq(before, after), "'%s' where the tenant is '%s' changed the record", VERBS[verb].name,
                  life->status);
}

TEST(a_command_is_done_where_the_life_allows_it_and_else_changes_nothing)
{
    const Life *life = &LIVES[_i];
    TestWorld world;
    test_world_open(&world, "tenant", false);
    bring(&world, "shop", life->status);
    for (size_t verb = 0; verb < COUNT(VERBS); verb++)
        if (life->outcomes[verb] != 'x')
            check_refused(&world, "shop", life, verb);
    if (strcmp(life->status, "provisioning") == 0) {    // has an operation under way
        test_world_close(&world);
        return;
    }
    Error refusal = {0};    // shopctl asks before it deletes, and would be refused before it asks
    ck_assert(tenant_delete_check(world.platform, test_slug("shop"), &refusal) == (life->outcomes[VERB_DELETE] == 'x'));
    ck_assert_int_eq(refusal.code,
                     life->outcomes[VERB_DELETE] == 'x' ? ERR_NONE : outcome_code(life->outcomes[VERB_DELETE]));
    test_world_check(&world, "shop", life->status);
    for (size_t verb = 0; verb < COUNT(VERBS); verb++) {
        if (life->outcomes[verb] != 'x')
            continue;
        Error err = {0};
        const char *slug = str_format(world.arena, "shop-%zu", verb).data;
        bring(&world, slug, life->status);
        Str before = test_value(world.control, world.arena, RECORDED);
        ck_assert_ok(foresee(&world, slug, verb, &err), &err);
        ck_assert_str(test_value(world.control, world.arena, RECORDED), before);
        ck_assert_ok(act(&world, slug, verb, &err), &err);
        check_status(&world, slug, VERBS[verb].after ? VERBS[verb].after : life->status);
    }
    test_world_close(&world);
}

typedef struct Hindrance {
    const char *status;
    size_t verb;
    const char *sql;    // what is in the way
    ErrorCode code;
} Hindrance;

static const Hindrance HINDRANCES[] = {
    {"requested", 2, "update control.cells set capacity = 1, placed = 1", ERR_STATE},
    {"deleted", 9, "update control.cells set capacity = 1, placed = 1", ERR_STATE},
    {"deleted", 9, "delete from control.dumps", ERR_NOT_FOUND},
};

TEST(a_dry_run_sees_what_else_is_in_the_way)
{
    const Hindrance *hindrance = &HINDRANCES[_i];
    TestWorld world;
    Error foreseen = {0}, err = {0};
    test_world_open(&world, "tenant", false);
    bring(&world, "shop", hindrance->status);
    control_script(&world, hindrance->sql);
    ck_assert(!foresee(&world, "shop", hindrance->verb, &foreseen));
    ck_assert_int_eq(foreseen.code, hindrance->code);
    ck_assert(!act(&world, "shop", hindrance->verb, &err));
    ck_assert_str(str_of(foreseen.what), str_of(err.what));
    test_world_close(&world);
}

// The creation's process is gone: the same command goes on with it, and says so beforehand.
TEST(a_dry_run_goes_on_with_what_was_left_as_the_run_does)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", false);
    bring(&world, "shop", "provisioning");
    control_script(&world, "update control.leases set holder = ''; update control.operations set state = 'failed'");
    static const size_t AGAIN[] = {VERB_CREATE, 2};
    for (size_t i = 0; i < COUNT(AGAIN); i++) {
        CLEANUP(json_close) Json *said = NULL;
        TenantSpec spec = test_world_spec(&world, "shop");
        ck_assert_ok(AGAIN[i] == VERB_CREATE
                         ? tenant_create_preview(world.platform, &spec, &said, &err)
                         : tenant_preview(world.platform, "approve", test_slug("shop"), &said, &err),
                     &err);
        ck_assert_ptr_nonnull(json_get(said, "would_do"));
        ck_assert_ok(tenant_place_check(world.platform, &spec, &err), &err);    // of a file of shops
    }
    ck_assert_ok(tenant_approve(world.platform, test_slug("shop"), &err), &err);
    check_status(&world, "shop", "active");
    test_world_close(&world);
}

// ---- set

static const char SERVED[] = "select format('select concat_ws('' '', payment_instructions, (select string_agg(key || "
                             "''='' || price_minor, '' '' "
                             "order by position) from t_%s.shipping_methods)) from t_%s.settings', number, number) "
                             "from cell.tenants where slug = "
                             "'shop'";

static Str served(TestWorld *world)
{
    return test_value(world->cell, world->arena, test_value(world->cell, world->arena, SERVED).data);
}

TEST(how_to_pay_and_ways_of_shipping_reach_the_shop)
{
    TestWorld world;
    Error err = {0};
    CLEANUP(json_close) Json *two = json_build("{s:s, s:s}", "express", "9.90", "standard", "4");
    CLEANUP(json_close) Json *one = json_build("{s:s}", "pickup", "0");
    CLEANUP(json_close) Json *wrong = json_build("{s:s}", "pickup", "0.001");
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    ck_assert_str(served(&world), S(" standard=0"));
    ck_assert_ok(tenant_set(world.platform, test_slug("shop"),
                            &(TenantChange){.payment_instructions = S("Bank\nIBAN\n"), .shipping = two}, &err),
                 &err);
    check_status(&world, "shop", "active");
    ck_assert_str(served(&world), S("Bank\nIBAN express=990 standard=400"));
    ck_assert_str(show(&world, "shop", "shipping"),
                  S("[{\"code\":\"express\",\"price\":{\"amount\":990,\"currency\":\"EUR\"}},"
                    "{\"code\":\"standard\",\"price\":{\"amount\":400,\"currency\":\"EUR\"}}]"));
    ck_assert(!tenant_set(world.platform, test_slug("shop"), &(TenantChange){.shipping = wrong}, &err));
    ck_assert_says(&err, ERR_INVALID, "more decimals");
    error_clear(&err);
    ck_assert_ok(tenant_set(world.platform, test_slug("shop"),
                            &(TenantChange){.payment_instructions = S(""), .shipping = one}, &err),
                 &err);
    check_status(&world, "shop", "active");
    ck_assert_str(served(&world), S(" pickup=0"));
    test_world_close(&world);
}

TEST(what_would_change_is_said_and_nothing_changes)
{
    TestWorld world;
    Error err = {0};
    Str said = S("");
    const Str host = S("bazar.example");
    CLEANUP(json_close) Json *changes = NULL;
    CLEANUP(json_close) Json *colors = json_build("{s:s}", "primary", "#8a3f26");
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    TenantChange change = {.name = S("Other"),
                           .country = show(&world, "shop", "country"),
                           .colors = colors,
                           .plan = world.plan,
                           .limit_names = {"products"},
                           .limits = {7},
                           .limit_count = 1,
                           .domains_added = &host,
                           .domains_added_count = 1};
    ck_assert_ok(tenant_set_changes(world.platform, test_slug("shop"), &change, &changes, &err), &err);
    ck_assert_ok(json_print(json_get(changes, "changes"), 0, world.arena, &said, &err), &err);
    Str name = show(&world, "shop", "name");
    ck_assert_str(said, str_format(world.arena,
                                   "[{\"key\":\"colors.primary\",\"from\":null,\"to\":\"#8a3f26\"},"
                                   "{\"key\":\"domains\",\"from\":[],\"to\":[\"bazar.example\"]},"
                                   "{\"key\":\"limits.products\",\"from\":%lld,\"to\":7},"
                                   "{\"key\":\"name\",\"from\":\"%.*s\",\"to\":\"Other\"}]",
                                   (long long)world.plan->products_max, STR_ARG(name)));
    ck_assert_str(show(&world, "shop", "domains"), S("[]"));
    check_status(&world, "shop", "active");
    TenantSpec other = test_world_spec(&world, "other");
    other.domains = &host;
    other.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &other, NULL, &err), &err);
    ck_assert(!tenant_set_changes(world.platform, test_slug("shop"), &change, &(Json *){NULL}, &err));
    ck_assert_says(&err, ERR_EXISTS, "'bazar.example' belongs to another tenant");
    test_world_close(&world);
}

// What shopd shows of it without its tables.
static const char LOOKS[] = "select looks from cell.directory(null) where slug = 'shop'";

TEST(what_is_set_is_served)
{
    TestWorld world;
    Error err = {0};
    const Str hosts[] = {S("bazar.example"), S("www.bazar.example")};
    CLEANUP(json_close) Json *colors = json_build("{s:s}", "primary", "#8a3f26");
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    ck_assert_ok(tenant_set(world.platform, test_slug("shop"),
                            &(TenantChange){.name = S("Caf\xc3\xa9 Sur"),
                                            .language = S("es"),
                                            .colors = colors,
                                            .limit_names = {"requests_per_second", "products"},
                                            .limits = {5, 10},
                                            .limit_count = 2,
                                            .domains_added = hosts,
                                            .domains_added_count = COUNT(hosts)},
                            &err),
                 &err);
    check_status(&world, "shop", "active");
    ck_assert_str(test_value(world.cell, world.arena, LOOKS),
                  S("{\"name\": \"Caf\xc3\xa9 Sur\", \"colors\": {\"primary\": \"#8a3f26\"}, \"language\": \"es\"}"));
    ck_assert_str(
        test_value(world.cell, world.arena,
                   "select concat_ws(' ', limits ->> 'requests_per_second', limits ->> 'products', (select "
                   "count(*) from cell.domains d where d.tenant = t.number)) from cell.tenants t where slug = "
                   "'shop'"),
        S("5 10 3"));
    test_world_bring(&world, "shop", "suspended");
    ck_assert_ok(tenant_set(world.platform, test_slug("shop"),
                            &(TenantChange){.limit_names = {"requests_per_second", "products"},
                                            .limits = {-1, -1},
                                            .limit_count = 2,
                                            .domains_removed = hosts,
                                            .domains_removed_count = 1},
                            &err),
                 &err);
    check_status(&world, "shop", "suspended");
    ck_assert_str(show(&world, "shop", "overrides"), S("{}"));
    ck_assert_str(show(&world, "shop", "domains"), S("[\"www.bazar.example\"]"));
    ck_assert_str(show(&world, "shop", "name"), S("Caf\xc3\xa9 Sur"));
    test_world_close(&world);
}

TEST(a_change_that_is_refused_leaves_all_as_it_was)
{
    TestWorld world;
    Error err = {0};
    const Str host = S("bazar.example"), wrong = S("no host");
    test_world_open(&world, "tenant", true);
    TenantSpec spec = test_world_spec(&world, "first");
    spec.domains = &host;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    test_world_bring(&world, "second", "active");
    const TenantChange taken = {.name = S("Other"), .domains_added = &host, .domains_added_count = 1},
                       unfit = {.name = S("Other"), .domains_added = &wrong, .domains_added_count = 1};
    ck_assert(!tenant_set(world.platform, test_slug("second"), &taken, &err));
    ck_assert_says(&err, ERR_EXISTS, "belongs to another tenant");
    error_clear(&err);
    ck_assert(!tenant_set(world.platform, test_slug("second"), &unfit, &err));
    ck_assert_says(&err, ERR_INVALID, "isn't a host name");
    error_clear(&err);
    static const struct {
        Str name;
        const char *says;
    } NAMES[] = {{S(""), "can't be empty"}, {S(" "), "can't be empty"}, {S("a\nb"), "control character"}};
    for (size_t i = 0; i < COUNT(NAMES); i++, error_clear(&err)) {
        ck_assert(!tenant_set(world.platform, test_slug("second"), &(TenantChange){.name = NAMES[i].name}, &err));
        ck_assert_says(&err, ERR_INVALID, NAMES[i].says);
    }
    const TenantChange absent = {.domains_removed = &host, .domains_removed_count = 1};
    CLEANUP(json_close) Json *changes = NULL;
    ck_assert(!tenant_set(world.platform, test_slug("second"), &absent, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "has no host 'bazar.example'");
    error_clear(&err);
    ck_assert(!tenant_set_changes(world.platform, test_slug("second"), &absent, &changes, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "has no host 'bazar.example'");
    error_clear(&err);
    ck_assert_str(show(&world, "second", "name"), S("Bazar Sur"));
    check_status(&world, "second", "active");
    test_world_bring(&world, "second", "deleted");
    ck_assert(!tenant_set(world.platform, test_slug("second"), &(TenantChange){.name = S("Other")}, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "is deleted");
    check_status(&world, "second", "deleted");
    test_world_close(&world);
}

// ---- delete and restore

static const char GOODS[] =
    "insert into products (handle, title, description, search) values ('taza', 'Taza \xc3\xb1', E'a\\tb\\nc\\\\', "
    "'x'), "
    "('lata', 'Lata', '', 'y');"
    "insert into variants (product_id, price_minor, sku) values (1, 1900, 'T'), (2, 500, '');"
    "insert into stock (variant_id, quantity) values (1, 10), (2, 10);"
    "insert into stock_movements (variant_id, quantity, reason) values (1, 10, 'import'), (2, 10, 'import');"
    "insert into media (sha256, content_type, content) values (repeat('0', 64), 'image/png', '\\x0001ff0a5c');"
    "insert into carts (token) select repeat(chr(96 + i), 22) from generate_series(1, 4) i;"
    "insert into cart_lines (cart_id, variant_id, quantity) values (1, 1, 2), (2, 2, 3), (3, 1, 1);";

// Every table but `migrations`, which says when it was made, with count and content.
static const char CONTENT[] =
    "select string_agg(table_name || ' ' || (xpath('/row/c/text()', query_to_xml(format('select count(*) || '' '' || "
    "coalesce(md5(string_agg(x::text, '';'' order by x::text)), '''') c from %I.%I x', table_schema, table_name), "
    "false, "
    "true, '')))[1]::text, E'\\n' order by table_name) from information_schema.tables where table_schema = "
    "current_schema() and table_name not in ('migrations', 'catalog_versions')";

static void enter(TestWorld *world, const char *slug)
{
    Error err = {0};
    Str path = str_format(world->arena, "%.*s, pg_temp", STR_ARG(show(world, slug, "schema")));
    ck_assert_ok(db_run(world->cell, S("select set_config('search_path', $1, false)"), PARAMS(path), &err), &err);
}

static Str order(TestWorld *world, char cart)
{
    Str suffix = test_value(world->cell, world->arena, "select substr(current_schema(), 2)");
    Str sql = str_format(
        world->arena,
        "select order_place%.*s(repeat('%c', 22), 'key-%c', 'hash', 'ana@example.org', '{\"name\": \"Ana\"}', "
        "'standard', 'bank_transfer') ->> 'number'",
        STR_ARG(suffix), cart, cart);
    return test_value(world->cell, world->arena, sql.data);
}

// An import holds the tenant's row so from its beginning to its end.
TEST(an_import_bars_no_operation)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    ck_assert_ok(
        db_begin(world.cell, &err) &&
            db_run(world.cell, S("select from cell.tenants where slug = 'shop' for key share"), NO_PARAMS, &err),
        &err);
    ck_assert_ok(tenant_suspend(world.platform, test_slug("shop"), &err), &err);
    check_status(&world, "shop", "suspended");
    ck_assert_ok(db_commit(world.cell, &err), &err);
    test_world_close(&world);
}

// Pages that are kept name the shop's address.
TEST(another_domain_makes_pages_anew)
{
    TestWorld world;
    Error err = {0};
    const Str host = S("bazar.example");
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    enter(&world, "shop");
    Str before = test_value(world.cell, world.arena, "select version from catalog_versions");
    ck_assert_ok(tenant_set(world.platform, test_slug("shop"),
                            &(TenantChange){.domains_added = &host, .domains_added_count = 1}, &err),
                 &err);
    ck_assert(!str_eq(test_value(world.cell, world.arena, "select version from catalog_versions"), before));
    test_world_close(&world);
}

TEST(a_restored_tenant_has_all_that_it_had_and_goes_on_counting)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    const Str host = S("bazar.example");
    TenantSpec spec = test_world_spec(&world, "shop");
    spec.domains = &host;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    enter(&world, "shop");
    ck_assert_ok(db_script(world.cell, str_of(GOODS), &err), &err);
    ck_assert_str(order(&world, 'a'), S("1001"));
    ck_assert_str(order(&world, 'b'), S("1002"));
    Str looks = test_value(world.cell, world.arena, LOOKS);
    ck_assert_str(looks, S("{\"name\": \"Bazar Sur\", \"colors\": {}, \"language\": \"es\"}"));
    Str before = test_value(world.cell, world.arena, CONTENT), old_schema = show(&world, "shop", "schema");
    test_world_bring(&world, "shop", "deleted");
    check_status(&world, "shop", "deleted");
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    check_status(&world, "shop", "active");
    ck_assert(!str_eq(show(&world, "shop", "schema"), old_schema));
    ck_assert_str(test_value(world.cell, world.arena, LOOKS), looks);
    ck_assert_str(show(&world, "shop", "domains"), S("[\"bazar.example\"]"));
    enter(&world, "shop");
    ck_assert_str(test_value(world.cell, world.arena, CONTENT), before);
    ck_assert_str(order(&world, 'a'), S("1001"));    // the same key: the order that was placed
    ck_assert_str(order(&world, 'c'), S("1003"));
    ck_assert_str(test_value(world.cell, world.arena, "select quantity from stock where variant_id = 1"), S("7"));
    test_world_close(&world);
}

static void warned(void *context, const char *text) { (void)snprintf(context, KIB, "%s", text); }

TEST(a_restored_tenant_says_which_of_its_hosts_another_has_by_now)
{
    TestWorld world;
    Error err = {0};
    char said[KIB] = "";
    Str hosts[] = {S("one.example"), S("two.example")};
    test_world_open(&world, "tenant", false);
    TenantSpec spec = test_world_spec(&world, "shop");
    spec.domains = hosts;
    spec.domain_count = 2;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    test_world_bring(&world, "shop", "deleted");
    spec = test_world_spec(&world, "other");
    spec.domains = hosts;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    platform_warned(world.platform, warned, said);
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    platform_warned(world.platform, NULL, NULL);
    ck_assert_str(str_of(said), S("of another shop by now, and so not of 'shop' again: one.example"));
    ck_assert_str(show(&world, "shop", "domains"), S("[\"two.example\"]"));
    test_world_check(&world, "shop", "restored without a host");
    test_world_close(&world);
}

TEST(of_a_deleted_tenant_only_record_and_dump_are_left)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    Str schema = show(&world, "shop", "schema");
    test_world_bring(&world, "shop", "deleted");
    check_status(&world, "shop", "deleted");
    Str sql = str_format(world.arena, "select (to_regnamespace('%.*s') is null and to_regrole('%.*s') is null)::text",
                         STR_ARG(schema), STR_ARG(schema));
    ck_assert_str(test_value(world.cell, world.arena, sql.data), S("true"));
    ck_assert_str(show(&world, "shop", "schema"), S("null"));
    ck_assert_str(test_value(world.control, world.arena, "select count(*) from control.dumps where slug = 'shop'"),
                  S("1"));
    ck_assert_ok(db_run(world.control, S("update control.dumps set expires_at = now()"), NO_PARAMS, &err), &err);
    size_t removed = 0;
    ck_assert_ok(dumps_expire(world.platform, &removed, &err), &err);
    ck_assert_uint_eq(removed, 1);
    test_world_check(&world, "shop", "its dump has expired");
    ck_assert(!tenant_restore(world.platform, test_slug("shop"), &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "no dump");
    test_world_close(&world);
}

TEST(a_slug_is_free_after_deletion_and_its_new_tenant_is_another)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    enter(&world, "shop");
    ck_assert_ok(db_script(world.cell, str_of(GOODS), &err), &err);
    test_world_bring(&world, "shop", "deleted");
    TenantSpec spec = test_world_spec(&world, "shop");
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    check_status(&world, "shop", "active");
    enter(&world, "shop");
    ck_assert_str(test_value(world.cell, world.arena, "select count(*) from products"), S("0"));
    ck_assert(!tenant_restore(world.platform, test_slug("shop"), &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "not deleted");
    test_world_close(&world);
}

TEST(a_damaged_dump_is_refused_and_the_tenant_stays_deleted)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "tenant", true);
    test_world_bring(&world, "shop", "active");
    enter(&world, "shop");
    ck_assert_ok(db_script(world.cell, str_of(GOODS), &err), &err);
    test_world_bring(&world, "shop", "deleted");
    Str path = test_value(world.control, world.arena, "select path from control.dumps");
    Str file = str_format(world.arena, "%.*s/products.copy", STR_ARG(path)), output = S("");
    const char *argv[] = {"truncate", "-s", "0", file.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 10000, world.arena, &output, &err), &err);
    ck_assert(!tenant_restore(world.platform, test_slug("shop"), &err));
    ck_assert_int_eq(err.code, ERR_MALFORMED);
    check_status(&world, "shop", "deleted");
    test_world_close(&world);
}

static const struct {
    const char *key, *value;
    ErrorCode code;
    const char *says;
} MANIFESTS[] = {
    {"format", "2", ERR_STATE, "its format is 2"},
    {"migrations", "[]", ERR_MALFORMED, "names no migrations"},
    {"migrations", "[\"001_tables.sql\", \"001_tables.sql\"]", ERR_STATE, "aren't this program's"},
    {"migrations", "[\"zero.sql\"]", ERR_STATE, "isn't known here"},
    {"tables", "[{\"table\": \"none\", \"columns\": \"id\", \"rows\": 0}]", ERR_FAILED, "none"},
};

TEST(a_manifest_that_this_program_did_not_write_is_refused)
{
    TestWorld world;
    Error err = {0};
    Str whole, changed;
    test_world_open(&world, "tenant", false);
    test_world_bring(&world, "shop", "deleted");
    Str path = test_value(world.control, world.arena, "select path || '/manifest.json' from control.dumps");
    ck_assert_ok(file_read(path, MIB, world.arena, &whole, &err), &err);
    for (size_t i = 0; i < COUNT(MANIFESTS); i++) {
        CLEANUP(json_close) Json *manifest = NULL;
        Json *value = NULL;
        ck_assert_ok(json_parse(whole, &manifest, &err) && json_parse(str_of(MANIFESTS[i].value), &value, &err) &&
                         json_set(manifest, MANIFESTS[i].key, value, &err) &&
                         json_print(manifest, 1, world.arena, &changed, &err) && file_write(path, changed, 0600, &err),
                     &err);
        ck_assert(!tenant_restore(world.platform, test_slug("shop"), &err));
        ck_assert_says(&err, MANIFESTS[i].code, MANIFESTS[i].says);
        error_clear(&err);
        test_world_check(&world, "shop", MANIFESTS[i].says);
    }
    ck_assert_ok(file_write(path, whole, 0600, &err) && tenant_restore(world.platform, test_slug("shop"), &err), &err);
    test_world_check(&world, "shop", "restored from its own manifest");
    test_world_close(&world);
}

TEST(a_shop_that_its_address_does_not_know_waits_until_it_does)
{
    TestWorld world, other;
    Error err = {0};
    CLEANUP(platform_close) Platform *hasty = NULL;
    test_world_open(&world, "tenant", false);
    test_world_open(&other, "other", true);    // its shopd has another cell
    ck_assert_ok(cell_add(world.platform, &(CellSpec){.name = S("main"), .url = other.url}, &err), &err);
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn, .smoke_ms = 30}, &hasty, &err),
                 &err);
    TenantSpec spec = test_world_spec(&world, "shop");
    ck_assert(!tenant_create(hasty, &spec, NULL, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "answers with status 404");
    error_clear(&err);
    ck_assert_ok(cell_add(world.platform, &(CellSpec){.name = S("main"), .url = world.url}, &err), &err);
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    test_world_check(&world, "shop", "its address knows it");
    test_world_close(&other);
    test_world_close(&world);
}

// The cell's address, as by a hand in the record.
static void address_set(TestWorld *world, const char *url)
{
    Error err = {0};
    ck_assert_ok(
        db_run(world->control, S("update control.cells set url = $1 where name = 'main'"), PARAMS(str_of(url)), &err),
        &err);
}

TEST(a_shop_whose_shopd_is_broken_is_not_made)
{
    TestWorld world;
    Error err = {0};
    CLEANUP(platform_close) Platform *hasty = NULL;
    test_world_open(&world, "tenant", false);
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn, .smoke_ms = 30}, &hasty, &err),
                 &err);
    TenantSpec spec = test_world_spec(&world, "shop");
    address_set(&world, str_format(world.arena, "%.*s/broken", STR_ARG(world.url)).data);
    ck_assert(!tenant_create(hasty, &spec, NULL, &err));
    ck_assert_says(&err, ERR_FAILED, "the new shop 'shop' answers with status 500");
    ck_assert_str(test_world_status(&world, "shop"), S(""));
    error_clear(&err);
    address_set(&world, "http://127.0.0.1:1");
    ck_assert(!tenant_create(hasty, &spec, NULL, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "the new shop 'shop' doesn't answer");
    error_clear(&err);
    address_set(&world, "");
    ck_assert(!operation_resume(hasty, 2, &err));
    ck_assert_says(&err, ERR_STATE, "its cell 'main' has no address");
    ck_assert_str(test_world_status(&world, "shop"), S(""));
    address_set(&world, world.url.data);
    test_world_check(&world, "shop", "not made");
    test_world_close(&world);
}

TEST(a_shop_is_not_deleted_where_there_is_no_place_for_its_dump)
{
    TestWorld world;
    Error err = {0};
    CLEANUP(platform_close) Platform *placeless = NULL;
    test_world_open(&world, "tenant", false);
    test_world_bring(&world, "shop", "archived");
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = world.control_dsn}, &placeless, &err), &err);
    ck_assert(!tenant_delete(placeless, test_slug("shop"), &err));
    ck_assert_says(&err, ERR_STATE, "name the platform's directory with --data");
    ck_assert_str(test_world_status(&world, "shop"), S("archived"));
    test_world_check(&world, "shop", "not deleted");
    test_world_close(&world);
}

SUITE(tenant, ONCE(a_new_tenant_is_recorded_served_and_shown), ONCE(a_wrong_field_is_refused_and_nothing_is_written),
      ONCE(colours_are_checked_by_name_and_value), ONCE(a_slug_and_a_host_belong_to_one_tenant),
      ONCE(a_refused_creation_leaves_no_trace), ONCE(a_shop_that_is_being_made_is_there_already),
      ONCE(of_several_at_once_one_gets_the_slug), ONCE(a_spare_that_was_made_for_one_is_no_others),
      ONCE(a_creation_waits_for_a_request_of_its_slug_and_leaves_no_trace),
      ONCE(several_at_once_do_not_pass_a_cells_capacity), ONCE(a_cell_without_an_address_gets_no_shop),
      ONCE(a_restored_shop_goes_back_to_its_cell_where_that_has_room),
      ONCE(a_list_counts_what_its_limit_leaves_out_too), ONCE(a_wish_is_granted_or_rejected),
      EACH(a_command_is_done_where_the_life_allows_it_and_else_changes_nothing, LIVES),
      EACH(a_dry_run_sees_what_else_is_in_the_way, HINDRANCES),
      ONCE(a_dry_run_goes_on_with_what_was_left_as_the_run_does), ONCE(what_is_set_is_served),
      ONCE(how_to_pay_and_ways_of_shipping_reach_the_shop), ONCE(what_would_change_is_said_and_nothing_changes),
      ONCE(a_change_that_is_refused_leaves_all_as_it_was), ONCE(an_import_bars_no_operation),
      ONCE(another_domain_makes_pages_anew), ONCE(a_restored_tenant_has_all_that_it_had_and_goes_on_counting),
      ONCE(a_restored_tenant_says_which_of_its_hosts_another_has_by_now),
      ONCE(of_a_deleted_tenant_only_record_and_dump_are_left),
      ONCE(a_slug_is_free_after_deletion_and_its_new_tenant_is_another),
      ONCE(a_damaged_dump_is_refused_and_the_tenant_stays_deleted),
      ONCE(a_manifest_that_this_program_did_not_write_is_refused),
      ONCE(a_shop_that_its_address_does_not_know_waits_until_it_does), ONCE(a_shop_whose_shopd_is_broken_is_not_made),
      ONCE(a_shop_is_not_deleted_where_there_is_no_place_for_its_dump))
