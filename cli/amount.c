// cli/amount.c: reads an amount out of an option.
#include "cli/amount.h"

bool command_amount(const CommandCall *call, const char *option, UnitKind unit, int64_t *out, Error *err)
{
    Str text = command_text(call, option);
    *out = 0;
    if (text.len == 0)
        return true;
    if (!unit_parse(unit, text, out, err)) {
        err->code = ERR_USAGE;
        return error_where(err, "--%s", option);
    }
    if (*out > 0)
        return true;
    error_set(err, ERR_USAGE, "'%.*s' is refused", STR_ARG(text));
    error_where(err, "--%s", option);
    return error_why(err, "it has to be more than nothing");
}
