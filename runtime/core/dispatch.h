// runtime/core/dispatch.h: from a request's head to its handler, and from its end to the log: what isn't bytes.
#pragma once
#include "runtime/core/server.h"

// Gives a request its id and its start.
void dispatch_begin(Request *r);

// Reads the head (r->head, headers, target and peer are set): framing, target, ids, tenant, rate, route, the body's
// type and announced size. False: r->err says why; r->framing.is_complete and friends tell whether the body can be read
// on.
bool dispatch_head(Request *r, const Guard *guard);

// Runs the handler once the body is complete, or answers from r->err when the request was refused. Afterwards there is
// an answer or the request waits.
void dispatch_run(Request *r);
// The answer after a handler, or what went on after a wait, has returned `is_ok`.
void dispatch_answer(Request *r, bool is_ok);

// Counts and logs the request and gives back all that it holds but its memory. `bytes` is what was sent; a client that
// went is logged as status 499.
void dispatch_end(Request *r, size_t bytes, bool is_gone);

extern const RouteSet ROUTES_CORE;    // /healthz, /readyz, /metrics
