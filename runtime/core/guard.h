// runtime/core/guard.h: the grammar of a request's head and of chunked bodies, over raw bytes, before any parser.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { HEAD_MAX = 16 * KIB, TARGET_MAX = 8 * KIB, HEADERS_MAX = 128, TRAILER_NAME_MAX = 18 };

// Where a field line's name and value (without outer blanks) are, as offsets into the head.
typedef struct HeaderAt {
    uint16_t name_at, name_len, value_at, value_len;
} HeaderAt;

typedef enum GuardFault {
    GUARD_FINE,
    GUARD_BARE_LF,
    GUARD_BARE_CR,
    GUARD_CONTROL,
    GUARD_FOLD,
    GUARD_NAME,
    GUARD_COLON,
    GUARD_REQUEST_LINE,
    GUARD_METHOD,
    GUARD_TARGET,
    GUARD_TARGET_LONG,
    GUARD_VERSION,
    GUARD_TOO_LARGE,
    GUARD_TOO_MANY,
    GUARD_CHUNK_SIZE,
    GUARD_CHUNK_END,
    GUARD_TRAILER,
    GUARD_COUNT
} GuardFault;

// Reads a head (RFC 9112 sections 2 to 5) line by line as its bytes come: each byte is looked at once, however few come
// at a time. Zero at the start. Refused are bare LF, bare CR, NUL and control bytes, folded lines, a blank before the
// colon, an empty name, a target over 8 KiB, and versions other than 1.0 and 1.1. One empty line before the request
// line is skipped.
typedef struct Guard {
    uint32_t scanned;    // bytes that hold no further line end
    uint32_t line_start;
    uint32_t line;          // 1-based number of the line at line_start, less one
    uint32_t head_start;    // 0, or 2 after an empty line
    uint32_t head_end;      // after the empty line; 0: not complete
    uint16_t method_len;
    uint16_t target_at, target_len;
    uint8_t minor;    // of the version: 0 or 1
    uint8_t header_count;
    uint8_t has_request_line;
    GuardFault fault;
} Guard;

// `data` is all that has come of this head so far, which may have moved since the last call. True: go on (guard->
// head_end tells whether it is complete); false: guard->fault says why not.
bool guard_head(Guard *guard, const char *data, size_t len, HeaderAt headers[HEADERS_MAX]);

// A chunked body (RFC 9112 section 7.1) with its trailer, byte by byte. Zero at the start. Refused are trailers that
// frame or route a message (RFC 9110 section 6.5.1): Content-Length, Transfer-Encoding, Host.
typedef struct ChunkGuard {
    uint64_t left;    // of the chunk
    uint32_t digits;
    uint32_t trailer_bytes;
    uint8_t name_len;    // of the trailer, up to TRAILER_NAME_MAX
    char name[TRAILER_NAME_MAX];
    uint8_t state;
    bool is_complete;
    GuardFault fault;
} ChunkGuard;

// Looks at the next bytes. *used is their number up to the body's end. False: guard->fault says why.
bool guard_chunks(ChunkGuard *guard, Str bytes, size_t *used);

// Sets the error of a fault: ERR_MALFORMED, ERR_TARGET_TOO_LONG, ERR_HEADERS_TOO_LARGE or ERR_HTTP_VERSION; `line` is
// where, 0: nowhere. Returns false.
bool guard_error(GuardFault fault, unsigned line, Error *err);

bool is_token(Str text);    // RFC 9110 section 5.6.2, not empty

// The offset of the first control byte but the tab in text[at ... end), or end: what no header's value may have.
size_t find_control(const char *text, size_t at, size_t end);
