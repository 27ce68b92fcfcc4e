// tests/test_storefront.c: the shop over HTTP: pages, cart, checkout and store API, against a real PostgreSQL.
#include <pthread.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_cell.h"

#define API "/api/v1/store"
#define ADDRESS                                                                                                        \
    "\"shipping_address\":{\"name\":\"Ana\",\"line1\":\"Calle 1\",\"city\":\"Vigo\",\"postal_code\":\"36201\","        \
    "\"country\":\"ES\"}"
#define ORDER                                                                                                          \
    "{\"email\":\"ana@example.com\"," ADDRESS ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_"           \
    "transfer\"}"

// A cell, shopd, and a shopper at each of its shops.
typedef struct Stage {
    TestCell cell;
    ShopClient *acme;
    ShopClient *beta;
    Str cookie;    // of acme's shopper: a header line
    Str csrf;
    ShopAnswer answer;    // the last one
} Stage;

static void stage_open(Stage *stage)
{
    *stage = (Stage){0};
    test_cell_open(&stage->cell, "storefront");
    test_cell_serve(&stage->cell, 2, S(""));
    stage->acme = shop_client_open(stage->cell.port, "acme.localhost");
    stage->beta = shop_client_open(stage->cell.port, "beta.localhost");
}

static void stage_close(Stage *stage)
{
    shop_answer_close(&stage->answer);
    shop_client_close(&stage->acme);
    shop_client_close(&stage->beta);
    test_cell_close(&stage->cell);
}

static int asked(Stage *stage, ShopClient *client, const ShopRequest *request)
{
    shop_answer_close(&stage->answer);
    ck_assert_msg(shop_call(client, request, stage->cell.arena, &stage->answer), "no answer: %s %s", request->method,
                  request->path);
    return stage->answer.status;
}

static int got(Stage *stage, ShopClient *client, const char *path)
{
    return asked(stage, client, &(ShopRequest){.method = "GET", .path = path});
}

static int sent(Stage *stage, const char *method, const char *path, const char *headers, const char *body)
{
    return asked(stage, stage->acme, &(ShopRequest){.method = method, .path = path, .headers = headers, .body = body});
}

static const char *format(Stage *stage, const char *pattern, Str text)
{
    StrBuf out = {.arena = stage->cell.arena};
    size_t at = str_find(str_of(pattern), S("%"));
    strbuf_add(&out, str_slice(str_of(pattern), 0, at));
    strbuf_add(&out, text);
    strbuf_add(&out, str_skip(str_of(pattern), at + 1));
    return strbuf_str(&out).data;
}

static Str member(Stage *stage, const char *name)
{
    return str_copy(stage->cell.arena, json_str(json_get(stage->answer.json, name)));
}

static const Json *first_line(Stage *stage) { return json_element(json_get(stage->answer.json, "lines"), 0); }

// A cart of acme's with `quantity` of a variant, as the API makes it.
static Str cart_with(Stage *stage, const char *line)
{
    ck_assert_int_eq(sent(stage, "POST", API "/carts", NULL, "{}"), 201);
    Str cart = member(stage, "id");
    ck_assert_int_eq(sent(stage, "POST", format(stage, API "/carts/%/lines", cart), NULL, line), 201);
    return cart;
}

static Str between(Str text, const char *start, char end)
{
    size_t at = str_find(text, str_of(start));
    ck_assert_msg(at < text.len, "there is no '%s'", start);
    Str rest = str_skip(text, at + strlen(start));
    return str_slice(rest, 0, str_find_char(rest, end));
}

// Takes over the cookie of the last answer, as a browser does.
static void cookie_keep(Stage *stage)
{
    Str cookie = shop_answer_header(&stage->answer, S("Set-Cookie"));
    if (cookie.len)
        stage->cookie = str_format(stage->cell.arena, "Cookie: %.*s\r\n",
                                   STR_ARG(str_slice(cookie, 0, str_find_char(cookie, ';'))));
}

static int visited(Stage *stage, const char *path)
{
    int status =
        asked(stage, stage->acme, &(ShopRequest){.method = "GET", .path = path, .headers = stage->cookie.data});
    cookie_keep(stage);
    return status;
}

static int posted(Stage *stage, const char *path, const char *form)
{
    Str body = str_format(stage->cell.arena, "csrf=%.*s&%s", STR_ARG(stage->csrf), form);
    int status = asked(stage, stage->acme,
                       &(ShopRequest){.method = "POST",
                                      .path = path,
                                      .headers = stage->cookie.data,
                                      .body = body.data,
                                      .type = "application/x-www-form-urlencoded"});
    cookie_keep(stage);
    return status;
}

static void csrf_take(Stage *stage)
{
    stage->csrf = str_copy(stage->cell.arena, between(stage->answer.body, "name=\"csrf\" value=\"", '"'));
}

// ---- pages ----

static const struct {
    const char *path;
    int status;
    const char *says;
} PAGES[] = {
    {"/", 200, "Taza azul"},
    {"/collections/all", 200, "4500"},
    {"/collections/tazas?sort=-price&page=1", 200, "Taza azul"},
    {"/collections/none", 404, "404"},
    {"/products/taza-azul", 200, "De cer\xc3\xa1mica"},
    {"/products/secreto", 404, "404"},
    {"/products/none", 404, "404"},
    {"/none", 404, "404"},
    {"/search?q=taza", 200, "Taza azul"},
    {"/search", 200, "search"},
    {"/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E", 200, "&lt;script&gt;"},
    {"/search?q=%ff", 422, "422"},
    {"/collections/all?page=0", 422, "<code>page</code>"},
    {"/collections/all?page=abc", 422, "<code>page</code>"},
    {"/collections/all?sort=bogus", 422, "<code>sort</code>"},
    {"/search?q=taza&sort=bogus", 422, "<code>sort</code>"},
    {"/search?q=taza&sort=", 200, "Taza azul"},
    {"/collections/all?sort=relevance", 200, "Taza azul"},
    {"/cart", 200, "empty"},
    {"/robots.txt", 200, "Disallow: /cart"},
    {"/theme.css", 200, "--primary"},
    {"/assets/none.css", 404, "404"},
    {"/media/0000000000000000000000000000000000000000000000000000000000000000.svg", 404, "404"},
    {"/orders/00000000000000000000000000000000", 404, "404"},
};

TEST(the_first_answer_of_a_thread_may_be_that_nothing_is_there)
{
    static const char *const NOWHERE[] = {"/media/0000000000000000000000000000000000000000000000000000000000000000.svg",
                                          "/products/none", "/none"};
    for (size_t i = 0; i < COUNT(NOWHERE); i++) {
        Stage stage;
        stage_open(&stage);
        for (size_t client = 0; client < 8; client++) {    // some on each thread
            ShopClient *fresh = shop_client_open(stage.cell.port, "acme.localhost");
            ck_assert_int_eq(got(&stage, fresh, NOWHERE[i]), 404);
            ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
            shop_client_close(&fresh);
        }
        ck_assert_int_eq(got(&stage, stage.acme, "/"), 200);
        stage_close(&stage);
    }
}

TEST(each_page_answers_in_the_shops_language)
{
    Stage stage;
    stage_open(&stage);
    for (size_t i = 0; i < COUNT(PAGES); i++) {
        int status = got(&stage, stage.acme, PAGES[i].path);
        ck_assert_msg(status == PAGES[i].status, "%s: %d", PAGES[i].path, status);
        bool is_html = str_has_prefix(shop_answer_header(&stage.answer, S("Content-Type")), S("text/html"));
        if (is_html)
            ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
        if (strcmp(PAGES[i].says, "4500") == 0)
            ck_assert_contains(stage.answer.body, S("45,00 \xe2\x82\xac"));
        else
            ck_assert_contains(stage.answer.body, str_of(PAGES[i].says));
        ck_assert_uint_eq(str_find(stage.answer.body, S("<script>alert")), stage.answer.body.len);
    }
    ck_assert_int_eq(got(&stage, stage.beta, "/products/taza-azul"), 200);
    ck_assert_contains(stage.answer.body, S("\xc2\xa3"
                                            "19.00"));
    ck_assert_contains(stage.answer.body, S("Beta &amp; Sons"));
    stage_close(&stage);
}

TEST(a_warm_page_needs_no_query_and_answers_304_to_who_has_it)
{
    Stage stage;
    stage_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    test_cell_sql(&stage.cell, "alter function t_1.product_show rename to product_hidden");
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    Str etag = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %.*s\r\n", STR_ARG(stage.cookie), STR_ARG(etag));
    ck_assert_int_eq(sent(&stage, "GET", "/products/taza-azul", headers.data, NULL), 304);
    headers = str_format(stage.cell.arena, "If-None-Match: %.*s\r\n", STR_ARG(etag));    // another shopper
    ck_assert_int_eq(sent(&stage, "GET", "/products/taza-azul", headers.data, NULL), 200);
    stage_close(&stage);
}

static Str unzipped(Stage *stage, Str body)
{
    enum { ROOM = MIB, GZIP_WINDOW = 15 + 16 };
    char *room = arena_bytes(stage->cell.arena, ROOM);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)body.data,
                       .avail_in = (uInt)body.len,
                       .next_out = (Bytef *)room,
                       .avail_out = ROOM};
    ck_assert_int_eq(inflateInit2(&stream, GZIP_WINDOW), Z_OK);
    ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);    // its CRC and its length are right
    ck_assert_uint_eq(stream.avail_in, 0);
    (void)inflateEnd(&stream);
    return (Str){room, stream.total_out};
}

static int visited_taking(Stage *stage, const char *path, const char *encodings, Str known)
{
    StrBuf headers = {.arena = stage->cell.arena};
    strbuf_format(&headers, "%.*sAccept-Encoding: %s\r\n", STR_ARG(stage->cookie), encodings);
    if (known.len)
        strbuf_format(&headers, "If-None-Match: %.*s\r\n", STR_ARG(known));
    int status =
        asked(stage, stage->acme, &(ShopRequest){.method = "GET", .path = path, .headers = strbuf_str(&headers).data});
    ck_assert_str(shop_answer_header(&stage->answer, S("Vary")), S("Accept-Encoding"));
    return status;
}

// As it is, and as gzip: the same bytes, of which each form has its own ETag.
static void zipped_alike(Stage *stage, const char *path)
{
    Arena *arena = stage->cell.arena;
    ck_assert_int_eq(visited_taking(stage, path, "identity", S("")), 200);
    ck_assert_str(shop_answer_header(&stage->answer, S("Content-Encoding")), S(""));
    Str plain = str_copy(arena, stage->answer.body);
    Str plain_tag = str_copy(arena, shop_answer_header(&stage->answer, S("ETag")));
    for (int i = 0; i < 2; i++) {    // made, and kept
        ck_assert_int_eq(visited_taking(stage, path, "gzip", S("")), 200);
        ck_assert_str(shop_answer_header(&stage->answer, S("Content-Encoding")), S("gzip"));
        ck_assert_uint_lt(stage->answer.body.len, plain.len);
        ck_assert_str(unzipped(stage, stage->answer.body), plain);
    }
    Str tag = str_copy(arena, shop_answer_header(&stage->answer, S("ETag")));
    ck_assert(!str_eq(tag, plain_tag));
    ck_assert_int_eq(visited_taking(stage, path, "gzip", tag), 304);
    ck_assert_str(shop_answer_header(&stage->answer, S("ETag")), tag);
    ck_assert_str(shop_answer_header(&stage->answer, S("Content-Encoding")), S(""));
    ck_assert_int_eq(visited_taking(stage, path, "identity", tag), 200);
    ck_assert_int_eq(visited_taking(stage, path, "gzip", plain_tag), 200);
    ck_assert_int_eq(visited_taking(stage, path, "gzip;q=0", plain_tag), 304);
}

TEST(a_page_is_sent_compressed_to_who_takes_that_and_no_secret_is)
{
    static const char *const PATHS[] = {"/",          "/products/taza-azul",     "/collections/all",
                                        "/theme.css", API "/products",           API "/products/taza-azul",
                                        "/search",    "/search?q=%3Ccsrf%3Etaza"};
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    csrf_take(&stage);
    for (size_t i = 0; i < COUNT(PATHS); i++)
        zipped_alike(&stage, PATHS[i]);
    ck_assert_int_eq(visited_taking(&stage, "/products/taza-azul", "gzip", S("")), 200);
    ck_assert_contains(stage.answer.body, stage.csrf);    // in a stored block, not compressed with other text
    Str before = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
    zipped_alike(&stage, "/products/taza-azul");    // now with a count in the other hole
    ck_assert_int_eq(visited_taking(&stage, "/products/taza-azul", "gzip", before), 200);
    stage_close(&stage);
}

TEST(a_change_of_the_catalogue_is_seen)
{
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_int_eq(got(&stage, stage.acme, API "/products/lampara"), 200);
    clock_sleep_ms(300);    // until changes are heard
    test_cell_sql(&stage.cell, "begin; update t_1.products set title = 'Flexo' where handle = 'lampara';"
                               "set local search_path = t_1, pg_temp; select catalog_changed(); commit");
    int64_t until_ms = clock_ms() + 5000;
    bool is_seen = false;
    while (!is_seen && clock_ms() < until_ms) {
        ck_assert_int_eq(got(&stage, stage.acme, API "/products/lampara"), 200);
        is_seen = str_eq(member(&stage, "title"), S("Flexo"));
    }
    ck_assert(is_seen);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_contains(stage.answer.body, S("Flexo"));
    stage_close(&stage);
}

enum { CROWD = 12 };

static void *crowd_member(void *stage)
{
    const TestCell *cell = &((Stage *)stage)->cell;
    CLEANUP(arena_close) Arena *arena = arena_open(4 * MIB);
    ShopClient *client = shop_client_open(cell->port, "acme.localhost");
    ShopAnswer answer = {0};
    bool ok = shop_call(client, &(ShopRequest){.method = "GET", .path = "/collections/luz"}, arena, &answer) &&
              answer.status == 200 && str_find(answer.body, S("</html>")) < answer.body.len;
    shop_answer_close(&answer);
    shop_client_close(&client);
    return ok ? stage : NULL;
}

TEST(a_crowd_at_a_cold_page_shares_its_render)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell, "create sequence t_1.renders; alter function t_1.category_show rename to category_there;"
                               "create function t_1.category_show(p text) returns json language sql as $$"
                               "select category_there(p) from pg_sleep(0.5), nextval('renders') $$");
    pthread_t crowd[CROWD];
    for (size_t i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&crowd[i], NULL, crowd_member, &stage), 0);
    for (size_t i = 0; i < CROWD; i++) {
        void *result = NULL;
        ck_assert_int_eq(pthread_join(crowd[i], &result), 0);
        ck_assert_ptr_nonnull(result);
    }
    // each of the two threads has a cache of its own
    Str renders = test_value(stage.cell.db, stage.cell.arena, "select last_value from t_1.renders");
    ck_assert_msg(str_eq(renders, S("1")) || str_eq(renders, S("2")), "%.*s renders", STR_ARG(renders));
    stage_close(&stage);
}

// ---- the store API ----

static const struct {
    const char *path;
    int status;
    const char *says;
} API_GETS[] = {
    {API "/products", 200, "\"per_page\""},
    {API "/products?page=1&per_page=1&sort=price", 200, "\"total\""},
    {API "/products?category=tazas&q=taza", 200, "taza-azul"},
    {API "/products?category=none", 404, "not-found"},
    {API "/products?per_page=101", 422, "per_page"},
    {API "/products?per_page=x", 422, "per_page"},
    {API "/products?sort=color", 422, "sort"},
    {API "/products/taza-azul", 200, "TA-S"},
    {API "/products/none", 404, "not-found"},
    {API "/categories", 200, "tazas"},
    {API "/carts/none", 404, "not-found"},
    {API "/carts/0000000000000000000000", 404, "not-found"},
    {API "/orders/none", 404, "not-found"},
    {API "/none", 404, "not-found"},
};

TEST(reads_of_the_api_answer_or_say_what_is_wrong)
{
    Stage stage;
    stage_open(&stage);
    for (size_t i = 0; i < COUNT(API_GETS); i++) {
        int status = got(&stage, stage.acme, API_GETS[i].path);
        ck_assert_msg(status == API_GETS[i].status, "%s: %d", API_GETS[i].path, status);
        ck_assert_contains(stage.answer.body, str_of(API_GETS[i].says));
        if (status >= 400)
            ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("application/problem+json"));
    }
    stage_close(&stage);
}

TEST(a_cart_is_filled_changed_and_emptied)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":2}");
    Str line = str_copy(stage.cell.arena, json_str(json_get(first_line(&stage), "id")));
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), 3800);
    const char *lines = format(&stage, API "/carts/%/lines", cart);
    ck_assert_int_eq(sent(&stage, "POST", lines, NULL, "{\"variant_id\":\"1\",\"quantity\":1}"), 200);
    ck_assert_int_eq(json_int64(json_get(first_line(&stage), "quantity")), 3);
    const char *path = str_format(stage.cell.arena, "%s/%.*s", lines, STR_ARG(line)).data;
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "{\"quantity\":5}"), 200);
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "{\"quantity\":0}"), 422);
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "{\"quantity\":1000}"), 422);
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "{\"quantity\":\"5\"}"), 422);
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "{"), 400);
    ck_assert_int_eq(sent(&stage, "PATCH", path, NULL, "[]"), 400);
    ck_assert_int_eq(sent(&stage, "POST", lines, NULL, "{\"variant_id\":1,\"quantity\":1}"), 422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"variant_id\""));
    ck_assert_int_eq(sent(&stage, "POST", lines, NULL, "{\"variant_id\":\"4\",\"quantity\":1}"), 422);    // unpublished
    ck_assert_int_eq(sent(&stage, "DELETE", path, NULL, NULL), 200);
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "lines")), 0);
    ck_assert_int_eq(sent(&stage, "DELETE", path, NULL, NULL), 404);
    stage_close(&stage);
}

TEST(the_same_key_and_body_give_the_one_order)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = format(&stage, API "/carts/%/checkout", cart);
    ck_assert_int_eq(sent(&stage, "POST", checkout, NULL, ORDER), 400);    // without a key
    ck_assert_contains(stage.answer.body, S("Idempotency-Key"));
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k1\r\n", ORDER), 201);
    Str token = member(&stage, "token");
    int64_t number = json_int64(json_get(stage.answer.json, "number"));
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k1\r\n", ORDER), 201);
    ck_assert_int_eq(json_int64(json_get(stage.answer.json, "number")), number);
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k1\r\n",
                          "{\"email\":\"eva@example.com\"," ADDRESS
                          ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_contains(stage.answer.body, S("idempotency-key-reused"));
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k2\r\n", ORDER), 409);
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, API "/orders/%", token)), 200);
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("19,00 \xe2\x82\xac"));
    // nothing of it is known at another shop
    ck_assert_int_eq(got(&stage, stage.beta, format(&stage, API "/orders/%", token)), 404);
    ck_assert_int_eq(got(&stage, stage.beta, format(&stage, API "/carts/%", cart)), 404);
    ck_assert_int_eq(
        asked(&stage, stage.beta, &(ShopRequest){"POST", checkout, "Idempotency-Key: k1\r\n", ORDER, NULL}), 404);
    stage_close(&stage);
}

TEST(a_wrong_checkout_names_each_field)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = format(&stage, API "/carts/%/checkout", cart);
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                          "{\"email\":\"nobody\",\"shipping_address\":{\"name\":5,\"country\":\"XX\"},"
                          "\"shipping_method\":\"rocket\",\"payment_method\":\"gold\"}"),
                     422);
    static const char *const FIELDS[] = {
        "email",          "shipping_address.name", "shipping_address.line1", "shipping_address.country",
        "payment_method", "shipping_method"};
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        ck_assert_contains(stage.answer.body, str_of(format(&stage, "\"field\":\"%\"", str_of(FIELDS[i]))));
    ck_assert_contains(stage.answer.body, S("there is no method 'rocket'"));
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                          "{\"email\":\"nobody\"," ADDRESS
                          ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "errors")), 1);
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n",
                          "{\"email\":\"ana@example.com\"," ADDRESS
                          ",\"shipping_method\":\"rocket\",\"payment_method\":\"bank_transfer\"}"),
                     422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"shipping_method\""));
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n", ORDER), 201);    // none of it counted
    stage_close(&stage);
}

TEST(of_two_buyers_of_the_last_one_only_one_gets_it)
{
    Stage stage;
    stage_open(&stage);
    Str first = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":6}");
    Str second = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":6}");
    Str line = str_copy(stage.cell.arena, json_str(json_get(first_line(&stage), "id")));
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", first), "Idempotency-Key: 1\r\n", ORDER), 201);
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", second), "Idempotency-Key: 2\r\n", ORDER), 409);
    ck_assert(str_has_suffix(member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(stage.answer.body, str_of(format(&stage, "\"lines.%\"", line)));
    stage_close(&stage);
}

TEST(every_line_that_lacks_stock_is_named)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":11}");
    const char *lines = format(&stage, API "/carts/%/lines", cart);
    ck_assert_int_eq(sent(&stage, "POST", lines, NULL, "{\"variant_id\":\"3\",\"quantity\":10}"), 201);
    ck_assert_int_eq(sent(&stage, "POST", lines, NULL, "{\"variant_id\":\"2\",\"quantity\":1}"), 201);
    CLEANUP(json_close) Json *kept = json_hold(stage.answer.json);
    const Json *in_cart = json_get(kept, "lines");
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", cart), "Idempotency-Key: k\r\n", ORDER), 409);
    ck_assert(str_has_suffix(member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(member(&stage, "detail"), S("2 lines of the cart"));
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
    stage_close(&stage);
}

TEST(each_wrong_parameter_of_a_list_is_named)
{
    static const char *const FIELDS[] = {"page", "per_page", "q", "sort"};
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(got(&stage, stage.acme, API "/products?page=0&per_page=x&sort=color&q=%FF"), 422);
    ck_assert_str(member(&stage, "detail"), S("4 fields are refused: page, per_page, q and sort"));
    ck_assert_uint_eq(json_count(json_get(stage.answer.json, "errors")), COUNT(FIELDS));
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        ck_assert_str(json_str(json_get(json_element(json_get(stage.answer.json, "errors"), i), "field")),
                      str_of(FIELDS[i]));
    ck_assert_int_eq(got(&stage, stage.acme, API "/products?sort=color"), 422);
    ck_assert_str(member(&stage, "detail"), S("the field 'sort' is refused: it is 'color'"));
    stage_close(&stage);
}

TEST(the_order_keeps_the_chosen_shipping_and_says_where_to_pay)
{
    static const char EXPRESS[] = "{\"email\":\"ana@example.com\"," ADDRESS
                                  ",\"shipping_method\":\"express\",\"payment_method\":\"bank_transfer\"}";
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell, "insert into t_1.shipping_methods values ('express', 990, 2), ('bici', 250, 3)");
    ck_assert_int_eq(got(&stage, stage.acme, API "/shipping-methods"), 200);
    ck_assert_str(stage.answer.body,
                  S("{\"items\" : [{\"code\" : \"standard\", \"price\" : {\"amount\" : 0, \"currency\" : "
                    "\"EUR\"}}, {\"code\" : \"express\", \"price\" : {\"amount\" : 990, \"currency\" : "
                    "\"EUR\"}}, {\"code\" : \"bici\", \"price\" : {\"amount\" : 250, \"currency\" : "
                    "\"EUR\"}}]}"));
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = format(&stage, API "/carts/%/checkout", cart);
    ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n", EXPRESS), 201);
    Str token = member(&stage, "token");
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), 1900 + 990);
    test_cell_sql(&stage.cell, "update t_1.shipping_methods set price_minor = 1");
    // without instructions the page says that they follow
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("Te enviaremos los datos de la cuenta"));
    ck_assert_contains(stage.answer.body, S("28,90 \xe2\x82\xac"));
    test_cell_sql(&stage.cell, "update t_1.settings set payment_instructions = E'Banco Sur\nES00 <1234>'");
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/orders/%", token)), 200);
    ck_assert_contains(stage.answer.body, S("Banco Sur\nES00 &lt;1234&gt;"));
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, API "/orders/%", token)), 200);
    ck_assert_str(member(&stage, "payment_instructions"), S("Banco Sur\nES00 <1234>"));
    ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "shipping"), "amount")), 990);
    // an order that is paid, or was paid in cash, needs none
    test_cell_sql(&stage.cell, "update t_1.orders set status = 'paid'");
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/orders/%", token)), 200);
    ck_assert(str_find(stage.answer.body, S("Banco Sur")) == stage.answer.body.len);
    stage_close(&stage);
}

// ---- forms ----

TEST(the_cart_names_every_line_that_lacks_stock)
{
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    csrf_take(&stage);
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=11"), 303);
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=2&quantity=1"), 303);
    ck_assert_int_eq(posted(&stage, "/checkout",
                            "email=ana%40example.com&name=Ana&line1=Mayor+1&city=Segovia&postal_code=40001&country=ES&"
                            "shipping_method=standard&payment_method=bank_transfer"),
                     409);
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, S \xe2\x80\x93 Quedan: 10</li>"));
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, L \xe2\x80\x93 Agotado</li>"));
    stage_close(&stage);
}

TEST(a_shopper_buys_without_javascript)
{
    Stage stage;
    stage_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    csrf_take(&stage);
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\">2</span>"));
    ck_assert_contains(stage.answer.body, S("38,00 \xe2\x82\xac"));
    Str line = str_copy(stage.cell.arena, between(stage.answer.body, "action=\"/cart/lines/", '"'));
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=3"), 303);
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=x"), 422);
    ck_assert_int_eq(visited(&stage, "/checkout"), 200);
    ck_assert_contains(stage.answer.body, S("data-price=\"Gratis\""));
    ck_assert_contains(stage.answer.body, S("<option value=\"ES\" selected>Espa\xc3\xb1"
                                            "a</option>"));
    ck_assert_int_eq(posted(&stage, "/checkout", "email=nobody&name=%3Cb%3E&payment_method=bank_transfer"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"&lt;b&gt;\""));
    ck_assert_contains(stage.answer.body, S("id=\"email-error\""));
    ck_assert_int_eq(posted(&stage, "/checkout", "email=nobody&shipping_method=rocket&payment_method=bank_transfer"),
                     422);
    ck_assert_contains(stage.answer.body, S("Elige una forma de env\xc3\xado."));
    const char *order = "email=ana%40example.com&name=Ana&line1=Calle+1&city=Vigo&postal_code=36201&country=ES&"
                        "shipping_method=standard&payment_method=bank_transfer";
    ck_assert_int_eq(posted(&stage, "/checkout", order), 303);
    Str location = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    ck_assert(str_has_prefix(location, S("/orders/")));
    ck_assert_int_eq(visited(&stage, location.data), 200);
    ck_assert_contains(stage.answer.body, S("57,00 \xe2\x82\xac"));
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\"></span>"));
    ck_assert_int_eq(visited(&stage, "/checkout"), 303);    // the next cart is empty
    stage_close(&stage);
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
    Stage stage;
    stage_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    csrf_take(&stage);
    for (size_t i = 0; i < COUNT(FORGED); i++) {
        Str right = str_format(stage.cell.arena, "csrf=%.*s&", STR_ARG(stage.csrf));
        Str body =
            str_format(stage.cell.arena, "%svariant_id=1&quantity=1", FORGED[i].csrf ? FORGED[i].csrf : right.data);
        Str headers = str_format(stage.cell.arena, "%.*s%s", STR_ARG(stage.cookie), FORGED[i].headers);
        ck_assert_int_eq(
            asked(&stage, stage.acme,
                  &(ShopRequest){"POST", "/cart/lines", headers.data, body.data, "application/x-www-form-urlencoded"}),
            403);
    }
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.cart_lines"), S("0"));
    stage_close(&stage);
}

// ---- hosts, states, faults ----

// A gateway on this machine that adds no header must not show them to the world.
TEST(metrics_are_not_shown_at_a_shops_address)
{
    Stage stage;
    stage_open(&stage);
    ShopClient *operator= shop_client_open(stage.cell.port, "127.0.0.1:9100");
    ck_assert_int_eq(got(&stage, operator, "/metrics"), 200);
    ck_assert_int_eq(got(&stage, stage.acme, "/metrics"), 403);
    ck_assert(str_find(stage.answer.body, S("beta")) == stage.answer.body.len);
    shop_client_close(&operator);
    stage_close(&stage);
}

TEST(an_unknown_host_is_told_no_name_and_a_suspended_shop_says_so)
{
    Stage stage;
    stage_open(&stage);
    ShopClient *stranger = shop_client_open(stage.cell.port, "gamma.localhost");
    ck_assert_int_eq(got(&stage, stranger, "/"), 404);
    ck_assert_uint_eq(str_find(stage.answer.body, S("cme")), stage.answer.body.len);
    clock_sleep_ms(300);
    test_cell_sql(&stage.cell, "update cell.tenants set state = 'suspended' where number = 1");
    test_cell_sql(&stage.cell, "insert into cell.tenants values (3, 'gamma', 'archived')");
    int64_t until_ms = clock_ms() + 5000;
    while (got(&stage, stage.acme, "/products/none") != 503 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(got(&stage, stage.acme, "/"), 503);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
    ck_assert_contains(stage.answer.body, S("Acme"));
    ck_assert_contains(stage.answer.body, S("href=\"/assets/shop."));
    Str style = between(stage.answer.body, "href=\"/assets/shop.", '"');
    ck_assert_int_eq(got(&stage, stage.acme, str_format(stage.cell.arena, "/assets/shop.%.*s", STR_ARG(style)).data),
                     200);
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css"), 200);
    ck_assert_int_eq(got(&stage, stage.acme, API "/products"), 503);
    ck_assert_int_eq(got(&stage, stage.beta, "/"), 200);
    test_cell_sql(&stage.cell, "update cell.tenants set state = 'active' where number = 1");
    while (got(&stage, stage.acme, "/products/lampara") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(got(&stage, stage.acme, "/"), 200);
    shop_client_close(&stranger);
    stage_close(&stage);
}

// Lets shopd in again, or ends its connections and bars it until it has noticed.
static void database_set(Stage *stage, bool is_there)
{
    CLEANUP(db_close) Db *server = test_db_open(str_of(getenv("TEST_PG")));
    Error err = {0};
    Arena *arena = stage->cell.arena;
    Str name = test_value(stage->cell.db, arena, "select current_database()");
    Str bar = str_format(arena, "alter database %.*s allow_connections %s", STR_ARG(name), is_there ? "true" : "false");
    ck_assert_ok(db_script(server, bar, &err), &err);
    if (is_there)
        return;
    Str kill = str_format(arena,
                          "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '%.*s' and "
                          "application_name like 'shopd%%'",
                          STR_ARG(name));
    (void)test_value(server, arena, kill.data);
    int64_t until_ms = clock_ms() + 5000;
    while (sent(stage, "POST", API "/carts", NULL, "{}") != 503 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(sent(stage, "POST", API "/carts", NULL, "{}"), 503);
}

TEST(without_the_database_warm_pages_go_on_and_writes_wait_for_its_return)
{
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/taza-azul"), 200);
    database_set(&stage, false);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/taza-azul"), 200);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/lampara"), 503);
    ck_assert_contains(stage.answer.body, S("</html>"));
    database_set(&stage, true);
    int64_t until_ms = clock_ms() + 10000;
    while (got(&stage, stage.acme, "/products/lampara") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(got(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_int_eq(sent(&stage, "POST", API "/carts", NULL, "{}"), 201);
    stage_close(&stage);
}

TEST(without_the_database_a_shop_that_nobody_has_seen_is_called_by_its_name_in_its_language)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell, "update cell.tenants set looks = '{\"name\": \"Acme Ñandú\", \"language\": \"es\", "
                               "\"colors\": {\"primary\": \"#123abc\"}}' where number = 1");
    test_cell_stop(&stage.cell);
    test_cell_serve(&stage.cell, 2, S(""));    // the directory alone is read
    shop_client_close(&stage.acme);
    stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
    database_set(&stage, false);
    ck_assert_int_eq(got(&stage, stage.acme, "/"), 503);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
    ck_assert_contains(stage.answer.body, S("Acme Ñandú</span>"));
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css"), 200);    // else the page has no colours
    ck_assert_contains(stage.answer.body, S("--primary: #123abc"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("no-store"));
    database_set(&stage, true);
    int64_t until_ms = clock_ms() + 10000;
    while (got(&stage, stage.acme, "/") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_contains(stage.answer.body, S("Acme"));
    stage_close(&stage);
}

// The kernel gives new connections to either thread; only one of them has made each page.
TEST(without_the_database_a_warm_page_is_there_on_every_connection)
{
    static const char *const WARM[] = {"/", "/products/taza-azul", API "/products", API "/products/taza-azul"};
    Stage stage;
    stage_open(&stage);
    for (size_t i = 0; i < COUNT(WARM); i++)
        ck_assert_int_eq(got(&stage, stage.acme, WARM[i]), 200);
    database_set(&stage, false);
    for (size_t round = 0; round < 24; round++) {
        shop_client_close(&stage.acme);
        stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
        for (size_t i = 0; i < COUNT(WARM); i++)
            ck_assert_int_eq(got(&stage, stage.acme, WARM[i]), 200);
        ck_assert_int_eq(got(&stage, stage.acme, API "/products/lampara"), 503);    // nobody has it
    }
    database_set(&stage, true);
    test_cell_sql(&stage.cell, "update t_1.products set title = 'Taza verde' where handle = 'taza-azul'");
    int64_t until_ms = clock_ms() + 10000;
    for (size_t fresh = 0; fresh < 12;) {    // what was taken over is no longer shown
        ck_assert_msg(clock_ms() < until_ms, "an old page is still shown");
        shop_client_close(&stage.acme);
        stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
        int status = got(&stage, stage.acme, API "/products/taza-azul");
        fresh = status == 200 && str_find(stage.answer.body, S("Taza verde")) < stage.answer.body.len ? fresh + 1 : 0;
    }
    stage_close(&stage);
}

static void *stop_later(void *server)
{
    clock_sleep_ms(200);
    server_stop(server);
    return NULL;
}

TEST(a_request_that_is_under_way_when_the_server_stops_is_answered)
{
    Stage stage;
    stage_open(&stage);
    pthread_t stopper;
    test_cell_sql(&stage.cell, "create or replace function t_1.cart_create() returns json language sql as $$"
                               "select json_build_object('id', 'slow') from pg_sleep(1) $$");
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_later, stage.cell.server), 0);
    // the tenant's home is one of two threads, of which one has nothing to do and could go home early
    ck_assert_int_eq(sent(&stage, "POST", API "/carts", NULL, "{}"), 201);
    (void)pthread_join(stopper, NULL);
    stage_close(&stage);
}

SUITE(storefront, ONCE(the_first_answer_of_a_thread_may_be_that_nothing_is_there),
      ONCE(each_page_answers_in_the_shops_language), ONCE(a_warm_page_needs_no_query_and_answers_304_to_who_has_it),
      ONCE(a_page_is_sent_compressed_to_who_takes_that_and_no_secret_is), ONCE(a_change_of_the_catalogue_is_seen),
      ONCE(a_crowd_at_a_cold_page_shares_its_render), ONCE(reads_of_the_api_answer_or_say_what_is_wrong),
      ONCE(a_cart_is_filled_changed_and_emptied), ONCE(the_same_key_and_body_give_the_one_order),
      ONCE(a_wrong_checkout_names_each_field), ONCE(of_two_buyers_of_the_last_one_only_one_gets_it),
      ONCE(every_line_that_lacks_stock_is_named), ONCE(each_wrong_parameter_of_a_list_is_named),
      ONCE(the_order_keeps_the_chosen_shipping_and_says_where_to_pay), ONCE(the_cart_names_every_line_that_lacks_stock),
      ONCE(a_shopper_buys_without_javascript), ONCE(a_form_of_another_site_is_refused),
      ONCE(metrics_are_not_shown_at_a_shops_address),
      ONCE(an_unknown_host_is_told_no_name_and_a_suspended_shop_says_so),
      ONCE(a_request_that_is_under_way_when_the_server_stops_is_answered),
      ONCE(without_the_database_warm_pages_go_on_and_writes_wait_for_its_return),
      ONCE(without_the_database_a_shop_that_nobody_has_seen_is_called_by_its_name_in_its_language),
      ONCE(without_the_database_a_warm_page_is_there_on_every_connection))
