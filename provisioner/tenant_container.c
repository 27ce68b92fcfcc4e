// provisioner/tenant_container.c: finds and restarts containers of shops.
#include "provisioner/tenant_container.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/dedicated.h"
#include "provisioner/dedicated_ready.h"
#include "provisioner/host.h"

enum { BUDGET = MIB, RESTART_POSTGRES_S = 60 };

bool tenant_cell_find(Platform *platform, Slug slug, Arena *arena, TenantRecord *tenant, Dedicated *cell, Error *err)
{
    if (!platform_tenant(platform, slug, arena, tenant, err) ||
        !dedicated_find(platform, tenant->cell, arena, cell, err))
        return false;
    if (cell->host.len)
        return true;
    error_set(err, ERR_STATE, "the shop '%.*s' has no containers of its own", STR_ARG(slug.text));
    if (tenant->cell.len == 0)
        return error_why(err, "it is %.*s", STR_ARG(tenant->status));
    error_why(err, "it shares the cell '%.*s' with others", STR_ARG(tenant->cell));
    return error_next(err, "see shopctl cell show %.*s, and the logs of that cell's shopd", STR_ARG(tenant->cell));
}

bool tenant_container_find(Platform *platform, Slug slug, Str role, Arena *arena, TenantContainer *out, Error *err)
{
    TenantRecord tenant;
    Dedicated cell;
    Host *host = NULL;
    if (!tenant_cell_find(platform, slug, arena, &tenant, &cell, err) ||
        !platform_host(platform, cell.host, &host, err))
        return false;
    *out = (TenantContainer){.engine = host_engine(host),
                             .name = str_eq(role, S("postgres")) ? cell.postgres_name : cell.shopd_name,
                             .cell = tenant.cell,
                             .number = tenant.number};
    return true;
}

bool tenant_restart(Platform *platform, Slug slug, bool has_postgres, int64_t *out_away_ms, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TenantRecord tenant;
    Dedicated cell;
    Host *host = NULL;
    if (!tenant_cell_find(platform, slug, arena, &tenant, &cell, err) ||
        !db_run(platform_control(platform), S("select control.lease_check_free($1, false)"), PARAMS(slug.text), err) ||
        !platform_host(platform, cell.host, &host, err))
        return false;
    Engine *engine = host_engine(host);
    int64_t from_ms = clock_ms();
    if ((has_postgres && !container_restart(engine, cell.postgres_name, RESTART_POSTGRES_S, err)) ||
        !container_restart(engine, cell.shopd_name, SHOPD_STOP_S, err) ||
        !dedicated_ready_wait(platform, NULL, cell.url, slug.text, err))
        return false;
    *out_away_ms = clock_ms() - from_ms;
    return true;
}
