// provisioner/tenant_container.c: finds and restarts containers of shops.
#include "provisioner/tenant_container.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/dedicated.h"
#include "provisioner/host.h"

enum {
    BUDGET = MIB,
    SHOPD_STOP_S = 30,
    POSTGRES_STOP_S = 60,
    READY_MS = 120000,
    PAUSE_MS = 20,
    READY_REQUEST_MS = 2000
};

static bool cell_find(Platform *platform, Slug slug, Arena *arena, TenantRecord *tenant, Dedicated *cell, Error *err)
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
    if (!cell_find(platform, slug, arena, &tenant, &cell, err) || !platform_host(platform, cell.host, &host, err))
        return false;
    *out = (TenantContainer){.engine = host_engine(host),
                             .name = str_eq(role, S("postgres")) ? cell.postgres_name : cell.shopd_name,
                             .cell = tenant.cell,
                             .number = tenant.number};
    return true;
}

static bool shop_wait(Str url, Str slug, int64_t deadline_ms, Error *err)
{
    for (;; clock_sleep_ms(PAUSE_MS)) {
        int status = 0;
        if (http_get_status(url, S("localhost"), READY_REQUEST_MS, &status, err) && status == 200)
            return true;
        if (clock_ms() > deadline_ms) {
            if (err->code == ERR_NONE)
                error_set(err, ERR_UNREACHABLE, "it answers with status %d", status);
            error_wrap(err, "the shop '%.*s' doesn't answer after its restart", STR_ARG(slug));
            return error_next(err, "see shopctl tenant logs %.*s", STR_ARG(slug));
        }
        error_clear(err);
    }
}

bool tenant_restart(Platform *platform, Slug slug, bool has_postgres, int64_t *out_away_ms, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TenantRecord tenant;
    Dedicated cell;
    Host *host = NULL;
    if (!cell_find(platform, slug, arena, &tenant, &cell, err) ||
        !db_run(platform_control(platform), S("select control.lease_check_free($1, false)"), PARAMS(slug.text), err) ||
        !platform_host(platform, cell.host, &host, err))
        return false;
    Engine *engine = host_engine(host);
    Str ready = str_format(arena, "%.*s/readyz", STR_ARG(cell.url));
    int64_t from_ms = clock_ms();
    if (!arena_ok(arena, err) ||
        (has_postgres && !container_restart(engine, cell.postgres_name, POSTGRES_STOP_S, err)) ||
        !container_restart(engine, cell.shopd_name, SHOPD_STOP_S, err) ||
        !shop_wait(ready, slug.text, clock_ms() + READY_MS, err))
        return false;
    *out_away_ms = clock_ms() - from_ms;
    return true;
}
