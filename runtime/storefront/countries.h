// runtime/storefront/countries.h: the countries of ISO 3166-1, with names in the shops' languages.
#pragma once
#include "runtime/core/format.h"

typedef struct Country {
    const char *code;    // alpha-2
    const char *names[LANGUAGE_COUNT];
    bool is_postal_code_optional;
} Country;

// In the order of the codes; the last one's code is NULL.
extern const Country COUNTRIES[];
const Country *country_find(Str code);                          // NULL where there is none
const Country *country_by_name(Language language, size_t i);    // the i-th by its name there; NULL after the last one
