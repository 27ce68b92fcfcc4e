// runtime/storefront/api.c: the store API: the same shop as JSON.
#include "base/arena.h"
#include "runtime/storefront/buyer.h"

enum {
    PER_PAGE = 20,
    PER_PAGE_MAX = 100,
    PAGE_MAX = 1000000,
    QUERY_MAX = 200,
    CART_MIN = 22,
    CART_MAX = 64,
    LINES_MAX = 100
};

// ---- products ----

static bool text_read(const Rows *rows, Str *content_type, Str *text, const char *what, const char *next, Error *err)
{
    if (rows_is_null(rows, 0, 1)) {
        error_set(err, ERR_NOT_FOUND, "there is no such %s", what);
        return error_next(err, "%s", next);
    }
    *content_type = S("application/json");
    *text = rows_str(rows, 0, 1);
    return true;
}

static bool product_read(Request *r UNUSED, const Rows *rows, Str *content_type, Str *text, Error *err)
{
    return text_read(rows, content_type, text, "product", "take a handle from GET /api/v1/store/products", err);
}

static bool list_read(Request *r UNUSED, const Rows *rows, Str *content_type, Str *text, Error *err)
{
    return text_read(rows, content_type, text, "category", "take a handle from GET /api/v1/store/categories", err);
}

static const Str SORTS[] = {S("default"), S("price"),  S("-price"),   S("title"),
                            S("-title"),  S("newest"), S("relevance")};

static void fault(Faults *faults, Str field, Str why, Str next)
{
    faults_add(faults, &(Fault){.where = field, .what = field, .why = why, .next = next});
}

// "2 fields are refused: email and quantity", with every one of them in errors[].
static bool answer_faults(Request *r, const Faults *faults)
{
    Error err = {0};
    StrBuf names = {.arena = r->arena};
    const Fault *first = faults->first;
    if (!arena_ok(r->arena, &err) || !first)
        return respond_error(r, &err, NULL);
    for (const Fault *at = first; at; at = at->next_fault)
        strbuf_format(&names, "%s%.*s", at == first ? "" : at->next_fault ? ", " : " and ", STR_ARG(at->where));
    if (faults->count == 1) {
        error_set(&err, ERR_INVALID, "the field '%.*s' is refused", STR_ARG(first->where));
        error_why(&err, "%.*s", STR_ARG(first->why));
        error_next(&err, "%.*s", STR_ARG(first->next));
    } else {
        error_set(&err, ERR_INVALID, "%zu fields are refused", faults->count);
        error_why(&err, "%.*s", STR_ARG(strbuf_str(&names)));
    }
    return respond_error(r, &err, faults);
}

static void sort_read(Request *r, bool is_search, Str *out, Faults *faults)
{
    Error wrong = {0};
    if (!request_parameter(r, S("sort"), out, &wrong)) {
        faults_add_error(faults, &wrong, 0, 0);
        return;
    }
    bool is_known = out->len == 0;
    for (size_t i = 0; i < COUNT(SORTS); i++)
        is_known |= str_eq(SORTS[i], *out);
    if (!is_known)
        fault(faults, S("sort"), str_format(r->arena, "it is '%.*s'", STR_ARG(str_slice(*out, 0, 40))),
              S("use default, price, -price, title, -title, newest or relevance"));
    if (out->len == 0)
        *out = is_search ? S("relevance") : S("default");
}

static void number_read(Request *r, Str name, int64_t max, int64_t *value, Faults *faults)
{
    Error wrong = {0};
    if (!request_parameter_int(r, name, 1, max, *value, value, &wrong))
        faults_add_error(faults, &wrong, 0, 0);
}

static Str text_of(Request *r, Str name, Faults *faults)
{
    Error wrong = {0};
    Str text = S("");
    if (!request_parameter(r, name, &text, &wrong))
        faults_add_error(faults, &wrong, 0, 0);
    else if (str_characters(text) > QUERY_MAX)
        fault(faults, name, str_format(r->arena, "it has %zu characters", str_characters(text)),
              str_format(r->arena, "use up to %d", QUERY_MAX));
    return text;
}

bool api_products_get(Request *r, Error *err)
{
    int64_t page = 1, per_page = PER_PAGE;
    Str sort;
    Faults faults = {.arena = r->arena};
    number_read(r, S("page"), PAGE_MAX, &page, &faults);
    number_read(r, S("per_page"), PER_PAGE_MAX, &per_page, &faults);
    Str query = str_trim(text_of(r, S("q"), &faults)), category = text_of(r, S("category"), &faults);
    sort_read(r, query.len > 0, &sort, &faults);
    if (!arena_ok(r->arena, err))
        return false;
    if (faults.count > 0)
        return answer_faults(r, &faults);
    Str page_text = str_int(r->arena, page), per_page_text = str_int(r->arena, per_page);
    const Page list = {
        .key = STR_CONCAT(r->arena, S("api products "), page_text, S(" "), per_page_text, S(" "), sort, S(" "),
                          str_int(r->arena, (int64_t)query.len), S(" "), query, S(" "), category),
        .read = list_read,
    };
    return page_serve(
        r, &list, S("select :store_version(), :product_list($1, $2, $3, $4, $5)"),
        PARAMS(page_text, per_page_text, sort, query.len ? query : SQL_NULL, category.len ? category : SQL_NULL), err);
}

bool api_product_get(Request *r, Error *err)
{
    Str handle = request_segment(r, "handle");
    const Page product = {.key = STR_CONCAT(r->arena, S("api product "), handle), .read = product_read};
    return page_serve(r, &product, S("select :store_version(), :product_show($1)"), PARAMS(handle), err);
}

bool api_categories_get(Request *r, Error *err)
{
    static const Page CATEGORIES = {.key = {"api categories", sizeof("api categories") - 1}, .read = list_read};
    return page_serve(r, &CATEGORIES, S("select :store_version(), :category_list()"), NO_PARAMS, err);
}

bool api_shipping_get(Request *r, Error *err)
{
    static const Page METHODS = {.key = {"api shipping", sizeof("api shipping") - 1}, .read = list_read};
    return page_serve(r, &METHODS, S("select :store_version(), :shipping_list(null)"), NO_PARAMS, err);
}

// ---- carts ----

static bool answer_json(Request *r, int status, const Rows *rows, const char *what, Error *err)
{
    if (rows_is_null(rows, 0, 0)) {
        error_set(err, ERR_NOT_FOUND, "there is no such %s", what);
        return error_next(err, strcmp(what, "cart") == 0 ? "make a new one by POST /api/v1/store/carts"
                                                         : "take the token from the checkout's answer");
    }
    Str text = str_copy(r->arena, rows_str(rows, 0, 0));
    if (!arena_ok(r->arena, err))
        return false;
    respond_header(r, S("Cache-Control"), S("private, no-store"));
    return respond_json(r, status, text);
}

static bool cart_made(Request *r, const Rows *rows, Error *err) { return answer_json(r, 201, rows, "cart", err); }
static bool cart_read(Request *r, const Rows *rows, Error *err) { return answer_json(r, 200, rows, "cart", err); }

// A cart's id out of the path. What can't be one isn't asked for.
static bool cart_id(Request *r, Str *out, Error *err)
{
    *out = request_segment(r, "id");
    bool ok = out->len >= CART_MIN && out->len <= CART_MAX;
    for (size_t i = 0; ok && i < out->len; i++) {
        char c = out->data[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (ok)
        return true;
    error_set(err, ERR_NOT_FOUND, "there is no such cart");
    return error_next(err, "make a new one by POST /api/v1/store/carts");
}

bool api_cart_get(Request *r, Error *err)
{
    Str cart;
    return cart_id(r, &cart, err) && request_query(r, S("select :cart_show($1)"), PARAMS(cart), cart_read, err);
}

static void quantity_check(const Json *line, Str where, Faults *faults, int64_t *out)
{
    const Json *quantity = json_get(line, "quantity");
    *out = json_int64(quantity);
    if (!json_is_int(quantity) || *out < 1 || *out > QUANTITY_MAX)
        fault(faults, str_format(faults->arena, "%.*squantity", STR_ARG(where)),
              quantity ? S("it isn't a whole number from 1 to 999") : S("it is missing"),
              S("write a number from 1 to 999"));
}

// Ids are texts outside, digits inside.
static bool is_id(Str text)
{
    Error ignored = {0};
    int64_t value = 0;
    return text.len > 0 && text.data[0] != '0' && str_int64(text, 1, INT64_MAX, &value, &ignored);
}

typedef struct NewLine {
    Str variant;
    int64_t quantity;
} NewLine;

// `where` comes before the names of its members where they are told.
static NewLine line_check(const Json *line, Str where, Faults *faults)
{
    NewLine out = {.variant = json_str(json_get(line, "variant_id"))};
    if (!is_id(out.variant))
        fault(faults, str_format(faults->arena, "%.*svariant_id", STR_ARG(where)),
              json_get(line, "variant_id") ? S("it isn't a variant's id") : S("it is missing"),
              S("take the text of an id from the product's variants"));
    quantity_check(line, where, faults, &out.quantity);
    return out;
}

// A cart that is made with its first lines: PostgreSQL's arrays of their variants and quantities.
static bool lines_check(const Json *lines, Faults *faults, Str *variants, Str *quantities)
{
    StrBuf ids = {.arena = faults->arena}, counts = {.arena = faults->arena};
    if (json_kind(lines) != JSON_KIND_ARRAY) {
        fault(faults, S("lines"), S("it isn't a list"), S("write [{\"variant_id\":ID,\"quantity\":N}]"));
        return false;
    }
    if (json_count(lines) > LINES_MAX) {
        fault(faults, S("lines"), S("it has more than 100 lines"), S("order the rest in another cart"));
        return false;
    }
    for (size_t i = 0; i < json_count(lines); i++) {
        NewLine line = line_check(json_element(lines, i), str_format(faults->arena, "lines.%zu.", i), faults);
        strbuf_format(&ids, "%c%.*s", i == 0 ? '{' : ',', STR_ARG(line.variant));
        strbuf_format(&counts, "%c%lld", i == 0 ? '{' : ',', (long long)line.quantity);
    }
    strbuf_add(&ids, S("}"));
    strbuf_add(&counts, S("}"));
    *variants = strbuf_str(&ids);
    *quantities = strbuf_str(&counts);
    return faults->count == 0;
}

bool api_carts_post(Request *r, Error *err)
{
    const Json *body = NULL;
    Faults faults = {.arena = r->arena};
    Str variants, quantities;
    if (r->body.len > 0 && !request_json(r, &body, err))
        return false;
    const Json *lines = json_get(body, "lines");
    if (!lines || (json_kind(lines) == JSON_KIND_ARRAY && json_count(lines) == 0))
        return request_write(r, S("select :cart_create()"), NO_PARAMS, cart_made, err);
    if (!lines_check(lines, &faults, &variants, &quantities))
        return answer_faults(r, &faults);
    return request_write(r, S("select :cart_create_filled($1, $2)"), PARAMS(variants, quantities), cart_made, err);
}

static bool line_added(Request *r, const Rows *rows, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    Str cart;
    if (!json_parse(rows_str(rows, 0, 0), &answer, err) ||
        !json_print(json_get(answer, "cart"), 0, r->arena, &cart, err))
        return false;
    bool is_new = json_kind(json_get(answer, "is_new")) == JSON_KIND_TRUE;
    respond_header(r, S("Cache-Control"), S("private, no-store"));
    return respond_json(r, is_new ? 201 : 200, cart);
}

bool api_lines_post(Request *r, Error *err)
{
    Str cart;
    const Json *body = NULL;
    Faults faults = {.arena = r->arena};
    if (!cart_id(r, &cart, err) || !request_json(r, &body, err))
        return false;
    NewLine line = line_check(body, S(""), &faults);
    if (faults.count > 0)
        return answer_faults(r, &faults);
    return request_write(r, S("select :cart_line_add($1, $2, $3, false)"),
                         PARAMS(cart, line.variant, str_int(r->arena, line.quantity)), line_added, err);
}

static bool line_id(Request *r, Str *out, Error *err)
{
    *out = request_segment(r, "line");
    if (is_id(*out))
        return true;
    error_set(err, ERR_NOT_FOUND, "there is no such line in the cart");
    return error_next(err, "take an id from the cart's lines");
}

bool api_line_patch(Request *r, Error *err)
{
    Str cart, line;
    const Json *body = NULL;
    int64_t quantity = 0;
    Faults faults = {.arena = r->arena};
    if (!cart_id(r, &cart, err) || !line_id(r, &line, err) || !request_json(r, &body, err))
        return false;
    quantity_check(body, S(""), &faults, &quantity);
    if (faults.count > 0)
        return answer_faults(r, &faults);
    return request_write(r, S("select :cart_line_set($1, $2, $3)"), PARAMS(cart, line, str_int(r->arena, quantity)),
                         cart_read, err);
}

bool api_line_delete(Request *r, Error *err)
{
    Str cart, line;
    return cart_id(r, &cart, err) && line_id(r, &line, err) &&
           request_write(r, S("select :cart_line_remove($1, $2)"), PARAMS(cart, line), cart_read, err);
}

// ---- checkout ----

static bool key_read(Request *r, Str *out, Error *err)
{
    *out = request_header(r, S("Idempotency-Key"));
    bool ok = out->len >= 1 && out->len <= KEY_MAX;
    for (size_t i = 0; ok && i < out->len; i++)
        ok = out->data[i] > ' ' && out->data[i] < 0x7F;
    if (ok)
        return true;
    bool is_missing = out->len == 0;
    error_set(err, ERR_MALFORMED, is_missing ? "the Idempotency-Key is missing" : "the Idempotency-Key is refused");
    error_where(err, "Idempotency-Key");
    error_why(err, is_missing ? "an order is placed once, however often it is asked for"
                              : "it isn't 1 to 255 visible ASCII characters");
    return error_next(err, "send a new UUID with each order, and the same one when you try it again");
}

static bool order_made(Request *r, const Rows *rows, Error *err) { return answer_json(r, 201, rows, "order", err); }
static bool order_read(Request *r, const Rows *rows, Error *err) { return answer_json(r, 200, rows, "order", err); }

// An entry for each line that can't be had, beside what the refused order said of the first.
static bool shortages_read(Request *r, const Rows *rows, Error *err)
{
    Error *said = r->database.context;
    Faults faults = {.arena = r->arena};
    CLEANUP(json_close) Json *lines = NULL;
    if (!rows_is_null(rows, 0, 0) && !json_parse(rows_str(rows, 0, 0), &lines, err))
        return false;
    for (size_t i = 0; i < json_count(lines); i++) {
        const Json *line = json_element(lines, i);
        Str id = json_str(json_get(line, "id"));
        long long wanted = json_int64(json_get(line, "wanted")), left = json_int64(json_get(line, "left"));
        faults_add(&faults, &(Fault){.where = str_format(r->arena, "lines.%.*s", STR_ARG(id)),
                                     .what = json_str(json_get(line, "title")),
                                     .why = str_format(r->arena, "%lld wanted, %lld left", wanted, left),
                                     .next = left ? str_format(r->arena, "lower the quantity to %lld", left)
                                                  : S("remove the line"),
                                     .members = str_format(r->arena, "\"id\":\"%.*s\",\"wanted\":%lld,\"left\":%lld",
                                                           STR_ARG(id), wanted, left)});
    }
    if (faults.count > 1) {
        error_clear(said);
        error_set(said, ERR_OUT_OF_STOCK, "%zu lines of the cart aren't there in their quantity", faults.count);
        error_next(said, "lower their quantities or remove them");
    }
    return arena_ok(r->arena, err) && respond_error(r, said, &faults);
}

static bool order_refused(Request *r, Error *err)
{
    Error *said = arena_new(r->arena, Error);
    Str cart = request_segment(r, "id");
    if (err->code != ERR_OUT_OF_STOCK || !said)
        return false;
    *said = *err;
    error_clear(err);
    if (!request_query(r, S("select :cart_shortages($1)"), PARAMS(cart), shortages_read, err))
        return false;
    r->database.context = said;
    return true;
}

// A refused body, until the last of its faults is known.
typedef struct Refused {
    Buyer buyer;
    Faults faults;
} Refused;

static bool shipping_read(Request *r, const Rows *rows, Error *err)
{
    Refused *refused = r->database.context;
    CLEANUP(json_close) Json *list = NULL;
    if (!json_parse(rows_str(rows, 0, 0), &list, err))
        return false;
    buyer_shipping_check(r, list, &refused->buyer, &refused->faults);
    return arena_ok(r->arena, err) && answer_faults(r, &refused->faults);
}

// What is known to be wrong is wrong without the database, too.
static bool shipping_unknown(Request *r, Error *err)
{
    const Refused *refused = r->database.context;
    error_clear(err);
    return answer_faults(r, &refused->faults);
}

// Which ways of shipping there are is asked only once the rest is wrong: an order finds it out by itself.
static bool refuse(Request *r, const Buyer *buyer, const Faults *faults, Error *err)
{
    Refused *refused = arena_new(r->arena, Refused);
    if (!arena_ok(r->arena, err))
        return false;
    *refused = (Refused){.buyer = *buyer, .faults = *faults};
    if (!request_query(r, S("select :shipping_list(null)"), NO_PARAMS, shipping_read, err))
        return false;
    request_query_or(r, shipping_unknown);
    r->database.context = refused;
    return true;
}

bool api_checkout_post(Request *r, Error *err)
{
    Str cart, key;
    const Json *body = NULL;
    Buyer buyer = {0};
    Faults faults = {.arena = r->arena};
    if (!cart_id(r, &cart, err) || !key_read(r, &key, err) || !request_json(r, &body, err) ||
        !buyer_from_json(r, body, &buyer, &faults, err))
        return false;
    if (faults.count > 0)
        return refuse(r, &buyer, &faults, err);
    if (!buyer_order(r, &buyer, cart, key, order_made, err))
        return false;
    request_query_or(r, order_refused);
    return true;
}

bool api_order_get(Request *r, Error *err)
{
    return request_query(r, S("select :order_show($1)"), PARAMS(request_segment(r, "token")), order_read, err);
}
