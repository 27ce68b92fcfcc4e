// tests/test_currency.c: amounts of every currency are read exactly, or refused.
#include "base/currency.h"
#include "tests/support/more_check.h"

enum { BUDGET = 64 * KIB };

typedef struct Case {
    Str text;
    Str code;
    int64_t minor;
    Str printed;
} Case;

static const Case AMOUNTS[] = {
    {S("19"), S("EUR"), 1900, S("19.00")},      {S("19.9"), S("EUR"), 1990, S("19.90")},
    {S("19.90"), S("USD"), 1990, S("19.90")},   {S("0.07"), S("EUR"), 7, S("0.07")},
    {S("19.9000"), S("EUR"), 1990, S("19.90")}, {S(".5"), S("EUR"), 50, S("0.50")},
    {S("5."), S("EUR"), 500, S("5.00")},        {S("0"), S("EUR"), 0, S("0.00")},
    {S("1200"), S("JPY"), 1200, S("1200")},     {S("1200.00"), S("JPY"), 1200, S("1200")},
    {S("1.234"), S("KWD"), 1234, S("1.234")},   {S("1.2"), S("BHD"), 1200, S("1.200")},
    {S("007"), S("EUR"), 700, S("7.00")},       {S("10000000000000.00"), S("EUR"), AMOUNT_MAX, S("10000000000000.00")},
};

TEST(an_amount_is_exact)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    int64_t minor = -1;
    ck_assert_ok(currency_amount(AMOUNTS[_i].text, AMOUNTS[_i].code, &minor, &err), &err);
    ck_assert_int_eq(minor, AMOUNTS[_i].minor);
    ck_assert_str(currency_text(minor, AMOUNTS[_i].code, arena), AMOUNTS[_i].printed);
}

static const Refused REFUSED[] = {
    {S(""), "it is empty"},
    {S("."), "no digit"},
    {S("1,50"), "write EUR amounts as in 1234.50"},
    {S("1.234,50"), "comma"},
    {S("-5"), "negative"},
    {S("+5"), "sign"},
    {S("\xE2\x82\xAC"
       "5"),
     "currency sign"},
    {S("$5"), "currency sign"},
    {S("5 EUR"), "blank"},
    {S("1e3"), "exponent"},
    {S("1.2.3"), "two points"},
    {S("1.999"), "more decimals"},
    {S("10000000000000.01"), "too large"},
    {S("99999999999999999999999999"), "too large"},
    {S("10000000000001"), "too large"},
};

TEST(another_text_is_no_amount)
{
    Error err = {0};
    int64_t minor = -1;
    ck_assert(!currency_amount(REFUSED[_i].text, S("EUR"), &minor, &err));
    ck_assert_says(&err, ERR_INVALID, REFUSED[_i].says);
    ck_assert_int_eq(minor, -1);
}

TEST(an_unknown_currency_is_refused)
{
    static const Str CODES[] = {S("EURO"), S("eur"), S(""), S("XXX"), S("UR "), S("R A")};
    for (size_t i = 0; i < COUNT(CODES); i++)
        ck_assert_int_eq(currency_digits(CODES[i]), -1);
    Error err = {0};
    int64_t minor = 0;
    ck_assert(!currency_amount(S("1"), S("XXX"), &minor, &err));
    ck_assert_says(&err, ERR_INVALID, "'XXX' is unknown");
}

SUITE(currency, EACH(an_amount_is_exact, AMOUNTS), EACH(another_text_is_no_amount, REFUSED),
      ONCE(an_unknown_currency_is_refused))
