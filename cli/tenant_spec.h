// cli/tenant_spec.h: what a new shop is made of, out of options or out of a file: the same keys in both.
#pragma once
#include "cli/command.h"
#include "provisioner/lifecycle.h"
#include "provisioner/tenant.h"

// The shop that the command line describes: its SLUG and the options of cli/tenant_spec.def, as a JSON object. The
// caller closes *out.
MUST_CHECK bool tenant_spec_given(const CommandCall *call, Json **out, Error *err);

// The shops of a file, as a JSON array of objects: a YAML list, or JSON lines, told apart by the content. What is
// wrong with it is ERR_INVALID with where = FILE:LINE:COLUMN. The caller closes *out.
MUST_CHECK bool tenant_spec_file(Str path, Arena *arena, Json **out, Error *err);

// Reads such an object; texts of *out live as long as `json` and `arena`. Fails with ERR_INVALID (where = the key) for
// a wrong type or an unknown key, naming the nearest, or a plan that isn't there.
MUST_CHECK bool tenant_spec_read(const Json *json, const Plans *plans, Arena *arena, TenantSpec *out, Error *err);
