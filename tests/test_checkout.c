// tests/test_checkout.c: orders: once for each key, never more than there is, and what is wrong is named; over HTTP,
// against a real PostgreSQL.
#include "tests/support/store_stage.h"

#include "runtime/shop.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

TEST(the_same_key_and_body_give_the_one_order)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = store_text(&stage, STORE_API "/carts/%/checkout", cart);
    ck_assert_int_eq(store_send(&stage, "POST", checkout, NULL, STORE_ORDER), 400);    // without a key
    ck_assert_contains(stage.answer.body, S("Idempotency-Key"));
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k1\r\n", STORE_ORDER), 201);
    Str token = store_member(&stage, "token");
    int64_t number = json_int64(json_get(stage.answer.json, "number"));
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k1\r\n", STORE_ORDER), 201);
    ck_assert_int_eq(json_int64(json_get(stage.answer.json, "number")), number);
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k1\r\n",
                                "{\"email\":\"eva@example.com\"," STORE_ADDRESS
                                ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_contains(stage.answer.body, S("idempotency-key-reused"));
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k2\r\n", STORE_ORDER), 409);
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, STORE_API "/orders/%", token)), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("19,00 \xe2\x82\xac"));
    // nothing of it is known at another shop
    ck_assert_int_eq(store_get(&stage, stage.beta, store_text(&stage, STORE_API "/orders/%", token)), 404);
    ck_assert_int_eq(store_get(&stage, stage.beta, store_text(&stage, STORE_API "/carts/%", cart)), 404);
    ck_assert_int_eq(
        store_ask(&stage, stage.beta, &(ShopRequest){"POST", checkout, "Idempotency-Key: k1\r\n", STORE_ORDER, NULL}),
        404);
    store_close(&stage);
}

TEST(a_wrong_checkout_names_each_field)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = store_text(&stage, STORE_API "/carts/%/checkout", cart);
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                                "{\"email\":\"nobody\",\"shipping_address\":{\"name\":5,\"country\":\"XX\"},"
                                "\"shipping_method\":\"rocket\",\"payment_method\":\"gold\"}"),
                     422);
    static const char *const FIELDS[] = {
        "email",          "shipping_address.name", "shipping_address.line1", "shipping_address.country",
        "payment_method", "shipping_method"};
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        ck_assert_contains(stage.answer.body, str_of(store_text(&stage, "\"field\":\"%\"", str_of(FIELDS[i]))));
    ck_assert_contains(stage.answer.body, S("there is no method 'rocket'"));
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                                "{\"email\":\"nobody\"," STORE_ADDRESS
                                ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "errors")), 1);
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                                "{\"email\":\"ana@example.com\"," STORE_ADDRESS
                                ",\"shipping_method\":\"rocket\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"shipping_method\""));
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n", STORE_ORDER),
                     201);    // none of it counted
    store_close(&stage);
}

TEST(of_two_buyers_of_the_last_one_only_one_gets_it)
{
    StoreStage stage;
    store_open(&stage);
    Str first = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":6}");
    Str second = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":6}");
    Str line = str_copy(stage.cell.arena, json_str(json_get(store_first_line(&stage), "id")));
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", first),
                                "Idempotency-Key: 1\r\n", STORE_ORDER),
                     201);
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", second),
                                "Idempotency-Key: 2\r\n", STORE_ORDER),
                     409);
    ck_assert(str_has_suffix(store_member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(stage.answer.body, str_of(store_text(&stage, "\"lines.%\"", line)));
    store_close(&stage);
}

TEST(every_line_that_lacks_stock_is_named)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":11}");
    const char *lines = store_text(&stage, STORE_API "/carts/%/lines", cart);
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":\"3\",\"quantity\":10}"), 201);
    ck_assert_int_eq(store_send(&stage, "POST", lines, NULL, "{\"variant_id\":\"2\",\"quantity\":1}"), 201);
    CLEANUP(json_close) Json *kept = json_hold(stage.answer.json);
    const Json *in_cart = json_get(kept, "lines");
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", cart),
                                "Idempotency-Key: k\r\n", STORE_ORDER),
                     409);
    ck_assert(str_has_suffix(store_member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(store_member(&stage, "detail"), S("2 lines of the cart"));
    static const struct {
        size_t line;
        int64_t wanted, left;
        const char *detail;
    } LACKING[] = {{0, 11, 10, "11 wanted, 10 left"}, {2, 1, 0, "1 wanted, 0 left"}};
    const Json *errors = json_get(stage.answer.json, "errors");
    ck_assert_uint_eq(json_count(errors), COUNT(LACKING));
    for (size_t i = 0; i < COUNT(LACKING); i++) {
        const Json *entry = json_element(errors, i);
        Str id = json_str(json_get(json_element(in_cart, LACKING[i].line), "id"));
        ck_assert_str(json_str(json_get(entry, "id")), id);
        ck_assert_str(json_str(json_get(entry, "field")), str_format(stage.cell.arena, "lines.%.*s", STR_ARG(id)));
        ck_assert_int_eq(json_int64(json_get(entry, "wanted")), LACKING[i].wanted);
        ck_assert_int_eq(json_int64(json_get(entry, "left")), LACKING[i].left);
        ck_assert_str(json_str(json_get(entry, "detail")), str_of(LACKING[i].detail));
    }
    store_close(&stage);
}

TEST(the_order_keeps_the_chosen_shipping_and_says_where_to_pay)
{
    static const char EXPRESS[] = "{\"email\":\"ana@example.com\"," STORE_ADDRESS
                                  ",\"shipping_method\":\"express\",\"payment_method\":\"bank_transfer\"}";
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell, "insert into t_1.shipping_methods values ('express', 990, 2), ('bici', 250, 3)");
    ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/shipping-methods"), 200);
    ck_assert_str(stage.answer.body,
                  S("{\"items\" : [{\"code\" : \"standard\", \"price\" : {\"amount\" : 0, \"currency\" : "
                    "\"EUR\"}}, {\"code\" : \"express\", \"price\" : {\"amount\" : 990, \"currency\" : "
                    "\"EUR\"}}, {\"code\" : \"bici\", \"price\" : {\"amount\" : 250, \"currency\" : "
                    "\"EUR\"}}]}"));
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = store_text(&stage, STORE_API "/carts/%/checkout", cart);
    ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n", EXPRESS), 201);
    Str token = store_member(&stage, "token");
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), 1900 + 990);
    test_cell_sql(&stage.cell, "update t_1.shipping_methods set price_minor = 1");
    // without instructions the page says that they follow
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("Te enviaremos los datos de la cuenta"));
    ck_assert_contains(stage.answer.body, S("28,90 \xe2\x82\xac"));
    test_cell_sql(&stage.cell, "update t_1.settings set payment_instructions = E'Banco Sur\nES00 <1234>'");
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("Banco Sur\nES00 &lt;1234&gt;"));
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, STORE_API "/orders/%", token)), 200);
    ck_assert_str(store_member(&stage, "payment_instructions"), S("Banco Sur\nES00 <1234>"));
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "shipping"), "amount")), 990);
    // an order that is paid, or was paid in cash, needs none
    test_cell_sql(&stage.cell, "update t_1.orders set status = 'paid'");
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/orders/%", token)), 200);
    ck_assert(str_find(stage.answer.body, S("Banco Sur")) == stage.answer.body.len);
    store_close(&stage);
}

TEST(what_is_not_on_sale_any_more_is_not_sold)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    test_cell_sql(&stage.cell, "update t_1.products set is_published = false where id = 1");
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, STORE_API "/carts/%", cart)), 200);
    ck_assert_contains(stage.answer.body, S("\"available\" : false"));
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", cart),
                                "Idempotency-Key: k\r\n", STORE_ORDER),
                     409);
    ck_assert(str_has_suffix(store_member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(stage.answer.body, S("1 wanted, 0 left"));
    test_cell_sql(&stage.cell, "update t_1.products set is_published = true where id = 1");
    ck_assert_int_eq(store_send(&stage, "POST", store_text(&stage, STORE_API "/carts/%/checkout", cart),
                                "Idempotency-Key: k\r\n", STORE_ORDER),
                     201);
    store_close(&stage);
}

TEST(a_shopper_whose_answer_was_lost_finds_the_order)
{
    StoreStage stage;
    store_shopper_open(&stage);
    Str before = stage.cookie;
    ck_assert_int_eq(store_post(&stage, "/checkout", STORE_BUYER), 303);
    Str order = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    stage.cookie = before;    // as of a browser that never got it
    ck_assert_int_eq(store_post(&stage, "/checkout", STORE_BUYER "&line2=2"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), order);
    ck_assert_int_eq(store_visit(&stage, "/checkout"), 303);    // with a cart of its own again
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    store_close(&stage);
}

TEST(a_shopper_buys_without_javascript)
{
    StoreStage stage;
    store_shopper_open(&stage);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    ck_assert_int_eq(store_visit(&stage, "/cart"), 200);
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\">2</span>"));
    ck_assert_contains(stage.answer.body, S("38,00 \xe2\x82\xac"));
    Str line = str_copy(stage.cell.arena, between(stage.answer.body, "action=\"/cart/lines/", '"'));
    ck_assert_int_eq(store_post(&stage, store_text(&stage, "/cart/lines/%", line), "quantity=3"), 303);
    ck_assert_int_eq(store_post(&stage, store_text(&stage, "/cart/lines/%", line), "quantity=1234x"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"1234x\""));    // kept, with the message at the field
    ck_assert_contains(stage.answer.body, str_of(store_text(&stage, "aria-describedby=\"problem-%\"", line)));
    ck_assert_contains(stage.answer.body, str_of(store_text(&stage, "id=\"problem-%\"", line)));
    ck_assert_int_eq(store_visit(&stage, "/checkout"), 200);
    ck_assert_contains(stage.answer.body, S("data-price=\"Gratis\""));
    ck_assert_contains(stage.answer.body, S("<option value=\"ES\" selected>Espa\xc3\xb1"
                                            "a</option>"));
    ck_assert_int_eq(store_post(&stage, "/checkout", "email=nobody&name=%3Cb%3E&payment_method=bank_transfer"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"&lt;b&gt;\""));
    ck_assert_contains(stage.answer.body, S("id=\"email-error\""));
    ck_assert_int_eq(
        store_post(&stage, "/checkout", "email=nobody&shipping_method=rocket&payment_method=bank_transfer"), 422);
    ck_assert_contains(stage.answer.body, S("Elige una forma de env\xc3\xado."));
    const char *order = "email=ana%40example.com&name=Ana&line1=Calle+1&city=Vigo&postal_code=36201&country=ES&"
                        "shipping_method=standard&payment_method=bank_transfer";
    ck_assert_int_eq(store_post(&stage, "/checkout", order), 303);
    Str location = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    ck_assert(str_has_prefix(location, S("/orders/")));
    ck_assert_int_eq(store_visit(&stage, location.data), 200);
    ck_assert_contains(stage.answer.body, S("57,00 \xe2\x82\xac"));
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\"></span>"));
    ck_assert_int_eq(store_visit(&stage, "/checkout"), 303);    // the next cart is empty
    store_close(&stage);
}

static const struct {
    const char *form;
    int status;
    const char *says;    // the page, or Location
} CHECKOUTS[] = {
    {STORE_BUYER "x", 422, "Elige una forma de pago."},
    {"email=ana%40example.com&name=Ana&line1=Calle+1&city=Vigo&postal_code=36201&country=ES&"
     "shipping_method=rocket&payment_method=cash_on_delivery",
     422, "Elige una forma de env\xc3\xado."},
    {"email=a&country=GB&payment_method=cash_on_delivery&shipping_method=standard", 422,
     "<option value=\"GB\" selected>"},
    {"email=ana%40example.com&name=A%01na&payment_method=x", 422,
     "alg\xc3\xban car\xc3\xa1"
     "cter"},
    {"email=ana%40example.com&name=A%7Fna", 422,
     "alg\xc3\xban car\xc3\xa1"
     "cter"},
    {"postal_code=012345678901234567890", 422, "demasiados caracteres"},
    {"country=ESP", 422, "no est\xc3\xa1 en la lista"},
    {"country=IE&postal_code=", 422, "autocomplete=\"postal-code\" maxlength=\"20\">"},    // no fault, not required
    {"country=AE&postal_code=", 422, "<option value=\"AE\" selected data-postal-code-optional>"},
};

TEST(a_wrong_checkout_is_shown_again_with_what_was_written)
{
    StoreStage stage;
    store_shopper_open(&stage);
    for (size_t i = 0; i < COUNT(CHECKOUTS); i++) {
        int status = store_post(&stage, "/checkout", CHECKOUTS[i].form);
        ck_assert_msg(status == CHECKOUTS[i].status, "%s: %d", CHECKOUTS[i].form, status);
        ck_assert_contains(stage.answer.body, str_of(CHECKOUTS[i].says));
    }
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.orders"), S("0"));
    // a country without postcodes needs none, and cash is paid at the door
    ck_assert_int_eq(
        store_post(&stage, "/checkout",
                   "email=ana%40example.com&name=Ana&line1=1&city=Dubai&country=AE&shipping_method=standard&"
                   "payment_method=cash_on_delivery"),
        303);
    Str location = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    ck_assert_int_eq(store_visit(&stage, location.data), 200);
    ck_assert_contains(stage.answer.body, S("Emiratos"));
    ck_assert_int_eq(store_visit(&stage, store_text(&stage, "%&new=%FF", location)), 200);    // the first one counts
    ck_assert_int_eq(
        store_visit(&stage, store_text(&stage, "%?new=%FF", str_slice(location, 0, str_find_char(location, '?')))),
        422);
    store_close(&stage);
}

TEST(a_checkout_without_a_cart_or_with_an_empty_one_leads_to_the_cart)
{
    StoreStage stage;
    store_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(store_visit(&stage, "/checkout"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    store_close(&stage);
    store_shopper_open(&stage);
    test_cell_sql(&stage.cell, "delete from t_1.cart_lines");
    ck_assert_int_eq(store_post(&stage, "/checkout", STORE_BUYER), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    test_cell_sql(&stage.cell, "delete from t_1.carts");
    ck_assert_int_eq(store_post(&stage, "/checkout", STORE_BUYER), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    // a way of shipping or paying that the theme has no word for shows its own name
    test_cell_sql(&stage.cell, "insert into t_1.shipping_methods values ('globo', 990, 2)");
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_int_eq(store_visit(&stage, "/checkout"), 200);
    ck_assert_contains(stage.answer.body, S("globo"));
    test_cell_sql(&stage.cell, "delete from t_1.shipping_methods");
    ck_assert_int_eq(store_send(&stage, "POST",
                                store_text(&stage, STORE_API "/carts/%/checkout", store_cart_token(&stage)),
                                "Idempotency-Key: k\r\n", "{}"),
                     422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"shipping_method\""));
    store_close(&stage);
}

// ---- the API's fields ----

static const struct {
    const char *email;
    bool is_right;
} EMAILS[] = {
    {"ana@example.com", true},
    {"ana.b+c@sub-d.Example.co", true},
    {"\xc3\xb1@caf\xc3\xa9.example", true},
    {"ana@9.example", true},
    {"ana", false},
    {"@example.com", false},
    {"ana@", false},
    {"ana@example", false},
    {".ana@example.com", false},
    {"ana.@example.com", false},
    {"a..b@example.com", false},
    {"a b@example.com", false},
    {"a(b@example.com", false},
    {"ana@-a.example", false},
    {"ana@a-.example", false},
    {"ana@a..example", false},
    {"ana@a_b.example", false},
    {"ana@a/b.example", false},
    {"ana@a:b.example", false},
    {"ana@a@b.example", false},
    {"ana@a[b.example", false},
    {"ana@a{b.example", false},
    {"0123456789012345678901234567890123456789012345678901234567890123@example.com", true},
    {"01234567890123456789012345678901234567890123456789012345678901234@example.com", false},
    {"a@0123456789012345678901234567890123456789012345678901234567890123.example", false},
};

TEST(an_email_address_is_told_from_what_is_none)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = store_text(&stage, STORE_API "/carts/%/checkout", cart);
    for (size_t i = 0; i < COUNT(EMAILS); i++) {
        const char *body = store_text(&stage, "{\"email\":\"%\",\"payment_method\":\"gold\"}", str_of(EMAILS[i].email));
        ck_assert_int_eq(store_send(&stage, "POST", checkout, "Idempotency-Key: k\r\n", body), 422);
        bool is_refused = str_find(stage.answer.body, S("\"field\":\"email\"")) < stage.answer.body.len;
        ck_assert_msg(is_refused != EMAILS[i].is_right, "%s", EMAILS[i].email);
    }
    store_close(&stage);
}

SUITE(checkout, ONCE(the_same_key_and_body_give_the_one_order), ONCE(a_wrong_checkout_names_each_field),
      ONCE(of_two_buyers_of_the_last_one_only_one_gets_it), ONCE(every_line_that_lacks_stock_is_named),
      ONCE(the_order_keeps_the_chosen_shipping_and_says_where_to_pay), ONCE(what_is_not_on_sale_any_more_is_not_sold),
      ONCE(a_shopper_whose_answer_was_lost_finds_the_order), ONCE(a_shopper_buys_without_javascript),
      ONCE(a_wrong_checkout_is_shown_again_with_what_was_written),
      ONCE(a_checkout_without_a_cart_or_with_an_empty_one_leads_to_the_cart),
      ONCE(an_email_address_is_told_from_what_is_none))
