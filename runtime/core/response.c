// runtime/core/response.c: answers: what handlers say, made into a head and parts.
#include "runtime/core/response.h"

#include "runtime/core/plain_page.h"
#include "runtime/core/server.h"

#define POLICY                                                                                                         \
    "default-src 'none'; img-src 'self' http: https: data:; style-src 'self'; script-src 'self'; form-action 'self'; " \
    "base-uri 'none'; frame-ancestors 'none'"

// On every answer, whatever it is.
#define SECURITY "X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nContent-Security-Policy: "
#define SECURITY_TLS "Strict-Transport-Security: max-age=31536000\r\n"

static const struct {
    int status;
    const char *reason;
} REASONS[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *status_reason(int status)
{
    for (size_t i = 0; i < COUNT(REASONS); i++)
        if (REASONS[i].status == status)
            return REASONS[i].reason;
    return "Status";
}

// ---- what handlers call ----

void response_drop(Response *response)
{
    if (response->hold.release)
        response->hold.release(response->hold.thing);
    response->hold = (Hold){0};
    response->status = 0;
    response->parts = NULL;
    response->part_count = 0;
    response->length = 0;
}

bool respond_parts(Request *r, int status, Str content_type, const Str *parts, size_t count, Hold hold)
{
    Response *response = &r->response;
    response_drop(response);
    response->status = status;
    response->content_type = content_type;
    response->parts = parts;
    response->part_count = count;
    response->hold = hold;
    for (size_t i = 0; i < count; i++)
        response->length += parts[i].len;
    return true;
}

bool respond(Request *r, int status, Str content_type, Str body)
{
    r->response.body = body;
    return respond_parts(r, status, content_type, &r->response.body, 1, (Hold){0});
}

bool respond_empty(Request *r, int status) { return respond_parts(r, status, S(""), NULL, 0, (Hold){0}); }

bool respond_json(Request *r, int status, Str body) { return respond(r, status, S("application/json"), body); }

bool is_own_path(Str location)
{
    if (location.len == 0 || location.data[0] != '/')
        return false;
    if (location.len > 1 && (location.data[1] == '/' || location.data[1] == '\\'))
        return false;
    for (size_t i = 0; i < location.len; i++)
        if (location.data[i] <= 0x20 || location.data[i] > 0x7E || location.data[i] == '\\')
            return false;
    return true;
}

bool respond_redirect(Request *r, int status, Str location)
{
    respond_header(r, S("Location"), is_own_path(location) ? location : S("/"));
    respond_header(r, S("Cache-Control"), S("no-store"));
    return respond_empty(r, status);
}

static bool is_own_header(Str name)
{
    static const Str OWN[] = {S("Content-Length"), S("Content-Type"),      S("Date"),
                              S("Connection"),     S("Transfer-Encoding"), S("X-Request-Id")};
    for (size_t i = 0; i < COUNT(OWN); i++)
        if (str_eq_nocase(name, OWN[i]))
            return true;
    return false;
}

// The value, with blanks for the control bytes that a header can't have.
static Str cleaned(Arena *arena, Str value)
{
    size_t at = find_control(value.data, 0, value.len);
    if (at == value.len)
        return value;
    Str copy = str_copy(arena, value);
    for (; at < copy.len; at = find_control(copy.data, at + 1, copy.len))
        ((char *)copy.data)[at] = ' ';
    return copy;
}

void respond_header(Request *r, Str name, Str value)
{
    assert(is_token(name) && !is_own_header(name) && r->response.header_count < RESPONSE_HEADERS_MAX);
    r->response.headers[r->response.header_count++] = (ResponseHeader){name, cleaned(r->arena, value)};
}

void respond_policy(Request *r, Str policy) { r->response.policy = policy; }

// ---- errors ----

// What is wrong on our side is for the log; a client learns no more than that it is.
static bool is_ours(const Error *err) { return error_http_status(err->code) == 500; }

// "out-of-stock" becomes "Out of stock".
static Str title_of(ErrorCode code, char text[64])
{
    int len = snprintf(text, 64, "%s", error_name(code));
    for (int i = 0; i < len; i++)
        text[i] = text[i] == '-' ? ' ' : text[i];
    text[0] = (char)(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]);
    return (Str){text, (size_t)len};
}

static Str detail_of(Request *r, const Error *err)
{
    if (is_ours(err))
        return str_format(r->arena, "something is wrong here, not with the request; its id is %.*s", STR_ARG(r->id));
    return err->why[0] ? str_format(r->arena, "%s: %s", err->what, err->why) : str_of(err->what);
}

static const char *next_of(const Error *err) { return err->next[0] ? err->next : error_advice(err->code); }

// Ends an object or list whose last entry left a comma behind.
static void list_end(StrBuf *out, const char *end)
{
    if (out->len > 0 && out->data && out->data[out->len - 1] == ',')
        out->len--;
    strbuf_add(out, str_of(end));
}

static void problem_entry(StrBuf *out, Str field, Str detail, Str next, Str members)
{
    strbuf_add_char(out, '{');
    log_field_str(out, "field", field);
    log_field_str(out, "detail", detail);
    if (next.len > 0)
        log_field_str(out, "next", next);
    strbuf_add(out, members);
    list_end(out, "},");
}

static void fault_entry(Request *r, StrBuf *out, const Fault *fault)
{
    Str field = fault->where;
    if (field.len == 0 && fault->line)
        field = str_format(r->arena, "%u:%u", fault->line, fault->column);
    Str detail = fault->why.len > 0 ? fault->why : fault->what;
    problem_entry(out, field, detail, fault->next, fault->members);
}

static Str problem(Request *r, const Error *err, const Faults *faults, int status)
{
    char title[64];
    StrBuf out = {.arena = r->arena};
    Str base = r->thread->settings->base_domain;
    strbuf_add_char(&out, '{');
    log_field_str(&out, "type", str_format(r->arena, "https://%.*s/problems/%s", STR_ARG(base), error_name(err->code)));
    log_field_str(&out, "title", title_of(err->code, title));
    log_field_int(&out, "status", status);
    log_field_str(&out, "detail", detail_of(r, err));
    if (next_of(err)[0] && !is_ours(err))
        log_field_str(&out, "next", str_of(next_of(err)));
    log_field_str(&out, "request_id", r->id);
    strbuf_add(&out, S("\"errors\":["));
    for (const Fault *fault = faults ? faults->first : NULL; fault; fault = fault->next_fault)
        fault_entry(r, &out, fault);
    if ((!faults || !faults->first) && err->where[0] && !is_ours(err))
        problem_entry(&out, str_of(err->where), str_of(err->why[0] ? err->why : err->what), str_of(err->next), S(""));
    list_end(&out, "],");
    list_end(&out, "}");
    return strbuf_str(&out);
}

// Seconds until it is worth another try.
enum { RETRY_LIMITED_S = 1, RETRY_BUSY_S = 5, RETRY_SUSPENDED_S = 600 };

static void retry_after(Request *r, ErrorCode code, int status)
{
    if (status != 429 && status != 503)
        return;
    int64_t seconds = status == 429 ? RETRY_LIMITED_S : code == ERR_SUSPENDED ? RETRY_SUSPENDED_S : RETRY_BUSY_S;
    if (r->retry_after_s > 0)
        seconds = r->retry_after_s;
    respond_header(r, S("Retry-After"), str_int(r->arena, seconds));
}

bool respond_error(Request *r, const Error *err, const Faults *faults)
{
    int status = error_http_status(err->code);
    if (err != &r->err) {
        error_clear(&r->err);
        r->err = *err;    // for the log line
    }
    r->response.header_count = 0;    // what a handler began to say isn't so
    r->response.policy = S("");
    retry_after(r, err->code, status);
    if (err->code == ERR_METHOD) {
        char allow[ROUTE_ALLOW_TEXT];
        respond_header(r, S("Allow"), str_copy(r->arena, route_allow(r->allowed, allow)));
    }
    respond_header(r, S("Cache-Control"), S("no-store"));
    if (str_has_prefix(r->path, S("/api/")))
        return respond(r, status, S("application/problem+json"), problem(r, err, faults, status));
    const ServerHooks *hooks = r->thread->hooks;
    if (r->tenant.tenant && hooks->error_page && hooks->error_page(r, err, faults))
        return true;
    PlainPage page = {.status = status,
                      .reason = str_of(status_reason(status)),
                      .detail = detail_of(r, err),
                      .next = is_ours(err) ? S("") : str_of(next_of(err))};
    respond_policy(r, PLAIN_PAGE_POLICY);
    return respond(r, status, S("text/html; charset=utf-8"), plain_page(&page, r->arena));
}

// ---- the head ----

static char *put_header(char *at, Str name, Str value)
{
    at = put_str(at, name);
    at = put_str(at, S(": "));
    at = put_str(at, value);
    return put_str(at, S("\r\n"));
}

static bool has_no_length(int status) { return status == 204 || status == 304; }

enum { HEAD_FIXED = 768 };    // all that doesn't come from the handler

static size_t head_room(const Request *r)
{
    const Response *response = &r->response;
    size_t room = HEAD_FIXED + response->content_type.len + response->policy.len + r->id.len;
    for (size_t i = 0; i < response->header_count; i++)
        room += response->headers[i].name.len + response->headers[i].value.len + 4;
    return room;
}

Str response_head(Request *r, const Stamp *now, bool closes)
{
    const Response *response = &r->response;
    size_t room = head_room(r);
    char *head = arena_array(r->arena, room, char);
    if (!head)
        return S("");
    char *at = put_str(head, S("HTTP/1.1 "));
    at = put_uint(at, (uint64_t)response->status);
    at = put_str(at, S(" "));
    at = put_str(at, str_of(status_reason(response->status)));
    at = put_str(at, S("\r\nDate: "));
    at = put_str(at, stamp_http_date(now));
    if (response->content_type.len > 0) {
        at = put_str(at, S("\r\nContent-Type: "));
        at = put_str(at, response->content_type);
    }
    if (!has_no_length(response->status)) {
        at = put_str(at, S("\r\nContent-Length: "));
        at = put_uint(at, response->length);
    }
    at = put_str(at, S("\r\n" SECURITY));
    at = put_str(at, response->policy.len > 0 ? response->policy : S(POLICY));
    at = put_str(at, S("\r\nX-Request-Id: "));
    at = put_str(at, r->id);
    at = put_str(at, S("\r\n"));
    if (r->is_secure)
        at = put_str(at, S(SECURITY_TLS));
    if (r->traceparent.len > 0)
        at = put_header(at, S("Traceparent"), r->traceparent);
    for (size_t i = 0; i < response->header_count; i++)
        at = put_header(at, response->headers[i].name, response->headers[i].value);
    if (closes)
        at = put_str(at, S("Connection: close\r\n"));
    else if (r->framing.is_old)
        at = put_str(at, S("Connection: keep-alive\r\n"));
    at = put_str(at, S("\r\n"));
    assert((size_t)(at - head) <= room);
    return (Str){head, (size_t)(at - head)};
}
