// runtime/core/target.h: what a request is for: the target's forms and the host's name.
#pragma once
#include "runtime/core/request.h"

enum { HOST_MAX = 255 };

// Splits r->target (RFC 9112 section 3.2) into path and query, and sets authority and host from the Host header. An
// absolute target must name the same host. Fails with ERR_MALFORMED, naming what can't be read.
MUST_CHECK bool target_read(Request *r, Str host_header, Error *err);

// A host's name as tenants have it: small letters, without port and one trailing dot; a view where it is that already,
// else in `arena`. Fails with ERR_MALFORMED for bytes that no host has, a wrong port, and more than HOST_MAX bytes.
MUST_CHECK bool host_normal(Str authority, Arena *arena, Str *out, Error *err);
