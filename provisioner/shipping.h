// provisioner/shipping.h: the ways of shipping that a shop offers, and what each costs.
#pragma once
#include "base/json.h"

enum { SHIPPING_MAX = 20, SHIPPING_CODE_MAX = 40 };

// Reads {CODE: PRICE, ...} in this order: a code is up to SHIPPING_CODE_MAX of a-z, 0-9 and inner hyphens, a price an
// amount in major units of `currency`, as a text or a number ("4.90" EUR is 490). *out is what the record keeps:
// [{"code": "express", "price": {"amount": 490, "currency": "EUR"}}, ...]; the caller closes it. Fails with ERR_INVALID
// (where = "shipping") for a wrong code or price, and for none or more than SHIPPING_MAX of them.
MUST_CHECK bool shipping_read(const Json *given, Str currency, Json **out, Error *err);
