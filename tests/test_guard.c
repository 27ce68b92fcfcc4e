// tests/test_guard.c: what a head and a chunked body may be, whole and byte by byte.
#include "runtime/core/guard.h"
#include "tests/support/more_check.h"

static const struct {
    Str head;
    GuardFault fault;
} HEADS[] = {
    {S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_FINE},
    {S("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_FINE},
    {S("GET /a?b=c HTTP/1.0\r\n\r\n"), GUARD_FINE},
    {S("GET / HTTP/1.1\r\nHost:\ta\t \r\nX-Empty:\r\nX-Text: caf\xc3\xa9 \x80\xff\tx\r\n\r\n"), GUARD_FINE},
    {S("GET / HTTP/1.1\nHost: a\r\n\r\n"), GUARD_BARE_LF},
    {S("GET / HTTP/1.1\r\nHost: a\n\r\n"), GUARD_BARE_LF},
    {S("GET / HTTP/1.1\r\nHost: a\r\n\n"), GUARD_BARE_LF},
    {S("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_BARE_LF},
    {S("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / HTTP/1.1\r\nX:\rTransfer-Encoding: chunked\r\n\r\n"), GUARD_BARE_CR},
    {S("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n"), GUARD_BARE_CR},
    {S("GET / HTTP/1.1\r\nX\r: a\r\n\r\n"), GUARD_BARE_CR},
    {S("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), GUARD_BARE_CR},
    {S("GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_BARE_CR},
    {S("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"), GUARD_FOLD},
    {S("GET / HTTP/1.1\r\n\tX: a\r\n\r\n"), GUARD_FOLD},
    {S("GET / HTTP/1.1\r\n X: a\r\n\r\n"), GUARD_FOLD},
    {S("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"), GUARD_CONTROL},
    {S("GET / HTTP/1.1\r\nX: a\x01\r\n\r\n"), GUARD_CONTROL},
    {S("GET / HTTP/1.1\r\nX: 12345678\x7f\r\n\r\n"), GUARD_CONTROL},
    {S("GET / HTTP/1.1\r\nX\0: a\r\n\r\n"), GUARD_CONTROL},
    {S("GET /\0 HTTP/1.1\r\n\r\n"), GUARD_CONTROL},
    {S("GET / HTTP/1.1\r\nX : a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\nX\t: a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\n: a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\nX Y: a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\nX(Y): a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\nX\xc3\xa9: a\r\n\r\n"), GUARD_NAME},
    {S("GET / HTTP/1.1\r\nHost\r\n\r\n"), GUARD_COLON},
    {S("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET /\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / http/1.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / HTTP/1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / HTTP/11.1\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET / HTTP/1.1x\r\nHost: a\r\n\r\n"), GUARD_REQUEST_LINE},
    {S("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_CONTROL},
    {S("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_METHOD},
    {S("GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_TARGET},
    {S("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), GUARD_TARGET},
    {S("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), GUARD_VERSION},
    {S("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), GUARD_VERSION},
    {S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), GUARD_VERSION},
};

static GuardFault fault_of_head(Str head, size_t step, Guard *guard, HeaderAt headers[HEADERS_MAX])
{
    *guard = (Guard){0};
    for (size_t len = MIN(step, head.len); !guard->head_end; len = MIN(len + step, head.len)) {
        // As on a connection: the bytes may lie elsewhere each time.
        char *moved = malloc(len + 1);
        memcpy(moved, head.data, len);
        bool ok = guard_head(guard, moved, len, headers);
        free(moved);
        if (!ok || len == head.len)
            break;
    }
    return guard->fault;
}

TEST(a_head_is_let_through_or_refused_for_its_first_fault)
{
    HeaderAt headers[HEADERS_MAX];
    Guard guard;
    Str head = HEADS[_i].head;
    for (size_t step = 1; step <= head.len; step++) {
        GuardFault fault = fault_of_head(head, step, &guard, headers);
        ck_assert_msg(fault == HEADS[_i].fault, "'%.*s' in steps of %zu: fault %d, not %d", STR_ARG(head), step,
                      (int)fault, (int)HEADS[_i].fault);
        ck_assert_int_eq(guard.head_end != 0, fault == GUARD_FINE);
    }
}

TEST(a_head_split_in_two_anywhere_is_read_the_same)
{
    Str head = HEADS[_i].head;
    for (size_t at = 0; at <= head.len; at++) {
        Guard guard = {0};
        HeaderAt headers[HEADERS_MAX];
        if (guard_head(&guard, head.data, at, headers) && !guard.head_end)
            (void)guard_head(&guard, head.data, head.len, headers);
        ck_assert_msg(guard.fault == HEADS[_i].fault, "'%.*s' split at %zu", STR_ARG(head), at);
    }
}

TEST(names_and_values_are_found_without_their_blanks)
{
    Str head = S("POST /x HTTP/1.1\r\nHost: \t a.b \t\r\nEmpty:\r\nX:y z\r\n\r\nbody");
    Guard guard = {0};
    HeaderAt headers[HEADERS_MAX];
    ck_assert(guard_head(&guard, head.data, head.len, headers));
    ck_assert_uint_eq(guard.head_end, head.len - 4);
    ck_assert_uint_eq(guard.header_count, 3);
    ck_assert_str(str_slice(head, 0, guard.method_len), S("POST"));
    ck_assert_str(str_slice(head, guard.target_at, guard.target_at + guard.target_len), S("/x"));
    const Str expected[][2] = {{S("Host"), S("a.b")}, {S("Empty"), S("")}, {S("X"), S("y z")}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        ck_assert_str(str_slice(head, headers[i].name_at, headers[i].name_at + headers[i].name_len), expected[i][0]);
        ck_assert_str(str_slice(head, headers[i].value_at, headers[i].value_at + headers[i].value_len), expected[i][1]);
    }
}

TEST(a_head_over_its_size_or_count_is_refused_as_too_large)
{
    static char head[HEAD_MAX + 64] = "GET / HTTP/1.1\r\nX: ";
    HeaderAt headers[HEADERS_MAX];
    size_t start = strlen(head);
    memset(head + start, 'a', sizeof(head) - start);
    Guard guard = {0};
    ck_assert(guard_head(&guard, head, HEAD_MAX - 1, headers));
    ck_assert(!guard_head(&guard, head, HEAD_MAX, headers));
    ck_assert_int_eq(guard.fault, GUARD_TOO_LARGE);

    memcpy(head + HEAD_MAX - 4, "\r\n\r\n", 4);    // of exactly the size
    guard = (Guard){0};
    ck_assert(guard_head(&guard, head, sizeof(head), headers));
    ck_assert_uint_eq(guard.head_end, HEAD_MAX);

    size_t len = start - 3;
    for (int i = 0; i <= HEADERS_MAX; i++)
        len += (size_t)snprintf(head + len, sizeof(head) - len, "X: a\r\n");
    guard = (Guard){0};
    ck_assert(!guard_head(&guard, head, len, headers));
    ck_assert_int_eq(guard.fault, GUARD_TOO_MANY);
}

static const struct {
    Str body;
    GuardFault fault;
    size_t used;    // of a fine one
} CHUNKS[] = {
    {S("0\r\n\r\nGET"), GUARD_FINE, 5},
    {S("3\r\nabc\r\n0\r\n\r\n"), GUARD_FINE, 13},
    {S("A;x=\"y z\"\r\n0123456789\r\n00\r\nTrailer: x\r\n\r\n"), GUARD_FINE, 41},
    {S("1 \r\na\r\n0\r\n\r\n"), GUARD_CHUNK_SIZE, 0},
    {S(" 1\r\na\r\n0\r\n\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("0x1\r\na\r\n0\r\n\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("-1\r\na\r\n0\r\n\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("+1\r\na\r\n0\r\n\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("g\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("\r\n"), GUARD_CHUNK_SIZE, 0},
    {S(";x\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("1_0\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("ffffffffffffffff1\r\n"), GUARD_CHUNK_SIZE, 0},
    {S("1\na\r\n0\r\n\r\n"), GUARD_BARE_LF, 0},
    {S("1;x\na\r\n0\r\n\r\n"), GUARD_BARE_LF, 0},
    {S("1\rXa\r\n0\r\n\r\n"), GUARD_BARE_CR, 0},
    {S("1;a\rb\r\na\r\n0\r\n\r\n"), GUARD_BARE_CR, 0},
    {S("1;\0\r\na\r\n0\r\n\r\n"), GUARD_CONTROL, 0},
    {S("1\r\nab\r\n0\r\n\r\n"), GUARD_CHUNK_END, 0},
    {S("1\r\na\n0\r\n\r\n"), GUARD_CHUNK_END, 0},
    {S("1\r\na\rX"), GUARD_CHUNK_END, 0},
    {S("0\r\n\n"), GUARD_BARE_LF, 0},
    {S("0\r\n\rX"), GUARD_BARE_CR, 0},
    {S("0\r\nX: a\n\r\n"), GUARD_BARE_LF, 0},
    {S("0\r\nX: a\r\n b\r\n\r\n"), GUARD_FOLD, 0},
    {S("0\r\nX : a\r\n\r\n"), GUARD_NAME, 0},
    {S("0\r\nX\r\n\r\n"), GUARD_NAME, 0},
    {S("0\r\nX: a\r\ncontent-LENGTH: 0\r\n\r\n"), GUARD_TRAILER, 0},
    {S("0\r\nTransfer-Encoding: chunked\r\n\r\n"), GUARD_TRAILER, 0},
    {S("0\r\nHost: a\r\n\r\n"), GUARD_TRAILER, 0},
    {S("0\r\nHost-Not: a\r\nX-Content-Length: 1\r\nTransfer-Encodings: a\r\n\r\n"), GUARD_FINE, 62},
};

TEST(a_chunked_body_is_let_through_or_refused_for_its_first_fault)
{
    Str body = CHUNKS[_i].body;
    for (size_t step = 1; step <= body.len; step++) {
        ChunkGuard guard = {0};
        size_t at = 0, used = 1;
        while (at < body.len && used > 0 && guard_chunks(&guard, str_slice(body, at, at + step), &used))
            at += used;
        ck_assert_msg(guard.fault == CHUNKS[_i].fault, "'%.*s' in steps of %zu: fault %d", STR_ARG(body), step,
                      (int)guard.fault);
        ck_assert_int_eq(guard.is_complete, guard.fault == GUARD_FINE);
        if (guard.is_complete)
            ck_assert_uint_eq(at, CHUNKS[_i].used);
    }
}

TEST(each_fault_says_what_and_why)
{
    for (GuardFault fault = GUARD_FINE + 1; fault < GUARD_COUNT; fault++) {
        Error err = {0};
        ck_assert(!guard_error(fault, 3, &err));
        ck_assert(error_http_status(err.code) >= 400 && err.why[0]);
        ck_assert_str(str_of(err.where), S("line 3 of the head"));
    }
}

SUITE(guard, EACH(a_head_is_let_through_or_refused_for_its_first_fault, HEADS),
      EACH(a_head_split_in_two_anywhere_is_read_the_same, HEADS), ONCE(names_and_values_are_found_without_their_blanks),
      ONCE(a_head_over_its_size_or_count_is_refused_as_too_large),
      EACH(a_chunked_body_is_let_through_or_refused_for_its_first_fault, CHUNKS), ONCE(each_fault_says_what_and_why))
