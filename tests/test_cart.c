// tests/test_cart.c: carts, by the API and by forms without JavaScript; over HTTP, against a real PostgreSQL.
#include "tests/support/store_stage.h"

#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

TEST(a_cart_is_filled_changed_and_emptied)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":2}");
    Str line = str_copy(stage.cell.arena, json_str(json_get(store_first_line(&stage), "id")));
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), 3800);
    const char *lines = store_text(&stage, STORE_API "/carts/%/lines", cart);
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":\"1\",\"quantity\":1}"), 200);
    ck_assert_int_eq(json_int64(json_get(store_first_line(&stage), "quantity")), 3);
    const char *path = str_format(stage.cell.arena, "%s/%.*s", lines, STR_ARG(line)).data;
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "{\"quantity\":5}"), 200);
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "{\"quantity\":0}"), 422);
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "{\"quantity\":1000}"), 422);
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "{\"quantity\":\"5\"}"), 422);
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "{"), 400);
    ck_assert_int_eq(store_send(&stage, "PATCH", path, NULL, "[]"), 400);
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":1,\"quantity\":1}"), 422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"variant_id\""));
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":\"4\",\"quantity\":1}"),
                     422);    // unpublished
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":\"1\",\"quantity\":999}"), 422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"quantity\""));
    ck_assert_int_eq(store_send(&stage, "DELETE", path, NULL, NULL), 200);
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "lines")), 0);
    ck_assert_int_eq(store_send(&stage, "DELETE", path, NULL, NULL), 404);
    store_close(&stage);
}

static const struct {
    const char *lines;
    const char *says;    // NULL: a cart is made
    long long total;
} FILLED[] = {
    {"[]", NULL, 0},
    {"[{\"variant_id\":\"1\",\"quantity\":2}]", NULL, 3800},
    {"[{\"variant_id\":\"1\",\"quantity\":2},{\"variant_id\":\"1\",\"quantity\":997}]", NULL, 1900LL * 999},
    {"[{\"variant_id\":\"1\",\"quantity\":2},{\"variant_id\":\"1\",\"quantity\":998}]",
     "of the variant 1 there would be more than 999", 0},
    {"[{\"variant_id\":\"1\",\"quantity\":1},{\"variant_id\":\"4\",\"quantity\":1}]", "has a variant 4", 0},
    {"[{\"variant_id\":\"9999\",\"quantity\":1}]", "has a variant 9999", 0},
    {"[{\"variant_id\":\"1\",\"quantity\":1},{\"variant_id\":\"1\",\"quantity\":0}]", "\"lines.1.quantity\"", 0},
    {"[{\"variant_id\":1,\"quantity\":1}]", "\"lines.0.variant_id\"", 0},
    {"[[]]", "\"lines.0.variant_id\"", 0},
    {"{}", "\"field\":\"lines\"", 0},
    {"null", "\"field\":\"lines\"", 0},
};

TEST(a_cart_is_made_with_its_first_lines_or_not_at_all)
{
    StoreStage stage;
    store_open(&stage);
    int status = store_send(&stage, "POST", STORE_API "/carts", NULL,
                            store_text(&stage, "{\"lines\":%}", str_of(FILLED[_i].lines)));
    ck_assert_int_eq(status, FILLED[_i].says ? 422 : 201);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.carts"),
                  FILLED[_i].says ? S("0") : S("1"));
    if (FILLED[_i].says)
        ck_assert_contains(stage.answer.body, str_of(FILLED[_i].says));
    else
        ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), FILLED[_i].total);
    store_close(&stage);
}

TEST(a_cart_is_not_made_with_more_than_a_hundred_lines)
{
    StoreStage stage;
    store_open(&stage);
    StrBuf body = {.arena = stage.cell.arena};
    strbuf_add(&body, S("{\"lines\":[{\"variant_id\":\"1\",\"quantity\":1}"));
    for (int i = 0; i < 100; i++)
        strbuf_add(&body, S(",{\"variant_id\":\"1\",\"quantity\":1}"));
    strbuf_add(&body, S("]}"));
    ck_assert_int_eq(store_send(&stage, "POST", STORE_API "/carts", NULL, strbuf_str(&body).data), 422);
    ck_assert_contains(stage.answer.body, S("more than 100 lines"));
    store_close(&stage);
}

// ---- forms ----

TEST(the_cart_names_every_line_that_lacks_stock)
{
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    store_csrf_take(&stage);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=11"), 303);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=2&quantity=1"), 303);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=3&quantity=1"), 303);    // there is enough of it
    ck_assert_int_eq(
        store_post(&stage, "/checkout",
                   "email=ana%40example.com&name=Ana&line1=Mayor+1&city=Segovia&postal_code=40001&country=ES&"
                   "shipping_method=standard&payment_method=bank_transfer"),
        409);
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, S \xe2\x80\x93 Quedan: 10</li>"));
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, L \xe2\x80\x93 Agotado</li>"));
    store_close(&stage);
}

TEST(a_full_cart_is_shown)
{
    StoreStage stage;
    store_shopper_open(&stage);
    test_cell_sql(
        &stage.cell,
        "insert into t_1.variants (product_id, position, option_values, price_minor) select 1, 100 + n, "
        "array['V' || n, '', ''], 100 from generate_series(1, 99) n;"
        "insert into t_1.stock (variant_id, quantity, is_tracked) select id, 5, true from t_1.variants v where "
        "not exists (select from t_1.stock k where k.variant_id = v.id);"
        "insert into t_1.cart_lines (cart_id, variant_id, quantity) select c.id, v.id, 1 from t_1.carts c, "
        "t_1.variants v where v.position > 100");
    ck_assert_int_eq(store_visit(&stage, "/cart"), 200);
    ck_assert_contains(stage.answer.body, S("V99"));
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=3&quantity=1"), 422);    // the 101st
    ck_assert_contains(stage.answer.body, S("caben 100 productos distintos"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("private, no-store"));
    store_close(&stage);
}

TEST(what_is_added_to_a_line_makes_no_more_than_999)
{
    StoreStage stage;
    store_shopper_open(&stage);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=3&quantity=998"), 303);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=3&quantity=2"), 422);
    ck_assert_contains(stage.answer.body, S("entre 1 y 999"));
    ck_assert_contains(stage.answer.body, S("value=\"998\""));
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=3&quantity=1"), 303);
    store_close(&stage);
}

// With each new cart, also one of the pages'.
TEST(carts_that_nobody_came_back_to_go)
{
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell,
                  "insert into t_1.carts (token, updated_at) values (repeat('a', 32), now() - interval '91 days');"
                  "insert into t_1.idempotency_keys (key, request_hash, created_at) values ('old', 'x', "
                  "now() - interval '25 hours'); select setval('t_1.carts_id_seq', 19)");
    stage.cookie = S("");
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    store_csrf_take(&stage);
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
    ck_assert_str(
        test_value(stage.cell.db, stage.cell.arena,
                   "select (select count(*) from t_1.carts where token = repeat('a', 32)) + (select count(*) from "
                   "t_1.idempotency_keys where key = 'old')"),
        S("0"));
    store_close(&stage);
}

TEST(a_cookie_with_a_count_that_is_too_long_is_no_session)
{
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(
        store_ask(&stage, stage.acme,
                  &(ShopRequest){.method = "GET",
                                 .path = "/",
                                 .headers = "Cookie: shop=AAAAAAAAAAAAAAAAAAAAAA.99999999999999999999\r\n"}),
        200);
    store_close(&stage);
}

static const struct {
    const char *headers;
    const char *csrf;
} FORGED[] = {
    {"", "csrf=&"},
    {"", ""},
    {"", "csrf=AAAAAAAAAAA&"},
    {"Origin: http://evil.example\r\n", NULL},
    {"Sec-Fetch-Site: cross-site\r\n", NULL},
};

TEST(a_form_of_another_site_is_refused)
{
    StoreStage stage;
    store_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    store_csrf_take(&stage);
    for (size_t i = 0; i < COUNT(FORGED); i++) {
        Str right = str_format(stage.cell.arena, "csrf=%.*s&", STR_ARG(stage.csrf));
        Str body =
            str_format(stage.cell.arena, "%svariant_id=1&quantity=1", FORGED[i].csrf ? FORGED[i].csrf : right.data);
        Str headers = str_format(stage.cell.arena, "%.*s%s", STR_ARG(stage.cookie), FORGED[i].headers);
        ck_assert_int_eq(store_ask(&stage, stage.acme,
                                   &(ShopRequest){"POST", "/cart/lines", headers.data, body.data,
                                                  "application/x-www-form-urlencoded"}),
                         403);
    }
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.cart_lines"), S("0"));
    store_close(&stage);
}

// ---- what goes wrong in a form, and what is said ----

#define FORM "application/x-www-form-urlencoded"
static Str cookie_count(StoreStage *stage)
{
    Str value = str_skip(stage->cookie, str_find_char(stage->cookie, '.') + 1);
    return str_copy(stage->cell.arena, str_slice(value, 0, str_find_char(value, '\r')));
}

static const struct {
    const char *path, *form;
    int status;
    const char *says;    // the page, or Location
} CART_FORMS[] = {
    {"/cart/lines", "variant_id=x", 422, "ya no est\xc3\xa1 a la venta"},
    {"/cart/lines", "quantity=1", 422, "ya no est\xc3\xa1 a la venta"},
    {"/cart/lines", "variant_id=4", 422, "ya no est\xc3\xa1 a la venta"},    // unpublished
    {"/cart/lines", "variant_id=999", 422, "ya no est\xc3\xa1 a la venta"},
    {"/cart/lines", "variant_id=1&quantity=0", 422, "entre 1 y 999"},
    {"/cart/lines", "variant_id=1&quantity=1000", 422, "entre 1 y 999"},
    {"/cart/lines", "variant_id=1", 303, "/cart"},
    {"/cart/lines/x", "quantity=1", 422, "ya no est\xc3\xa1 en tu cesta"},
    {"/cart/lines/999", "quantity=1", 422, "ya no est\xc3\xa1 en tu cesta"},
    {"/cart/lines/999", "action=remove", 422, "ya no est\xc3\xa1 en tu cesta"},
    {"/cart/lines/1", "quantity=1000", 422, "entre 1 y 999"},
    {"/cart/lines/1", "action=keep&quantity=1", 303, "/cart"},
    {"/cart/lines/1", "action=remove&quantity=x", 303, "/cart"},
};

TEST(a_form_of_the_cart_is_taken_or_says_what_is_wrong_above_the_cart)
{
    StoreStage stage;
    store_shopper_open(&stage);
    for (size_t i = 0; i < COUNT(CART_FORMS); i++) {
        int status = store_post(&stage, CART_FORMS[i].path, CART_FORMS[i].form);
        ck_assert_msg(status == CART_FORMS[i].status, "%s %s: %d", CART_FORMS[i].path, CART_FORMS[i].form, status);
        if (status == 303)
            ck_assert_str(shop_answer_header(&stage.answer, S("Location")), str_of(CART_FORMS[i].says));
        else
            ck_assert_contains(stage.answer.body, str_of(CART_FORMS[i].says));
    }
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_int_eq(store_visit(&stage, "/cart"), 200);
    Str line = str_copy(stage.cell.arena, between(stage.answer.body, "action=\"/cart/lines/", '"'));
    ck_assert_int_eq(store_post(&stage, store_text(&stage, "/cart/lines/%", line), "quantity=1000"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"1000\""));    // in its line, as it was written
    ck_assert_int_eq(store_post(&stage, store_text(&stage, "/cart/lines/%", line), "quantity=0"), 303);
    ck_assert_str(cookie_count(&stage), S("0"));
    store_close(&stage);
}

TEST(a_form_that_cannot_be_read_changes_nothing)
{
    StoreStage stage;
    StrBuf many = {0};
    store_shopper_open(&stage);
    many.arena = stage.cell.arena;
    for (int i = 0; i < REQUEST_PARAMETERS_MAX; i++)
        strbuf_add(&many, S("a=1&"));
    const char *const forms[] = {"variant_id=%00", "variant_id=1&quantity=%zz", strbuf_str(&many).data};
    const char *const paths[] = {"/cart/lines", "/cart/lines/1", "/checkout"};
    for (size_t path = 0; path < COUNT(paths); path++)
        for (size_t form = 0; form < COUNT(forms); form++)
            ck_assert_int_eq(store_post(&stage, paths[path], forms[form]), 400);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select sum(quantity) from t_1.cart_lines"), S("2"));
    store_close(&stage);
}

TEST(a_cart_that_was_ordered_meanwhile_leaves_a_new_one)
{
    StoreStage stage;
    store_shopper_open(&stage);
    Str token = str_copy(stage.cell.arena, store_cart_token(&stage));
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", token),
                                "Idempotency-Key: k\r\n", STORE_ORDER),
                     201);
    ck_assert_int_eq(store_post(&stage, "/cart/lines/1", "quantity=1"), 422);
    Str before = stage.cookie;
    ck_assert_int_eq(store_post(&stage, "/checkout", STORE_BUYER), 303);    // in another window
    ck_assert(str_has_prefix(shop_answer_header(&stage.answer, S("Location")), S("/orders/")));
    stage.cookie = before;
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    ck_assert(!str_eq(store_cart_token(&stage), token));
    ck_assert_str(cookie_count(&stage), S("0"));
    store_close(&stage);
}

TEST(the_count_in_the_cookie_is_set_right_by_the_cart)
{
    StoreStage stage;
    store_shopper_open(&stage);
    Str cookie = stage.cookie;
    stage.cookie = str_format(stage.cell.arena, "Cookie: shop=%.*s.7\r\n", STR_ARG(store_cart_token(&stage)));
    ck_assert_int_eq(store_visit(&stage, "/"), 200);
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\">7</span>"));
    ck_assert_int_eq(store_visit(&stage, "/cart"), 200);
    ck_assert_str(stage.cookie, cookie);
    ck_assert_int_eq(store_visit(&stage, "/cart"), 200);
    ck_assert_uint_eq(shop_answer_header(&stage.answer, S("Set-Cookie")).len, 0);    // it is right
    store_close(&stage);
}

static const struct {
    const char *headers;
    int status;
} SITES[] = {
    {"Origin: http://acme.localhost\r\n", 303},
    {"Origin: http://ACME.localhost\r\n", 303},
    {"Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", 303},
    {"Sec-Fetch-Site: none\r\n", 303},
    {"Origin: null\r\n", 403},
    {"Origin: http://acme.localhost.evil.example\r\n", 403},
    {"Sec-Fetch-Site: same-site\r\nOrigin: http://acme.localhost\r\n", 403},
};

TEST(a_form_is_taken_from_the_shops_own_pages_alone)
{
    StoreStage stage;
    store_shopper_open(&stage);
    Str body = str_format(stage.cell.arena, "csrf=%.*s&variant_id=1&quantity=1", STR_ARG(stage.csrf));
    for (size_t i = 0; i < COUNT(SITES); i++) {
        Str headers = str_format(stage.cell.arena, "%.*s%s", STR_ARG(stage.cookie), SITES[i].headers);
        int status =
            store_ask(&stage, stage.acme, &(ShopRequest){"POST", "/cart/lines", headers.data, body.data, FORM});
        ck_assert_msg(status == SITES[i].status, "%s: %d", SITES[i].headers, status);
    }
    ck_assert_int_eq(store_ask(&stage, stage.acme, &(ShopRequest){"POST", "/cart/lines", NULL, body.data, FORM}), 403);
    store_close(&stage);
}

SUITE(cart, ONCE(a_cart_is_filled_changed_and_emptied), EACH(a_cart_is_made_with_its_first_lines_or_not_at_all, FILLED),
      ONCE(a_cart_is_not_made_with_more_than_a_hundred_lines), ONCE(the_cart_names_every_line_that_lacks_stock),
      ONCE(a_full_cart_is_shown), ONCE(what_is_added_to_a_line_makes_no_more_than_999),
      ONCE(carts_that_nobody_came_back_to_go), ONCE(a_cookie_with_a_count_that_is_too_long_is_no_session),
      ONCE(a_form_of_another_site_is_refused), ONCE(a_form_of_the_cart_is_taken_or_says_what_is_wrong_above_the_cart),
      ONCE(a_form_that_cannot_be_read_changes_nothing), ONCE(a_cart_that_was_ordered_meanwhile_leaves_a_new_one),
      ONCE(the_count_in_the_cookie_is_set_right_by_the_cart), ONCE(a_form_is_taken_from_the_shops_own_pages_alone))
