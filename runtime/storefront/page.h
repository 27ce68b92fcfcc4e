// runtime/storefront/page.h: pages: out of the cache, or asked for, rendered, kept and filled in for the shopper.
#pragma once
#include "runtime/storefront/context.h"

// The columns that every page's query has first.
#define PAGE_COLUMNS ":store_version() as version, :shop_show() as shop, :navigation_list() as navigation"

typedef struct Page Page;
// Derives what the page's template needs; `out` names the template. False: what is wrong, such as ERR_NOT_FOUND.
typedef bool PageMake(Request *r, const Page *page, Context *context, Error *err);
// Takes content that needs no template out of a row of `version` and whatever the query has; `text` may be a view.
typedef bool PageRead(Request *r, const Rows *rows, Str *content_type, Str *text, Error *err);

struct Page {
    Str key;                 // for the cache: what is shown, in canonical form; empty: of this shopper alone
    const char *template;    // "product"
    PageMake *make;
    PageRead *read;        // instead of template and make
    Str content_type;      // of a template's text; empty: HTML
    Str cache_control;     // empty: what fits the page's holes
    Str policy;            // empty: core's Content-Security-Policy; else a constant
    const void *detail;    // of the handler, for `make`
    bool is_guessed;       // a guess that hits nothing, and so is asked for each time, counts for the plan's requests
    bool is_of_shop;       // the template prints nothing but the shop: it is made without the database as well
};

// Answers with a page whose query is `sql` (a row: PAGE_COLUMNS and what the page needs). Cached pages come without a
// query; simultaneous misses share one. When the database can't be reached, an old copy is better than none.
MUST_CHECK bool page_serve(Request *r, const Page *page, Str sql, Params params, Error *err);
// Renders and answers from a row that is there already.
MUST_CHECK bool page_render(Request *r, const Page *page, const Rows *rows, Error *err);
// Renders and answers with a context that is complete.
MUST_CHECK bool page_answer(Request *r, int status, const char *template, Context *context, Error *err);

// The shopper's session: of the cookie, or a new one; the same one for all of the request. NULL without memory.
Session *page_session(Request *r);
void page_set_cookie(Request *r, const Session *session);

// The hook of the server: an HTML page about an error, from the theme.
bool storefront_error_page(Request *r, const Error *err, const Faults *faults);
