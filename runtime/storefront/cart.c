// runtime/storefront/cart.c: the cart's page and its forms.
#include "runtime/storefront/cart.h"

#include "base/arena.h"
#include "runtime/storefront/buyer.h"
#include "runtime/storefront/guard.h"

static const char OUT_OF_STOCK[] = "problem_out_of_stock", WRONG_QUANTITY[] = "problem_quantity";

// "Taza azul, S – Quedan: 2" for each line that can't be had in its quantity.
static bool shortages_add(Context *context, Error *err)
{
    Arena *arena = context->r->arena;
    const Json *lines = json_get(json_get(context->data, "cart"), "lines");
    for (size_t i = 0; i < json_count(lines); i++) {
        const Json *line = json_element(lines, i);
        if (json_kind(json_get(line, "available")) == JSON_KIND_TRUE)
            continue;
        Str title = json_str(json_get(line, "title")), variant = json_str(json_get(line, "variant_title"));
        long long left = json_int64(json_get(line, "available_quantity"));
        Str rest = left > 0 ? str_format(arena, "%.*s %lld", STR_ARG(context_word(context, "line_left")), left)
                            : context_word(context, "sold_out");
        Str field = str_format(arena, "lines.%.*s", STR_ARG(json_str(json_get(line, "id"))));
        Str message = str_format(arena, "%.*s%s%.*s \xe2\x80\x93 %.*s", STR_ARG(title), variant.len ? ", " : "",
                                 STR_ARG(variant), STR_ARG(rest));
        if (!context_errors(context, field, message, err))
            return false;
    }
    return true;
}

// The line that a wrong quantity was written into shows it as it was, and says so.
static bool quantity_show(Request *r, Context *context, Error *err)
{
    static const Str PATH = S("/cart/lines/");
    Form form;
    const Json *lines = json_get(json_get(context->data, "cart"), "lines");
    if (!str_has_prefix(r->path, PATH))
        return true;
    if (!form_open(r, &form, err))
        return false;
    for (size_t i = 0; i < json_count(lines); i++) {
        Json *line = (Json *)(uintptr_t)json_element(lines, i);
        if (!str_eq(json_str(json_get(line, "id")), str_skip(r->path, PATH.len)))
            continue;
        return json_set(line, "quantity", json_from_str(form_value(&form, S("quantity"))), err) &&
               json_set(line, "problem", json_from_str(context_word(context, WRONG_QUANTITY)), err);
    }
    return true;
}

bool cart_page(Request *r, const Page *page, Context *context, Error *err)
{
    const char *problem = page->detail;
    context_cart(context);
    if (problem && !context_errors(context, S("quantity"), context_word(context, problem), err))
        return false;
    if (problem && strcmp(problem, OUT_OF_STOCK) == 0 && !shortages_add(context, err))
        return false;
    if (problem && strcmp(problem, WRONG_QUANTITY) == 0 && !quantity_show(r, context, err))
        return false;
    if (!context_page(context, context_word(context, "your_cart"), S(""), S("/cart"), err))
        return false;
    // what the cookie says may be old: the cart itself is right
    Session *session = page_session(r);
    int64_t count = json_int64(json_get(json_get(context->data, "cart"), "count"));
    if (session && session->count != count) {
        session->count = count;
        if (!session->is_new)
            page_set_cookie(r, session);
    }
    return session || arena_ok(r->arena, err);
}

static const Page CART = {.template = "cart", .make = cart_page};

bool cart_get(Request *r, Error *err)
{
    const Session *session = page_session(r);
    if (!session)
        return arena_ok(r->arena, err);
    return page_serve(r, &CART, S("select " PAGE_COLUMNS ", :cart_show($1) as cart"), PARAMS(session_token(session)),
                      err);
}

// The cart with what is wrong above it, at 422 or 409.
static bool cart_shown(Request *r, const Rows *rows, Error *err)
{
    CLEANUP(context_close) Context context = {0};
    const Page page = {.make = cart_page, .detail = r->database.context};
    int status = error_http_status(strcmp(page.detail, OUT_OF_STOCK) == 0 ? ERR_OUT_OF_STOCK : ERR_INVALID);
    return context_open(r, rows, &context, err) && cart_page(r, &page, &context, err) &&
           page_answer(r, status, "cart", &context, err);
}

bool cart_problem(Request *r, const char *word, Error *err)
{
    if (!request_query(r, S("select " PAGE_COLUMNS ", :cart_show($1) as cart"), PARAMS(session_token(page_session(r))),
                       cart_shown, err))
        return false;
    r->database.context = (void *)(uintptr_t)word;    // read only
    return true;
}

// A refusal that the shopper can do something about is shown in the cart; the rest is core's.
static bool cart_failed(Request *r, Error *err)
{
    const char *word = NULL;
    static const struct {
        ErrorCode code;
        const char *where, *word;
    } WORDS[] = {{ERR_INVALID, "lines", "problem_full"},
                 {ERR_INVALID, "quantity", WRONG_QUANTITY},
                 {ERR_INVALID, "variant_id", "problem_variant"},
                 {ERR_NOT_FOUND, "cart", "problem_line"},
                 {ERR_NOT_FOUND, "line", "problem_line"}};
    for (size_t i = 0; i < COUNT(WORDS) && !word; i++)
        if (err->code == WORDS[i].code && strcmp(err->where, WORDS[i].where) == 0)
            word = WORDS[i].word;
    if (!word)
        return false;
    error_clear(err);
    return cart_problem(r, word, err);
}

static bool cart_changed(Request *r, const Json *cart)
{
    Session *session = page_session(r);
    session->count = json_int64(json_get(cart, "count"));
    page_set_cookie(r, session);
    return respond_redirect(r, 303, S("/cart"));
}

static bool line_added(Request *r, const Rows *rows, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return json_parse(rows_str(rows, 0, 0), &answer, err) && cart_changed(r, json_get(answer, "cart"));
}

static bool line_changed(Request *r, const Rows *rows, Error *err)
{
    CLEANUP(json_close) Json *cart = NULL;
    return json_parse(rows_str(rows, 0, 0), &cart, err) && cart_changed(r, cart);
}

static bool is_number(Str text, int64_t min, int64_t max)
{
    Error ignored = {0};
    int64_t value = 0;
    return str_int64(text, min, max, &value, &ignored);
}

// A cart that was ordered meanwhile leaves the session with a new one.
static bool line_failed(Request *r, Error *err)
{
    if (err->code != ERR_NOT_FOUND)
        return cart_failed(r, err);
    Session *session = page_session(r);
    error_clear(err);
    token_make(&cell_thread(r)->tokens, session->token);
    session->count = 0;
    page_set_cookie(r, session);
    return respond_redirect(r, 303, S("/cart"));
}

bool cart_lines_post(Request *r, Error *err)
{
    Form form;
    if (!form_open(r, &form, err))
        return false;
    Str variant = form_value(&form, S("variant_id")), quantity = form_value(&form, S("quantity"));
    quantity = quantity.len ? quantity : S("1");
    if (!is_number(variant, 1, INT64_MAX))
        return cart_problem(r, "problem_variant", err);
    if (!is_number(quantity, 1, QUANTITY_MAX))
        return cart_problem(r, WRONG_QUANTITY, err);
    if (!request_write(r, S("select :cart_line_add($1, $2, $3, true)"),
                       PARAMS(session_token(page_session(r)), variant, quantity), line_added, err))
        return false;
    request_query_or(r, line_failed);
    return true;
}

bool cart_line_post(Request *r, Error *err)
{
    Form form;
    if (!form_open(r, &form, err))
        return false;
    Str line = request_segment(r, "id"), quantity = form_value(&form, S("quantity")),
        token = session_token(page_session(r));
    bool is_removed = str_eq(form_value(&form, S("action")), S("remove")) || str_eq(quantity, S("0"));
    if (!is_number(line, 1, INT64_MAX))
        return cart_problem(r, "problem_line", err);
    if (!is_removed && !is_number(quantity, 1, QUANTITY_MAX))
        return cart_problem(r, WRONG_QUANTITY, err);
    bool ok = is_removed
                  ? request_write(r, S("select :cart_line_remove($1, $2)"), PARAMS(token, line), line_changed, err)
                  : request_write(r, S("select :cart_line_set($1, $2, $3)"), PARAMS(token, line, quantity),
                                  line_changed, err);
    if (ok)
        request_query_or(r, cart_failed);
    return ok;
}
