// base/currency.h: ISO 4217 currencies: how many digits their minor unit has, and amounts as text.
#pragma once
#include "base/error.h"
#include "base/str.h"

// The digits of the minor unit (EUR 2, JPY 0, KWD 3) of an alphabetic code; -1 for a code that isn't one.
int currency_digits(Str code);

// Reads a decimal amount, such as 19.90, exactly: digits and at most one point, more decimals than the currency has
// only as zeros. Fails with ERR_INVALID for all else (a sign, a comma, a currency's sign, an exponent), for an unknown
// currency and beyond AMOUNT_MAX; why and next say what to write.
#define AMOUNT_MAX 1000000000000000LL
MUST_CHECK bool currency_amount(Str text, Str code, int64_t *out_minor, Error *err);

// The amount with the currency's decimals: 1990 EUR is "19.90", 1990 JPY "1990".
Str currency_text(int64_t minor, Str code, Arena *arena);
