// tests/test_survival.c: buyers buy while shopd, backends and the whole PostgreSQL are killed: no order is lost,
// doubled or half.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pg.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_client.h"
#include "tests/support/test_platform.h"

enum {
    BUYERS = 8,
    ORDERS_MAX = 4000,
    KILLS_DEFAULT = 12,
    PAUSE_MS = 700,      // between two kills
    RETRY_MS = 60000,    // within this, a buyer's retry must get its answer
    HANG_MS = 60000,     // a shop that is not ready by then never will be; how long it takes is a figure, not a test
};

// shopctl reads this: two products, of which one runs out on the way.
static const char CATALOGUE[] = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory "
                                "Tracker,Variant Inventory Qty,Variant Inventory Policy\n"
                                "scarce,Scarce,Title,Default Title,5.00,shopify,100,deny\n"
                                "plenty,Plenty,Title,Default Title,7.00,shopify,100000,deny\n";

typedef struct Survival {
    TestPlatform platform;
    atomic_bool is_over;
    atomic_size_t order_count;
    char keys[ORDERS_MAX][64];      // acknowledged with 201
    char tokens[ORDERS_MAX][64];    // what the answer said
    char variants[2][32];
} Survival;

static Survival survival;

static Str read_variant(ShopClient *client, const char *handle, Arena *arena)
{
    ShopAnswer answer;
    Str path = str_format(arena, "/api/v1/store/products/%s", handle);
    ck_assert(shop_call(client, &(ShopRequest){.method = "GET", .path = path.data}, arena, &answer));
    ck_assert_int_eq(answer.status, 200);
    Str id = str_copy(arena, json_str(json_get(json_element(json_get(answer.json, "variants"), 0), "id")));
    shop_answer_close(&answer);
    return id;
}

// Calls until an answer comes that settles it: neither nothing nor a 5xx nor "try again".
static bool call_until_settled(ShopClient *client, const ShopRequest *request, Arena *arena, ShopAnswer *out)
{
    for (int64_t until_ms = clock_ms() + RETRY_MS; clock_ms() < until_ms; clock_sleep_ms(50)) {
        if (shop_call(client, request, arena, out) && out->status < 500 && out->status != 429)
            return true;
        shop_answer_close(out);
    }
    return false;
}

// A cart with one piece, in each fifth round of both; its id, or the empty text when the shop went away for good.
static Str fill_cart(ShopClient *client, int round, Arena *arena)
{
    ShopAnswer answer;
    if (!call_until_settled(client, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"},
                            arena, &answer))
        return S("");
    Str id = str_copy(arena, json_str(json_get(answer.json, "id")));
    shop_answer_close(&answer);
    for (int i = 0; i < (round % 5 == 0 ? 2 : 1); i++) {
        Str path = str_format(arena, "/api/v1/store/carts/%.*s/lines", STR_ARG(id));
        Str body = str_format(arena, "{\"variant_id\": \"%s\", \"quantity\": 1}", survival.variants[i]);
        if (!call_until_settled(client, &(ShopRequest){.method = "POST", .path = path.data, .body = body.data}, arena,
                                &answer))
            return S("");
        shop_answer_close(&answer);
    }
    return id;
}

static bool is_one_of(int status, const int *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (status == wanted[i])
            return true;
    return false;
}

static void note_order(Str key, const ShopAnswer *answer)
{
    size_t at = atomic_fetch_add(&survival.order_count, 1);
    ck_assert_uint_lt(at, ORDERS_MAX);
    (void)snprintf(survival.keys[at], sizeof(survival.keys[at]), "%.*s", STR_ARG(key));
    (void)snprintf(survival.tokens[at], sizeof(survival.tokens[at]), "%.*s",
                   STR_ARG(json_str(json_get(answer->json, "token"))));
}

static bool buy_once(ShopClient *client, int number, int round, Arena *arena)
{
    static const char BODY[] =
        "{\"email\": \"ana@buyer.example\", \"shipping_address\": {\"name\": \"Ana\", \"line1\": \"Calle 1\", "
        "\"city\": \"Madrid\","
        " \"region\": \"M\", \"postal_code\": \"28001\", \"country\": \"ES\"}, \"shipping_method\": \"standard\","
        " \"payment_method\": \"bank_transfer\"}";
    static const int SETTLED[] = {201, 409};
    Str cart = fill_cart(client, round, arena), key = str_format(arena, "buyer-%d-round-%d", number, round);
    if (str_is_empty(cart))
        return false;
    Str path = str_format(arena, "/api/v1/store/carts/%.*s/checkout", STR_ARG(cart));
    Str headers = str_format(arena, "Idempotency-Key: %.*s\r\n", STR_ARG(key));
    ShopAnswer answer;
    if (!call_until_settled(client,
                            &(ShopRequest){.method = "POST", .path = path.data, .headers = headers.data, .body = BODY},
                            arena, &answer))
        return false;
    ck_assert_msg(is_one_of(answer.status, SETTLED, COUNT(SETTLED)), "checkout: %d %.*s", answer.status,
                  STR_ARG(answer.body));
    if (answer.status == 201)
        note_order(key, &answer);
    shop_answer_close(&answer);
    return true;
}

static void *buyer_run(void *context)
{
    int number = (int)(intptr_t)context;
    ShopClient *client = shop_client_open(survival.platform.port, "acme.localhost");
    Arena *arena = arena_open(16 * MIB);
    intptr_t is_well = true;
    for (int round = 0; is_well && !atomic_load(&survival.is_over); round++) {
        arena_reset(arena);
        is_well = buy_once(client, number, round, arena);
    }
    arena_close(&arena);
    shop_client_close(&client);
    return (void *)is_well;
}

// ---- the killer ----

static int postmaster_pid(const TestPlatform *platform, Arena *arena)
{
    Error err = {0};
    Str text = S(""), line = S("");
    int64_t pid = 0;
    Str path = str_format(arena, "%.*s/pg/postmaster.pid", STR_ARG(platform->data));
    if (!file_read(path, 4 * KIB, arena, &text, &err) || !str_cut(&text, '\n', &line) ||
        !str_int64(line, 1, INT32_MAX, &pid, &err))
        return 0;
    return (int)pid;
}

static int shopd_pid(const TestPlatform *platform, Arena *arena)
{
    (void)arena;
    CLEANUP(json_close) Json *status = test_platform_status(platform);
    return (int)json_int64(json_get(json_element(json_get(status, "shopd"), 0), "pid"));
}

static Str cell_dsn(const TestPlatform *platform, Arena *arena)
{
    CLEANUP(json_close) Json *status = test_platform_status(platform);
    return str_copy(arena, json_str(json_get(json_element(json_get(status, "cells"), 0), "dsn")));
}

// One of shopd's backends.
static int backend_pid(const TestPlatform *platform, Arena *arena)
{
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_open(cell_dsn(platform, arena), NULL, &db, &err) ||
        !db_query(db, S("select pid from pg_stat_activity where usename like '%\\_shopd' order by random() limit 1"),
                  NO_PARAMS, &rows, &err))
        return 0;
    return rows_count(rows) ? (int)rows_int64(rows, 0, 0) : 0;
}

static const struct {
    const char *what;
    int (*pid)(const TestPlatform *platform, Arena *arena);
} VICTIMS[] = {{"shopd", shopd_pid}, {"a backend", backend_pid}, {"PostgreSQL", postmaster_pid}};

static bool is_ready(Arena *arena)
{
    ShopClient *client = shop_client_open(survival.platform.port, "acme.localhost");
    ShopAnswer answer;
    bool is_there = shop_call(client, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"},
                              arena, &answer) &&
                    answer.status == 201;
    shop_answer_close(&answer);
    shop_client_close(&client);
    return is_there;
}

static void kill_one(size_t victim, Arena *arena)
{
    int pid = VICTIMS[victim].pid(&survival.platform, arena);
    if (pid == 0)
        return;
    (void)kill(pid, SIGKILL);
    int64_t killed_ms = clock_ms();
    while (!is_ready(arena)) {
        ck_assert_msg(clock_ms() - killed_ms < HANG_MS, "%s was killed and the shop isn't ready after %d ms",
                      VICTIMS[victim].what, HANG_MS);
        clock_sleep_ms(20);
    }
}

static int kills_wanted(void)
{
    const char *wanted = getenv("TEST_KILLS");
    return wanted ? (int)strtol(wanted, NULL, 10) : KILLS_DEFAULT;
}

// ---- the count ----

static void check_orders(Arena *arena)
{
    CLEANUP(json_close) Json *tenant = NULL;
    Error err = {0};
    ck_assert_ok(json_parse(SHOPCTL(&survival.platform, "tenant", "show", "acme", "-o", "json"), &tenant, &err), &err);
    CLEANUP(db_close) Db *db = test_db_open(cell_dsn(&survival.platform, arena));
    Str path = str_format(arena, "set search_path = %.*s", STR_ARG(json_str(json_get(tenant, "schema"))));
    ck_assert_ok(db_script(db, path, &err), &err);
    size_t acknowledged = atomic_load(&survival.order_count);
    for (size_t i = 0; i < acknowledged; i++) {
        CLEANUP(rows_close) Rows *rows = NULL;
        ck_assert_ok(
            db_query(db,
                     S("select count(*) from orders o join idempotency_keys k on k.answer ->> 'token' = o.token "
                       "where k.key = $1 and o.token = $2"),
                     PARAMS(str_of(survival.keys[i]), str_of(survival.tokens[i])), &rows, &err),
            &err);
        ck_assert_msg(rows_int64(rows, 0, 0) == 1, "the order of %s is there %lld times", survival.keys[i],
                      (long long)rows_int64(rows, 0, 0));
    }
    ck_assert_str(
        test_value(
            db, arena,
            "select count(*) from orders o where not exists (select 1 from order_lines l where l.order_id = o.id)"),
        S("0"));
    ck_assert_str(test_value(db, arena,
                             "select count(*) from orders o where total_minor <> shipping_minor + "
                             "(select sum(total_minor) from order_lines l where l.order_id = o.id)"),
                  S("0"));
    ck_assert_str(
        test_value(db, arena,
                   "select count(*) from stock k where quantity <> "
                   "(select coalesce(sum(quantity), 0) from stock_movements m where m.variant_id = k.variant_id)"),
        S("0"));
    ck_assert_str(test_value(db, arena, "select count(*) from stock where quantity < 0"), S("0"));
    ck_assert_str(
        test_value(db, arena, "select count(*) - count(distinct k.answer ->> 'token') from idempotency_keys k"),
        S("0"));
    Str orders = test_value(db, arena, "select count(*) from orders");
    ck_assert_str(orders, str_format(arena, "%zu", acknowledged));    // every buyer retried to its end
    printf("%zu orders under %d kills\n", acknowledged, kills_wanted());
}

TEST(no_order_is_lost_doubled_or_half_when_anything_is_killed)
{
    CLEANUP(arena_close) Arena *arena = arena_open(256 * MIB);
    Error err = {0};
    test_platform_up(&survival.platform);
    Str csv = str_format(arena, "%.*s/../catalogue.csv", STR_ARG(survival.platform.data));
    ck_assert_ok(file_write(csv, str_of(CATALOGUE), 0644, &err), &err);
    (void)SHOPCTL(&survival.platform, "tenant", "create", "acme", "--plan", "standard", "--email",
                  "owner@acme.example");
    (void)SHOPCTL(&survival.platform, "tenant", "set", "acme", "--limit", "requests_per_second=0");
    (void)SHOPCTL(&survival.platform, "product", "import", "acme", csv.data);
    ShopClient *client = shop_client_open(survival.platform.port, "acme.localhost");
    static const char *const HANDLES[] = {"plenty", "scarce"};
    for (size_t i = 0; i < COUNT(HANDLES); i++)
        (void)snprintf(survival.variants[i], sizeof(survival.variants[i]), "%.*s",
                       STR_ARG(read_variant(client, HANDLES[i], arena)));
    shop_client_close(&client);

    pthread_t buyers[BUYERS];
    for (intptr_t i = 0; i < BUYERS; i++)
        ck_assert_int_eq(pthread_create(&buyers[i], NULL, buyer_run, (void *)i), 0);
    for (int i = 0; i < kills_wanted(); i++) {
        clock_sleep_ms(PAUSE_MS);
        kill_one((size_t)i % COUNT(VICTIMS), arena);
    }
    atomic_store(&survival.is_over, true);
    for (int i = 0; i < BUYERS; i++) {
        void *is_well = NULL;
        (void)pthread_join(buyers[i], &is_well);
        ck_assert_msg(is_well != NULL, "buyer %d got no answer within %d ms", i, RETRY_MS);
    }
    check_orders(arena);
    test_platform_down(&survival.platform);
}

SUITE(survival, ONCE(no_order_is_lost_doubled_or_half_when_anything_is_killed))
