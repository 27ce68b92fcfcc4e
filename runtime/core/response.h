// runtime/core/response.h: what a request is answered with; security headers, Date and ids are added by core.
#pragma once
#include "base/error.h"
#include "base/faults.h"
#include "base/str.h"

typedef struct Request Request;

// What must stay while a response is being sent; `release` is called once, on the request's thread. Zero: nothing.
typedef struct Hold {
    void *thing;
    void (*release)(void *thing);
} Hold;

enum { RESPONSE_HEADERS_MAX = 16 };

typedef struct ResponseHeader {
    Str name;
    Str value;
} ResponseHeader;

typedef struct Response {
    int status;    // 0: there is no answer yet
    Str content_type;
    ResponseHeader headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
    const Str *parts;
    size_t part_count;
    Str body;         // the only part of respond()
    Str policy;       // Content-Security-Policy; empty: the usual one
    size_t length;    // of all parts
    Hold hold;
} Response;

// Each returns true, so that a handler can end in `return respond(...)`. Texts must live as long as the request (its
// arena, the request itself, a constant) or be held. The last answer wins. A HEAD request gets the head alone.
bool respond(Request *r, int status, Str content_type, Str body);
// A body of several parts, sent by writev without a copy; `parts` and what they show live until `hold` is released.
bool respond_parts(Request *r, int status, Str content_type, const Str *parts, size_t count, Hold hold);
bool respond_empty(Request *r, int status);    // 204, 304, or a status without content
// "/cart", and nothing that a browser would take for another host.
bool is_own_path(Str location);
// `location` is a path of ours ("/cart"); anything that a browser would take for another host becomes "/".
// It depends on whose request it is: no cache may keep it.
bool respond_redirect(Request *r, int status, Str location);
bool respond_json(Request *r, int status, Str body);    // application/json

// Adds a header (Set-Cookie may come twice); call it before or after respond(). Control bytes in `value` but the tab
// become blanks. Names of core's own headers (Content-Length, Content-Type, Date, Connection) are refused by assert.
// More than RESPONSE_HEADERS_MAX is an assert, too.
void respond_header(Request *r, Str name, Str value);
// Replaces the Content-Security-Policy of this answer by `policy`, a constant.
void respond_policy(Request *r, Str policy);

// Answers from an error: application/problem+json (RFC 9457) under /api/, else through the server's error_page hook.
// `faults` may be NULL; its entries become errors[]. Used by core for failing handlers; a handler that has Faults calls
// it itself. Always returns true.
bool respond_error(Request *r, const Error *err, const Faults *faults);

// ---- for core ----

typedef struct Stamp Stamp;
// The head of r's answer, in its arena; empty when that is spent. `closes`: with Connection: close.
Str response_head(Request *r, const Stamp *now, bool closes);
// Forgets an answer and releases what it holds.
void response_drop(Response *response);
const char *status_reason(int status);
