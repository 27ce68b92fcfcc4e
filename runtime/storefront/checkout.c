// runtime/storefront/checkout.c: the checkout's page and form, and the order that comes of it.
#include "base/arena.h"
#include "runtime/storefront/buyer.h"
#include "runtime/storefront/cart.h"
#include "runtime/storefront/countries.h"
#include "runtime/storefront/guard.h"

static const Str PAYMENTS[] = {S("bank_transfer"), S("cash_on_delivery")};

// What was sent, and what is wrong with it.
typedef struct Checkout {
    Buyer buyer;
    Faults faults;
    int status;
} Checkout;

// ---- the page ----

// "Postcode is needed": the field's own name is its label in the theme's words.
static bool faults_show(Context *context, const Faults *faults, Error *err)
{
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault) {
        Str word = context_word(context, str_copy(context->r->arena, fault->why).data);
        Str label = context_word(context, str_copy(context->r->arena, fault->where).data);
        Str message = str_format(context->r->arena, "%.*s %.*s", STR_ARG(label), STR_ARG(word));
        if (str_eq(fault->where, S("payment_method")))
            message = context_word(context, "problem_payment");
        else if (str_eq(fault->where, S("shipping_method")))
            message = context_word(context, "problem_shipping");
        if (!context_errors(context, fault->where, message, err))
            return false;
    }
    return true;
}

static bool countries_add(Context *context, Str selected, Error *err)
{
    Json *list = json_build("[]");
    const Country *country = NULL;
    for (size_t i = 0; (country = country_by_name(context->language, i)); i++)
        (void)json_append(list, json_build("{s:s, s:s, s:b, s:b}", "code", country->code, "name",
                                           country->names[context->language], "is_selected",
                                           str_eq(str_of(country->code), selected), "is_postal_code_optional",
                                           (int)country->is_postal_code_optional));
    return json_set(context->data, "countries", list, err);
}

static Str label_of(Context *context, const char *prefix, Str key)
{
    Str name = str_format(context->r->arena, "%s_%.*s", prefix, STR_ARG(key));
    Str word = context_word(context, name.data);
    return str_eq(word, name) ? key : word;
}

// One of them is always selected: what was chosen before, else the first.
static bool shipping_add(Context *context, Str selected, Error *err)
{
    const Json *items = json_get(json_get(context->data, "shipping"), "items");
    const Json *subtotal = json_get(json_get(context->data, "cart"), "subtotal");
    Str currency = json_str(json_get(subtotal, "currency"));
    Json *list = json_build("[]");
    bool has_selected = is_shipping_offered(json_get(context->data, "shipping"), selected);
    for (size_t i = 0; i < json_count(items); i++) {
        const Json *item = json_element(items, i);
        Str key = json_str(json_get(item, "code")), label = label_of(context, "shipping", key);
        int64_t total =
            json_int64(json_get(subtotal, "amount")) + json_int64(json_get(json_get(item, "price"), "amount"));
        Str text = format_money(total, currency, context->language, context->r->arena);
        context_shipping_price(context, context_member(item, "price"));
        (void)json_append(list,
                          json_build("{s:s%, s:s%, s:O, s:{s:I, s:s%, s:s%}, s:b}", "key", key.data, key.len, "label",
                                     label.data, label.len, "price", json_get(item, "price"), "total", "amount",
                                     (json_int)total, "currency", currency.data, currency.len, "text", text.data,
                                     text.len, "is_selected", has_selected ? str_eq(key, selected) : i == 0));
    }
    return json_set(context->data, "shipping_methods", list, err);
}

static bool payments_add(Context *context, Str selected, Error *err)
{
    Json *list = json_build("[]");
    bool has_selected = str_eq(selected, PAYMENTS[0]) || str_eq(selected, PAYMENTS[1]);
    for (size_t i = 0; i < COUNT(PAYMENTS); i++) {
        Str label = label_of(context, "payment", PAYMENTS[i]);
        Str text = label_of(context, "payment", str_format(context->r->arena, "%.*s_text", STR_ARG(PAYMENTS[i])));
        (void)json_append(list, json_build("{s:s%, s:s%, s:s%, s:b}", "key", PAYMENTS[i].data, PAYMENTS[i].len, "label",
                                           label.data, label.len, "description", text.data, text.len, "is_selected",
                                           has_selected ? str_eq(PAYMENTS[i], selected) : i == 0));
    }
    return json_set(context->data, "payment_methods", list, err);
}

static Str form_key(Request *r) { return str_format(r->arena, "form-%.*s", STR_ARG(session_token(page_session(r)))); }

static bool form_add(Context *context, const Buyer *buyer, Error *err)
{
    if (!json_set(context->data, "form", json_build("{}"), err))
        return false;
    Json *form = context_member(context->data, "form");
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++)
        if (!json_set(form, buyer_field_name(field), json_from_str(buyer->fields[field]), err))
            return false;
    return json_set(context->data, "idempotency_key", json_from_str(form_key(context->r)), err);
}

static bool checkout_complete(Context *context, Checkout *checkout, Error *err)
{
    const Str *fields = checkout->buyer.fields;
    Str country = fields[BUYER_COUNTRY];
    if (country.len == 0)
        country = json_str(json_get(json_get(context->data, "shop"), "country"));
    if (checkout->faults.count > 0)
        buyer_shipping_check(context->r, json_get(context->data, "shipping"), &checkout->buyer, &checkout->faults);
    context_cart(context);
    return form_add(context, &checkout->buyer, err) && faults_show(context, &checkout->faults, err) &&
           countries_add(context, country, err) && shipping_add(context, fields[BUYER_SHIPPING_METHOD], err) &&
           payments_add(context, fields[BUYER_PAYMENT_METHOD], err) &&
           context_page(context, context_word(context, "checkout"), S(""), S("/checkout"), err);
}

static bool checkout_shown(Request *r, const Rows *rows, Error *err)
{
    Checkout *checkout = r->database.context;
    CLEANUP(context_close) Context context = {0};
    if (!context_open(r, rows, &context, err))
        return false;
    if (json_count(json_get(json_get(context.data, "cart"), "lines")) == 0)
        return respond_redirect(r, 303, S("/cart"));
    return checkout_complete(&context, checkout, err) && page_answer(r, checkout->status, "checkout", &context, err);
}

static bool checkout_show(Request *r, Checkout *checkout, Error *err)
{
    Str token = session_token(page_session(r));
    if (!request_query(r, S("select " PAGE_COLUMNS ", :cart_show($1) as cart, :shipping_list($1) as shipping"),
                       PARAMS(token), checkout_shown, err))
        return false;
    r->database.context = checkout;
    return true;
}

static Checkout *checkout_new(Request *r)
{
    Checkout *checkout = arena_new(r->arena, Checkout);
    if (checkout) {
        checkout->status = 200;
        checkout->faults.arena = r->arena;
    }
    return page_session(r) ? checkout : NULL;
}

bool checkout_get(Request *r, Error *err)
{
    Checkout *checkout = checkout_new(r);
    if (!checkout)
        return arena_ok(r->arena, err);
    if (page_session(r)->is_new)
        return respond_redirect(r, 303, S("/cart"));
    return checkout_show(r, checkout, err);
}

// ---- the order ----

static bool order_go_to(Request *r, Str token)
{
    Session *session = page_session(r);
    token_make(&cell_thread(r)->tokens, session->token);    // the next cart is another one
    session->count = 0;
    page_set_cookie(r, session);
    return respond_redirect(r, 303, str_format(r->arena, "/orders/%.*s?new=1", STR_ARG(token)));
}

static bool order_placed(Request *r, const Rows *rows, Error *err)
{
    CLEANUP(json_close) Json *order = NULL;
    return json_parse(rows_str(rows, 0, 0), &order, err) && order_go_to(r, json_str(json_get(order, "token")));
}

static bool order_found(Request *r, const Rows *rows, Error *err)
{
    (void)err;
    Str token = rows_str(rows, 0, 0);
    return token.len ? order_go_to(r, token) : respond_redirect(r, 303, S("/cart"));
}

static bool order_refused(Request *r, Error *err)
{
    Checkout *checkout = r->database.context;
    ErrorCode code = err->code;
    Str field = str_of(err->where);
    bool is_field = code == ERR_INVALID && str_eq(field, S("shipping_method"));
    bool is_cart_gone = code == ERR_NOT_FOUND || code == ERR_EMPTY_CART;
    bool is_ordered =
        code == ERR_STATE || code == ERR_KEY_REUSED;    // and its answer was lost on its way to the shopper
    if (!is_field && !is_cart_gone && !is_ordered && code != ERR_OUT_OF_STOCK)
        return false;
    error_clear(err);
    if (is_ordered)
        return request_query(r, S("select :cart_order($1)"), PARAMS(session_token(page_session(r))), order_found, err);
    if (is_cart_gone)
        return respond_redirect(r, 303, S("/cart"));
    if (code == ERR_OUT_OF_STOCK)
        return cart_problem(r, "problem_out_of_stock", err);
    faults_add(&checkout->faults, &(Fault){.where = S("shipping_method"), .why = S("problem_choice")});
    checkout->status = 422;
    return checkout_show(r, checkout, err);
}

bool checkout_post(Request *r, Error *err)
{
    Form form;
    Checkout *checkout = checkout_new(r);
    if (!checkout)
        return arena_ok(r->arena, err);
    if (!form_open(r, &form, err) || !buyer_from_form(r, &form, &checkout->buyer, &checkout->faults, err))
        return false;
    if (checkout->faults.count > 0) {
        checkout->status = 422;
        return checkout_show(r, checkout, err);
    }
    if (!buyer_order(r, &checkout->buyer, session_token(page_session(r)), form_key(r), order_placed, err))
        return false;
    r->database.context = checkout;
    request_query_or(r, order_refused);
    return true;
}

// ---- the order's page ----

static bool order_make(Request *r, const Page *page, Context *context, Error *err)
{
    (void)page;
    Str is_new;
    const Json *order = json_get(context->data, "order");
    if (!order) {
        error_set(err, ERR_NOT_FOUND, "there is no such order");
        return error_next(err, "use the link that came with the order");
    }
    if (!request_parameter(r, S("new"), &is_new, err))
        return false;
    context_order(context);
    Str title = str_format(r->arena, "%.*s %lld", STR_ARG(context_word(context, "order")),
                           (long long)json_int64(json_get(order, "number")));
    Json *is_first = json_from_bool(str_eq(is_new, S("1")));
    return json_set(context_member(context->data, "order"), "is_new", is_first, err) &&
           context_page(context, title, S(""), S(""), err);
}

bool order_get(Request *r, Error *err)
{
    static const Page ORDER = {.template = "order", .make = order_make};
    return page_serve(r, &ORDER, S("select " PAGE_COLUMNS ", :order_show($1) as \"order\""),
                      PARAMS(request_segment(r, "token")), err);
}
