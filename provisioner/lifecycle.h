// provisioner/lifecycle.h: the states of a tenant and the transitions between them.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum TenantStatus {
    TENANT_REQUESTED,
    TENANT_REJECTED,
    TENANT_APPROVED,
    TENANT_PROVISIONING,
    TENANT_ACTIVE,
    TENANT_SUSPENDED,
    TENANT_ARCHIVED,
    TENANT_DELETED,
    TENANT_STATUS_COUNT
} TenantStatus;

const char *tenant_status_name(TenantStatus status);    // "requested", as the control database has it
// Fails with ERR_INVALID for an unknown name.
MUST_CHECK bool tenant_status_parse(Str name, TenantStatus *out, Error *err);

// True when the table has the transition. Else fails with ERR_FORBIDDEN: what the tenant is, what it would become, and
// what can be done with it now.
MUST_CHECK bool lifecycle_check(Str slug, TenantStatus from, TenantStatus to, Error *err);
