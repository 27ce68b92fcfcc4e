// provisioner/digest.h: SHA-256 (FIPS 180-4) and base64 (RFC 4648, section 4).
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { DIGEST_BYTES = 32, DIGEST_TEXT = 2 * DIGEST_BYTES + 1 };

// Of bytes that come piece by piece.
typedef struct Digest Digest;
MUST_CHECK bool digest_open(Digest **out, Error *err);    // fails with ERR_NO_MEMORY
void digest_put(Digest *digest, Str bytes);
Str digest_end(Digest *digest, char text[DIGEST_TEXT]);    // in hexadecimal, a view of `text`
void digest_close(Digest **digest);

// Of bytes that are all there.
void digest_bytes(Str bytes, unsigned char out[DIGEST_BYTES]);
Str digest_text(Str bytes, char text[DIGEST_TEXT]);    // in hexadecimal, a view of `text`

Str base64_encode(Str bytes, Arena *arena);
// Empty where the text isn't base64 with its padding.
Str base64_decode(Str text, Arena *arena);
