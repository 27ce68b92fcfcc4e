// runtime/core/http.h: where a request's body ends: the policy for framing headers, with llhttp as a second opinion.
#pragma once
#include "base/str.h"
#include "runtime/core/guard.h"
#include "runtime/core/route.h"

enum { FRAMING_PARSER = 128, RAW_BODY_EXTRA = 16 * KIB, RAW_BODY_FACTOR = 8 };

// Of one request; zero at the start.
typedef struct Framing {
    _Alignas(void *) char parser[FRAMING_PARSER];    // llhttp_t
    ChunkGuard chunks;
    Method method;
    int64_t content_length;    // -1: none
    bool is_chunked;
    bool is_old;    // HTTP/1.0
    bool keeps_alive;
    bool expects_continue;
    bool is_read;        // framing_head has succeeded
    bool is_complete;    // the last byte of the body has been read
    Str host;            // of the one Host header; data is NULL where 1.0 has none

    // The body. The limit is set by framing_limit, once the route is known.
    size_t raw_bytes;
    size_t body_bytes;
    size_t body_max;
    bool is_discarded;    // counted, not kept
    bool is_too_large;
    bool bytes_stay;    // of the present call of framing_body
    StrBuf buffer;
    Str body;
} Framing;

// Takes a head that guard_head has let through, from its request line to its empty line; `base` is where the offsets of
// `headers` begin. Fails with ERR_MALFORMED (not exactly one Host in 1.1; more than one of Content-Length and
// Transfer-Encoding; another coding than chunked; Transfer-Encoding in 1.0), ERR_NOT_IMPLEMENTED (CONNECT, methods that
// HTTP doesn't have) or ERR_NO_MEMORY.
MUST_CHECK bool framing_head(Framing *framing, const Guard *guard, const char *base, const HeaderAt *headers,
                             Error *err);

static inline bool framing_has_body(const Framing *framing)
{
    return framing->is_chunked || framing->content_length > 0;
}

// Up to `body_max` bytes are taken and, unless discarded, kept in `arena`, or as a view where all of them come at once.
void framing_limit(Framing *framing, size_t body_max, bool is_discarded, Arena *arena);

// Takes the next bytes of the body. *used is their number up to the body's end; a body that comes whole is a view into
// `bytes` when those stay as long as the request (`bytes_stay`). Fails with ERR_MALFORMED for wrong chunks,
// ERR_TOO_LARGE over the limit (also when chunk headers and extensions are over 16 KiB + 8 x the body), ERR_NO_MEMORY.
MUST_CHECK bool framing_body(Framing *framing, Str bytes, bool bytes_stay, size_t *used, Error *err);
