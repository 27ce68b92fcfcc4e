// runtime/core/compress.h: smaller forms of what is sent, and which one a client takes.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum Encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_BROTLI, ENCODING_COUNT } Encoding;

// The text in this encoding, made in `arena`; empty where it wouldn't be smaller. Fails with ERR_NO_MEMORY.
MUST_CHECK bool encoding_make(Str text, Encoding encoding, Arena *arena, Str *out, Error *err);

// The encoding of those that are `offered` (non-empty) to which an Accept-Encoding header gives the highest weight (RFC
// 9110, section 12.5.3); of equal ones the smallest form. None where it gives none, or prefers the identity.
Encoding encoding_accepted(Str accept, const Str offered[ENCODING_COUNT]);
Str encoding_name(Encoding encoding);    // "gzip"; empty for none

// ---- gzip out of pieces ----
// A page with holes as one gzip member (RFC 1952). What is the same for all is compressed ahead, each text for itself,
// to deflate blocks that begin and end with a byte and refer to nothing before them. What fills a hole goes between
// them uncompressed, in a stored block: answering costs a CRC of the holes alone, and no length tells how like a secret
// is to what an attacker makes the page say (BREACH).

typedef struct GzipPiece {
    Str bytes;          // deflate blocks, none of them the last
    uint32_t length;    // of the text
    uint32_t crc;
    uint32_t shift;    // moves a CRC on by that length
} GzipPiece;
typedef struct GzipSum {
    uint32_t length, crc;
} GzipSum;    // of what was added; starts from zero

enum { GZIP_END = 10, GZIP_STORED = 5, GZIP_STORED_MAX = 65535 };
extern const Str GZIP_START;    // before the first piece

// Compresses a text of less than 1 GiB into `arena`. Fails with ERR_NO_MEMORY.
MUST_CHECK bool gzip_piece(Str text, Arena *arena, GzipPiece *out, Error *err);
void gzip_add(GzipSum *sum, const GzipPiece *piece);
// A text of at most GZIP_STORED_MAX bytes as a stored block, put into `room`: GZIP_STORED bytes and its own.
Str gzip_stored(GzipSum *sum, Str text, char *room);
Str gzip_end(const GzipSum *sum, char room[GZIP_END]);    // after the last piece
