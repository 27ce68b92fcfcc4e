// provisioner/slug.h: a tenant's short name, checked once and trusted from then on.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { SLUG_MIN = 3, SLUG_MAX = 40 };    // a label of DNS has up to 63
typedef struct Slug {
    Str text;
} Slug;    // made by slug_parse alone: whoever gets one need not check it

// Reads small letters, digits and inner hyphens. *out is a view into `text` and lives as long.
// Fails with ERR_INVALID, naming the first wrong character.
MUST_CHECK bool slug_parse(Str text, Slug *out, Error *err);

// The name of a tenant's schema and role, made in `arena`: 1017 becomes t_1017. It follows from the number, so it stays
// when the slug changes.
Str tenant_schema(int64_t number, Arena *arena);

// Reads a host name: labels of letters, digits and inner hyphens, up to 63 bytes each and 253 in all, no port. *out is
// in small letters, in `arena`. Fails with ERR_INVALID, naming what is wrong.
MUST_CHECK bool host_parse(Str text, Arena *arena, Str *out, Error *err);
