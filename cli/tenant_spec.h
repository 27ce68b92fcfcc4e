// cli/tenant_spec.h: what a new shop is made of, out of options or of an object: the same keys in both.
#pragma once
#include "cli/command.h"
#include "provisioner/lifecycle.h"
#include "provisioner/tenant.h"

// The shop that the command line describes: its SLUG and the options of cli/tenant_spec.def, as a JSON object. The
// caller closes *out.
MUST_CHECK bool tenant_spec_given(const CommandCall *call, Json **out, Error *err);

// All KEY=VALUE of an option as a JSON object of texts, in their order; the caller closes *out. Fails with ERR_USAGE
// where a key comes twice.
MUST_CHECK bool tenant_spec_pairs(const CommandCall *call, const char *option, Json **out, Error *err);

// Reads such an object; texts of *out live as long as `json` and `arena`. Fails with ERR_INVALID (where = the key) for
// a wrong type, an unknown key, naming the nearest, or a plan that is missing; ERR_NOT_FOUND for one that isn't there.
MUST_CHECK bool tenant_spec_read(const Json *json, const Plans *plans, Arena *arena, TenantSpec *out, Error *err);

// Its two parts: one member of the object (of a key, '_' and '-' are the same), and what must be there at the end.
MUST_CHECK bool tenant_spec_member(Str key, const Json *value, const Plans *plans, Arena *arena, TenantSpec *spec,
                                   Error *err);
MUST_CHECK bool tenant_spec_complete(const TenantSpec *spec, Error *err);
