// tests/test_store_api.c: each call of the store API is answered, or says what is wrong; over HTTP, against a real
// PostgreSQL.
#include "tests/support/store_stage.h"

#include "tests/support/more_check.h"

// ---- the store API ----

static const struct {
    const char *path;
    int status;
    const char *says;
} API_GETS[] = {
    {STORE_API "/products", 200, "\"per_page\""},
    {STORE_API "/products?page=1&per_page=1&sort=price", 200, "\"total\""},
    {STORE_API "/products?category=tazas&q=taza", 200, "taza-azul"},
    {STORE_API "/products?category=none", 404, "not-found"},
    {STORE_API "/products?per_page=101", 422, "per_page"},
    {STORE_API "/products?per_page=x", 422, "per_page"},
    {STORE_API "/products?sort=color", 422, "sort"},
    {STORE_API "/products/taza-azul", 200, "TA-S"},
    {STORE_API "/products/none", 404, "not-found"},
    {STORE_API "/categories", 200, "tazas"},
    {STORE_API "/carts/none", 404, "not-found"},
    {STORE_API "/carts/0000000000000000000000", 404, "not-found"},
    {STORE_API "/orders/none", 404, "not-found"},
    {STORE_API "/none", 404, "not-found"},
};

TEST(reads_of_the_api_answer_or_say_what_is_wrong)
{
    StoreStage stage;
    store_open(&stage);
    for (size_t i = 0; i < COUNT(API_GETS); i++) {
        int status = store_get(&stage, stage.acme, API_GETS[i].path);
        ck_assert_msg(status == API_GETS[i].status, "%s: %d", API_GETS[i].path, status);
        ck_assert_contains(stage.answer.body, str_of(API_GETS[i].says));
        if (status >= 400)
            ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("application/problem+json"));
    }
    store_close(&stage);
}

TEST(each_wrong_parameter_of_a_list_is_named)
{
    static const char *const FIELDS[] = {"page", "per_page", "q", "sort"};
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products?page=0&per_page=x&sort=color&q=%FF"), 422);
    ck_assert_str(store_member(&stage, "detail"), S("4 fields are refused: page, per_page, q and sort"));
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "errors")), COUNT(FIELDS));
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        ck_assert_str(json_str(json_get(json_element(json_get(stage.answer.json, "errors"), i), "field")),
                      str_of(FIELDS[i]));
    ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products?sort=color"), 422);
    ck_assert_str(store_member(&stage, "detail"), S("the field 'sort' is refused: it is 'color'"));
    store_close(&stage);
}

static const struct {
    const char *method, *path, *headers, *body;    // %: the cart
    int status;
    const char *says;
} API_CALLS[] = {
    {"POST", STORE_API "/carts", NULL, "{", 400, "malformed"},
    {"POST", STORE_API "/carts", NULL, "[]", 400, "malformed"},
    {"POST", STORE_API "/carts", NULL, "", 201, "\"lines\""},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-_", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-/", NULL, NULL, 404, "not-found"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-.", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-:", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-@", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-%5B", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-%60", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/ABCxyz019-_ABCxyz019-%7B", NULL, NULL, 404, "no such cart"},
    {"GET", STORE_API "/carts/01234567890123456789012345678901234567890123456789012345678901234", NULL, NULL, 404,
     "no such"},
    {"POST", STORE_API "/carts/none/lines", NULL, "{}", 404, "no such cart"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{", 400, "malformed"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{}", 422, "2 fields are refused: variant_id and quantity"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{\"variant_id\":\"01\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{\"variant_id\":\"\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{\"variant_id\":\"1x\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", STORE_API "/carts/$/lines", NULL, "{\"variant_id\":\"1\",\"quantity\":1.5}", 422, "whole number"},
    {"PATCH", STORE_API "/carts/none/lines/1", NULL, "{}", 404, "no such cart"},
    {"PATCH", STORE_API "/carts/$/lines/x", NULL, "{\"quantity\":1}", 404, "no such line"},
    {"PATCH", STORE_API "/carts/$/lines/999", NULL, "{\"quantity\":1}", 404, "isn't in the cart"},
    {"DELETE", STORE_API "/carts/none/lines/1", NULL, NULL, 404, "no such cart"},
    {"DELETE", STORE_API "/carts/$/lines/x", NULL, NULL, 404, "no such line"},
    {"POST", STORE_API "/carts/none/checkout", "Idempotency-Key: k\r\n", STORE_ORDER, 404, "no such cart"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key:\r\n", STORE_ORDER, 400, "is missing"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: a b\r\n", STORE_ORDER, 400, "is refused"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: \xc3\xb1\r\n", STORE_ORDER, 400, "is refused"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{", 400, "malformed"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{\"shipping_address\":\"Calle 1\"}", 422,
     "it isn't an object"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{\"shipping_address\":{\"name\":\"a\\u0001\"}}",
     422, "control character"},
    {"POST", STORE_API "/carts/$/checkout", "Idempotency-Key: k\r\n",
     "{\"shipping_address\":{\"country\":\"AE\",\"postal_code\":\"012345678901234567890\"}}", 422, "it is too long"},
    {"GET", STORE_API "/products?sort=%25", NULL, NULL, 422, "sort"},
    {"GET", STORE_API "/products?sort=%FF&page=2", NULL, NULL, 422, "sort"},
    {"GET", STORE_API "/products?category=%FF", NULL, NULL, 422, "category"},
};

// Not by format: there are escapes in the paths.
static const char *with_cart(StoreStage *stage, const char *path, Str cart)
{
    size_t at = str_find_char(str_of(path), '$');
    if (at == strlen(path))
        return path;
    return str_format(stage->cell.arena, "%.*s%.*s%s", (int)at, path, STR_ARG(cart), path + at + 1).data;
}

TEST(each_call_of_the_api_is_answered_or_says_what_is_wrong)
{
    StoreStage stage;
    store_open(&stage);
    Str cart = store_cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    for (size_t i = 0; i < COUNT(API_CALLS); i++) {
        const char *path = with_cart(&stage, API_CALLS[i].path, cart);
        int status = store_send(&stage, API_CALLS[i].method, path, API_CALLS[i].headers, API_CALLS[i].body);
        ck_assert_msg(status == API_CALLS[i].status, "%s %s %s: %d %.*s", API_CALLS[i].method, path,
                      API_CALLS[i].body ? API_CALLS[i].body : "", status, STR_ARG(stage.answer.body));
        ck_assert_contains(stage.answer.body, str_of(API_CALLS[i].says));
    }
    char much[257];
    memset(much, 'k', sizeof(much));
    const char *checkout = with_cart(&stage, STORE_API "/carts/$/checkout", cart);
    ck_assert_int_eq(store_send(&stage, "POST", checkout,
                                store_text(&stage, "Idempotency-Key: %\r\n", (Str){much, 256}), STORE_ORDER),
                     400);
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, STORE_API "/products?q=%", (Str){much, 201})),
                     422);
    ck_assert_contains(stage.answer.body, S("it has 201 characters"));
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, STORE_API "/products?q=%", (Str){much, 200})),
                     200);
    ck_assert_int_eq(store_send(&stage, "POST", checkout,
                                store_text(&stage, "Idempotency-Key: %\r\n", (Str){much, 255}), STORE_ORDER),
                     201);
    store_close(&stage);
}

SUITE(store_api, ONCE(reads_of_the_api_answer_or_say_what_is_wrong), ONCE(each_wrong_parameter_of_a_list_is_named),
      ONCE(each_call_of_the_api_is_answered_or_says_what_is_wrong))
