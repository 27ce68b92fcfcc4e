// runtime/storefront/buyer.h: what a buyer writes at the checkout, read from a form or from JSON, checked by one table.
#pragma once
#include "runtime/storefront/storefront.h"

enum { QUANTITY_MAX = 999, KEY_MAX = 255 };

typedef enum BuyerField {    // in the order of the form
    BUYER_EMAIL,
    BUYER_NAME,
    BUYER_LINE1,
    BUYER_LINE2,
    BUYER_POSTAL_CODE,
    BUYER_CITY,
    BUYER_REGION,
    BUYER_COUNTRY,
    BUYER_SHIPPING_METHOD,
    BUYER_PAYMENT_METHOD,
    BUYER_FIELD_COUNT
} BuyerField;

typedef struct Buyer {
    Str fields[BUYER_FIELD_COUNT];    // without outer blanks; never NULL data
} Buyer;

const char *buyer_field_name(BuyerField field);    // "postal_code"

// Both read everything and add a fault for each field that is wrong: where is its name ("shipping_address.city" in
// JSON), why a key of the theme's words ("problem_required") in a form, English in JSON. Fails with ERR_NO_MEMORY.
MUST_CHECK bool buyer_from_form(Request *r, const Form *form, Buyer *out, Faults *faults, Error *err);
MUST_CHECK bool buyer_from_json(Request *r, const Json *body, Buyer *out, Faults *faults, Error *err);

// Whether the shop ships that way; `list` is shipping_list's answer.
bool is_shipping_offered(const Json *list, Str code);
// A fault for a way of shipping that the list lacks, unless the field has one already.
void buyer_shipping_check(Request *r, const Json *list, const Buyer *buyer, Faults *faults);

// The shipping address as JSON in its canonical form, and the SHA-256 that tells one order's request from another one.
MUST_CHECK bool buyer_address(Request *r, const Buyer *buyer, Str *out, Error *err);
MUST_CHECK bool buyer_hash(Request *r, const Buyer *buyer, Str cart, Str *out, Error *err);

// The call that turns a cart into an order; `done` gets its JSON.
MUST_CHECK bool buyer_order(Request *r, const Buyer *buyer, Str cart, Str key, QueryDone *done, Error *err);
