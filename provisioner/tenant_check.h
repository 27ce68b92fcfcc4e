// provisioner/tenant_check.h: what may stand in a tenant's record: what can be said without asking a database.
#pragma once
#include "base/faults.h"
#include "provisioner/tenant.h"

enum { TENANT_INSTRUCTIONS_MAX = 2000 };    // bytes

// Fails with ERR_INVALID, where = the key, for the first field that is wrong, or with ERR_NOT_IMPLEMENTED for a plan
// whose tier has no driver. `base_domain`: hosts below it follow from slugs.
MUST_CHECK bool tenant_spec_check(const TenantSpec *spec, Str base_domain, Error *err);
// The same, but adds every field that is wrong to `faults`: where = the key.
void tenant_spec_faults(const TenantSpec *spec, Str base_domain, Faults *faults);

// The same for a change; prices of shipping are read when the shop's currency is known.
MUST_CHECK bool tenant_change_check(const TenantChange *change, Str base_domain, Error *err);

// The spec with the defaults in place of empty texts.
TenantSpec tenant_spec_filled(const TenantSpec *spec);
