// tests/fuzz/fuzz_http.c: any bytes as a connection's: the guard is linear and split-proof, and llhttp agrees with it.
#include "base/arena.h"
#include "runtime/core/http.h"
#include "runtime/core/request.h"
#include "runtime/core/target.h"

enum { BUDGET = 4 * MIB, BODY_MAX = 64 * KIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The same head, read whole and byte by byte, is let through or refused for the same fault.
static bool head_is_read(const char *bytes, size_t size, Guard *guard, HeaderAt headers[HEADERS_MAX])
{
    Guard slow = {0};
    HeaderAt slow_headers[HEADERS_MAX];
    bool ok = guard_head(guard, bytes, size, headers), slow_ok = true;
    for (size_t len = 1; len <= size && slow_ok && !slow.head_end; len++)
        slow_ok = guard_head(&slow, bytes, len, slow_headers);
    assert(slow_ok == ok && slow.fault == guard->fault && slow.head_end == guard->head_end);
    return ok && guard->head_end;
}

static void target_is_read(Request *r, const Framing *framing)
{
    Error err = {0};
    r->method = framing->method;
    if (!target_read(r, framing->host, &err))
        return;
    assert(r->path.len > 0);
    Str decoded;
    error_clear(&err);
    if (percent_decode(r->path, false, r->arena, &decoded, &err))
        assert(str_is_utf8(decoded));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const char *bytes = (const char *)data;
    HeaderAt headers[HEADERS_MAX];
    Guard guard = {0};
    if (!head_is_read(bytes, size, &guard, headers))
        return 0;
    Framing framing = {0};
    Error err = {0};
    if (!framing_head(&framing, &guard, bytes, headers, &err)) {
        assert(err.code != ERR_NONE && err.what[0]);
        return 0;
    }
    Request r = {.arena = arena, .target = {bytes + guard.target_at, guard.target_len}};
    target_is_read(&r, &framing);
    framing_limit(&framing, BODY_MAX, false, arena);
    size_t at = guard.head_end, used = 0, step = size % 7 + 1;    // a body in pieces
    while (!framing.is_complete && at < size &&
           framing_body(&framing, (Str){bytes + at, MIN(step, size - at)}, false, &used, &err))
        at += used;
    if (framing.is_complete && err.code == ERR_NONE)
        assert(framing.body.len == framing.body_bytes && framing.body_bytes <= BODY_MAX);
    return 0;
}
