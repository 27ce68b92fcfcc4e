// base/text.h: Unicode text: one form for each, and the short names made of it.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { TEXT_SLUG_MAX = 100 };    // bytes

// Makes a handle of a title: letters and digits of every script in small letters, Latin accents taken off, all else a
// hyphen between words, at most TEXT_SLUG_MAX bytes, in Unicode's form C: "Café & Té" becomes "cafe-te". *out is empty
// when nothing is left. Fails with ERR_MALFORMED when `text` isn't UTF-8, ERR_NO_MEMORY.
MUST_CHECK bool text_slug(Str text, Arena *arena, Str *out, Error *err);

// The text in Unicode's form C. Fails in the same way.
MUST_CHECK bool text_nfc(Str text, Arena *arena, Str *out, Error *err);
