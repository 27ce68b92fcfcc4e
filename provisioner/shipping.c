// provisioner/shipping.c: the ways of shipping that a shop offers.
#include "provisioner/shipping.h"

#include "base/arena.h"
#include "base/currency.h"

enum { NUMBER_BUDGET = 4 * KIB };

static bool refused(Error *err, const char *why, const char *next)
{
    error_set(err, ERR_INVALID, "the shipping is refused");
    error_where(err, "shipping");
    error_why(err, "%s", why);
    return error_next(err, "%s", next);
}

static bool is_code(Str text)
{
    bool is_fit = text.len > 0 && text.len <= SHIPPING_CODE_MAX;
    for (size_t i = 0; i < text.len && is_fit; i++) {
        char c = text.data[i];
        bool is_inner = i > 0 && i < text.len - 1;
        is_fit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && is_inner);
    }
    return is_fit;
}

static bool price_read(Str code, const Json *value, Str currency, int64_t *out_minor, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(NUMBER_BUDGET);
    bool is_number = json_kind(value) == JSON_KIND_NUMBER;
    Str text = is_number ? json_number_text(value, arena) : json_str(value);
    if (currency_amount(text, currency, out_minor, err))
        return true;
    error_wrap(err, "the price of shipping by '%.*s' is refused", STR_ARG(code));
    return error_where(err, "shipping");
}

bool shipping_read(const Json *given, Str currency, Json **out, Error *err)
{
    if (json_kind(given) != JSON_KIND_OBJECT || json_count(given) == 0)
        return refused(err, "it isn't a mapping of codes to prices", "write it as standard: 0");
    if (json_count(given) > SHIPPING_MAX)
        return refused(err, "there are more than 20 ways", "leave some out");
    CLEANUP(json_close) Json *list = json_build("[]");
    for (JsonIter it = json_iter(given); json_next(&it);) {
        int64_t minor = 0;
        if (!is_code(it.key)) {
            error_set(err, ERR_INVALID, "the shipping code '%.*s' is refused", STR_ARG(str_slice(it.key, 0, 60)));
            error_where(err, "shipping");
            error_why(err, "it isn't 1 to %d of a-z, 0-9 and inner hyphens", SHIPPING_CODE_MAX);
            return error_next(err, "use standard, express, pickup or a word of your own");
        }
        if (!price_read(it.key, it.value, currency, &minor, err))
            return false;
        Json *method = json_build("{s:s%, s:{s:I, s:s%}}", "code", it.key.data, it.key.len, "price", "amount",
                                  (json_int)minor, "currency", currency.data, currency.len);
        if (!list || !json_append(list, method))
            return json_ok(NULL, err);
    }
    if (!json_ok(list, err))
        return false;
    *out = TAKE(list);
    return true;
}
