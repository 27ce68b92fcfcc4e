// base/country.c: the codes of ISO 3166-1.
#include "base/country.h"

#define COUNTRY(code, english, spanish, is_postal_code_optional) code " "
static const char CODES[] =
#include "base/country.def"
    ;
#undef COUNTRY

enum { CODE_WIDTH = sizeof("ES ") - 1 };

bool is_country(Str code)
{
    for (const char *known = CODES; code.len == CODE_WIDTH - 1 && *known; known += CODE_WIDTH)
        if (str_eq((Str){known, CODE_WIDTH - 1}, code))
            return true;
    return false;
}
