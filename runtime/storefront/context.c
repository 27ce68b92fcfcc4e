// runtime/storefront/context.c: what templates print.
#include "runtime/storefront/context.h"

#include "base/arena.h"
#include "base/clock.h"
#include "runtime/storefront/countries.h"

enum { PAGES_SHOWN = 7 };

static const struct {
    const char *key, *value;
} COLORS[] = {
    {"primary", "#1f3a34"},    {"on_primary", "#ffffff"}, {"accent", "#9a3b1f"},
    {"background", "#ffffff"}, {"surface", "#f5f4f1"},    {"text", "#1c1b19"},
};

Json *context_member(const Json *object, const char *key)
{
    return (Json *)(uintptr_t)json_get(object, key);    // of a tree that is ours to change
}

static void put(Json *object, const char *key, Json *value)
{
    if (object)
        (void)json_put(object, key, value);    // without memory a template prints nothing here
    else
        json_close(&value);
}

static void put_copy(Json *object, const char *key, const Json *value)
{
    put(object, key, value ? json_hold((Json *)(uintptr_t)value) : NULL);
}

static void put_null(Json *object, const char *key) { put(object, key, json_build("n")); }

static void put_str_or_null(Json *object, const char *key, Str text)
{
    put(object, key, text.len ? json_from_str(text) : json_build("n"));
}

static Json *object_in(Json *object, const char *key)
{
    put(object, key, json_build("{}"));
    return context_member(object, key);
}

static Json *list_in(Json *object, const char *key)
{
    put(object, key, json_build("[]"));
    return context_member(object, key);
}

Str percent_encode(Str text, Arena *arena)
{
    static const char DIGITS[] = "0123456789ABCDEF";
    StrBuf out = {.arena = arena};
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                        c == '.' || c == '_' || c == '~';
        if (!is_plain)
            strbuf_add_char(&out, '%');
        strbuf_add_char(&out, is_plain ? (char)c : DIGITS[c >> 4]);
        if (!is_plain)
            strbuf_add_char(&out, DIGITS[c & 15]);
    }
    return strbuf_str(&out);
}

// ---- money ----

// Gives every money of a tree its text.
static void money_texts(Json *json, Language language, Arena *arena)
{
    const Json *amount = json_get(json, "amount");
    if (json_is_int(amount)) {
        Str text = format_money(json_int64(amount), json_str(json_get(json, "currency")), language, arena);
        put(json, "text", json_from_str(text));
        return;
    }
    if (json_kind(json) == JSON_KIND_OBJECT)
        for (JsonIter it = json_iter(json); json_next(&it);)
            money_texts(it.value, language, arena);
    else if (json_kind(json) == JSON_KIND_ARRAY)
        for (size_t i = 0; i < json_count(json); i++)
            money_texts((Json *)(uintptr_t)json_element(json, i), language, arena);
}

// ---- every page ----

static bool is_color(Str text)
{
    bool ok = (text.len == 4 || text.len == 7) && text.data[0] == '#';
    for (size_t i = 1; ok && i < text.len; i++)
        ok = strchr("0123456789abcdefABCDEF", text.data[i]) != NULL;
    return ok;
}

static void shop_complete(Context *context, Json *shop)
{
    Json *wanted = context_member(shop, "colors");
    Json *colors = json_build("{}");
    StrBuf all = {.arena = context->r->arena};
    for (size_t i = 0; i < COUNT(COLORS); i++) {
        Str color = json_str(json_get(wanted, COLORS[i].key));
        color = is_color(color) ? color : str_of(COLORS[i].value);
        put(colors, COLORS[i].key, json_from_str(color));
        strbuf_add(&all, color);
    }
    put(shop, "colors_hash",
        json_from_int((int64_t)(token_hash(&cell_thread(context->r)->key, strbuf_str(&all)) >> 16)));
    put(shop, "colors", colors);
    if (json_str(json_get(shop, "name")).len == 0)
        put(shop, "name", json_from_str(context->r->tenant.slug));
    put(shop, "language", json_from_str(language_code(context->language)));
    if (json_str(json_get(shop, "email")).len == 0)
        put_null(shop, "email");
}

static void assets_add(Context *context)
{
    Json *assets = object_in(context->data, "assets");
    for (JsonIter it = json_iter(theme_assets(context->theme)); json_next(&it);)
        put_copy(assets, str_copy(context->r->arena, it.key).data, it.value);
    int64_t hash = json_int64(json_get(json_get(context->data, "shop"), "colors_hash"));
    Str url = str_format(context->r->arena, "/theme.css?v=%llx", (unsigned long long)hash);
    put(assets, "theme_css", json_from_str(url));
}

// The parts that do not change with the page, once `shop` and `navigation` are there.
static bool context_complete(Context *context, Error *err)
{
    put_copy(context->data, "t", theme_words(context->theme, context->language));
    assets_add(context);
    Json *navigation = context_member(context->data, "navigation");
    if (!navigation)
        (void)list_in(object_in(context->data, "navigation"), "items");
    return arena_ok(context->r->arena, err);
}

static bool columns_read(Context *context, const Rows *rows, Error *err)
{
    for (size_t column = 0; rows && column < rows_width(rows); column++) {
        const char *name = rows_name(rows, column);
        Json *value = NULL;
        if (strcmp(name, "version") == 0 || rows_is_null(rows, 0, column))
            continue;
        if (!json_parse(rows_str(rows, 0, column), &value, err))
            return error_wrap(err, "the database's answer can't be read");
        if (!json_set(context->data, name, value, err))    // what is absent means that there is no such thing
            return false;
    }
    return true;
}

static bool context_start(Request *r, Context *out, Error *err)
{
    *out = (Context){.r = r, .theme = cell_thread(r)->theme, .data = json_build("{}")};
    return json_ok(out->data, err);
}

bool context_open(Request *r, const Rows *rows, Context *out, Error *err)
{
    if (!context_start(r, out, err))
        return false;
    if (columns_read(out, rows, err)) {
        Json *shop = context_member(out->data, "shop");
        out->language = language_of(json_str(json_get(shop, "language")));
        money_texts(out->data, out->language, r->arena);
        shop_complete(out, shop ? shop : object_in(out->data, "shop"));
        Json *kept = json_build("{}");
        put_copy(kept, "shop", json_get(out->data, "shop"));
        put_copy(kept, "navigation", json_get(out->data, "navigation"));
        cache_shop_set(cell_thread(r)->cache, r->tenant.number, kept);
        json_close(&kept);
        if (context_complete(out, err))
            return true;
    }
    context_close(out);
    return false;
}

// The shop as the cell's directory knows it.
static void shop_of_directory(Context *context)
{
    Json *shop = NULL;
    Error unreadable = {0};
    Str looks = context->r->tenant.tenant->looks;
    if (looks.len > 0 && json_parse(looks, &shop, &unreadable))
        put(context->data, "shop", shop);
    else
        shop = object_in(context->data, "shop");
    context->language = language_of(json_str(json_get(shop, "language")));
    shop_complete(context, context_member(context->data, "shop"));
}

bool context_open_shop(Request *r, const Json *shop, Context *out, Error *err)
{
    if (!context_start(r, out, err))
        return false;
    out->language = language_of(json_str(json_get(json_get(shop, "shop"), "language")));
    if (json_get(shop, "shop"))
        put_copy(out->data, "shop", json_get(shop, "shop"));
    else
        shop_of_directory(out);
    if (json_get(shop, "navigation"))
        put_copy(out->data, "navigation", json_get(shop, "navigation"));
    if (context_complete(out, err))
        return true;
    context_close(out);
    return false;
}

void context_close(Context *context) { json_close(&context->data); }

Str context_word(const Context *context, const char *key) { return theme_word(context->theme, context->language, key); }

// The address that search engines shall keep: on the shop's first host, unless that is a local one.
static Str canonical(Context *context, Str path)
{
    Str hosts = context->r->tenant.tenant->hosts;
    Str host = str_slice(hosts, 1, MIN(str_find_char(hosts, ','), hosts.len - 1));
    if (hosts.len < 3 || str_has_suffix(host, S("localhost")) || path.len == 0)
        return S("");
    return str_format(context->r->arena, "https://%.*s%.*s", STR_ARG(host), STR_ARG(path));
}

bool context_page(Context *context, Str title, Str description, Str path, Error *err)
{
    char year[CLOCK_TEXT];
    Json *page = object_in(context->data, "page");
    put(page, "title", json_from_str(title));
    put_str_or_null(page, "description", description);
    put_str_or_null(page, "canonical", canonical(context, path));
    put(page, "path", json_from_str(path.len ? path : S("/")));
    put(page, "is_home", json_from_bool(str_eq(path, S("/"))));
    put(page, "year", json_from_str(str_slice(clock_rfc3339(clock_unix_ms(), year), 0, 4)));
    put_str_or_null(page, "robots", path.len ? S("") : S("noindex"));
    return json_ok(page, err);
}

// ---- products ----

static void product_derive(Json *product)
{
    const Json *price = json_get(product, "price"), *before = json_get(product, "compare_at_price");
    bool is_on_sale = json_int64(json_get(before, "amount")) > json_int64(json_get(price, "amount"));
    put_copy(product, "is_available", json_get(product, "available"));
    put(product, "is_on_sale", json_from_bool(is_on_sale));
    put(product, "is_price_from", json_from_bool(json_kind(json_get(product, "price_varies")) == JSON_KIND_TRUE));
    if (!is_on_sale)
        put_null(product, "compare_at_price");
}

void context_summaries(Context *context, const char *name)
{
    Json *list = context_member(context->data, name);
    if (!list)
        list = object_in(context->data, name);
    Json *items = context_member(list, "items");
    for (size_t i = 0; i < json_count(items); i++)
        product_derive((Json *)(uintptr_t)json_element(items, i));
    put(list, "has_items", json_from_bool(json_count(items) > 0));
}

void context_product(Context *context)
{
    Json *product = context_member(context->data, "product");
    const Json *variants = json_get(product, "variants"), *images = json_get(product, "images");
    product_derive(product);
    bool varies = false;
    for (size_t i = 0; i < json_count(variants); i++) {
        const Json *variant = json_element(variants, i);
        product_derive((Json *)(uintptr_t)variant);
        varies |= json_int64(json_get(json_get(variant, "price"), "amount")) !=
                  json_int64(json_get(json_get(product, "price"), "amount"));
    }
    put(product, "is_price_from", json_from_bool(varies));
    put(product, "has_choices", json_from_bool(json_count(variants) > 1));
    put_copy(product, "description_html", json_get(product, "description"));
    put(product, "first_image",
        json_element(images, 0) ? json_hold((Json *)(uintptr_t)json_element(images, 0)) : json_build("n"));
    Json *more = list_in(product, "more_images");
    for (size_t i = 0; i < json_count(images); i++) {
        Json *image = (Json *)(uintptr_t)json_element(images, i);
        put(image, "position", json_from_int((int64_t)i + 1));
        if (i > 0)
            (void)json_append(more, json_hold(image));
    }
}

// {"src": ..., "alt": ""} out of an address.
static void image_derive(Json *object)
{
    Str src = json_str(json_get(object, "image"));
    put(object, "image", src.len ? json_build("{s:s%, s:s}", "src", src.data, src.len, "alt", "") : json_build("n"));
}

void context_categories(Context *context)
{
    Json *list = context_member(context->data, "collections");
    const Json *items = json_get(list, "items");
    for (size_t i = 0; i < json_count(items); i++)
        image_derive((Json *)(uintptr_t)json_element(items, i));
    put(list, "has_items", json_from_bool(json_count(items) > 0));
}

// ---- cart and order ----

void context_cart(Context *context)
{
    Json *cart = context_member(context->data, "cart");
    if (!cart)
        cart = object_in(context->data, "cart");
    const Json *lines = json_get(cart, "lines");
    for (size_t i = 0; i < json_count(lines); i++) {
        Json *line = (Json *)(uintptr_t)json_element(lines, i);
        put_copy(line, "is_available", json_get(line, "available"));
        image_derive(line);
    }
    put(cart, "has_lines", json_from_bool(json_count(lines) > 0));
}

static Str labelled(Context *context, const char *prefix, Str key)
{
    Str name = str_format(context->r->arena, "%s_%.*s", prefix, STR_ARG(key));
    Str word = context_word(context, name.data);
    return str_eq(word, name) ? key : word;
}

void context_shipping_price(const Context *context, Json *price)
{
    if (json_is_int(json_get(price, "amount")) && json_int64(json_get(price, "amount")) == 0)
        put(price, "text", json_from_str(context_word(context, "delivery_free")));
}

void context_order(Context *context)
{
    Json *order = context_member(context->data, "order");
    const Json *lines = json_get(order, "lines");
    for (size_t i = 0; i < json_count(lines); i++)
        image_derive((Json *)(uintptr_t)json_element(lines, i));
    put(order, "status_label", json_from_str(labelled(context, "status", json_str(json_get(order, "status")))));
    put(order, "shipping_method_label",
        json_from_str(labelled(context, "shipping", json_str(json_get(order, "shipping_method")))));
    put(order, "payment_method_label",
        json_from_str(labelled(context, "payment", json_str(json_get(order, "payment_method")))));
    put(order, "created_at_text",
        json_from_str(format_date(json_str(json_get(order, "placed_at")), context->language, context->r->arena)));
    context_shipping_price(context, context_member(order, "shipping"));
    put_copy(order, "shipping_total", json_get(order, "shipping"));
    put(order, "is_transfer_due",
        json_from_bool(str_eq(json_str(json_get(order, "payment_method")), S("bank_transfer")) &&
                       str_eq(json_str(json_get(order, "status")), S("pending"))));
    Json *address = context_member(order, "shipping_address");
    Str code = json_str(json_get(address, "country"));
    const Country *country = country_find(code);
    if (address)
        put(address, "country_name", json_from_str(country ? str_of(country->names[context->language]) : code));
}

// ---- lists ----

static const struct {
    Str key;
    const char *word;
    bool is_search, is_list;    // where it is offered
} SORTS[] = {
    {S("relevance"), "sort_relevance", true, false}, {S("default"), "sort_default", false, true},
    {S("price"), "sort_price", true, true},          {S("-price"), "sort_price_desc", true, true},
    {S("title"), "sort_title", true, true},          {S("-title"), "sort_title_desc", true, true},
    {S("newest"), "sort_newest", true, true},
};

bool listing_knows(Str sort)
{
    for (size_t i = 0; i < COUNT(SORTS); i++)
        if (str_eq(SORTS[i].key, sort))
            return true;
    return false;
}

Str listing_sort(Str wanted, bool is_search)
{
    for (size_t i = 0; i < COUNT(SORTS); i++)
        if ((is_search ? SORTS[i].is_search : SORTS[i].is_list) && str_eq(SORTS[i].key, wanted))
            return SORTS[i].key;
    return is_search ? S("relevance") : S("default");
}

static Str listing_url(Context *context, const Listing *listing, Str sort, int64_t page)
{
    StrBuf out = {.arena = context->r->arena};
    strbuf_add(&out, listing->base);
    const char *separator = str_has_char(listing->base, '?') ? "&" : "?";
    if (!str_eq(sort, listing_sort(S(""), listing->is_search))) {
        strbuf_format(&out, "%ssort=%.*s", separator, STR_ARG(sort));
        separator = "&";
    }
    if (page > 1)
        strbuf_format(&out, "%spage=%lld", separator, (long long)page);
    return strbuf_str(&out);
}

static void pages_add(Context *context, const Listing *listing, Json *products)
{
    int64_t total = json_int64(json_get(products, "total"));
    int64_t count = (total + listing->per_page - 1) / listing->per_page;
    int64_t first = MAX(MIN(listing->page - PAGES_SHOWN / 2, count - PAGES_SHOWN + 1), (int64_t)1);
    Json *pages = list_in(products, "pages");
    for (int64_t number = first; number <= count && number < first + PAGES_SHOWN; number++) {
        Str url = listing_url(context, listing, listing->sort, number);
        (void)json_append(pages, json_build("{s:I, s:s%, s:b}", "number", (json_int)number, "url", url.data, url.len,
                                            "is_current", number == listing->page));
    }
    bool has_before = listing->page > 1, has_after = listing->page < count;
    put(products, "has_pages", json_from_bool(count > 1));
    put_str_or_null(products, "previous_url",
                    has_before ? listing_url(context, listing, listing->sort, listing->page - 1) : S(""));
    put_str_or_null(products, "next_url",
                    has_after ? listing_url(context, listing, listing->sort, listing->page + 1) : S(""));
}

bool context_listing(Context *context, const Listing *listing, Error *err)
{
    context_summaries(context, "products");
    pages_add(context, listing, context_member(context->data, "products"));
    Json *sorts = list_in(object_in(context->data, "sorts"), "items");
    for (size_t i = 0; i < COUNT(SORTS); i++) {
        if (!(listing->is_search ? SORTS[i].is_search : SORTS[i].is_list))
            continue;
        Str url = listing_url(context, listing, SORTS[i].key, 1), label = context_word(context, SORTS[i].word);
        (void)json_append(sorts, json_build("{s:s%, s:s%, s:s%, s:b}", "key", SORTS[i].key.data, SORTS[i].key.len,
                                            "label", label.data, label.len, "url", url.data, url.len, "is_current",
                                            str_eq(SORTS[i].key, listing->sort)));
    }
    return json_ok(sorts, err) && arena_ok(context->r->arena, err);
}

bool context_errors(Context *context, Str field, Str message, Error *err)
{
    Json *errors = context_member(context->data, "errors");
    if (!errors) {
        Json *made = json_build("{s:b, s:[], s:{}}", "has_errors", true, "items", "by_field");
        if (!json_set(context->data, "errors", made, err))
            return false;
        errors = context_member(context->data, "errors");
    }
    Json *item = json_build("{s:s%, s:s%}", "field", field.data, field.len, "message", message.data, message.len);
    if (!json_append(context_member(errors, "items"), item))
        return json_ok(NULL, err);
    const char *key = str_copy(context->r->arena, field).data;
    return json_set(context_member(errors, "by_field"), key, json_from_str(message), err);
}
