// runtime/storefront/checkout.h: what the cart's and the checkout's pages share.
#pragma once
#include "runtime/storefront/page.h"

// Sets `errors` with one entry; more are added by further calls.
MUST_CHECK bool context_errors(Context *context, Str field, Str message, Error *err);

// Answers with the cart's page and a word of the theme about what is wrong (status 422).
MUST_CHECK bool cart_problem(Request *r, const char *word, Error *err);
PageMake cart_page;
