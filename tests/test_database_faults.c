// tests/test_database_faults.c: a database that is slow, holds its answers, restarts, has no connection left, or whose
// network is half-open: each has its time and its answer, and nothing is lost or done twice.
#include "base/clock.h"
#include "base/log.h"
#include "tests/support/database_proxy.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_cell.h"

enum { TIMEOUT_MS = 1500, TRIES = 1200, PAUSE_MS = 50 };

#define API "/api/v1/store"
#define CART "cartcartcartcartcart22"
#define ORDER                                                                                                          \
    "{\"email\":\"ana@example.com\",\"shipping_address\":{\"name\":\"Ana\",\"line1\":\"Calle 1\",\"city\":\"Vigo\","   \
    "\"postal_code\":\"36201\",\"country\":\"ES\"},\"shipping_method\":\"standard\",\"payment_method\":"               \
    "\"bank_transfer\"}"

static const ShopRequest WARM = {.method = "GET", .path = "/products/taza-azul"};
static const ShopRequest READ = {.method = "GET", .path = API "/carts/" CART};
static const ShopRequest CHECKOUT = {
    .method = "POST", .path = API "/carts/" CART "/checkout", .headers = "Idempotency-Key: once\r\n", .body = ORDER};

typedef struct Stage {
    TestCell cell;
    DatabaseProxy *proxy;
    ShopClient *acme;
} Stage;

static int status_of(Stage *stage, const ShopRequest *request)
{
    ShopAnswer answer;
    ck_assert_msg(shop_call(stage->acme, request, stage->cell.arena, &answer), "%s: no answer", request->path);
    shop_answer_close(&answer);
    return answer.status;
}

static void check_refused(Stage *stage, const ShopRequest *request, const char *says)
{
    ShopAnswer answer;
    ck_assert(shop_call(stage->acme, request, stage->cell.arena, &answer));
    ck_assert_msg(answer.status == 503, "%s: %d %.*s", request->path, answer.status, STR_ARG(answer.body));
    ck_assert_str(shop_answer_header(&answer, S("Content-Type")), S("application/problem+json"));
    ck_assert_uint_gt(shop_answer_header(&answer, S("Retry-After")).len, 0);
    ck_assert_contains(answer.body, str_of(says));
    ck_assert_uint_eq(str_find(answer.body, S("database_faults")), answer.body.len);    // no names of ours
    ck_assert_uint_eq(str_find(answer.body, S("127.0.0.1")), answer.body.len);
    shop_answer_close(&answer);
}

static void await_status(Stage *stage, const ShopRequest *request, int status)
{
    int got = 0;
    for (int i = 0; i < TRIES && (got = status_of(stage, request)) != status; i++)
        clock_sleep_ms(PAUSE_MS);
    ck_assert_msg(got == status, "%s: %d", request->path, got);
}

static void stage_open(Stage *stage)
{
    Str dsn;
    log_level_set(LOG_ERROR + 1);
    *stage = (Stage){0};
    test_cell_open(&stage->cell, "database_faults");
    test_cell_sql(&stage->cell, "insert into t_1.carts (token) values ('" CART "');"
                                "insert into t_1.cart_lines (cart_id, variant_id, quantity) values (1, 1, 1)");
    stage->proxy = database_proxy_open(stage->cell.dsn, stage->cell.arena, &dsn);
    stage->cell.database_timeout_ms = TIMEOUT_MS;
    test_cell_serve(&stage->cell, 1, dsn);
    test_cell_await_news(&stage->cell);
    stage->acme = shop_client_open(stage->cell.port, "acme.localhost");
    await_status(stage, &WARM, 200);
    await_status(stage, &READ, 200);
}

static void stage_close(Stage *stage)
{
    shop_client_close(&stage->acme);
    test_cell_stop(&stage->cell);
    database_proxy_close(&stage->proxy);
    test_cell_close(&stage->cell);
}

static Str orders_and_stock(Stage *stage)
{
    return test_value(stage->cell.db, stage->cell.arena,
                      "select (select count(*) from t_1.orders) || ' ' || (select quantity from t_1.stock where "
                      "variant_id = 1)");
}

static const struct {
    ProxyMode modes[2];              // one after the other; the first may be PROXY_FLOWS
    const char *says;                // of the checkout; NULL: it is answered 201
    const char *orders_and_stock;    // while it lasts
} FAULTS[] = {
    {{PROXY_FLOWS, PROXY_SLOW}, NULL, "1 9"},
    {{PROXY_FLOWS, PROXY_HOLDS}, "it is unknown whether the change was made", "1 9"},
    {{PROXY_FLOWS, PROXY_DEAD}, "it is unknown whether the change was made", "0 10"},
    {{PROXY_FLOWS, PROXY_CUT}, "can't be reached", "0 10"},
    {{PROXY_CUT, PROXY_FULL}, "can't be reached", "0 10"},
    {{PROXY_CUT, PROXY_STARTING}, "can't be reached", "0 10"},
};

TEST(a_faulty_database_has_its_answer_and_each_order_is_made_once)
{
    Stage stage;
    stage_open(&stage);
    database_proxy_set(stage.proxy, FAULTS[_i].modes[0]);
    if (FAULTS[_i].modes[0] == PROXY_CUT)
        await_status(&stage, &READ, 503);
    database_proxy_set(stage.proxy, FAULTS[_i].modes[1]);
    if (!FAULTS[_i].says)
        ck_assert_int_eq(status_of(&stage, &CHECKOUT), 201);
    else
        check_refused(&stage, &CHECKOUT, FAULTS[_i].says);
    ck_assert_str(orders_and_stock(&stage), str_of(FAULTS[_i].orders_and_stock));
    if (FAULTS[_i].says)
        check_refused(&stage, &READ, "");
    ck_assert_int_eq(status_of(&stage, &WARM), 200);
    ck_assert_int_eq(status_of(&stage, &(ShopRequest){.method = "GET", .path = "/healthz"}), 200);

    database_proxy_set(stage.proxy, PROXY_FLOWS);
    await_status(&stage, &CHECKOUT, 201);    // the same key
    await_status(&stage, &READ, 404);        // the cart is an order now
    ck_assert_str(orders_and_stock(&stage), S("1 9"));
    stage_close(&stage);
}

TEST(what_changed_while_the_network_was_half_open_is_seen_after_it)
{
    Stage stage;
    stage_open(&stage);
    database_proxy_set(stage.proxy, PROXY_DEAD);
    test_cell_sql(&stage.cell, "update t_1.products set title = 'Renamed' where handle = 'taza-azul';"
                               "set search_path = t_1; select catalog_changed_1()");
    database_proxy_set(stage.proxy, PROXY_FLOWS);
    ShopAnswer answer = {0};
    bool is_seen = false;
    for (int i = 0; i < TRIES && !is_seen; i++) {
        ck_assert(shop_call(stage.acme, &WARM, stage.cell.arena, &answer));
        is_seen = str_find(answer.body, S("Renamed")) < answer.body.len;
        shop_answer_close(&answer);
        clock_sleep_ms(PAUSE_MS);
    }
    ck_assert(is_seen);
    stage_close(&stage);
}

// ---- those who wait in place ----

typedef struct Waiter {
    Arena *arena;
    DatabaseProxy *proxy;
    Str dsn;
    Db *db;
} Waiter;

static const DbOptions SHORT = {.connect_timeout_ms = TIMEOUT_MS, .statement_timeout_ms = TIMEOUT_MS};

static bool wait_for_rows(Waiter *waiter, Error *err)
{
    database_proxy_set(waiter->proxy, PROXY_DEAD);
    return db_run(waiter->db, S("select 1"), NO_PARAMS, err);
}

static bool wait_with_much(Waiter *waiter, Error *err)
{
    database_proxy_set(waiter->proxy, PROXY_DEAD);
    char *much = arena_bytes(waiter->arena, 16 * MIB);
    memset(much, 'x', 16 * MIB);
    return db_run(waiter->db, S("select length($1)"), PARAMS((Str){much, 16 * MIB}), err);
}

static bool wait_to_copy_in(Waiter *waiter, Error *err)
{
    static const char LINE[1024] = {[0 ... 1022] = 'x', [1023] = '\n'};
    if (!db_script(waiter->db, S("create temp table lines (line text)"), err) ||
        !db_copy_in(waiter->db, S("copy lines from stdin"), err))
        return false;
    database_proxy_set(waiter->proxy, PROXY_DEAD);
    for (int i = 0; i < 32 * KIB; i++)
        if (!db_copy_put(waiter->db, (Str){LINE, sizeof(LINE)}, err))
            return false;
    return db_copy_in_end(waiter->db, NULL, err);
}

static bool hold_network(void *context, Str bytes, Error *err)
{
    (void)bytes, (void)err;
    database_proxy_set(context, PROXY_DEAD);
    return true;
}

static bool wait_to_copy_out(Waiter *waiter, Error *err)
{
    return db_copy_out(waiter->db, S("copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout"),
                       hold_network, waiter->proxy, err);
}

static bool wait_to_connect(Waiter *waiter, Error *err)
{
    database_proxy_set(waiter->proxy, PROXY_DEAD);
    db_close(&waiter->db);
    return db_open(waiter->dsn, &SHORT, &waiter->db, err);
}

static const struct {
    bool (*wait)(Waiter *waiter, Error *err);
    const char *says;
} WAITS[] = {
    {wait_for_rows, "nothing came within"},          {wait_with_much, "nothing came within"},
    {wait_to_copy_in, "nothing came within"},        {wait_to_copy_out, "nothing came within"},
    {wait_to_connect, "there was no answer within"},
};

TEST(nobody_waits_for_ever_on_a_network_that_is_half_open)
{
    Error err = {0};
    Waiter waiter = {.arena = arena_open(64 * MIB)};
    waiter.proxy = database_proxy_open(test_database("database_faults"), waiter.arena, &waiter.dsn);
    ck_assert_ok(db_open(waiter.dsn, &SHORT, &waiter.db, &err), &err);
    ck_assert(!WAITS[_i].wait(&waiter, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, WAITS[_i].says);
    db_close(&waiter.db);
    database_proxy_close(&waiter.proxy);
    arena_close(&waiter.arena);
}

SUITE(database_faults, EACH(a_faulty_database_has_its_answer_and_each_order_is_made_once, FAULTS),
      ONCE(what_changed_while_the_network_was_half_open_is_seen_after_it),
      EACH(nobody_waits_for_ever_on_a_network_that_is_half_open, WAITS))
