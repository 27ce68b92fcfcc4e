// tests/test_storefront.c: pages, lists, pictures and files of the theme, as a shopper meets them; over HTTP, against a
// real PostgreSQL.
#include "tests/support/store_stage.h"

#include <pthread.h>
#include <zlib.h>

#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

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

TEST(each_page_answers_in_the_shops_language)
{
    StoreStage stage;
    store_open(&stage);
    for (size_t i = 0; i < COUNT(PAGES); i++) {
        int status = store_get(&stage, stage.acme, PAGES[i].path);
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
    ck_assert_int_eq(store_get(&stage, stage.beta, "/products/taza-azul"), 200);
    ck_assert_contains(stage.answer.body, S("\xc2\xa3"
                                            "19.00"));
    ck_assert_contains(stage.answer.body, S("Beta &amp; Sons"));
    store_close(&stage);
}

TEST(a_warm_page_needs_no_query_and_answers_304_to_who_has_it)
{
    StoreStage stage;
    store_open(&stage);
    stage.cookie = S("");
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    test_cell_sql(&stage.cell, "alter function t_1.product_show_1 rename to product_hidden");
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    Str etag = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %.*s\r\n", STR_ARG(stage.cookie), STR_ARG(etag));
    ck_assert_int_eq(store_send(&stage, "GET", "/products/taza-azul", headers.data, NULL), 304);
    headers = str_format(stage.cell.arena, "If-None-Match: %.*s\r\n", STR_ARG(etag));    // another shopper
    ck_assert_int_eq(store_send(&stage, "GET", "/products/taza-azul", headers.data, NULL), 200);
    store_close(&stage);
}

static Str unzipped(StoreStage *stage, Str body)
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

static int visited_taking(StoreStage *stage, const char *path, const char *encodings, Str known)
{
    StrBuf headers = {.arena = stage->cell.arena};
    strbuf_format(&headers, "%.*sAccept-Encoding: %s\r\n", STR_ARG(stage->cookie), encodings);
    if (known.len)
        strbuf_format(&headers, "If-None-Match: %.*s\r\n", STR_ARG(known));
    int status = store_ask(stage, stage->acme,
                           &(ShopRequest){.method = "GET", .path = path, .headers = strbuf_str(&headers).data});
    ck_assert_str(shop_answer_header(&stage->answer, S("Vary")), S("Accept-Encoding"));
    return status;
}

// As it is, and as gzip: the same bytes, of which each form has its own ETag.
static void zipped_alike(StoreStage *stage, const char *path)
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
                                        "/theme.css", STORE_API "/products",     STORE_API "/products/taza-azul",
                                        "/search",    "/search?q=%3Ccsrf%3Etaza"};
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_visit(&stage, "/products/taza-azul"), 200);
    store_csrf_take(&stage);
    for (size_t i = 0; i < COUNT(PATHS); i++)
        zipped_alike(&stage, PATHS[i]);
    ck_assert_int_eq(visited_taking(&stage, "/products/taza-azul", "gzip", S("")), 200);
    ck_assert_contains(stage.answer.body, stage.csrf);    // in a stored block, not compressed with other text
    Str before = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    ck_assert_int_eq(store_post(&stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
    zipped_alike(&stage, "/products/taza-azul");    // now with a count in the other hole
    ck_assert_int_eq(visited_taking(&stage, "/products/taza-azul", "gzip", before), 200);
    store_close(&stage);
}

TEST(a_change_of_the_catalogue_is_seen)
{
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products/lampara"), 200);
    clock_sleep_ms(300);    // until changes are heard
    test_cell_sql(&stage.cell, "begin; update t_1.products set title = 'Flexo' where handle = 'lampara';"
                               "set local search_path = t_1, pg_temp; select catalog_changed_1(); commit");
    int64_t until_ms = clock_ms() + 5000;
    bool is_seen = false;
    while (!is_seen && clock_ms() < until_ms) {
        ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products/lampara"), 200);
        is_seen = str_eq(store_member(&stage, "title"), S("Flexo"));
    }
    ck_assert(is_seen);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_contains(stage.answer.body, S("Flexo"));
    store_close(&stage);
}

enum { CROWD = 12 };

// The status of the page that was asked for; 0: it wasn't whole.
static void *crowd_member(void *stage)
{
    const TestCell *cell = &((StoreStage *)stage)->cell;
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
static void crowd_ask(StoreStage *stage, const char *then, int status)
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
    StoreStage stage;
    store_open(&stage);
    crowd_ask(&stage, "return category_there(p)", 200);
    store_close(&stage);
}

TEST(a_crowd_at_a_page_that_cannot_be_had_shares_its_error)
{
    StoreStage stage;
    store_open(&stage);
    crowd_ask(&stage, "raise lock_not_available", 503);
    store_close(&stage);
}

// ---- files ----

TEST(a_file_of_the_theme_is_sent_in_the_form_that_is_taken)
{
    static const struct {
        const char *accept, *encoding;
    } FORMS[] = {{"", ""}, {"Accept-Encoding: gzip\r\n", "gzip"}, {"Accept-Encoding: gzip, br\r\n", "br"}};
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 200);
    Str path = str_format(stage.cell.arena, "/assets/shop.%.*s",
                          STR_ARG(between(stage.answer.body, "href=\"/assets/shop.", '"')));
    Str whole = S("");
    for (size_t i = 0; i < COUNT(FORMS); i++) {
        ck_assert_int_eq(store_send(&stage, "GET", path.data, FORMS[i].accept, NULL), 200);
        ck_assert_str(shop_answer_header(&stage.answer, S("Content-Encoding")), str_of(FORMS[i].encoding));
        ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("text/css; charset=utf-8"));
        ck_assert_contains(shop_answer_header(&stage.answer, S("Cache-Control")), S("immutable"));
        ck_assert_str(shop_answer_header(&stage.answer, S("Vary")), S("Accept-Encoding"));
        whole = i == 0 ? str_copy(stage.cell.arena, stage.answer.body) : whole;
        if (i == 1)
            ck_assert_str(unzipped(&stage, stage.answer.body), whole);
    }
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css?v=1"), 200);
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("public, max-age=3600"));
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css"), 200);
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("no-cache"));
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css?v=%FF"), 422);
    store_close(&stage);
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
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell, "insert into t_1.media values ('" HASH "1', 'image/png', '\\x89504e470d0a00ff'),"
                               "('" HASH "2', 'text/html', '<script>'), ('" HASH "3', 'image/png', '')");
    for (size_t i = 0; i < COUNT(PICTURES); i++) {
        const char *path = store_text(&stage, "/media/%", str_of(PICTURES[i].name));
        int status = store_get(&stage, stage.acme, path);
        ck_assert_msg(status == PICTURES[i].status, "%s: %d", path, status);
    }
    ck_assert_int_eq(store_get(&stage, stage.acme, "/media/" HASH "1.png"), 200);
    ck_assert_str(stage.answer.body, S("\x89PNG\r\n\0\xff"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Content-Type")), S("image/png"));
    ck_assert_contains(shop_answer_header(&stage.answer, S("Content-Security-Policy")), S("sandbox"));
    ck_assert_int_eq(store_get(&stage, stage.beta, "/media/" HASH "1.png"), 404);
    store_close(&stage);
}

// ---- what a page shows ----

// Whoever guesses their names asks the database each time.
TEST(pictures_that_are_not_there_count_for_the_plans_requests)
{
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell, "update cell.tenants set limits = '{\"requests_per_second\": 1, \"requests_burst\": 3}' "
                               "where number = 1");
    int refused = 0;
    for (int64_t until_ms = clock_ms() + 5000, i = 0; refused == 0 && clock_ms() < until_ms; i++) {
        Str path = str_format(stage.cell.arena, "/media/%064llx.png", (unsigned long long)i);
        refused = store_get(&stage, stage.acme, path.data) == 429;
        ck_assert(refused || stage.answer.status == 404);
    }
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css"), 200);
    store_close(&stage);
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
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell,
                  "insert into t_1.products (handle, title) select 'vaso-' || n, 'Vaso ' || n from "
                  "generate_series(1, 300) n;"
                  "insert into t_1.variants (product_id, price_minor) select id, 100 from t_1.products where id > 3;"
                  "insert into t_1.stock (variant_id) select id from t_1.variants where id > 4;"
                  "set search_path = t_1, pg_temp; update products set search = product_search_1('es', title, vendor, "
                  "product_type, tags, '', description)");
    for (size_t i = 0; i < COUNT(LISTS); i++) {
        ck_assert_int_eq(store_get(&stage, stage.acme, LISTS[i].path), 200);
        Str before = str_of(store_text(&stage, "href=\"%\" rel=\"prev\"", str_of(LISTS[i].before)));
        Str after = str_of(store_text(&stage, "href=\"%\" rel=\"next\"", str_of(LISTS[i].after)));
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
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/search?q=%", (Str){query, 200})), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, store_text(&stage, "/search?q=%", (Str){query, 201})), 422);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/search?q=a%2Cb%7E-._%C3%B1"), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/search?sort=%FF"), 422);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/collections/all?sort=%FF"), 422);
    store_close(&stage);
}

TEST(a_shop_has_its_colours_its_address_and_its_pictures)
{
    StoreStage stage;
    store_open(&stage);
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
    while (store_get(&stage, own, "/products/taza-azul") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    Str page = stage.answer.body;
    ck_assert_contains(page, S("<link rel=\"canonical\" href=\"https://aaa.example/products/taza-azul\">"));
    ck_assert_contains(page, S("https://cdn.example/1.png"));
    ck_assert_contains(page, S("https://cdn.example/2.png"));
    ck_assert_contains(page, S("25,00 \xe2\x82\xac"));
    ck_assert_contains(page, S("acme"));    // for want of a name
    ck_assert_int_eq(store_get(&stage, own, "/search"), 200);
    ck_assert_uint_eq(str_find(stage.answer.body, S("rel=\"canonical\"")), stage.answer.body.len);
    ck_assert_int_eq(store_get(&stage, own, "/theme.css"), 200);
    ck_assert_contains(stage.answer.body, S("--primary: #AbC;"));
    ck_assert_contains(stage.answer.body, S("--accent: #9a3b1f;"));
    ck_assert_contains(stage.answer.body, S("--text: #1c1b19;"));
    ck_assert_contains(stage.answer.body, S("--surface: #f5f4f1;"));
    shop_client_close(&own);
    store_close(&stage);
}

TEST(of_two_entity_tags_the_known_one_counts)
{
    StoreStage stage;
    store_shopper_open(&stage);
    ck_assert_int_eq(store_visit(&stage, "/"), 200);
    Str etag = str_copy(stage.cell.arena, shop_answer_header(&stage.answer, S("ETag")));
    static const char *const KNOWN[] = {"%", "W/%", "\"other\", %", "*"}, *const UNKNOWN[] = {"\"other\"", "", "W/"};
    for (size_t i = 0; i < COUNT(KNOWN); i++) {
        const char *tags = str_has_char(str_of(KNOWN[i]), '%') ? store_text(&stage, KNOWN[i], etag) : KNOWN[i];
        Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %s\r\n", STR_ARG(stage.cookie), tags);
        ck_assert_int_eq(store_send(&stage, "GET", "/", headers.data, NULL), 304);
    }
    for (size_t i = 0; i < COUNT(UNKNOWN); i++) {
        Str headers = str_format(stage.cell.arena, "%.*sIf-None-Match: %s\r\n", STR_ARG(stage.cookie), UNKNOWN[i]);
        ck_assert_int_eq(store_send(&stage, "GET", "/", headers.data, NULL), 200);
    }
    store_close(&stage);
}

SUITE(storefront, ONCE(each_page_answers_in_the_shops_language),
      ONCE(a_warm_page_needs_no_query_and_answers_304_to_who_has_it),
      ONCE(a_page_is_sent_compressed_to_who_takes_that_and_no_secret_is), ONCE(a_change_of_the_catalogue_is_seen),
      ONCE(a_crowd_at_a_cold_page_shares_its_render), ONCE(a_crowd_at_a_page_that_cannot_be_had_shares_its_error),
      ONCE(a_file_of_the_theme_is_sent_in_the_form_that_is_taken),
      ONCE(a_picture_is_sent_as_what_it_is_and_runs_nothing),
      ONCE(pictures_that_are_not_there_count_for_the_plans_requests),
      ONCE(a_long_list_has_pages_before_and_after_in_its_order),
      ONCE(a_shop_has_its_colours_its_address_and_its_pictures), ONCE(of_two_entity_tags_the_known_one_counts))
