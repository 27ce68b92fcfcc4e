// runtime/storefront/context.h: what templates print, made of what the tenant's functions answer
// (web/theme/CONTEXT.md).
#pragma once
#include "runtime/core/cell.h"

// A page's data under construction. Builders set `is_spent` when memory ran out; ask context_ok at the end.
typedef struct Context {
    Request *r;
    const Theme *theme;
    Json *data;    // counted: context_close
    Language language;
} Context;

// Starts the data of a page out of a row: each column is JSON and becomes a member of its name, but for `version`;
// nulls are left out. With the parts that every page has. Fails with ERR_MALFORMED or ERR_NO_MEMORY.
MUST_CHECK bool context_open(Request *r, const Rows *rows, Context *out, Error *err);
// The same without a row, with what is kept of the shop; where `shop` is NULL, with what the cell's directory knows.
MUST_CHECK bool context_open_shop(Request *r, const Json *shop, Context *out, Error *err);
void context_close(Context *context);

Str context_word(const Context *context, const char *key);
// The title, and where the page is; `path` is canonical.
MUST_CHECK bool context_page(Context *context, Str title, Str description, Str path, Error *err);

// Derived fields, in place.
void context_summaries(Context *context, const char *name);    // has_items, is_available, is_on_sale ...
void context_product(Context *context);
void context_cart(Context *context);
void context_order(Context *context);
void context_shipping_price(const Context *context, Json *price);    // says "Free" where it is 0
void context_categories(Context *context);                           // of the home page

// Pages and sorts of a list; `base` is its address without them ("/search?q=mug").
typedef struct Listing {
    Str base;
    int64_t page;
    int64_t per_page;
    Str sort;
    bool is_search;
} Listing;
MUST_CHECK bool context_listing(Context *context, const Listing *listing, Error *err);
bool listing_knows(Str sort);
// A sort that a page's address may name: that one where it is offered, else the default.
Str listing_sort(Str wanted, bool is_search);

// Sets `errors` with one entry; more are added by further calls. Fails with ERR_NO_MEMORY.
MUST_CHECK bool context_errors(Context *context, Str field, Str message, Error *err);

// A member that may be changed; NULL where it is absent.
Json *context_member(const Json *object, const char *key);
Str percent_encode(Str text, Arena *arena);    // all but RFC 3986's unreserved characters
