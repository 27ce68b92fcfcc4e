// runtime/core/compress.h: smaller forms of what is sent, and which one a client takes.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum Encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_BROTLI, ENCODING_COUNT } Encoding;

// The text in this encoding, made in `arena`; empty where it wouldn't be smaller. Fails with ERR_NO_MEMORY.
MUST_CHECK bool encoding_make(Str text, Encoding encoding, Arena *arena, Str *out, Error *err);

// The best encoding that an Accept-Encoding header takes (RFC 9110, section 12.5.3) of those that are `offered`
// (non-empty).
Encoding encoding_accepted(Str accept, const Str offered[ENCODING_COUNT]);
Str encoding_name(Encoding encoding);    // "gzip"; empty for none
