// tests/test_intruder.c: host names, caches, forms, redirects and paths as an intruder tries them, over HTTP.
#include "base/file.h"
#include "runtime/storefront/storefront.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"
#include "tests/support/shop_cell.h"

#define EVIL "evil.example"

typedef struct Stage {
    TestCell cell;
    ShopClient *client;
    Str cookie;    // a header line
    Str csrf;
    ShopAnswer answer;    // the last one
} Stage;

static int asked(Stage *stage, const ShopRequest *request)
{
    shop_answer_close(&stage->answer);
    ck_assert_msg(shop_call(stage->client, request, stage->cell.arena, &stage->answer), "no answer: %s %s",
                  request->method, request->path);
    return stage->answer.status;
}

static Str field(Str text, const char *start, char end)
{
    size_t at = str_find(text, str_of(start));
    Str rest = str_skip(text, MIN(text.len, at + strlen(start)));
    return str_slice(rest, 0, str_find_char(rest, end));
}

static void stage_open(Stage *stage, const char *noun)
{
    *stage = (Stage){0};
    test_cell_open(&stage->cell, noun);
    test_cell_serve(&stage->cell, 1, S(""));
    stage->client = shop_client_open(stage->cell.port, "acme.localhost");
}

static void session_open(Stage *stage)
{
    ck_assert_int_eq(asked(stage, &(ShopRequest){.method = "GET", .path = "/products/taza-azul"}), 200);
    Str cookie = shop_answer_header(&stage->answer, S("Set-Cookie"));
    stage->cookie =
        str_format(stage->cell.arena, "Cookie: %.*s\r\n", STR_ARG(str_slice(cookie, 0, str_find_char(cookie, ';'))));
    stage->csrf = str_copy(stage->cell.arena, field(stage->answer.body, "name=\"csrf\" value=\"", '"'));
    ck_assert_uint_gt(stage->csrf.len, 10);
}

static void stage_close(Stage *stage)
{
    shop_answer_close(&stage->answer);
    shop_client_close(&stage->client);
    test_cell_close(&stage->cell);
}

// The route's path with `segment` in place of each parameter.
static const char *path_of(Stage *stage, const Route *route, const char *segment)
{
    StrBuf out = {.arena = stage->cell.arena};
    Str rest = str_of(route->pattern), part;
    while (rest.len > 0 && str_cut(&rest, '{', &part)) {
        strbuf_add(&out, part);
        if (rest.len > 0)
            strbuf_add(&out, str_of(segment));
        rest = str_skip(rest, MIN(rest.len, str_find_char(rest, '}') + 1));
    }
    return strbuf_str(&out).data;
}

static Str raw(Stage *stage, const char *method, const char *target, const char *lines)
{
    int fd = raw_open(stage->cell.port);
    Str head = str_format(stage->cell.arena, "%s %s HTTP/1.1\r\n%s\r\n", method, target, lines);
    ck_assert(raw_send(fd, head));
    Str answer = raw_await(fd, stage->cell.arena, 50);
    fd_close(&fd);
    return answer;
}

// ---- host names ----

static const struct {
    const char *target;
    const char *lines;
    int status;
} HOSTS[] = {
    {"/", "Host: acme.localhost\r\n", 200},
    {"/", "Host: ACME.localhost.\r\n", 200},
    {"/", "Host: acme.localhost:4711\r\n", 200},
    {"http://acme.localhost/", "Host: acme.localhost\r\n", 200},
    {"/", "Host: acme.localhost\r\nX-Forwarded-Host: " EVIL "\r\n", 200},
    {"/", "Host: acme.localhost\r\nX-Host: " EVIL "\r\nX-Forwarded-Server: " EVIL "\r\nForwarded: host=" EVIL "\r\n",
     200},
    {"/", "Host: acme.localhost\r\nX-Original-Url: //" EVIL "/\r\nX-Rewrite-Url: /cart\r\n", 200},
    {"/", "Host: " EVIL "\r\n", 404},
    {"/", "Host: " EVIL "\r\nX-Forwarded-Host: acme.localhost\r\n", 404},
    {"/", "Host: acme.localhost." EVIL "\r\n", 404},
    {"/", "Host: " EVIL ":80\r\n", 404},
    {"/", "Host: localhost\r\n", 404},
    {"http://" EVIL "/", "Host: acme.localhost\r\n", 400},
    {"http://acme.localhost/", "Host: " EVIL "\r\n", 400},
    {"http://acme.localhost@" EVIL "/", "Host: acme.localhost\r\n", 400},
    {"acme.localhost", "Host: " EVIL "\r\n", 400},
    {"/", "", 400},
    {"/", "Host:\r\n", 400},
    {"/", "Host: acme.localhost\r\nHost: " EVIL "\r\n", 400},
    {"/", "Host: acme.localhost\r\nHost: acme.localhost\r\n", 400},
    {"/", "Host : acme.localhost\r\n", 400},
    {"/", " Host: " EVIL "\r\nHost: acme.localhost\r\n", 400},
    {"/", "Host: acme.localhost\r\n Host: " EVIL "\r\n", 400},
    {"/", "Host: acme.localhost, " EVIL "\r\n", 400},
    {"/", "Host: acme.localhost " EVIL "\r\n", 400},
    {"/", "Host: acme.localhost/" EVIL "\r\n", 400},
    {"/", "Host: acme.localhost#@" EVIL "\r\n", 400},
    {"/", "Host: acme.localhost@" EVIL "\r\n", 400},
    {"/", "Host: acme.localhost:80@" EVIL "\r\n", 400},
    {"/", "Host: acme.localhost:" EVIL "\r\n", 400},
    {"/", "Host: acme.localhost:99999\r\n", 400},
    {"/", "Host: acme.localhost?" EVIL "\r\n", 400},
    {"/", "Host: acme..localhost\r\n", 400},
    {"/", "Host: .acme.localhost\r\n", 400},
    {"/", "Host: acme.localhost\"><script>alert(1)</script>\r\n", 400},
    {"/", "Host: acm\xd0\xb5.localhost\r\n", 400},
    {"/", "Host: ' or '1'='1\r\n", 400},
    {"/", "Host: [::1]\r\n", 404},
};

TEST(a_host_names_one_shop_or_none_and_is_not_told_back)
{
    Stage stage;
    stage_open(&stage, "intruder_hosts");
    for (size_t i = 0; i < COUNT(HOSTS); i++) {
        Str answer = raw(&stage, "GET", HOSTS[i].target, HOSTS[i].lines);
        ck_assert_msg(raw_status(answer) == HOSTS[i].status, "%s %s: %d", HOSTS[i].target, HOSTS[i].lines,
                      raw_status(answer));
        ck_assert_msg(raw_count(answer, S(EVIL)) == 0 && raw_count(answer, S("alert(1)")) == 0 &&
                          raw_count(answer, S("4711")) == 0,
                      "%s tells: %.*s", HOSTS[i].lines, STR_ARG(answer));
        if (HOSTS[i].status != 200)
            ck_assert_uint_eq(raw_count(answer, S("Acme")), 0);
    }
    stage_close(&stage);
}

// ---- caches ----

#define POISON                                                                                                         \
    "X-Forwarded-Host: " EVIL "\r\nX-Forwarded-Proto: " EVIL "\r\nX-Forwarded-Scheme: http\r\nX-Forwarded-Port: 1\r\n" \
    "X-Forwarded-Prefix: /" EVIL "\r\nX-Original-Url: /cart\r\nX-Rewrite-Url: /cart\r\nX-Host: " EVIL "\r\n"           \
    "X-Http-Method-Override: POST\r\nX-Method-Override: DELETE\r\nForwarded: host=" EVIL ";proto=http\r\n"             \
    "Origin: http://" EVIL "\r\nReferer: http://" EVIL "/\r\nAccept-Language: xx-" EVIL "\r\nUser-Agent: " EVIL "\r\n" \
    "Accept: " EVIL "/*\r\nAccept-Charset: utf-7\r\nRange: bytes=0-9\r\nIf-Match: \"" EVIL "\"\r\n"                    \
    "Authorization: Basic " EVIL "\r\nX-Request-Id: " EVIL "\r\nX-Forwarded-For: " EVIL "\r\nVia: 1.1 " EVIL "\r\n"    \
    "Cache-Control: only-if-cached, max-stale\r\nPragma: " EVIL "\r\nCookie: lang=" EVIL "; shop=" EVIL                \
    "; theme=" EVIL "\r\n"

static const char *const QUERIES[] = {
    "utm_source=" EVIL "&callback=" EVIL "&_method=DELETE&lang=" EVIL,
    "page=1&x=" EVIL,
    "PAGE=2&Sort=" EVIL,
    "x=1;page=2;sort=" EVIL,
    "%00=" EVIL,
    "=&&&==" EVIL,
};

// What a page shows to whoever has no cart; the csrf token, which is each shopper's own, is left out.
static Str page_of(Stage *stage, const char *path)
{
    static const char *const NAMES[] = {"Content-Type", "Cache-Control", "Vary", "Location"};
    StrBuf out = {.arena = stage->cell.arena};
    int status = asked(stage, &(ShopRequest){.method = "GET", .path = path});
    strbuf_format(&out, "%d\n", status);
    for (size_t i = 0; i < COUNT(NAMES); i++)
        strbuf_format(&out, "%.*s\n", STR_ARG(shop_answer_header(&stage->answer, str_of(NAMES[i]))));
    for (Str rest = stage->answer.body; status == 200 && rest.len > 0;) {    // errors have the request's id
        size_t at = str_find(rest, S("name=\"csrf\" value=\""));
        strbuf_add(&out, str_slice(rest, 0, at));
        rest = str_skip(rest, at);
        rest = str_skip(rest, str_find(rest, S(">")));
    }
    return strbuf_str(&out);
}

TEST(nothing_that_one_sends_changes_the_page_of_another)
{
    Stage clean, poisoned;
    size_t compared = 0;
    stage_open(&clean, "intruder_clean");
    stage_open(&poisoned, "intruder_cache");
    for (size_t r = 0; r < ROUTES_STOREFRONT.count; r++) {
        const Route *route = &ROUTES_STOREFRONT.rows[r];
        if (route->method != METHOD_GET)
            continue;
        const char *path = path_of(&poisoned, route, "taza-azul");
        for (size_t i = 0; i < COUNT(QUERIES); i++) {
            Str query = str_format(poisoned.cell.arena, "%s?%s", path, QUERIES[i]);
            (void)asked(&poisoned, &(ShopRequest){.method = "GET", .path = query.data});
            (void)raw(&poisoned, "HEAD", query.data, "Host: acme.localhost\r\n" POISON);
        }
        (void)asked(&poisoned, &(ShopRequest){.method = "GET", .path = path, .headers = POISON});
        Str got = page_of(&poisoned, path), wanted = page_of(&clean, path);
        ck_assert_uint_eq(raw_count(got, S(EVIL)), 0);
        size_t at = 0;
        while (at < MIN(got.len, wanted.len) && got.data[at] == wanted.data[at])
            at++;
        ck_assert_msg(str_eq(got, wanted), "%s has '%.80s', not '%.80s'", path, got.data + at, wanted.data + at);
        compared++;
    }
    ck_assert_uint_gt(compared, 10);
    stage_close(&poisoned);
    stage_close(&clean);
}

TEST(what_is_one_shoppers_own_is_kept_by_no_cache)
{
    Stage stage;
    stage_open(&stage, "intruder_own");
    session_open(&stage);
    static const char *const OWN[] = {"/products/taza-azul", "/cart", "/checkout", "/orders/x", "/"};
    for (size_t i = 0; i < COUNT(OWN); i++) {
        (void)asked(&stage, &(ShopRequest){.method = "GET", .path = OWN[i], .headers = stage.cookie.data});
        Str control = shop_answer_header(&stage.answer, S("Cache-Control"));
        ck_assert_msg(str_find(control, S("no-store")) < control.len || str_find(control, S("private")) < control.len,
                      "%s: '%.*s'", OWN[i], STR_ARG(control));
    }
    stage_close(&stage);
}

// ---- forms and methods ----

static const struct {
    const char *headers;
    const char *csrf;    // NULL: the right one
    bool has_cookie;
} FORGED[] = {
    {"", "", true},
    {"", "csrf=&", true},
    {"", "csrf=AAAAAAAAAAA&", true},
    {"Origin: http://" EVIL "\r\n", NULL, true},
    {"Origin: null\r\n", NULL, true},
    {"Origin: http://acme.localhost." EVIL "\r\n", NULL, true},
    {"Sec-Fetch-Site: cross-site\r\n", NULL, true},
    {"Sec-Fetch-Site: same-site\r\n", NULL, true},    // another shop below the same domain
    {"", NULL, false},                                // the token of another's session
};

TEST(no_form_of_another_site_is_taken_by_any_route)
{
    Stage stage;
    size_t forms = 0;
    stage_open(&stage, "intruder_forms");
    session_open(&stage);
    for (size_t r = 0; r < ROUTES_STOREFRONT.count; r++) {
        const Route *route = &ROUTES_STOREFRONT.rows[r];
        const char *path = path_of(&stage, route, "1");
        if (route->body ==
            BODY_JSON) {    // a form of another site can't send JSON, and a cookie counts for nothing here
            int status = asked(&stage, &(ShopRequest){method_name(route->method).data, path, stage.cookie.data,
                                                      "{\"variant_id\":\"1\",\"quantity\":1}", "text/plain"});
            ck_assert_msg(status == 415, "%s: %d", path, status);
        }
        if (route->body != BODY_FORM)
            continue;
        forms++;
        for (size_t i = 0; i < COUNT(FORGED); i++) {
            Str right = str_format(stage.cell.arena, "csrf=%.*s&", STR_ARG(stage.csrf));
            Str body =
                str_format(stage.cell.arena, "%svariant_id=1&quantity=1", FORGED[i].csrf ? FORGED[i].csrf : right.data);
            Str headers =
                str_format(stage.cell.arena, "%s%s", FORGED[i].has_cookie ? stage.cookie.data : "", FORGED[i].headers);
            int status = asked(
                &stage, &(ShopRequest){"POST", path, headers.data, body.data, "application/x-www-form-urlencoded"});
            ck_assert_msg(status == 403, "%s with %s%s: %d", path, FORGED[i].headers, body.data, status);
        }
    }
    ck_assert_uint_ge(forms, 3);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.cart_lines"), S("0"));
    stage_close(&stage);
}

// ---- redirects and paths ----

static const char *const PATHS[] = {
    "//" EVIL,
    "//" EVIL "/%2e%2e",
    "///" EVIL,
    "/\\" EVIL,
    "/%5c" EVIL,
    "/%2f%2f" EVIL,
    "/http://" EVIL,
    "/%0d%0aLocation:%20http://" EVIL,
    "/cart?next=http://" EVIL,
    "/cart/?next=//" EVIL,
    "/checkout?return_to=//" EVIL "&url=//" EVIL "&redirect=//" EVIL "&next=//" EVIL,
    "/checkout?next=%0d%0aSet-Cookie:%20shop=x",
    "/products/taza-azul/?x=//" EVIL,
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/assets/../../../../etc/passwd",
    "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/assets/..%5c..%5cetc%5cpasswd",
    "/assets/%252e%252e%252fetc%252fpasswd",
    "/assets/..%c0%af..%c0%afetc/passwd",
    "/assets/.%00./etc/passwd",
    "/assets//etc/passwd",
    "/assets/%2fetc%2fpasswd",
    "/assets/shop.js%00.css",
    "/assets/.",
    "/assets/..",
    "/assets/layout.html",
    "/media/..%2f..%2f..%2fetc%2fpasswd",
    "/media/....//....//etc/passwd",
    "/media/%2e%2e",
    "/products/..%2f..%2fetc%2fpasswd",
    "/products/../cart",
    "/orders/..%2f..%2f",
    "/.git/config",
    "/.env",
    "/proc/self/environ",
};

TEST(no_path_leads_out_of_the_shop)
{
    Stage stage;
    stage_open(&stage, "intruder_paths");
    session_open(&stage);
    Str host = str_format(stage.cell.arena, "Host: acme.localhost\r\n%s", stage.cookie.data);
    for (size_t i = 0; i < COUNT(PATHS); i++) {
        Str answer = raw(&stage, "GET", PATHS[i], host.data);
        int status = raw_status(answer);
        Str location = field(answer, "\r\nLocation: ", '\r');
        ck_assert_msg((status >= 300 && status < 500) || strchr(PATHS[i], '?'), "%s: %d", PATHS[i], status);
        ck_assert_msg(status < 500, "%s: %d", PATHS[i], status);
        ck_assert_msg(raw_count(answer, S("root:")) == 0, "%s is read", PATHS[i]);
        ck_assert_msg(location.len == 0 || (location.data[0] == '/' && raw_count(location, S(EVIL)) == 0 &&
                                            !str_has_prefix(location, S("//"))),
                      "%s leads to %.*s", PATHS[i], STR_ARG(location));
        ck_assert_msg(raw_count(field(answer, "\r\n", '<'), S("Set-Cookie: shop=x")) == 0, "%s sets a cookie",
                      PATHS[i]);
    }
    stage_close(&stage);
}

// ---- what was stored ----

static const Str VALUES[] = {
#define ATTACK(class_, text) S(text),
#include "tests/support/attack_values.def"
#undef ATTACK
};

static void json_add(StrBuf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        strbuf_format(out, c < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    }
}

// The answer's status; the cart of the API is made, filled and bought with `value` in each free text.
static int bought(Stage *stage, Str value, size_t i)
{
    StrBuf body = {.arena = stage->cell.arena};
    ck_assert_int_eq(asked(stage, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"}), 201);
    Str cart = str_format(stage->cell.arena, "/api/v1/store/carts/%.*s",
                          STR_ARG(json_str(json_get(stage->answer.json, "id"))));
    ck_assert_int_eq(asked(stage, &(ShopRequest){.method = "POST",
                                                 .path = str_format(stage->cell.arena, "%s/lines", cart.data).data,
                                                 .body = "{\"variant_id\":\"1\",\"quantity\":1}"}),
                     201);
    static const char *const TEXTS[] = {"name", "line1", "line2", "city", "region", "postal_code"};
    strbuf_add(&body, S("{\"email\":\"ana@example.com\",\"shipping_method\":\"standard\",\"payment_method\":"
                        "\"bank_transfer\",\"shipping_address\":{"));
    for (size_t t = 0; t < COUNT(TEXTS); t++) {
        strbuf_format(&body, "\"%s\":\"", TEXTS[t]);
        json_add(&body, t == COUNT(TEXTS) - 1 ? S("36201") : value);
        strbuf_add(&body, S("\","));
    }
    strbuf_add(&body, S("\"country\":\"ES\"}}"));
    Str key = str_format(stage->cell.arena, "Idempotency-Key: stored-%zu\r\n", i);
    return asked(stage, &(ShopRequest){"POST", str_format(stage->cell.arena, "%s/checkout", cart.data).data, key.data,
                                       strbuf_str(&body).data, NULL});
}

TEST(a_hostile_name_in_an_order_is_shown_as_text_or_refused)
{
    Stage stage;
    size_t orders = 0;
    stage_open(&stage, "intruder_stored");
    test_cell_sql(&stage.cell, "update t_1.stock set quantity = 1000 where variant_id = 1");
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        int status = bought(&stage, VALUES[i], i);
        ck_assert_msg(status == 201 || (status >= 400 && status < 500), "'%.*s': %d %.*s", STR_ARG(VALUES[i]), status,
                      STR_ARG(stage.answer.body));
        if (status != 201)
            continue;
        orders++;
        Str path =
            str_format(stage.cell.arena, "/orders/%.*s", STR_ARG(json_str(json_get(stage.answer.json, "token"))));
        ck_assert_int_eq(asked(&stage, &(ShopRequest){.method = "GET", .path = path.data}), 200);
        bool is_markup = str_has_char(VALUES[i], '<') || str_has_char(VALUES[i], '"') || str_has_char(VALUES[i], '\'');
        ck_assert_msg(!is_markup || raw_count(stage.answer.body, VALUES[i]) == 0, "'%.*s' is shown as it is",
                      STR_ARG(VALUES[i]));
        for (size_t c = 0; c < stage.answer.body.len; c++) {
            unsigned char byte = (unsigned char)stage.answer.body.data[c];
            ck_assert_msg(byte >= 0x20 || byte == '\n' || byte == '\t' || byte == '\r', "'%.*s' shows byte %u",
                          STR_ARG(VALUES[i]), byte);
        }
    }
    ck_assert_uint_gt(orders, COUNT(VALUES) / 2);
    ck_assert_str(
        test_value(stage.cell.db, stage.cell.arena, "select 1000 - quantity from t_1.stock where variant_id = 1"),
        str_format(stage.cell.arena, "%zu", orders));
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, "select count(*) from t_1.orders"),
                  str_format(stage.cell.arena, "%zu", orders));
    stage_close(&stage);
}

// ---- slow clients ----

// What a connection begins with and doesn't go on with: a head, a body, nothing, an answer that it doesn't read.
static const Str BEGUN[] = {
    S("GET /products/taza-azul HTTP/1.1\r\nHost: acme.localhost\r\nX-Slow: "),
    S("POST /cart/lines HTTP/1.1\r\nHost: acme.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
      "Content-Length: 60000\r\n\r\n"),
    S(""),
    S("GET /products/taza-azul HTTP/1.1\r\nHost: acme.localhost\r\n\r\nGET /products/taza-azul HTTP/1.1\r\n"
      "Host: acme.localhost\r\n\r\n"),
};

TEST(a_shopper_is_served_among_connections_that_drip)
{
    enum { FEW = 500, TURNS = 3 };
    const char *wanted = getenv("TEST_DRIPS");
    size_t count = wanted ? strtoul(wanted, NULL, 10) : FEW, sent = 0;
    Stage stage;
    stage_open(&stage, "intruder_drips");
    int *fds = arena_array(stage.cell.arena, count, int);
    for (size_t i = 0; i < count; i++) {
        fds[i] = raw_open(stage.cell.port);
        ck_assert(raw_send(fds[i], BEGUN[i % COUNT(BEGUN)]));
    }
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < count; i++)
            if (i % COUNT(BEGUN) < 2)
                sent += raw_send(fds[i], S("a"));
        ck_assert_int_eq(asked(&stage, &(ShopRequest){.method = "GET", .path = "/products/taza-azul"}), 200);
        ck_assert_int_eq(asked(&stage, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"}),
                         201);
    }
    ck_assert_uint_gt(sent, 0);
    for (size_t i = 0; i < count; i++)
        fd_close(&fds[i]);
    ck_assert_int_eq(asked(&stage, &(ShopRequest){.method = "GET", .path = "/cart"}), 200);
    stage_close(&stage);
}

SUITE(intruder, ONCE(a_host_names_one_shop_or_none_and_is_not_told_back),
      ONCE(nothing_that_one_sends_changes_the_page_of_another), ONCE(what_is_one_shoppers_own_is_kept_by_no_cache),
      ONCE(no_form_of_another_site_is_taken_by_any_route), ONCE(no_path_leads_out_of_the_shop),
      ONCE(a_hostile_name_in_an_order_is_shown_as_text_or_refused),
      ONCE(a_shopper_is_served_among_connections_that_drip))
