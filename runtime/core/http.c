// runtime/core/http.c: framing: our policy and llhttp must agree, else the request is refused.
#include "runtime/core/http.h"

#include <llhttp.h>

#include "base/arena.h"

static_assert(sizeof(llhttp_t) <= FRAMING_PARSER, "FRAMING_PARSER is too small for this llhttp");

static llhttp_t *parser_of(Framing *framing) { return (llhttp_t *)(void *)framing->parser; }

// ---- what llhttp calls ----

static int headers_complete(llhttp_t *parser)
{
    Framing *framing = parser->data;
    parser->upgrade = 0;    // else `Connection: Upgrade` would stop it
    framing->keeps_alive = llhttp_should_keep_alive(parser);
    return 0;
}

static int message_complete(llhttp_t *parser)
{
    ((Framing *)parser->data)->is_complete = true;
    return HPE_PAUSED;    // stops exactly at the end of the message
}

static int body_part(llhttp_t *parser, const char *data, size_t len)
{
    Framing *framing = parser->data;
    framing->body_bytes += len;
    if (framing->body_bytes > framing->body_max) {
        framing->is_too_large = true;
        return HPE_USER;
    }
    if (framing->is_discarded)
        return 0;
    if (framing->bytes_stay && (uint64_t)framing->content_length == len)
        framing->body = (Str){data, len};
    else
        strbuf_add(&framing->buffer, (Str){data, len});
    return 0;
}

static const llhttp_settings_t CALLBACKS = {
    .on_headers_complete = headers_complete, .on_body = body_part, .on_message_complete = message_complete};

// ---- the policy ----

static bool malformed(Error *err, const char *header, const char *why)
{
    error_set(err, ERR_MALFORMED, "the request can't be read");
    error_where(err, "%s", header);
    return header[0] ? error_why(err, "%s: %s", header, why) : error_why(err, "%s", why);
}

static bool content_length_read(Framing *framing, Str value, Error *err)
{
    if (framing->content_length >= 0)
        return malformed(err, "Content-Length", "it is there twice");
    enum { DIGITS_MAX = 18 };
    if (value.len == 0 || value.len > DIGITS_MAX)
        return malformed(err, "Content-Length", "it isn't a number of 1 to 18 digits");
    framing->content_length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return malformed(err, "Content-Length", "it isn't a number of 1 to 18 digits");
        framing->content_length = framing->content_length * 10 + (value.data[i] - '0');
    }
    return true;
}

static bool transfer_encoding_read(Framing *framing, Str value, Error *err)
{
    if (framing->is_chunked)
        return malformed(err, "Transfer-Encoding", "it is there twice");
    if (!str_eq_nocase(value, S("chunked")))
        return malformed(err, "Transfer-Encoding", "only 'chunked' is known here");
    framing->is_chunked = true;
    return true;
}

static bool header_read(Framing *framing, Str name, Str value, Error *err)
{
    switch (name.len) {    // most headers are told apart by their length
    case sizeof("Host") - 1:
        if (!str_eq_nocase(name, S("Host")))
            return true;
        if (framing->host.data)
            return malformed(err, "Host", "it is there twice");
        framing->host = value;
        return true;
    case sizeof("Expect") - 1:
        if (str_eq_nocase(name, S("Expect")))
            framing->expects_continue = str_eq_nocase(value, S("100-continue"));
        return true;
    case sizeof("Content-Length") - 1:
        return !str_eq_nocase(name, S("Content-Length")) || content_length_read(framing, value, err);
    case sizeof("Transfer-Encoding") - 1:
        return !str_eq_nocase(name, S("Transfer-Encoding")) || transfer_encoding_read(framing, value, err);
    default: return true;
    }
}

static bool headers_agree(const Framing *framing, Error *err)
{
    if (!framing->host.data && !framing->is_old)
        return malformed(err, "Host", "HTTP/1.1 needs it");
    if (framing->is_chunked && framing->content_length >= 0)
        return malformed(err, "Transfer-Encoding", "there is a Content-Length, too");
    if (framing->is_chunked && framing->is_old)
        return malformed(err, "Transfer-Encoding", "HTTP/1.0 doesn't have it");
    return true;
}

static bool method_read(Str name, Method *out, Error *err)
{
    for (Method method = METHOD_GET; method < METHOD_OTHER; method++)
        if (str_eq(name, method_name(method))) {
            *out = method;
            return true;
        }
    *out = METHOD_OTHER;
    if (str_eq(name, S("TRACE")))
        return true;
    error_set(err, ERR_NOT_IMPLEMENTED, "the method '%.*s' isn't there", STR_ARG(str_slice(name, 0, 32)));
    return error_next(err, "use GET, POST, PUT, PATCH or DELETE");
}

// llhttp must see the same message: complete where there is no body, and of the same length where there is one.
static bool llhttp_agrees(Framing *framing, Str head)
{
    llhttp_t *parser = parser_of(framing);
    llhttp_init(parser, HTTP_REQUEST, &CALLBACKS);
    parser->data = framing;
    llhttp_errno_t result = llhttp_execute(parser, head.data, head.len);
    if (framing_has_body(framing))
        return result == HPE_OK && !framing->is_complete &&
               (framing->is_chunked ? (parser->flags & F_CHUNKED) != 0
                                    : parser->content_length == (uint64_t)framing->content_length);
    return result == HPE_PAUSED && framing->is_complete && llhttp_get_error_pos(parser) == head.data + head.len;
}

bool framing_head(Framing *framing, const Guard *guard, const char *base, const HeaderAt *headers, Error *err)
{
    framing->content_length = -1;
    framing->is_old = guard->minor == 0;
    for (size_t i = 0; i < guard->header_count; i++) {
        const HeaderAt *at = &headers[i];
        if (!header_read(framing, (Str){base + at->name_at, at->name_len}, (Str){base + at->value_at, at->value_len},
                         err))
            return false;
    }
    if (!headers_agree(framing, err) ||
        !method_read((Str){base + guard->head_start, guard->method_len}, &framing->method, err))
        return false;
    if (!llhttp_agrees(framing, (Str){base + guard->head_start, guard->head_end - guard->head_start}))
        return malformed(err, "", llhttp_get_error_reason(parser_of(framing)) ?: "it could be read in two ways");
    framing->is_read = true;
    return true;
}

// ---- the body ----

void framing_limit(Framing *framing, size_t body_max, bool is_discarded, Arena *arena)
{
    framing->body_max = body_max;
    framing->is_discarded = is_discarded;
    framing->buffer.arena = arena;
}

static bool too_large(const Framing *framing, Error *err)
{
    error_set(err, ERR_TOO_LARGE, "the body is too large");
    return error_why(err, "more than %zu bytes aren't taken here", framing->body_max);
}

// What isn't the body's own (chunk headers, extensions, trailers) may not outgrow it.
static bool raw_fits(const Framing *framing)
{
    return framing->raw_bytes <= RAW_BODY_EXTRA + RAW_BODY_FACTOR * framing->body_bytes;
}

bool framing_body(Framing *framing, Str bytes, bool bytes_stay, size_t *used, Error *err)
{
    framing->bytes_stay = bytes_stay;
    size_t count = MIN(bytes.len, (size_t)framing->content_length - framing->body_bytes);
    if (framing->is_chunked && !guard_chunks(&framing->chunks, bytes, &count))
        return guard_error(framing->chunks.fault, 0, err);
    llhttp_t *parser = parser_of(framing);
    llhttp_errno_t result = llhttp_execute(parser, bytes.data, count);
    framing->raw_bytes += count;
    if (framing->is_too_large || !raw_fits(framing))
        return too_large(framing, err);
    bool is_end =
        framing->is_chunked ? framing->chunks.is_complete : framing->body_bytes == (size_t)framing->content_length;
    if (is_end != framing->is_complete || result != (is_end ? HPE_PAUSED : HPE_OK) ||
        (is_end && llhttp_get_error_pos(parser) != bytes.data + count))
        return malformed(err, "body", llhttp_get_error_reason(parser) ?: "its end can be read in two ways");
    *used = count;
    if (is_end && !framing->body.data)
        framing->body = strbuf_str(&framing->buffer);
    return framing->is_discarded || arena_ok(framing->buffer.arena, err);
}
