// runtime/core/format.c: money and dates for people.
#include "runtime/core/format.h"

#include "base/error.h"

static const Str LANGUAGE_CODES[LANGUAGE_COUNT] = {[LANGUAGE_EN] = S("en"), [LANGUAGE_ES] = S("es")};

static const struct {
    Str code;
    Str sign;    // empty: the code is shown
    int digits;
} CURRENCIES[] = {
    {S("EUR"), S("€"), 2},   {S("GBP"), S("£"), 2},  {S("USD"), S("$"), 2},   {S("JPY"), S("¥"), 0},
    {S("MXN"), S("MX$"), 2}, {S("CLP"), S(""), 0},   {S("COP"), S(""), 2},    {S("KRW"), S("₩"), 0},
    {S("INR"), S("₹"), 2},   {S("BRL"), S("R$"), 2}, {S("CAD"), S("CA$"), 2}, {S("AUD"), S("A$"), 2},
    {S("BHD"), S(""), 3},    {S("IQD"), S(""), 3},   {S("JOD"), S(""), 3},    {S("KWD"), S(""), 3},
    {S("LYD"), S(""), 3},    {S("OMR"), S(""), 3},   {S("TND"), S(""), 3},    {S("BIF"), S(""), 0},
    {S("DJF"), S(""), 0},    {S("GNF"), S(""), 0},   {S("ISK"), S(""), 0},    {S("KMF"), S(""), 0},
    {S("PYG"), S(""), 0},    {S("RWF"), S(""), 0},   {S("UGX"), S(""), 0},    {S("UYI"), S(""), 0},
    {S("VND"), S("₫"), 0},   {S("VUV"), S(""), 0},   {S("XAF"), S(""), 0},    {S("XOF"), S(""), 0},
    {S("XPF"), S(""), 0},
};

static const char *const MONTHS[LANGUAGE_COUNT][12] = {
    [LANGUAGE_EN] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                     "November", "December"},
    [LANGUAGE_ES] = {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
                     "noviembre", "diciembre"},
};

Str language_code(Language language) { return LANGUAGE_CODES[language]; }

Language language_of(Str code)
{
    for (Language language = 0; language < LANGUAGE_COUNT; language++)
        if (str_eq(LANGUAGE_CODES[language], code))
            return language;
    return LANGUAGE_EN;
}

// Groups of three; Spanish leaves four digits together.
static void whole_add(StrBuf *out, uint64_t whole, Language language)
{
    char digits[24];
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)whole);
    bool is_grouped = count > (language == LANGUAGE_ES ? 4 : 3);
    for (int i = 0; i < count; i++) {
        if (is_grouped && i > 0 && (count - i) % 3 == 0)
            strbuf_add_char(out, language == LANGUAGE_ES ? '.' : ',');
        strbuf_add_char(out, digits[i]);
    }
}

Str format_money(int64_t amount, Str currency, Language language, Arena *arena)
{
    static const uint64_t POWERS[] = {1, 10, 100, 1000};
    Str sign = S("");
    int digits = 2;
    for (size_t i = 0; i < COUNT(CURRENCIES); i++)
        if (str_eq(CURRENCIES[i].code, currency)) {
            sign = CURRENCIES[i].sign;
            digits = CURRENCIES[i].digits;
        }
    StrBuf out = {.arena = arena};
    uint64_t absolute = amount < 0 ? (uint64_t)0 - (uint64_t)amount : (uint64_t)amount;
    if (amount < 0)
        strbuf_add_char(&out, '-');
    if (language == LANGUAGE_EN) {
        strbuf_add(&out, sign.len ? sign : currency);
        strbuf_add(&out, sign.len ? S("") : S(" "));
    }
    whole_add(&out, absolute / POWERS[digits], language);
    if (digits > 0)
        strbuf_format(&out, "%c%0*llu", language == LANGUAGE_ES ? ',' : '.', digits,
                      (unsigned long long)(absolute % POWERS[digits]));
    if (language == LANGUAGE_ES) {
        strbuf_add_char(&out, ' ');
        strbuf_add(&out, sign.len ? sign : currency);
    }
    return strbuf_str(&out);
}

Str format_date(Str rfc3339, Language language, Arena *arena)
{
    Error ignored = {0};
    int64_t year = 0, month = 0, day = 0;
    if (!str_int64(str_slice(rfc3339, 0, 4), 1, 9999, &year, &ignored))
        return str_copy(arena, rfc3339);
    if (!str_int64(str_slice(rfc3339, 5, 7), 1, 12, &month, &ignored))
        return str_copy(arena, rfc3339);
    if (!str_int64(str_slice(rfc3339, 8, 10), 1, 31, &day, &ignored))
        return str_copy(arena, rfc3339);
    const char *between = language == LANGUAGE_ES ? " de " : " ";
    return str_format(arena, "%d%s%s%s%04d", (int)day, between, MONTHS[language][month - 1], between, (int)year);
}
