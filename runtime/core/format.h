// runtime/core/format.h: money and dates as people of a language read them.
#pragma once
#include "base/arena.h"

typedef enum Language { LANGUAGE_EN, LANGUAGE_ES, LANGUAGE_COUNT } Language;
Str language_code(Language language);
Language language_of(Str code);    // English for an unknown one

// "19,00 €" (Spanish), "€19.00" (English); the currency's code where it has no sign of its own. `amount` is in minor
// units of an ISO 4217 currency.
Str format_money(int64_t amount, Str currency, Language language, Arena *arena);

// "25 de noviembre de 2026", "25 November 2026" out of an RFC 3339 time; the text itself when it isn't one.
Str format_date(Str rfc3339, Language language, Arena *arena);
