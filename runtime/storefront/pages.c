// runtime/storefront/pages.c: what one looks at: home, categories, products, search.
#include "base/arena.h"
#include "runtime/storefront/storefront.h"

enum { PER_PAGE = 24, PAGE_MAX = 10000, QUERY_MAX = 200 };

static Str seo(const Json *object, const char *key, const char *otherwise)
{
    Str text = json_str(json_get(json_get(object, "seo"), key));
    return text.len ? text : json_str(json_get(object, otherwise));
}

// ---- home ----

static bool home_make(Request *r, const Page *page, Context *context, Error *err)
{
    (void)r;
    (void)page;
    context_summaries(context, "featured");
    context_categories(context);
    Str name = json_str(json_get(json_get(context->data, "shop"), "name"));
    return context_page(context, name, context_word(context, "home_lead"), S("/"), err);
}

bool home_get(Request *r, Error *err)
{
    static const Page HOME = {.key = S("home"), .template = "home", .make = home_make};
    return page_serve(r, &HOME,
                      S("select " PAGE_COLUMNS ", :summary_list(1, 8, 'default', null, null) as featured, "
                        ":category_list() as collections"),
                      NO_PARAMS, err);
}

// ---- lists ----

static bool listing_read(Request *r, bool is_search, Listing *out, Error *err)
{
    Str sort;
    *out = (Listing){.per_page = PER_PAGE, .is_search = is_search};
    if (!request_parameter_int(r, S("page"), 1, PAGE_MAX, 1, &out->page, err) ||
        !request_parameter(r, S("sort"), &sort, err))
        return false;
    if (sort.len > 0 && !listing_knows(sort)) {
        error_set(err, ERR_INVALID, "the list can't be sorted so");
        error_where(err, "sort");
        return error_why(err, "'%.*s' is no order of it", STR_ARG(str_slice(sort, 0, 40)));
    }
    out->sort = listing_sort(sort, is_search);
    return true;
}

// Of products and related: nothing there means that the address is wrong.
static bool error_nothing(Error *err, const char *what)
{
    error_set(err, ERR_NOT_FOUND, "there is no such %s", what);
    return error_next(err, "go to the home page");
}

static bool collection_make(Request *r, const Page *page, Context *context, Error *err)
{
    Listing listing = *(const Listing *)page->detail;
    Str handle = request_segment(r, "handle");
    Json *collection = context_member(context->data, "collection");
    bool is_all = str_eq(handle, S("all")) && !collection;
    if (!collection && !is_all)
        return error_nothing(err, "category");
    Str title = is_all ? context_word(context, "all_products") : json_str(json_get(collection, "title"));
    if (is_all)
        collection = json_build("{s:s, s:s%, s:n}", "handle", "all", "title", title.data, title.len, "description");
    else
        collection = json_hold(collection);
    if (!json_set(context->data, "collection", collection, err))
        return false;
    const Json *description = json_get(collection, "description");
    Json *html = description ? json_hold((Json *)(uintptr_t)description) : json_build("n");
    if (!json_set(collection, "description_html", html, err))
        return false;
    listing.base = str_format(r->arena, "/collections/%.*s", STR_ARG(percent_encode(handle, r->arena)));
    return context_listing(context, &listing, err) && context_page(context, title, S(""), listing.base, err);
}

bool collection_get(Request *r, Error *err)
{
    Listing *listing = arena_new(r->arena, Listing);
    if (!arena_ok(r->arena, err) || !listing_read(r, false, listing, err))
        return false;
    Str handle = request_segment(r, "handle");
    Str number = str_int(r->arena, listing->page), per_page = str_int(r->arena, listing->per_page);
    const Page page = {
        .key = STR_CONCAT(r->arena, S("collection "), listing->sort, S(" "), number, S(" "), handle),
        .template = "collection",
        .make = collection_make,
        .detail = listing,
    };
    if (str_eq(handle, S("all")))
        return page_serve(r, &page,
                          S("select " PAGE_COLUMNS ", :category_show('all') as collection, "
                            ":summary_list($1, $2, $3, null, null) as products"),
                          PARAMS(number, per_page, listing->sort), err);
    return page_serve(r, &page,
                      S("select " PAGE_COLUMNS ", :category_show($4) as collection, "
                        ":summary_list($1, $2, $3, null, $4) as products"),
                      PARAMS(number, per_page, listing->sort, handle), err);
}

static bool search_make(Request *r, const Page *page, Context *context, Error *err)
{
    Listing listing = *(const Listing *)page->detail;
    Str query = listing.base;    // until it is in an address
    if (!json_set(context->data, "query", json_from_str(query), err))
        return false;
    listing.base = str_format(r->arena, "/search?q=%.*s", STR_ARG(percent_encode(query, r->arena)));
    return context_listing(context, &listing, err) &&
           context_page(context, context_word(context, "search_title"), S(""), S(""), err);
}

bool search_get(Request *r, Error *err)
{
    Listing *listing = arena_new(r->arena, Listing);
    Str query;
    if (!arena_ok(r->arena, err) || !listing_read(r, true, listing, err) || !request_parameter(r, S("q"), &query, err))
        return false;
    query = str_trim(query);
    if (str_characters(query) > QUERY_MAX) {
        error_set(err, ERR_INVALID, "the search is too long");
        error_where(err, "q");
        return error_next(err, "use up to %d characters", QUERY_MAX);
    }
    listing->base = query;
    Str number = str_int(r->arena, listing->page), per_page = str_int(r->arena, listing->per_page);
    const Page page = {
        .key = STR_CONCAT(r->arena, S("search "), listing->sort, S(" "), number, S(" "), query),
        .template = "search",
        .make = search_make,
        .detail = listing,
    };
    if (query.len == 0)
        return page_serve(r, &page, S("select " PAGE_COLUMNS), NO_PARAMS, err);
    return page_serve(r, &page, S("select " PAGE_COLUMNS ", :summary_list($1, $2, $3, $4, null) as products"),
                      PARAMS(number, per_page, listing->sort, query), err);
}

// ---- product ----

static bool product_make(Request *r, const Page *page, Context *context, Error *err)
{
    (void)page;
    const Json *product = json_get(context->data, "product");
    if (!product)
        return error_nothing(err, "product");
    context_product(context);
    context_summaries(context, "related");
    Str handle = percent_encode(json_str(json_get(product, "handle")), r->arena);
    return context_page(context, seo(product, "title", "title"),
                        json_str(json_get(json_get(product, "seo"), "description")),
                        str_format(r->arena, "/products/%.*s", STR_ARG(handle)), err);
}

bool product_get(Request *r, Error *err)
{
    Str handle = request_segment(r, "handle");
    const Page page = {.key = STR_CONCAT(r->arena, S("product "), handle), .template = "product", .make = product_make};
    return page_serve(r, &page,
                      S("select " PAGE_COLUMNS ", :product_show($1) as product, :related_list($1) as related"),
                      PARAMS(handle), err);
}
