// runtime/core/request.h: one HTTP request, from its head to the last byte of its answer.
#pragma once
#include "base/arena.h"
#include "base/faults.h"
#include "base/json.h"
#include "runtime/core/http.h"
#include "runtime/core/peer.h"
#include "runtime/core/query.h"
#include "runtime/core/response.h"
#include "runtime/core/route.h"

typedef struct Tenant Tenant;            // runtime/core/tenants.h
typedef struct Thread Thread;            // runtime/core/server.h
typedef struct Connection Connection;    // runtime/core/connection.h

enum { REQUEST_ID_LEN = 16, TRACEPARENT_LEN = 55, REQUEST_PARAMETERS_MAX = 64 };

// What core knows of a tenant, from the find_tenant hook; held until the request ends.
typedef struct TenantRef {
    const Tenant *tenant;    // NULL: the request is for no tenant (/healthz)
    int64_t number;
    Str slug;
    ErrorCode refusal;              // ERR_NONE, or why the shop doesn't answer: ERR_SUSPENDED
    int64_t requests_per_second;    // 0: no limit
    int64_t requests_burst;         // 0: as many as requests_per_second
} TenantRef;

// All of it lives until the answer is sent (or, without a client, until the wait is over) and then starts again from
// zero. Strs are views into the connection's buffer or the arena.
struct Request {
    Arena *arena;    // for this request alone
    Thread *thread;
    Connection *connection;    // NULL once the client is gone: work goes on, nobody gets the answer
    Method method;             // METHOD_HEAD finds GET's route
    Str target;                // as it came
    Str path;                  // raw, up to '?'
    Str query;                 // raw, after '?'; data is NULL where there is none
    Str host;                  // small letters, without port and trailing dot
    Str authority;             // as it came, with port, for links
    Address peer;              // of the connection
    bool is_secure;            // the client speaks TLS to us or to a trusted proxy
    Str head;                  // the raw head
    const HeaderAt *headers;
    size_t header_count;
    Str body;    // whole and decoded
    const Route *route;
    Str parameters[ROUTE_PARAMETERS_MAX];    // of the path, decoded, in the pattern's order
    size_t parameter_count;
    TenantRef tenant;
    Str id;             // of the X-Request-Id header
    Str traceparent;    // for calls further on, with a parent id of our own; empty where none came
    Str trace_id;       // of it
    int64_t start_us;
    Response response;
    unsigned waits;    // calls of request_wait that request_resume hasn't ended
    Json *json;        // of request_json, closed with the request

    // core's own
    Framing framing;
    char id_text[REQUEST_ID_LEN];
    char trace_text[TRACEPARENT_LEN];
    int64_t retry_after_s;    // for 429 and 503; 0: the usual one
    unsigned allowed;         // methods of the path, for 405
    bool is_refused;          // err is set before the body has been read
    Hold input;               // what its views look into, once its connection is gone
    Arena *home;              // where this struct lives
    Request *next_free;

    // The last members: of their errors only the codes start from zero.
    RequestQuery database;
    Error err;
};

// ---- reading ----

// A header's value without outer blanks; data is NULL where it is absent. The first one, should there be several.
Str request_header(const Request *r, Str name);
// The client's address as text in the arena, through trusted proxies.
Str request_client(Request *r);
// A cookie's value (RFC 6265, quotes taken off); data is NULL where it is absent. The first one wins.
Str request_cookie(const Request *r, Str name);
// A parameter of the path by its name in the pattern; asserts that the pattern has it.
Str request_segment(const Request *r, const char *name);

// A parameter of the query string, decoded ('+' is a blank), in the arena; *out.data is NULL where it is absent; the
// first one wins. Fails with ERR_INVALID (where: its name) for a broken escape, NUL, or what isn't UTF-8.
MUST_CHECK bool request_parameter(Request *r, Str name, Str *out, Error *err);
// The same as a whole number; `absent` when it is missing or empty. Fails with ERR_INVALID and the bounds.
MUST_CHECK bool request_parameter_int(Request *r, Str name, int64_t min, int64_t max, int64_t absent, int64_t *out,
                                      Error *err);

// For a route that doesn't count for the requests of the tenant's plan: whether there is room for one more (if not,
// fails with ERR_RATE_LIMIT), and to count one all the same.
MUST_CHECK bool request_has_rate(Request *r, Error *err);
void request_spend_rate(Request *r);

// Fields of application/x-www-form-urlencoded, in the order in which they came.
typedef struct FormField {
    Str name;
    Str value;
} FormField;
typedef struct Form {
    const FormField *fields;
    size_t count;
} Form;
// Reads the body (core has checked its type and size). Fails with ERR_MALFORMED for a broken escape, NUL, what isn't
// UTF-8, or more than REQUEST_PARAMETERS_MAX fields.
MUST_CHECK bool request_form(Request *r, Form *out, Error *err);
Str form_value(const Form *form, Str name);    // the first one's; data is NULL where it is absent

// Reads the body as JSON; an object is wanted. *out is the request's. Fails with ERR_MALFORMED (where: LINE:COLUMN).
MUST_CHECK bool request_json(Request *r, const Json **out, Error *err);

// ---- waiting ----

// Says that the answer comes later; the handler then returns true. The connection reads no further request meanwhile.
void request_wait(Request *r);
// Ends one wait, on the request's own thread: `is_ok` is what the function that went on has returned; false: core
// answers from r->err. When that function called request_wait again, the wait goes on. `r` may be gone afterwards.
void request_resume(Request *r, bool is_ok);
// True when the client has gone during the wait: what has not been started need not be.
static inline bool request_is_abandoned(const Request *r) { return !r->connection; }

// ---- for core and tests ----

// Percent-decodes into the arena (or gives a view where nothing is encoded). `plus_is_blank`: as forms have it. Fails
// with ERR_MALFORMED for a broken escape, NUL or what isn't UTF-8.
MUST_CHECK bool percent_decode(Str text, bool plus_is_blank, Arena *arena, Str *out, Error *err);
MUST_CHECK bool form_parse(Str text, Arena *arena, Form *out, Error *err);
Str cookie_find(Str header, Str name);
