// provisioner/tenant_container.h: what is done with the containers of a shop that has some of its own, without an
// operation.
#pragma once
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/platform.h"

// A shop and its cell of its own; texts in `arena`. Fails with ERR_NOT_FOUND, or with ERR_STATE for a shop that shares
// its cell, or has none.
MUST_CHECK bool tenant_cell_find(Platform *platform, Slug slug, Arena *arena, TenantRecord *tenant, Dedicated *cell,
                                 Error *err);

// A shop's container: of its PostgreSQL or of its shopd.
typedef struct TenantContainer {
    Engine *engine;    // the platform's
    Str name;          // texts in the arena of tenant_container_find
    Str cell;
    int64_t number;    // of the tenant
} TenantContainer;

// `role` is "postgres" or "shopd". Fails as tenant_cell_find.
MUST_CHECK bool tenant_container_find(Platform *platform, Slug slug, Str role, Arena *arena, TenantContainer *out,
                                      Error *err);

// Restarts its shopd, or with `has_postgres` its PostgreSQL first, and waits until the shop answers again. *out_away_ms
// is how long it didn't. Fails also with ERR_BUSY while an operation has the shop.
MUST_CHECK bool tenant_restart(Platform *platform, Slug slug, bool has_postgres, int64_t *out_away_ms, Error *err);
