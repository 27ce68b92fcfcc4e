// tests/test_attacks.c: hostile values in every parameter of every route: no 5xx, no raw echo, no row changed.
#include "base/json.h"
#include "runtime/storefront/openapi.h"
#include "runtime/storefront/storefront.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_cell.h"

typedef struct Value {
    const char *class_;
    Str text;
} Value;

static const Value VALUES[] = {
#define ATTACK(class_, text) {class_, S(text)},
#include "tests/support/attack_values.def"
#undef ATTACK
};

// Names that a route reads beside those of the OpenAPI document, and some that none should.
static const char *const FIELDS[] = {"action", "remove", "v",     "new",  "csrf2",  "phone",           "company",
                                     "locale", "price",  "total", "cart", "tenant", "idempotency_key", "created_at"};

// A body that is right in all but its way of paying, so that no order comes of it: with one value changed at a time.
static const struct {
    const char *name;
    const char *value;
    bool is_address;
} RIGHT[] = {
    {"variant_id", "1", false},
    {"quantity", "1", false},
    {"email", "ana@example.com", false},
    {"shipping_method", "standard", false},
    {"payment_method", "none", false},
    {"name", "Ana", true},
    {"line1", "Calle 1", true},
    {"line2", "2", true},
    {"city", "Vigo", true},
    {"region", "", true},
    {"postal_code", "36201", true},
    {"country", "ES", true},
};

// What stands in the place of a path's parameter where another thing is attacked.
static const struct {
    const char *name;
    const char *value;
} SEGMENTS[] = {{"{handle}", "taza-azul"}, {"{line}", "1"}, {"{token}", "1"}, {"{name}", "1"}};

static const char *const HEADERS[] = {"Referer",
                                      "User-Agent",
                                      "Origin",
                                      "X-Forwarded-Host",
                                      "X-Forwarded-For",
                                      "X-Forwarded-Proto",
                                      "Accept-Language",
                                      "If-None-Match",
                                      "Accept",
                                      "Accept-Encoding",
                                      "Idempotency-Key",
                                      "Traceparent",
                                      "X-Request-Id",
                                      "Range",
                                      "If-Modified-Since",
                                      "Forwarded",
                                      "Sec-Fetch-Site",
                                      "X-Original-Url",
                                      "X-Http-Method-Override"};

// Whole JSON documents.
static const char *const DOCUMENTS[] = {
    "{\"variant_id\":1e400,\"quantity\":1e400}",
    "{\"variant_id\":123456789012345678901234567890,\"quantity\":1}",
    "{\"variant_id\":\"1\",\"quantity\":-1}",
    "{\"variant_id\":\"1\",\"quantity\":1,\"quantity\":2}",
    "{\"variant_id\":true,\"quantity\":[]}",
    "{\"variant_id\":{},\"quantity\":{\"a\":1}}",
    "{\"variant_id\":null,\"quantity\":null}",
    "{\"variant_id\":\"1\",\"quantity\":1.5}",
    "{\"variant_id\":\"\\ud800\",\"quantity\":1}",
    "{\"variant_id\":\"\\udc00\\ud800\",\"quantity\":1}",
    "{\"variant_id\":\"\\u0000\",\"quantity\":1}",
    "{\"email\":\"\\ud800\",\"shipping_address\":{\"name\":\"\\udfff\"}}",
    "{\"email\":[[[[[[]]]]]],\"shipping_address\":\"x\",\"shipping_method\":{},\"payment_method\":0}",
    "{\"__proto__\":{\"price\":0},\"constructor\":{}}",
    "{\"quantity\":-0,\"variant_id\":0}",
    "{\"quantity\":NaN}",
    "{\"quantity\":Infinity}",
    "{'quantity':1}",
    "{\"quantity\":1,}",
    "{\"quantity\":01}",
    "\xef\xbb\xbf{\"quantity\":1}",
    "{\"quantity\":1}{\"quantity\":2}",
    "{\"quantity\":1} //",
    "[]",
    "\"x\"",
    "null",
    "",
    "{",
    "{\"\\ud83d\\ude00\":\"\xff\"}",
};

enum { FIELDS_MAX = 128, LONG = 5000, VALUES_MAX = COUNT(VALUES) + 4 };

typedef struct Stage {
    TestCell cell;
    const char *fields[FIELDS_MAX];
    size_t field_count;
    Value values[VALUES_MAX];
    size_t value_count;
    Str cart;    // of the API
    ShopClient *shopper;
    Str cookie;    // of a shopper with a cart
    Str csrf;
    Arena *arena;           // of one request
    unsigned answers[6];    // by the status' hundreds
} Stage;

static const char TABLES[] =
    "select string_agg(md5(xml), ' ') from (select query_to_xml(format('select * from t_%s.%I order by 1::text, "
    "%I::text', t, n, n), true, false, '')::text as xml from generate_series(1, 2) t, unnest(array['settings',"
    "'catalog_versions','categories','products','product_categories','options','images','media','variants','stock',"
    "'stock_movements','customers','addresses','shipping_methods','orders','order_lines']) n) x";
static const char VICTIM[] =
    "select md5(coalesce(string_agg(l::text, ' ' order by l::text), '')) from t_1.cart_lines l "
    "where quantity = 7";

static void percent_add(StrBuf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        strbuf_format(out, is_plain ? "%c" : "%%%02x", c);
    }
}

static Str encoded(Arena *arena, Str text)
{
    StrBuf out = {.arena = arena};
    percent_add(&out, text);
    return strbuf_str(&out);
}

// As a JSON string; bytes that aren't ASCII stay as they are.
static void json_add(StrBuf *out, Str text)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == '"' || c == '\\')
            strbuf_format(out, "\\u%04x", c);
        else
            strbuf_add_char(out, (char)c);
    }
    strbuf_add_char(out, '"');
}

// Where a value may stand in a header: without control bytes.
static Str as_header(Arena *arena, Str text)
{
    StrBuf out = {.arena = arena};
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(&out, (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f ? '_' : text.data[i]);
    return strbuf_str(&out);
}

static bool is_markup(Str text)
{
    return str_has_char(text, '<') || str_has_char(text, '"') || str_has_char(text, '\'');
}

static void answer_check(const ShopRequest *request, const ShopAnswer *answer, Str value)
{
    Str type = shop_answer_header(answer, S("Content-Type"));
    ck_assert_msg(answer->status >= 200 && answer->status < 500, "%s %s (%s%s): %d: %.*s", request->method,
                  request->path, request->headers ? request->headers : "", request->body ? request->body : "",
                  answer->status, STR_ARG(answer->body));
    ck_assert_msg(str_find(answer->head, S("\nEvil-Header")) == answer->head.len, "%s %s: %.*s", request->method,
                  request->path, STR_ARG(answer->head));
    if (str_has_prefix(type, S("text/html")) && is_markup(value) && value.len > 3)
        ck_assert_msg(str_find(answer->body, value) == answer->body.len, "%s %s echoes '%.*s'", request->method,
                      request->path, STR_ARG(value));
    if (str_find(type, S("json")) < type.len && answer->body.len > 0)
        ck_assert_msg(answer->json != NULL, "%s %s: no JSON: %.*s", request->method, request->path,
                      STR_ARG(answer->body));
    Str location = shop_answer_header(answer, S("Location"));
    ck_assert_msg(location.len == 0 || (location.data[0] == '/' && !str_has_prefix(location, S("//"))),
                  "%s %s redirects to '%.*s'", request->method, request->path, STR_ARG(location));
}

static void attack(Stage *stage, const ShopRequest *request, Str value)
{
    ShopAnswer answer;
    ck_assert_msg(shop_call(stage->shopper, request, stage->arena, &answer), "no answer: %s %s", request->method,
                  request->path);
    answer_check(request, &answer, value);
    ck_assert_int_ne(answer.status, 429);    // it would hide what is behind it
    stage->answers[answer.status / 100]++;
    shop_answer_close(&answer);
}

// The route's path with `segment` in place of each parameter; NULL: with what is there.
static const char *path_of(Stage *stage, const Route *route, const Str *segment)
{
    StrBuf out = {.arena = stage->arena};
    for (const char *c = route->pattern; *c; c++) {
        if (*c != '{') {
            strbuf_add_char(&out, *c);
            continue;
        }
        Str known = stage->cart, name = str_slice(str_of(c), 0, str_find_char(str_of(c), '}') + 1);
        for (size_t i = 0; i < COUNT(SEGMENTS); i++)
            if (str_eq(name, str_of(SEGMENTS[i].name)))
                known = str_of(SEGMENTS[i].value);
        strbuf_add(&out, segment ? *segment : known);
        c += name.len - 1;
    }
    return strbuf_str(&out).data;
}

static Str fields_of(const Stage *stage, Str value, Str csrf)
{
    StrBuf out = {.arena = stage->arena};
    Str text = encoded(stage->arena, value);
    strbuf_format(&out, "x=%.*s", STR_ARG(text));
    for (size_t i = 0; i < stage->field_count; i++)
        strbuf_format(&out, "&%s=%.*s", stage->fields[i], STR_ARG(text));
    if (csrf.len)
        strbuf_format(&out, "&csrf=%.*s", STR_ARG(csrf));
    return strbuf_str(&out);
}

static void members_add(const Stage *stage, StrBuf *out, Str value)
{
    for (size_t i = 0; i < stage->field_count; i++)
        if (!str_eq(str_of(stage->fields[i]), S("shipping_address"))) {
            strbuf_format(out, "\"%s\":", stage->fields[i]);
            json_add(out, value);
            strbuf_add_char(out, ',');
        }
}

static Str json_of(const Stage *stage, Str value)
{
    StrBuf out = {.arena = stage->arena};
    strbuf_add_char(&out, '{');
    members_add(stage, &out, value);
    strbuf_add(&out, S("\"shipping_address\":{"));
    members_add(stage, &out, value);
    strbuf_add(&out, S("\"x\":1}}"));
    return strbuf_str(&out);
}

// The right body with `value` as its member `wrong`.
static Str changed_form(const Stage *stage, size_t wrong, Str value)
{
    StrBuf out = {.arena = stage->arena};
    strbuf_format(&out, "csrf=%.*s", STR_ARG(stage->csrf));
    for (size_t i = 0; i < COUNT(RIGHT); i++)
        strbuf_format(&out, "&%s=%.*s", RIGHT[i].name,
                      STR_ARG(encoded(stage->arena, i == wrong ? value : str_of(RIGHT[i].value))));
    return strbuf_str(&out);
}

static Str changed_json(const Stage *stage, size_t wrong, Str value)
{
    StrBuf out = {.arena = stage->arena}, address = {.arena = stage->arena};
    strbuf_add_char(&out, '{');
    for (size_t i = 0; i < COUNT(RIGHT); i++) {
        StrBuf *to = RIGHT[i].is_address ? &address : &out;
        strbuf_format(to, "\"%s\":", RIGHT[i].name);
        if (i != wrong && str_eq(str_of(RIGHT[i].name), S("quantity")))
            strbuf_add_char(to, '1');
        else
            json_add(to, i == wrong ? value : str_of(RIGHT[i].value));
        strbuf_add_char(to, ',');
    }
    Str inner = strbuf_str(&address);
    strbuf_format(&out, "\"shipping_address\":{%.*s}}", (int)inner.len - 1, inner.data);
    return strbuf_str(&out);
}

static const char *type_of(const Route *route)
{
    return route->body == BODY_FORM ? "application/x-www-form-urlencoded" : "application/json";
}

static void route_attack(Stage *stage, const Route *route, const Value *value)
{
    const char *method = method_name(route->method).data;
    Str text = value->text, header = as_header(stage->arena, text);
    Str segment = text.len ? encoded(stage->arena, text) : S("%20");
    const char *path = path_of(stage, route, &segment), *known = path_of(stage, route, NULL);
    StrBuf headers = {.arena = stage->arena};
    strbuf_format(&headers, "Cookie: shop=%.*s; x=%.*s\r\n", STR_ARG(header), STR_ARG(header));
    for (size_t i = 0; i < COUNT(HEADERS); i++)
        strbuf_format(&headers, "%s: %.*s\r\n", HEADERS[i], STR_ARG(header));
    const char *body = route->body == BODY_NONE   ? NULL
                       : route->body == BODY_FORM ? fields_of(stage, text, stage->csrf).data
                                                  : json_of(stage, text).data;
    const char *cookie = stage->cookie.data, *type = type_of(route);
    Str query = str_format(stage->arena, "%s?%.*s", known, STR_ARG(fields_of(stage, text, S(""))));
    attack(stage, &(ShopRequest){method, path, cookie, body, type}, text);
    attack(stage, &(ShopRequest){method, query.data, cookie, body, type}, text);
    attack(stage, &(ShopRequest){method, known, strbuf_str(&headers).data, body, type}, text);
    for (size_t i = 0; body && i < COUNT(RIGHT); i++) {
        body = route->body == BODY_FORM ? changed_form(stage, i, text).data : changed_json(stage, i, text).data;
        Str with_key = str_format(stage->arena, "%sIdempotency-Key: attack\r\n", cookie);
        attack(stage, &(ShopRequest){method, known, with_key.data, body, type}, text);
    }
    arena_reset(stage->arena);
}

static void field_add(Stage *stage, Str name)
{
    for (size_t i = 0; i < stage->field_count; i++)
        if (str_eq(str_of(stage->fields[i]), name))
            return;
    ck_assert_uint_lt(stage->field_count, FIELDS_MAX);
    stage->fields[stage->field_count++] = str_copy(stage->cell.arena, name).data;
}

// The names of all parameters and of all members of all bodies.
static void fields_find(Stage *stage)
{
    Error err = {0};
    CLEANUP(json_close) Json *schemas = NULL;
    CLEANUP(json_close) Json *parameters = NULL;
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        stage->fields[stage->field_count++] = FIELDS[i];
    ck_assert_ok(json_parse(str_of(OPENAPI_SCHEMAS), &schemas, &err), &err);
    ck_assert_ok(json_parse(str_of(OPENAPI_PARAMETERS), &parameters, &err), &err);
    for (JsonIter schema = json_iter(schemas); json_next(&schema);) {
        const Json *properties = json_get(schema.value, "properties");
        for (JsonIter it = json_iter(properties); properties && json_next(&it);)
            field_add(stage, it.key);
    }
    for (JsonIter it = json_iter(parameters); json_next(&it);)
        for (size_t i = 0; i < json_count(it.value); i++)
            field_add(stage, json_str(json_get(json_element(it.value, i), "name")));
    ck_assert_uint_gt(stage->field_count, COUNT(FIELDS) + 40);
}

static void values_make(Stage *stage)
{
    memcpy(stage->values, VALUES, sizeof(VALUES));
    stage->value_count = COUNT(VALUES);
    static const struct {
        char c;
        size_t size;
    } LONGS[] = {{'a', 256}, {'9', LONG}, {'a', LONG}, {'%', 300}};
    for (size_t i = 0; i < COUNT(LONGS); i++) {
        StrBuf text = {.arena = stage->cell.arena};
        for (size_t at = 0; at < LONGS[i].size; at++)
            strbuf_add_char(&text, LONGS[i].c);
        stage->values[stage->value_count++] = (Value){"long", strbuf_str(&text)};
    }
}

static void stage_open(Stage *stage)
{
    *stage = (Stage){.arena = arena_open(16 * MIB)};
    test_cell_open(&stage->cell, "attacks");
    test_cell_serve(&stage->cell, 1, S(""));
    fields_find(stage);
    values_make(stage);
    stage->shopper = shop_client_open(stage->cell.port, "acme.localhost");
    ShopAnswer answer;
    ck_assert(shop_call(stage->shopper, &(ShopRequest){.method = "GET", .path = "/products/taza-azul"},
                        stage->cell.arena, &answer));
    Str cookie = shop_answer_header(&answer, S("Set-Cookie"));
    stage->cookie =
        str_format(stage->cell.arena, "Cookie: %.*s\r\n", STR_ARG(str_slice(cookie, 0, str_find_char(cookie, ';'))));
    Str form = str_skip(answer.body, str_find(answer.body, S("name=\"csrf\" value=\"")) + 19);
    stage->csrf = str_copy(stage->cell.arena, str_slice(form, 0, str_find_char(form, '"')));
    ck_assert_uint_gt(stage->csrf.len, 10);
    shop_answer_close(&answer);
    // another shopper's cart, which nobody may touch
    ShopClient *victim = shop_client_open(stage->cell.port, "acme.localhost");
    ck_assert(shop_call(victim, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"},
                        stage->cell.arena, &answer));
    Str id = json_str(json_get(answer.json, "id"));
    Str path = str_format(stage->cell.arena, "/api/v1/store/carts/%.*s/lines", STR_ARG(id));
    shop_answer_close(&answer);
    ck_assert(shop_call(
        victim, &(ShopRequest){.method = "POST", .path = path.data, .body = "{\"variant_id\":\"1\",\"quantity\":7}"},
        stage->cell.arena, &answer));
    ck_assert_int_eq(answer.status, 201);
    shop_answer_close(&answer);
    shop_client_close(&victim);
    ck_assert(shop_call(stage->shopper, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"},
                        stage->cell.arena, &answer));
    stage->cart = str_copy(stage->cell.arena, json_str(json_get(answer.json, "id")));
    shop_answer_close(&answer);
}

static void stage_close(Stage *stage)
{
    shop_client_close(&stage->shopper);
    arena_close(&stage->arena);
    test_cell_close(&stage->cell);
}

TEST(no_value_in_any_parameter_of_any_route_breaks_out_or_changes_a_row)
{
    Stage stage;
    stage_open(&stage);
    Str before = test_value(stage.cell.db, stage.cell.arena, TABLES);
    Str victim = test_value(stage.cell.db, stage.cell.arena, VICTIM);
    for (size_t r = 0; r < ROUTES_STOREFRONT.count; r++)
        for (size_t i = 0; i < stage.value_count; i++)
            route_attack(&stage, &ROUTES_STOREFRONT.rows[r], &stage.values[i]);
    ck_assert_uint_gt(stage.answers[2], stage.value_count);    // not all was refused before it was read
    ck_assert_uint_gt(stage.answers[4], stage.value_count);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, TABLES), before);
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, VICTIM), victim);
    stage_close(&stage);
}

static Str deep(Arena *arena, const char *open, size_t depth)
{
    StrBuf out = {.arena = arena};
    strbuf_add(&out, S("{\"quantity\":"));
    for (size_t i = 0; i < depth; i++)
        strbuf_add(&out, str_of(open));
    return strbuf_str(&out);
}

TEST(no_json_document_breaks_a_route_of_the_api)
{
    Stage stage;
    stage_open(&stage);
    Str before = test_value(stage.cell.db, stage.cell.arena, TABLES);
    for (size_t r = 0; r < ROUTES_STOREFRONT.count; r++) {
        const Route *route = &ROUTES_STOREFRONT.rows[r];
        if (route->body != BODY_JSON)
            continue;
        const char *method = method_name(route->method).data;
        for (size_t i = 0; i < COUNT(DOCUMENTS) + 2; i++) {
            const char *document =
                i < COUNT(DOCUMENTS) ? DOCUMENTS[i] : deep(stage.arena, i & 1 ? "[" : "{\"a\":", 10000).data;
            attack(&stage,
                   &(ShopRequest){method, path_of(&stage, route, NULL), "Idempotency-Key: attack\r\n", document,
                                  "application/json"},
                   S(""));
            arena_reset(stage.arena);
        }
    }
    ck_assert_str(test_value(stage.cell.db, stage.cell.arena, TABLES), before);
    stage_close(&stage);
}

SUITE(attacks, ONCE(no_value_in_any_parameter_of_any_route_breaks_out_or_changes_a_row),
      ONCE(no_json_document_breaks_a_route_of_the_api))
