// base/currency.c: ISO 4217 currencies.
#include "base/currency.h"

#include "base/arena.h"

enum { CODE_LENGTH = 3, DIGITS_MAX = 4 };

typedef struct Currencies {
    int digits;
    const char *codes;    // of three letters each
} Currencies;

static const Currencies CURRENCIES[] = {
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
    {2, "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
        "CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD "
        "HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
        "MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
        "SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
        "VES WST XCD YER ZAR ZMW ZWL"},
    {3, "BHD IQD JOD KWD LYD OMR TND"},
    {4, "CLF UYW"},
};

int currency_digits(Str code)
{
    for (size_t i = 0; i < COUNT(CURRENCIES); i++) {
        Str rest = str_of(CURRENCIES[i].codes), one;
        while (code.len == CODE_LENGTH && str_cut(&rest, ' ', &one))
            if (str_eq(one, code))
                return CURRENCIES[i].digits;
    }
    return -1;
}

static bool refuse(Str text, Str code, int digits, const char *why, Error *err)
{
    static const char *const EXAMPLES[DIGITS_MAX + 1] = {"1234", "1234.5", "1234.50", "1234.500", "1234.5000"};
    assert(digits >= 0 && digits <= DIGITS_MAX);
    error_set(err, ERR_INVALID, "the amount '%.*s' is refused", STR_ARG(text));
    error_why(err, "%s", why);
    return error_next(err, "write %.*s amounts as in %s", STR_ARG(code), EXAMPLES[digits]);
}

static const char *why_not(char c)
{
    switch (c) {
    case ',': return "it has a comma";
    case '-': return "it is negative";
    case '+': return "it has a sign";
    case ' ':
    case '\t': return "it has a blank in it";
    case 'e':
    case 'E': return "it has an exponent, or a letter";
    default: return "it has a currency sign, or a letter, in it";
    }
}

bool currency_amount(Str text, Str code, int64_t *out_minor, Error *err)
{
    int digits = currency_digits(code);
    if (digits < 0)
        return error_set(err, ERR_INVALID, "the currency '%.*s' is unknown", STR_ARG(code));
    for (size_t i = 0; i < text.len; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') && text.data[i] != '.')
            return refuse(text, code, digits, why_not(text.data[i]), err);
    int64_t value = 0;
    int decimals = -1;    // none yet: no point
    size_t digit_count = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.') {
            if (decimals >= 0)
                return refuse(text, code, digits, "it has two points", err);
            decimals = 0;
            continue;
        }
        digit_count++;
        decimals += decimals >= 0;
        if (decimals > digits) {
            if (c != '0')
                return refuse(text, code, digits, "it has more decimals than the currency", err);
            continue;
        }
        value = value * 10 + (c - '0');
        if (value > AMOUNT_MAX)
            return refuse(text, code, digits, "it is too large", err);
    }
    if (digit_count == 0)
        return refuse(text, code, digits, text.len ? "it has no digit" : "it is empty", err);
    for (int i = MAX(decimals, 0); i < digits; i++)
        value *= 10;
    if (value > AMOUNT_MAX)
        return refuse(text, code, digits, "it is too large", err);
    *out_minor = value;
    return true;
}

Str currency_text(int64_t minor, Str code, Arena *arena)
{
    int digits = MAX(currency_digits(code), 0);
    int64_t unit = 1;
    for (int i = 0; i < digits; i++)
        unit *= 10;
    if (digits == 0)
        return str_int(arena, minor);
    return str_format(arena, "%lld.%0*lld", (long long)(minor / unit), digits, (long long)(minor % unit));
}
