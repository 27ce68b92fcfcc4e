// runtime/storefront/cart.h: the cart's page, which the checkout shows, too, where the cart is what is wrong.
#pragma once
#include "runtime/storefront/page.h"

// Answers with it and a word of the theme about what is wrong (status 422, or 409 for lack of stock).
MUST_CHECK bool cart_problem(Request *r, const char *word, Error *err);
PageMake cart_page;
