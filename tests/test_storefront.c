// tests/test_storefront.c: the shop over HTTP: pages, cart, checkout and store API, against a real PostgreSQL.
#include <pthread.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/shop.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"
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
    test_cell_await_news(&stage->cell);
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

#define BUYER                                                                                                          \
    "email=ana%40example.com&name=Ana&line1=Calle+1&city=Vigo&postal_code=36201&country=ES&shipping_method=standard&"  \
    "payment_method=bank_transfer"

// A shopper with two of a variant in the cart, at the product's page.
static void shopper_open(Stage *stage)
{
    stage_open(stage);
    stage->cookie = S("");
    ck_assert_int_eq(visited(stage, "/products/taza-azul"), 200);
    csrf_take(stage);
    ck_assert_int_eq(posted(stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
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

// Before it is read to its end, with a page that asks for the shop's name first.
TEST(the_first_answer_of_a_thread_may_be_a_refusal)
{
    static const char *const REFUSED[] = {
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 100000\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 5\r\n\r\n"};    // which never come
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        Stage stage;
        stage_open(&stage);
        CLEANUP(fd_close) int fd = raw_open(stage.cell.port);
        ck_assert(raw_send(fd, str_of(REFUSED[i])));
        Str answer = raw_await(fd, stage.cell.arena, 300);
        ck_assert_int_eq(raw_status(answer), 404);
        ck_assert_contains(answer, S("<html lang=\"es\">"));
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
    test_cell_sql(&stage.cell, "alter function t_1.product_show_1 rename to product_hidden");
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
                               "set local search_path = t_1, pg_temp; select catalog_changed_1(); commit");
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

// The status of the page that was asked for; 0: it wasn't whole.
static void *crowd_member(void *stage)
{
    const TestCell *cell = &((Stage *)stage)->cell;
    CLEANUP(arena_close) Arena *arena = arena_open(4 * MIB);
    ShopClient *client = shop_client_open(cell->port, "acme.localhost");
    ShopAnswer answer = {0};
    bool ok = shop_call(client, &(ShopRequest){.method = "GET", .path = "/collections/luz"}, arena, &answer) &&
              str_find(answer.body, S("</html>")) < answer.body.len;
    intptr_t status = ok ? answer.status : 0;
    shop_answer_close(&answer);
    shop_client_close(&client);
    return (void *)status;
}

// All ask for one page at a time, whose query takes half a second, counts itself, and does what `then` says.
static void crowd_ask(Stage *stage, const char *then, int status)
{
    test_cell_sql(&stage->cell,
                  str_format(stage->cell.arena,
                             "create sequence t_1.renders; alter function t_1.category_show_1 rename to category_there;"
                             "create function t_1.category_show_1(p text) returns json language plpgsql as $$ begin "
                             "perform pg_sleep(0.5), nextval('renders'); %s; end $$",
                             then)
                      .data);
    pthread_t crowd[CROWD];
    for (size_t i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&crowd[i], NULL, crowd_member, stage), 0);
    for (size_t i = 0; i < CROWD; i++) {
        void *result = NULL;
        ck_assert_int_eq(pthread_join(crowd[i], &result), 0);
        ck_assert_int_eq((intptr_t)result, status);
    }
    // each of the two threads has a cache of its own
    Str renders = test_value(stage->cell.db, stage->cell.arena, "select last_value from t_1.renders");
    ck_assert_msg(str_eq(renders, S("1")) || str_eq(renders, S("2")), "%.*s renders", STR_ARG(renders));
}

TEST(a_crowd_at_a_cold_page_shares_its_render)
{
    Stage stage;
    stage_open(&stage);
    crowd_ask(&stage, "return category_there(p)", 200);
    stage_close(&stage);
}

TEST(a_crowd_at_a_page_that_cannot_be_had_shares_its_error)
{
    Stage stage;
    stage_open(&stage);
    crowd_ask(&stage, "raise lock_not_available", 503);
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

static const struct {
    const char *lines;
    const char *says;    // NULL: a cart is made
    long long total;
} FILLED[] = {
    {"[]", NULL, 0},
    {"[{\"variant_id\":\"1\",\"quantity\":2}]", NULL, 3800},
    {"[{\"variant_id\":\"1\",\"quantity\":2},{\"variant_id\":\"1\",\"quantity\":998}]", NULL, 1900LL * 999},
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
    Stage stage;
    stage_open(&stage);
    int status = sent(&stage, "POST", API "/carts", NULL, format(&stage, "{\"lines\":%}", str_of(FILLED[_i].lines)));
    ck_assert_int_eq(status, FILLED[_i].says ? 422 : 201);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.carts"),
                  FILLED[_i].says ? S("0") : S("1"));
    if (FILLED[_i].says)
        ck_assert_contains(stage.answer.body, str_of(FILLED[_i].says));
    else
        ck_assert_int_eq(json_int64(json_get(json_get(stage.answer.json, "total"), "amount")), FILLED[_i].total);
    stage_close(&stage);
}

TEST(a_cart_is_not_made_with_more_than_a_hundred_lines)
{
    Stage stage;
    stage_open(&stage);
    StrBuf body = {.arena = stage.cell.arena};
    strbuf_add(&body, S("{\"lines\":[{\"variant_id\":\"1\",\"quantity\":1}"));
    for (int i = 0; i < 100; i++)
        strbuf_add(&body, S(",{\"variant_id\":\"1\",\"quantity\":1}"));
    strbuf_add(&body, S("]}"));
    ck_assert_int_eq(sent(&stage, "POST", API "/carts", NULL, strbuf_str(&body).data), 422);
    ck_assert_contains(stage.answer.body, S("at most 100 lines"));
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
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=3&quantity=1"), 303);    // there is enough of it
    ck_assert_int_eq(posted(&stage, "/checkout",
                            "email=ana%40example.com&name=Ana&line1=Mayor+1&city=Segovia&postal_code=40001&country=ES&"
                            "shipping_method=standard&payment_method=bank_transfer"),
                     409);
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, S \xe2\x80\x93 Quedan: 10</li>"));
    ck_assert_contains(stage.answer.body, S("<li>Taza azul, L \xe2\x80\x93 Agotado</li>"));
    stage_close(&stage);
}

TEST(what_is_not_on_sale_any_more_is_not_sold)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    test_cell_sql(&stage.cell, "update t_1.products set is_published = false where id = 1");
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, API "/carts/%", cart)), 200);
    ck_assert_contains(stage.answer.body, S("\"available\" : false"));
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", cart), "Idempotency-Key: k\r\n", ORDER), 409);
    ck_assert(str_has_suffix(member(&stage, "type"), S("/out-of-stock")));
    ck_assert_contains(stage.answer.body, S("1 wanted, 0 left"));
    test_cell_sql(&stage.cell, "update t_1.products set is_published = true where id = 1");
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", cart), "Idempotency-Key: k\r\n", ORDER), 201);
    stage_close(&stage);
}

TEST(a_full_cart_is_shown)
{
    Stage stage;
    shopper_open(&stage);
    test_cell_sql(
        &stage.cell,
        "insert into t_1.variants (product_id, position, option_values, price_minor) select 1, 100 + n, "
        "array['V' || n, '', ''], 100 from generate_series(1, 99) n;"
        "insert into t_1.stock (variant_id, quantity, is_tracked) select id, 5, true from t_1.variants v where "
        "not exists (select from t_1.stock k where k.variant_id = v.id);"
        "insert into t_1.cart_lines (cart_id, variant_id, quantity) select c.id, v.id, 1 from t_1.carts c, "
        "t_1.variants v where v.position > 100");
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    ck_assert_contains(stage.answer.body, S("V99"));
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=3&quantity=1"), 422);    // the 101st
    ck_assert_contains(stage.answer.body, S("caben 100 productos distintos"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("private, no-store"));
    stage_close(&stage);
}

TEST(a_shopper_whose_answer_was_lost_finds_the_order)
{
    Stage stage;
    shopper_open(&stage);
    Str before = stage.cookie;
    ck_assert_int_eq(posted(&stage, "/checkout", BUYER), 303);
    Str order = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    stage.cookie = before;    // as of a browser that never got it
    ck_assert_int_eq(posted(&stage, "/checkout", BUYER "&line2=2"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), order);
    ck_assert_int_eq(visited(&stage, "/checkout"), 303);    // with a cart of its own again
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    stage_close(&stage);
}

// With each new cart, also one of the pages'.
TEST(carts_that_nobody_came_back_to_go)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell,
                  "insert into t_1.carts (token, updated_at) values (repeat('a', 32), now() - interval '91 days');"
                  "insert into t_1.idempotency_keys (key, request_hash, created_at) values ('old', 'x', "
                  "now() - interval '25 hours'); select setval('t_1.carts_id_seq', 19)");
    stage.cookie = S("");
    ck_assert_int_eq(visited(&stage, "/products/taza-azul"), 200);
    csrf_take(&stage);
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
    ck_assert_str(
        test_value(stage.cell.db, stage.cell.arena,
                   "select (select count(*) from t_1.carts where token = repeat('a', 32)) + (select count(*) from "
                   "t_1.idempotency_keys where key = 'old')"),
        S("0"));
    stage_close(&stage);
}

TEST(a_cookie_with_a_count_that_is_too_long_is_no_session)
{
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(asked(&stage, stage.acme,
                           &(ShopRequest){.method = "GET",
                                          .path = "/",
                                          .headers = "Cookie: shop=AAAAAAAAAAAAAAAAAAAAAA.99999999999999999999\r\n"}),
                     200);
    stage_close(&stage);
}

TEST(a_shopper_buys_without_javascript)
{
    Stage stage;
    shopper_open(&stage);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\">2</span>"));
    ck_assert_contains(stage.answer.body, S("38,00 \xe2\x82\xac"));
    Str line = str_copy(stage.cell.arena, between(stage.answer.body, "action=\"/cart/lines/", '"'));
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=3"), 303);
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=1234x"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"1234x\""));    // kept, with the message at the field
    ck_assert_contains(stage.answer.body, str_of(format(&stage, "aria-describedby=\"problem-%\"", line)));
    ck_assert_contains(stage.answer.body, str_of(format(&stage, "id=\"problem-%\"", line)));
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

// ---- what goes wrong in a form, and what is said ----

#define FORM "application/x-www-form-urlencoded"
static Str cart_token(const Stage *stage)
{
    Str value = str_skip(stage->cookie, sizeof("Cookie: shop=") - 1);
    return str_slice(value, 0, str_find_char(value, '.'));
}

static Str cookie_count(Stage *stage)
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
    Stage stage;
    shopper_open(&stage);
    for (size_t i = 0; i < COUNT(CART_FORMS); i++) {
        int status = posted(&stage, CART_FORMS[i].path, CART_FORMS[i].form);
        ck_assert_msg(status == CART_FORMS[i].status, "%s %s: %d", CART_FORMS[i].path, CART_FORMS[i].form, status);
        if (status == 303)
            ck_assert_str(shop_answer_header(&stage.answer, S("Location")), str_of(CART_FORMS[i].says));
        else
            ck_assert_contains(stage.answer.body, str_of(CART_FORMS[i].says));
    }
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    Str line = str_copy(stage.cell.arena, between(stage.answer.body, "action=\"/cart/lines/", '"'));
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=1000"), 422);
    ck_assert_contains(stage.answer.body, S("value=\"1000\""));    // in its line, as it was written
    ck_assert_int_eq(posted(&stage, format(&stage, "/cart/lines/%", line), "quantity=0"), 303);
    ck_assert_str(cookie_count(&stage), S("0"));
    stage_close(&stage);
}

TEST(a_form_that_cannot_be_read_changes_nothing)
{
    Stage stage;
    StrBuf many = {0};
    shopper_open(&stage);
    many.arena = stage.cell.arena;
    for (int i = 0; i < REQUEST_PARAMETERS_MAX; i++)
        strbuf_add(&many, S("a=1&"));
    const char *const forms[] = {"variant_id=%00", "variant_id=1&quantity=%zz", strbuf_str(&many).data};
    const char *const paths[] = {"/cart/lines", "/cart/lines/1", "/checkout"};
    for (size_t path = 0; path < COUNT(paths); path++)
        for (size_t form = 0; form < COUNT(forms); form++)
            ck_assert_int_eq(posted(&stage, paths[path], forms[form]), 400);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select sum(quantity) from t_1.cart_lines"), S("2"));
    stage_close(&stage);
}

TEST(a_cart_that_was_ordered_meanwhile_leaves_a_new_one)
{
    Stage stage;
    shopper_open(&stage);
    Str token = str_copy(stage.cell.arena, cart_token(&stage));
    ck_assert_int_eq(
        sent(&stage, "POST", format(&stage, API "/carts/%/checkout", token), "Idempotency-Key: k\r\n", ORDER), 201);
    ck_assert_int_eq(posted(&stage, "/cart/lines/1", "quantity=1"), 422);
    Str before = stage.cookie;
    ck_assert_int_eq(posted(&stage, "/checkout", BUYER), 303);    // in another window
    ck_assert(str_has_prefix(shop_answer_header(&stage.answer, S("Location")), S("/orders/")));
    stage.cookie = before;
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    ck_assert(!str_eq(cart_token(&stage), token));
    ck_assert_str(cookie_count(&stage), S("0"));
    stage_close(&stage);
}

TEST(the_count_in_the_cookie_is_set_right_by_the_cart)
{
    Stage stage;
    shopper_open(&stage);
    Str cookie = stage.cookie;
    stage.cookie = str_format(stage.cell.arena, "Cookie: shop=%.*s.7\r\n", STR_ARG(cart_token(&stage)));
    ck_assert_int_eq(visited(&stage, "/"), 200);
    ck_assert_contains(stage.answer.body, S("<span class=\"badge\">7</span>"));
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    ck_assert_str(stage.cookie, cookie);
    ck_assert_int_eq(visited(&stage, "/cart"), 200);
    ck_assert_uint_eq(shop_answer_header(&stage.answer, S("Set-Cookie")).len, 0);    // it is right
    stage_close(&stage);
}

static const struct {
    const char *form;
    int status;
    const char *says;    // the page, or Location
} CHECKOUTS[] = {
    {BUYER "x", 422, "Elige una forma de pago."},
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
    Stage stage;
    shopper_open(&stage);
    for (size_t i = 0; i < COUNT(CHECKOUTS); i++) {
        int status = posted(&stage, "/checkout", CHECKOUTS[i].form);
        ck_assert_msg(status == CHECKOUTS[i].status, "%s: %d", CHECKOUTS[i].form, status);
        ck_assert_contains(stage.answer.body, str_of(CHECKOUTS[i].says));
    }
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.orders"), S("0"));
    // a country without postcodes needs none, and cash is paid at the door
    ck_assert_int_eq(posted(&stage, "/checkout",
                            "email=ana%40example.com&name=Ana&line1=1&city=Dubai&country=AE&shipping_method=standard&"
                            "payment_method=cash_on_delivery"),
                     303);
    Str location = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("Location")));
    ck_assert_int_eq(visited(&stage, location.data), 200);
    ck_assert_contains(stage.answer.body, S("Emiratos"));
    ck_assert_int_eq(visited(&stage, format(&stage, "%&new=%FF", location)), 200);    // the first one counts
    ck_assert_int_eq(visited(&stage, format(&stage, "%?new=%FF", str_slice(location, 0, str_find_char(location, '?')))),
                     422);
    stage_close(&stage);
}

TEST(a_checkout_without_a_cart_or_with_an_empty_one_leads_to_the_cart)
{
    Stage stage;
    stage_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(visited(&stage, "/checkout"), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    stage_close(&stage);
    shopper_open(&stage);
    test_cell_sql(&stage.cell, "delete from t_1.cart_lines");
    ck_assert_int_eq(posted(&stage, "/checkout", BUYER), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    test_cell_sql(&stage.cell, "delete from t_1.carts");
    ck_assert_int_eq(posted(&stage, "/checkout", BUYER), 303);
    ck_assert_str(shop_answer_header(&stage.answer, S("Location")), S("/cart"));
    // a way of shipping or paying that the theme has no word for shows its own name
    test_cell_sql(&stage.cell, "insert into t_1.shipping_methods values ('globo', 990, 2)");
    ck_assert_int_eq(posted(&stage, "/cart/lines", "variant_id=1&quantity=1"), 303);
    ck_assert_int_eq(visited(&stage, "/checkout"), 200);
    ck_assert_contains(stage.answer.body, S("globo"));
    test_cell_sql(&stage.cell, "delete from t_1.shipping_methods");
    ck_assert_int_eq(sent(&stage, "POST", format(&stage, API "/carts/%/checkout", cart_token(&stage)),
                          "Idempotency-Key: k\r\n", "{}"),
                     422);
    ck_assert_contains(stage.answer.body, S("\"field\":\"shipping_method\""));
    stage_close(&stage);
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
    Stage stage;
    shopper_open(&stage);
    Str body = str_format(stage.cell.arena, "csrf=%.*s&variant_id=1&quantity=1", STR_ARG(stage.csrf));
    for (size_t i = 0; i < COUNT(SITES); i++) {
        Str headers = str_format(stage.cell.arena, "%.*s%s", STR_ARG(stage.cookie), SITES[i].headers);
        int status = asked(&stage, stage.acme, &(ShopRequest){"POST", "/cart/lines", headers.data, body.data, FORM});
        ck_assert_msg(status == SITES[i].status, "%s: %d", SITES[i].headers, status);
    }
    ck_assert_int_eq(asked(&stage, stage.acme, &(ShopRequest){"POST", "/cart/lines", NULL, body.data, FORM}), 403);
    stage_close(&stage);
}

// ---- files ----

TEST(a_file_of_the_theme_is_sent_in_the_form_that_is_taken)
{
    static const struct {
        const char *accept, *encoding;
    } FORMS[] = {{"", ""}, {"Accept-Encoding: gzip\r\n", "gzip"}, {"Accept-Encoding: gzip, br\r\n", "br"}};
    Stage stage;
    stage_open(&stage);
    ck_assert_int_eq(got(&stage, stage.acme, "/"), 200);
    Str path = str_format(stage.cell.arena, "/assets/shop.%.*s",
                          STR_ARG(between(stage.answer.body, "href=\"/assets/shop.", '"')));
    Str whole = S("");
    for (size_t i = 0; i < COUNT(FORMS); i++) {
        ck_assert_int_eq(sent(&stage, "GET", path.data, FORMS[i].accept, NULL), 200);
        ck_assert_str(shop_answer_header(&stage.answer, S("Content-Encoding")), str_of(FORMS[i].encoding));
        ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("text/css; charset=utf-8"));
        ck_assert_contains(shop_answer_header(&stage.answer, S("Cache-Control")), S("immutable"));
        ck_assert_str(shop_answer_header(&stage.answer, S("Vary")), S("Accept-Encoding"));
        whole = i == 0 ? str_copy(stage.cell.arena, stage.answer.body) : whole;
        if (i == 1)
            ck_assert_str(unzipped(&stage, stage.answer.body), whole);
    }
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css?v=1"), 200);
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("public, max-age=3600"));
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css"), 200);
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("no-cache"));
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css?v=%FF"), 422);
    stage_close(&stage);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const struct {
    const char *name;
    int status;
} PICTURES[] = {
    {HASH "1.png", 200}, {HASH "2.svg", 404}, {HASH "3.png", 200},  {HASH "1.exe", 404},  {HASH "1.", 404},
    {HASH "1", 404},     {HASH "1-png", 404}, {HASH "/.png", 404},  {HASH ":.png", 404},  {HASH "g.png", 404},
    {HASH "F.png", 404}, {HASH ".png", 404},  {HASH "12.png", 404}, {HASH "9.webp", 404}, {HASH "`.jpg", 404},
};

TEST(a_picture_is_sent_as_what_it_is_and_runs_nothing)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell, "insert into t_1.media values ('" HASH "1', 'image/png', '\\x89504e470d0a00ff'),"
                               "('" HASH "2', 'text/html', '<script>'), ('" HASH "3', 'image/png', '')");
    for (size_t i = 0; i < COUNT(PICTURES); i++) {
        const char *path = format(&stage, "/media/%", str_of(PICTURES[i].name));
        int status = got(&stage, stage.acme, path);
        ck_assert_msg(status == PICTURES[i].status, "%s: %d", path, status);
    }
    ck_assert_int_eq(got(&stage, stage.acme, "/media/" HASH "1.png"), 200);
    ck_assert_str(stage.answer.body, S("\x89PNG\r\n\0\xff"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("image/png"));
    ck_assert_contains(shop_answer_header(&stage.answer, S("Content-Security-Policy")), S("sandbox"));
    ck_assert_int_eq(got(&stage, stage.beta, "/media/" HASH "1.png"), 404);
    stage_close(&stage);
}

// ---- what a page shows ----

// Whoever guesses their names asks the database each time.
TEST(pictures_that_are_not_there_count_for_the_plans_requests)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell, "update cell.tenants set limits = '{\"requests_per_second\": 1, \"requests_burst\": 3}' "
                               "where number = 1");
    int refused = 0;
    for (int64_t until_ms = clock_ms() + 5000, i = 0; refused == 0 && clock_ms() < until_ms; i++) {
        Str path = str_format(stage.cell.arena, "/media/%064llx.png", (unsigned long long)i);
        refused = got(&stage, stage.acme, path.data) == 429;
        ck_assert(refused || stage.answer.status == 404);
    }
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(got(&stage, stage.acme, "/theme.css"), 200);
    stage_close(&stage);
}

TEST(a_long_list_has_pages_before_and_after_in_its_order)
{
    static const struct {
        const char *path, *before, *after;
    } LISTS[] = {
        {"/collections/all", "", "/collections/all?page=2"},
        {"/collections/all?page=2", "/collections/all", "/collections/all?page=3"},
        {"/collections/all?page=13&sort=price", "/collections/all?sort=price&amp;page=12", ""},
        {"/search?q=vaso&page=2&sort=price", "/search?q=vaso&amp;sort=price",
         "/search?q=vaso&amp;sort=price&amp;page=3"},
        {"/search?q=vaso&page=2", "/search?q=vaso", "/search?q=vaso&amp;page=3"},
    };
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell,
                  "insert into t_1.products (handle, title) select 'vaso-' || n, 'Vaso ' || n from "
                  "generate_series(1, 300) n;"
                  "insert into t_1.variants (product_id, price_minor) select id, 100 from t_1.products where id > 3;"
                  "insert into t_1.stock (variant_id) select id from t_1.variants where id > 4;"
                  "set search_path = t_1, pg_temp; update products set search = product_search_1('es', title, vendor, "
                  "product_type, tags, '', description)");
    for (size_t i = 0; i < COUNT(LISTS); i++) {
        ck_assert_int_eq(got(&stage, stage.acme, LISTS[i].path), 200);
        Str before = str_of(format(&stage, "href=\"%\" rel=\"prev\"", str_of(LISTS[i].before)));
        Str after = str_of(format(&stage, "href=\"%\" rel=\"next\"", str_of(LISTS[i].after)));
        if (LISTS[i].before[0])
            ck_assert_contains(stage.answer.body, before);
        if (LISTS[i].after[0])
            ck_assert_contains(stage.answer.body, after);
        ck_assert_int_eq(str_find(stage.answer.body, S("rel=\"prev\"")) < stage.answer.body.len,
                         LISTS[i].before[0] != 0);
        ck_assert_int_eq(str_find(stage.answer.body, S("rel=\"next\"")) < stage.answer.body.len,
                         LISTS[i].after[0] != 0);
    }
    char query[220];
    memset(query, 'q', sizeof(query));
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/search?q=%", (Str){query, 200})), 200);
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, "/search?q=%", (Str){query, 201})), 422);
    ck_assert_int_eq(got(&stage, stage.acme, "/search?q=a%2Cb%7E-._%C3%B1"), 200);
    ck_assert_int_eq(got(&stage, stage.acme, "/search?sort=%FF"), 422);
    ck_assert_int_eq(got(&stage, stage.acme, "/collections/all?sort=%FF"), 422);
    stage_close(&stage);
}

TEST(a_shop_has_its_colours_its_address_and_its_pictures)
{
    Stage stage;
    stage_open(&stage);
    test_cell_sql(&stage.cell,
                  "update t_1.settings set name = '', email = 'tienda@example.com', colors = "
                  "'{\"primary\": \"#AbC\", \"accent\": \"red\", \"text\": \"#12345g\", \"surface\": \"x123456\"}';"
                  "insert into t_1.images (product_id, position, src, alt) values (1, 1, 'https://cdn.example/1.png', "
                  "'Una'), (1, 2, 'https://cdn.example/2.png', 'Otra');"
                  "update t_1.variants set compare_at_price_minor = 2500 where id = 1;"
                  "insert into cell.domains values ('aaa.example', 1);"
                  "update cell.tenants set slug = slug where number = 1;"
                  "set search_path = t_1, pg_temp; select catalog_changed_1()");
    ShopClient *own = shop_client_open(stage.cell.port, "aaa.example");
    int64_t until_ms = clock_ms() + 5000;
    while (got(&stage, own, "/products/taza-azul") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    Str page = stage.answer.body;
    ck_assert_contains(page, S("<link rel=\"canonical\" href=\"https://aaa.example/products/taza-azul\">"));
    ck_assert_contains(page, S("https://cdn.example/1.png"));
    ck_assert_contains(page, S("https://cdn.example/2.png"));
    ck_assert_contains(page, S("25,00 \xe2\x82\xac"));
    ck_assert_contains(page, S("acme"));    // for want of a name
    ck_assert_int_eq(got(&stage, own, "/search"), 200);
    ck_assert_uint_eq(str_find(stage.answer.body, S("rel=\"canonical\"")), stage.answer.body.len);
    ck_assert_int_eq(got(&stage, own, "/theme.css"), 200);
    ck_assert_contains(stage.answer.body, S("--primary: #AbC;"));
    ck_assert_contains(stage.answer.body, S("--accent: #9a3b1f;"));
    ck_assert_contains(stage.answer.body, S("--text: #1c1b19;"));
    ck_assert_contains(stage.answer.body, S("--surface: #f5f4f1;"));
    shop_client_close(&own);
    stage_close(&stage);
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
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    const char *checkout = format(&stage, API "/carts/%/checkout", cart);
    for (size_t i = 0; i < COUNT(EMAILS); i++) {
        const char *body = format(&stage, "{\"email\":\"%\",\"payment_method\":\"gold\"}", str_of(EMAILS[i].email));
        ck_assert_int_eq(sent(&stage, "POST", checkout, "Idempotency-Key: k\r\n", body), 422);
        bool is_refused = str_find(stage.answer.body, S("\"field\":\"email\"")) < stage.answer.body.len;
        ck_assert_msg(is_refused != EMAILS[i].is_right, "%s", EMAILS[i].email);
    }
    stage_close(&stage);
}

static const struct {
    const char *method, *path, *headers, *body;    // %: the cart
    int status;
    const char *says;
} API_CALLS[] = {
    {"POST", API "/carts", NULL, "{", 400, "malformed"},
    {"POST", API "/carts", NULL, "[]", 400, "malformed"},
    {"POST", API "/carts", NULL, "", 201, "\"lines\""},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-_", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-/", NULL, NULL, 404, "not-found"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-.", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-:", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-@", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-%5B", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-%60", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/ABCxyz019-_ABCxyz019-%7B", NULL, NULL, 404, "no such cart"},
    {"GET", API "/carts/01234567890123456789012345678901234567890123456789012345678901234", NULL, NULL, 404, "no such"},
    {"POST", API "/carts/none/lines", NULL, "{}", 404, "no such cart"},
    {"POST", API "/carts/$/lines", NULL, "{", 400, "malformed"},
    {"POST", API "/carts/$/lines", NULL, "{}", 422, "2 fields are refused: variant_id and quantity"},
    {"POST", API "/carts/$/lines", NULL, "{\"variant_id\":\"01\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", API "/carts/$/lines", NULL, "{\"variant_id\":\"\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", API "/carts/$/lines", NULL, "{\"variant_id\":\"1x\",\"quantity\":1}", 422, "isn't a variant's id"},
    {"POST", API "/carts/$/lines", NULL, "{\"variant_id\":\"1\",\"quantity\":1.5}", 422, "whole number"},
    {"PATCH", API "/carts/none/lines/1", NULL, "{}", 404, "no such cart"},
    {"PATCH", API "/carts/$/lines/x", NULL, "{\"quantity\":1}", 404, "no such line"},
    {"PATCH", API "/carts/$/lines/999", NULL, "{\"quantity\":1}", 404, "isn't in the cart"},
    {"DELETE", API "/carts/none/lines/1", NULL, NULL, 404, "no such cart"},
    {"DELETE", API "/carts/$/lines/x", NULL, NULL, 404, "no such line"},
    {"POST", API "/carts/none/checkout", "Idempotency-Key: k\r\n", ORDER, 404, "no such cart"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key:\r\n", ORDER, 400, "is missing"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: a b\r\n", ORDER, 400, "is refused"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: \xc3\xb1\r\n", ORDER, 400, "is refused"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{", 400, "malformed"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{\"shipping_address\":\"Calle 1\"}", 422,
     "it isn't an object"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: k\r\n", "{\"shipping_address\":{\"name\":\"a\\u0001\"}}", 422,
     "control character"},
    {"POST", API "/carts/$/checkout", "Idempotency-Key: k\r\n",
     "{\"shipping_address\":{\"country\":\"AE\",\"postal_code\":\"012345678901234567890\"}}", 422, "it is too long"},
    {"GET", API "/products?sort=%25", NULL, NULL, 422, "sort"},
    {"GET", API "/products?sort=%FF&page=2", NULL, NULL, 422, "sort"},
    {"GET", API "/products?category=%FF", NULL, NULL, 422, "category"},
};

// Not by format: there are escapes in the paths.
static const char *with_cart(Stage *stage, const char *path, Str cart)
{
    size_t at = str_find_char(str_of(path), '$');
    if (at == strlen(path))
        return path;
    return str_format(stage->cell.arena, "%.*s%.*s%s", (int)at, path, STR_ARG(cart), path + at + 1).data;
}

TEST(each_call_of_the_api_is_answered_or_says_what_is_wrong)
{
    Stage stage;
    stage_open(&stage);
    Str cart = cart_with(&stage, "{\"variant_id\":\"1\",\"quantity\":1}");
    for (size_t i = 0; i < COUNT(API_CALLS); i++) {
        const char *path = with_cart(&stage, API_CALLS[i].path, cart);
        int status = sent(&stage, API_CALLS[i].method, path, API_CALLS[i].headers, API_CALLS[i].body);
        ck_assert_msg(status == API_CALLS[i].status, "%s %s %s: %d %.*s", API_CALLS[i].method, path,
                      API_CALLS[i].body ? API_CALLS[i].body : "", status, STR_ARG(stage.answer.body));
        ck_assert_contains(stage.answer.body, str_of(API_CALLS[i].says));
    }
    char much[257];
    memset(much, 'k', sizeof(much));
    const char *checkout = with_cart(&stage, API "/carts/$/checkout", cart);
    ck_assert_int_eq(sent(&stage, "POST", checkout, format(&stage, "Idempotency-Key: %\r\n", (Str){much, 256}), ORDER),
                     400);
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, API "/products?q=%", (Str){much, 201})), 422);
    ck_assert_contains(stage.answer.body, S("it has 201 bytes"));
    ck_assert_int_eq(got(&stage, stage.acme, format(&stage, API "/products?q=%", (Str){much, 200})), 200);
    ck_assert_int_eq(sent(&stage, "POST", checkout, format(&stage, "Idempotency-Key: %\r\n", (Str){much, 255}), ORDER),
                     201);
    stage_close(&stage);
}

TEST(of_two_entity_tags_the_known_one_counts)
{
    Stage stage;
    shopper_open(&stage);
    ck_assert_int_eq(visited(&stage, "/"), 200);
    Str etag = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    static const char *const KNOWN[] = {"%", "W/%", "\"other\", %", "*"}, *const UNKNOWN[] = {"\"other\"", "", "W/"};
    for (size_t i = 0; i < COUNT(KNOWN); i++) {
        const char *tags = str_has_char(str_of(KNOWN[i]), '%') ? format(&stage, KNOWN[i], etag) : KNOWN[i];
        Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %s\r\n", STR_ARG(stage.cookie), tags);
        ck_assert_int_eq(sent(&stage, "GET", "/", headers.data, NULL), 304);
    }
    for (size_t i = 0; i < COUNT(UNKNOWN); i++) {
        Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %s\r\n", STR_ARG(stage.cookie), UNKNOWN[i]);
        ck_assert_int_eq(sent(&stage, "GET", "/", headers.data, NULL), 200);
    }
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
    ck_assert_uint_eq(shop_answer_header(&stage.answer, S("Set-Cookie")).len, 0);
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

static void await_found(Stage *stage, const char *host, int status)
{
    int64_t until_ms = clock_ms() + 30000;
    ShopClient *client = shop_client_open(stage->cell.port, host);
    int found = 0;
    while ((found = got(stage, client, "/robots.txt")) != status && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_msg(found == status, "%s: %d", host, found);
    shop_client_close(&client);
}

TEST(many_changes_at_once_and_some_at_a_time_are_heard)
{
    Stage stage;
    stage_open(&stage);
    clock_sleep_ms(300);
    test_cell_sql(&stage.cell,
                  "begin; insert into cell.domains select 'shop' || n || '.localhost', n from "
                  "generate_series(10, 209) n;"
                  "insert into cell.tenants select n, 'shop' || n, 'active' from generate_series(10, 209) n;"
                  "commit");
    await_found(&stage, "shop10.localhost", 200);
    await_found(&stage, "shop209.localhost", 200);
    test_cell_sql(&stage.cell, "notify cell_tenants, 'nobody'; notify cell_catalog, '-1';"
                               "update cell.tenants set state = 'archived' where number in (10, 11, 12);"
                               "update cell.tenants set state = 'archived' where number in (11, 12);"
                               "update cell.tenants set state = 'archived' where number in (12)");
    await_found(&stage, "shop12.localhost", 404);
    await_found(&stage, "shop10.localhost", 404);
    await_found(&stage, "shop13.localhost", 200);
    stage_close(&stage);
}

TEST(a_directory_that_cannot_be_read_is_read_once_it_can_be_again)
{
    Stage stage;
    stage_open(&stage);
    log_level_set(LOG_ERROR + 1);
    // Once it has heard of a change it reads no more until the next one.
    test_cell_sql(&stage.cell, "begin; insert into cell.domains values ('shop9.localhost', 9);"
                               "insert into cell.tenants values (9, 'shop9', 'active'); commit");
    await_found(&stage, "shop9.localhost", 200);
    test_cell_sql(&stage.cell, "alter function cell.directory rename to directory_away;"
                               "update cell.tenants set state = 'archived' where number = 2");
    clock_sleep_ms(100);
    ck_assert_int_eq(got(&stage, stage.beta, "/robots.txt"), 200);    // what was known goes on
    test_cell_sql(&stage.cell, "alter function cell.directory_away rename to directory");
    await_found(&stage, "beta.localhost", 404);
    await_found(&stage, "acme.localhost", 200);
    stage_close(&stage);
}

static const struct {
    const char *sql;
    Str dsn;    // empty: the cell's
    ErrorCode code;
    const char *says;
} CELLS[] = {
    {"drop function cell.session_key", S(""), ERR_FAILED, "isn't ready for shopd"},
    {"drop function cell.directory", S(""), ERR_FAILED, "isn't ready for shopd"},
    {"create or replace function cell.session_key() returns text language sql as $$ select '' $$", S(""), ERR_STATE,
     "no session key"},
    {"update cell.tenants set limits = '[1]'", S(""), ERR_NONE, ""},    // no limits: as without any
    {"select 1", S("host"), ERR_INVALID, "="},
};

TEST(a_cell_that_is_not_whole_is_not_served_and_says_why)
{
    TestCell cell;
    Error err = {0};
    Server *server = NULL;
    test_cell_open(&cell, "storefront");
    test_cell_sql(&cell, CELLS[_i].sql);
    Settings settings = shopd_settings_default();
    settings.cell = CELLS[_i].dsn.len ? CELLS[_i].dsn : cell.dsn;
    settings.role = S("postgres");
    settings.listen = S("127.0.0.1:0");
    settings.threads = 1;
    ServerOptions options = {.settings = &settings, .is_embedded = true};
    shop_options(&options);
    bool ok = server_open(&options, &server, &err);
    ck_assert_msg(ok == (CELLS[_i].code == ERR_NONE) && (ok || error_says(&err, CELLS[_i].says)), "%s: %s: %s (%s)",
                  CELLS[_i].sql, error_name(err.code), err.what, err.why);
    if (ok)
        server_stop(server);
    if (ok)
        ck_assert(server_wait(server));
    server_close(&server);
    test_cell_close(&cell);
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
    test_cell_sql(&stage.cell, "create or replace function t_1.cart_create_1() returns json language sql as $$"
                               "select json_build_object('id', 'slow') from pg_sleep(1) $$");
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_later, stage.cell.server), 0);
    // the tenant's home is one of two threads, of which one has nothing to do and could go home early
    ck_assert_int_eq(sent(&stage, "POST", API "/carts", NULL, "{}"), 201);
    (void)pthread_join(stopper, NULL);
    stage_close(&stage);
}

SUITE(storefront, ONCE(the_first_answer_of_a_thread_may_be_that_nothing_is_there),
      ONCE(the_first_answer_of_a_thread_may_be_a_refusal), ONCE(each_page_answers_in_the_shops_language),
      ONCE(a_warm_page_needs_no_query_and_answers_304_to_who_has_it),
      ONCE(a_page_is_sent_compressed_to_who_takes_that_and_no_secret_is), ONCE(a_change_of_the_catalogue_is_seen),
      ONCE(a_crowd_at_a_cold_page_shares_its_render), ONCE(a_crowd_at_a_page_that_cannot_be_had_shares_its_error),
      ONCE(reads_of_the_api_answer_or_say_what_is_wrong), ONCE(a_cart_is_filled_changed_and_emptied),
      EACH(a_cart_is_made_with_its_first_lines_or_not_at_all, FILLED),
      ONCE(a_cart_is_not_made_with_more_than_a_hundred_lines), ONCE(the_same_key_and_body_give_the_one_order),
      ONCE(a_wrong_checkout_names_each_field), ONCE(of_two_buyers_of_the_last_one_only_one_gets_it),
      ONCE(every_line_that_lacks_stock_is_named), ONCE(each_wrong_parameter_of_a_list_is_named),
      ONCE(the_order_keeps_the_chosen_shipping_and_says_where_to_pay), ONCE(the_cart_names_every_line_that_lacks_stock),
      ONCE(what_is_not_on_sale_any_more_is_not_sold), ONCE(a_full_cart_is_shown),
      ONCE(a_shopper_whose_answer_was_lost_finds_the_order), ONCE(carts_that_nobody_came_back_to_go),
      ONCE(a_cookie_with_a_count_that_is_too_long_is_no_session), ONCE(a_shopper_buys_without_javascript),
      ONCE(a_form_of_another_site_is_refused), ONCE(a_form_of_the_cart_is_taken_or_says_what_is_wrong_above_the_cart),
      ONCE(a_form_that_cannot_be_read_changes_nothing), ONCE(a_cart_that_was_ordered_meanwhile_leaves_a_new_one),
      ONCE(the_count_in_the_cookie_is_set_right_by_the_cart),
      ONCE(a_wrong_checkout_is_shown_again_with_what_was_written),
      ONCE(a_checkout_without_a_cart_or_with_an_empty_one_leads_to_the_cart),
      ONCE(a_form_is_taken_from_the_shops_own_pages_alone), ONCE(a_file_of_the_theme_is_sent_in_the_form_that_is_taken),
      ONCE(a_picture_is_sent_as_what_it_is_and_runs_nothing),
      ONCE(pictures_that_are_not_there_count_for_the_plans_requests),
      ONCE(a_long_list_has_pages_before_and_after_in_its_order),
      ONCE(a_shop_has_its_colours_its_address_and_its_pictures), ONCE(an_email_address_is_told_from_what_is_none),
      ONCE(each_call_of_the_api_is_answered_or_says_what_is_wrong), ONCE(of_two_entity_tags_the_known_one_counts),
      ONCE(metrics_are_not_shown_at_a_shops_address),
      ONCE(an_unknown_host_is_told_no_name_and_a_suspended_shop_says_so),
      ONCE(many_changes_at_once_and_some_at_a_time_are_heard),
      ONCE(a_directory_that_cannot_be_read_is_read_once_it_can_be_again),
      EACH(a_cell_that_is_not_whole_is_not_served_and_says_why, CELLS),
      ONCE(a_request_that_is_under_way_when_the_server_stops_is_answered),
      ONCE(without_the_database_warm_pages_go_on_and_writes_wait_for_its_return),
      ONCE(without_the_database_a_shop_that_nobody_has_seen_is_called_by_its_name_in_its_language),
      ONCE(without_the_database_a_warm_page_is_there_on_every_connection))
