// base/country.h: the codes of ISO 3166-1; base/country.def has their names too.
#pragma once
#include "base/str.h"

bool is_country(Str code);    // an alpha-2 code in capital letters
