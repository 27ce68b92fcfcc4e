// tests/test_orders.c: a cart becomes an order once, frozen, and nothing is sold that isn't there, whoever buys at
// once.
#include <pthread.h>

#include "base/json.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_schema.h"

enum { BUYERS = 16, STOCK = 10 };

static const char *const CART = "cart-of-the-first-test-1";

static Str one(Db *db, Arena *arena, const char *sql) { return test_value(db, arena, sql); }

static void run(Db *db, const char *sql)
{
    Error err = {0};
    ck_assert_ok(db_script(db, str_of(sql), &err), &err);
}

static bool line_add(Db *db, Str cart, const char *variant, const char *quantity, Error *err)
{
    return db_run(db, S("select cart_line_add_1($1, $2, $3, true)"), PARAMS(cart, str_of(variant), str_of(quantity)),
                  err);
}

// Orders the cart; the answer as text in *out.
static bool place(Db *db, Str cart, Str key, Str hash, Arena *arena, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(db,
                  S("select order_place_1($1, $2, $3, 'Ana@buyer.example', '{\"name\": \"Ana\"}', 'standard', "
                    "'bank_transfer')"),
                  PARAMS(cart, key, hash), &rows, err))
        return false;
    *out = str_copy(arena, rows_str(rows, 0, 0));
    return true;
}

TEST(an_order_holds_what_was_bought_at_the_price_of_then)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S("");
    ck_assert_ok(line_add(db, str_of(CART), "1", "2", &err), &err);
    ck_assert_ok(line_add(db, str_of(CART), "3", "1", &err), &err);
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &answer, &err), &err);
    run(db, "update variants set price_minor = 1; update products set title = 'renamed'");
    CLEANUP(json_close) Json *order = NULL;
    ck_assert_ok(json_parse(one(db, arena, "select order_show_1(token) from orders"), &order, &err), &err);
    ck_assert_int_eq(json_int64(json_get(json_get(order, "total"), "amount")), 2 * 1900 + 4500);
    ck_assert_int_eq(json_int64(json_get(json_get(order, "tax"), "amount")), 1440);    // 21 % contained in 83.00
    const Json *first = json_element(json_get(order, "lines"), 0);
    ck_assert_str(json_str(json_get(first, "title")), S("Taza azul"));
    ck_assert_str(json_str(json_get(first, "variant_title")), S("S"));
    ck_assert_int_eq(json_int64(json_get(json_get(first, "price"), "amount")), 1900);
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 1"), S("8"));
    ck_assert_str(one(db, arena, "select sum(quantity) from stock_movements where variant_id = 1"), S("8"));
    ck_assert_str(one(db, arena, "select email from customers"), S("ana@buyer.example"));
}

TEST(a_list_has_of_each_order_what_it_is_alone)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S("");
    ck_assert_str(one(db, arena, "select order_list_1(0) #>> '{}'"), S("{\"items\" : [], \"total\" : 0}"));
    for (unsigned i = 1; i <= 3; i++) {
        run(db, str_format(arena, "insert into carts (token) values ('cart-of-order-number-%u')", i).data);
        Str cart = str_format(arena, "cart-of-order-number-%u", i);
        ck_assert_ok(line_add(db, cart, "1", "1", &err), &err);
        if (i > 1)
            ck_assert_ok(line_add(db, cart, "3", "2", &err), &err);
        ck_assert_ok(place(db, cart, cart, S("h"), arena, &answer, &err), &err);
    }
    ck_assert_str(one(db, arena,
                      "select string_agg(concat_ws(' ', i ->> 'number', json_array_length(i -> 'lines'), "
                      "i::jsonb = order_find_1((i ->> 'number')::bigint)::jsonb), ', ') "
                      "from json_array_elements(order_list_1(2) -> 'items') i"),
                  S("1003 2 t, 1002 2 t"));
    ck_assert_str(one(db, arena, "select order_list_1(2) ->> 'total'"), S("3"));
}

TEST(the_same_key_gives_the_same_answer_and_another_body_is_refused)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str first = S(""), again = S("");
    ck_assert_ok(line_add(db, str_of(CART), "1", "1", &err), &err);
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &first, &err), &err);
    run(db, "update orders set status = 'paid'");
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &again, &err), &err);
    ck_assert_str(again, first);
    ck_assert(!place(db, str_of(CART), S("k"), S("other"), arena, &again, &err));
    ck_assert_says(&err, ERR_KEY_REUSED, "belongs to another request");
    error_clear(&err);
    ck_assert(!place(db, str_of(CART), S("another key"), S("h"), arena, &again, &err));
    ck_assert_says(&err, ERR_STATE, "ordered already");
    ck_assert_str(one(db, arena, "select count(*) from orders"), S("1"));
}

// The trigger stands for another buyer's new cart, which removes what has expired just after the key was found taken.
TEST(a_key_that_expires_while_it_is_claimed_counts_all_the_same)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str first = S(""), again = S("");
    ck_assert_ok(line_add(db, str_of(CART), "1", "1", &err), &err);
    run(db, "insert into idempotency_keys (key, request_hash, created_at) values ('k', 'old', now() - interval '25 "
            "hours'); "
            "create function expire() returns trigger language plpgsql as $$ begin "
            "delete from idempotency_keys where created_at < now() - interval '24 hours'; return null; end $$; "
            "create trigger expire after insert on idempotency_keys execute function expire()");
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &first, &err), &err);
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &again, &err), &err);
    ck_assert_str(again, first);
    ck_assert_str(one(db, arena, "select count(*) from idempotency_keys where request_hash = 'h'"), S("1"));
}

static const struct {
    const char *prepare;
    const char *variant;
    const char *quantity;
    ErrorCode code;
    const char *says;
} REFUSED_ORDERS[] = {
    {"", "2", "1", ERR_OUT_OF_STOCK, "1 wanted, 0 left"},
    {"", "1", "11", ERR_OUT_OF_STOCK, "lower the quantity to 10"},
    {"delete from shipping_methods", "1", "1", ERR_INVALID, "shipping_method"},
    {"delete from cart_lines", "1", "1", ERR_EMPTY_CART, "empty"},
};

TEST(a_refused_order_leaves_nothing_behind)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S("");
    ck_assert_ok(line_add(db, str_of(CART), REFUSED_ORDERS[_i].variant, REFUSED_ORDERS[_i].quantity, &err), &err);
    run(db, REFUSED_ORDERS[_i].prepare);
    ck_assert(!place(db, str_of(CART), S("k"), S("h"), arena, &answer, &err));
    ck_assert_says(&err, REFUSED_ORDERS[_i].code, REFUSED_ORDERS[_i].says);
    ck_assert_str(one(db, arena, "select count(*) from orders"), S("0"));
    ck_assert_str(one(db, arena, "select count(*) from idempotency_keys"), S("0"));
    ck_assert_str(one(db, arena, "select count(*) from stock_movements where reason = 'sale'"), S("0"));
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 1"), S("10"));
}

TEST(a_sold_out_line_is_named)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S("");
    ck_assert_ok(line_add(db, str_of(CART), "1", "1", &err), &err);
    ck_assert_ok(line_add(db, str_of(CART), "2", "1", &err), &err);
    Str line = one(db, arena, "select 'lines.' || id from cart_lines where variant_id = 2");
    ck_assert(!place(db, str_of(CART), S("k"), S("h"), arena, &answer, &err));
    ck_assert_str(str_of(err.where), line);
}

TEST(backorder_sells_below_zero_and_what_is_not_tracked_is_always_there)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S("");
    run(db, "update stock set is_backorder = true where variant_id = 2; update stock set is_tracked = false where "
            "variant_id = 1");
    ck_assert_ok(line_add(db, str_of(CART), "2", "3", &err), &err);
    ck_assert_ok(line_add(db, str_of(CART), "1", "900", &err), &err);
    ck_assert_ok(place(db, str_of(CART), S("k"), S("h"), arena, &answer, &err), &err);
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 2"), S("-3"));
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 1"), S("10"));
    ck_assert_str(one(db, arena, "select count(*) from stock_movements where reason = 'sale'"), S("1"));
}

TEST(the_table_itself_refuses_a_balance_below_zero)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("orders"));
    Error err = {0};
    ck_assert(!db_script(db, S("update stock set quantity = -1 where variant_id = 1"), &err));
    ck_assert_says(&err, ERR_INVALID, "stock_is_there");
}

TEST(the_pages_are_told_when_something_runs_out)
{
    Str dsn = test_shop("orders");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    CLEANUP(db_close) Db *listener = test_db_open(dsn);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str answer = S(""), before = one(db, arena, "select store_version_1()");
    bool got = true;
    run(listener, "listen cell_catalog");
    ck_assert_ok(line_add(db, str_of(CART), "1", "9", &err), &err);
    ck_assert_ok(place(db, str_of(CART), S("k1"), S("h"), arena, &answer, &err), &err);
    ck_assert_ok(db_wait_notify(listener, 50, &got, &err), &err);
    ck_assert(!got);
    ck_assert_str(one(db, arena, "select store_version_1()"), before);
    ck_assert_ok(line_add(db, S("cart-of-the-second-buyer"), "1", "1", &err), &err);
    ck_assert_ok(place(db, S("cart-of-the-second-buyer"), S("k2"), S("h"), arena, &answer, &err), &err);
    ck_assert_ok(db_wait_notify(listener, 5000, &got, &err), &err);
    ck_assert(got);
    ck_assert(!str_eq(one(db, arena, "select store_version_1()"), before));
}

// ---- many at once ----

typedef struct Buyer {
    pthread_t thread;
    Str dsn;
    int number;
    bool (*buys)(Db *db, int number, Error *err);
    bool has_bought;
    Error err;
} Buyer;

static void *buyer_run(void *context)
{
    Buyer *buyer = context;
    CLEANUP(db_close) Db *db = NULL;
    buyer->has_bought = db_open(buyer->dsn, NULL, &db, &buyer->err) && buyer->buys(db, buyer->number, &buyer->err);
    return NULL;
}

// Lets all buyers loose and gives how many have bought; the others must have failed with `code`.
static int buyers_run(Str dsn, bool (*buys)(Db *db, int number, Error *err), ErrorCode code)
{
    Buyer buyers[BUYERS];
    int bought = 0;
    for (int i = 0; i < BUYERS; i++) {
        buyers[i] = (Buyer){.dsn = dsn, .number = i, .buys = buys};
        ck_assert_int_eq(pthread_create(&buyers[i].thread, NULL, buyer_run, &buyers[i]), 0);
    }
    for (int i = 0; i < BUYERS; i++) {
        (void)pthread_join(buyers[i].thread, NULL);
        bought += buyers[i].has_bought;
        if (!buyers[i].has_bought)
            ck_assert_says(&buyers[i].err, code, "");
    }
    return bought;
}

static bool buys_one(Db *db, int number, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str cart = str_format(arena, "cart-of-buyer-number-%04d", number), answer = S("");
    return line_add(db, cart, "1", "1", err) && place(db, cart, cart, S("h"), arena, &answer, err);
}

TEST(sixteen_buyers_of_ten_pieces_get_ten)
{
    Str dsn = test_shop("orders");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    ck_assert_int_eq(buyers_run(dsn, buys_one, ERR_OUT_OF_STOCK), STOCK);
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 1"), S("0"));
    ck_assert_str(one(db, arena, "select sum(quantity) from stock_movements where variant_id = 1"), S("0"));
    ck_assert_str(one(db, arena, "select count(*) || '/' || count(distinct number) from orders"), S("10/10"));
}

static bool buys_with_the_one_key(Db *db, int number, Error *err)
{
    (void)number;
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str answer = S("");
    return place(db, str_of(CART), S("the one key"), S("h"), arena, &answer, err);
}

TEST(one_key_at_once_gives_one_order)
{
    Str dsn = test_shop("orders");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert_ok(line_add(db, str_of(CART), "1", "1", &err), &err);
    ck_assert_int_eq(buyers_run(dsn, buys_with_the_one_key, ERR_NONE), BUYERS);
    ck_assert_str(one(db, arena, "select count(*) from orders"), S("1"));
    ck_assert_str(one(db, arena, "select quantity from stock where variant_id = 1"), S("9"));
}

static bool buys_both(Db *db, int number, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    for (int round = 0; round < 10; round++) {
        Str cart = str_format(arena, "cart-of-buyer-%04d-round-%04d", number, round), answer = S("");
        bool is_even = number % 2 == 0;
        if (!line_add(db, cart, is_even ? "1" : "3", "1", err) || !line_add(db, cart, is_even ? "3" : "1", "1", err) ||
            !place(db, cart, cart, S("h"), arena, &answer, err))
            return false;
    }
    return true;
}

TEST(carts_with_the_same_things_in_another_order_do_not_block_each_other)
{
    Str dsn = test_shop("orders");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    run(db, "select stock_set_1(1, 1000, 'correction'), stock_set_1(3, 1000, 'correction')");
    ck_assert_int_eq(buyers_run(dsn, buys_both, ERR_NONE), BUYERS);
    ck_assert_str(
        one(db, arena,
            "select string_agg(quantity::text, ' ' order by variant_id) from stock where variant_id in (1, 3)"),
        S("840 840"));
    ck_assert_str(one(db, arena,
                      "select count(*) from stock k where quantity <> (select coalesce(sum(quantity), 0) "
                      "from stock_movements m where m.variant_id = k.variant_id)"),
                  S("0"));
}

SUITE(orders, ONCE(an_order_holds_what_was_bought_at_the_price_of_then),
      ONCE(a_list_has_of_each_order_what_it_is_alone),
      ONCE(the_same_key_gives_the_same_answer_and_another_body_is_refused),
      ONCE(a_key_that_expires_while_it_is_claimed_counts_all_the_same),
      EACH(a_refused_order_leaves_nothing_behind, REFUSED_ORDERS), ONCE(a_sold_out_line_is_named),
      ONCE(backorder_sells_below_zero_and_what_is_not_tracked_is_always_there),
      ONCE(the_table_itself_refuses_a_balance_below_zero), ONCE(the_pages_are_told_when_something_runs_out),
      ONCE(sixteen_buyers_of_ten_pieces_get_ten), ONCE(one_key_at_once_gives_one_order),
      ONCE(carts_with_the_same_things_in_another_order_do_not_block_each_other))
