// provisioner/order.c: a shop's orders, by the functions in its schema.
#include "provisioner/order.h"

#include "base/arena.h"
#include "provisioner/tenant_path.h"

enum { ARENA_BUDGET = MIB };

// One call of a function of the tenant's, in a transaction of its own; *out is NULL where it gives null.
static bool tenant_call(Platform *platform, Slug slug, Str sql, Str parameter, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    TenantRecord tenant = {0};
    Db *db = NULL;
    if (!platform_tenant(platform, slug, arena, &tenant, err))
        return false;
    if (!tenant.schema.len) {
        error_set(err, ERR_STATE, "the shop '%.*s' has no orders", STR_ARG(slug.text));
        return error_why(err, "it is %.*s", STR_ARG(tenant.status));
    }
    if (!platform_cell(platform, tenant.cell, &db, err) || !db_begin(db, err))
        return false;
    bool ok = tenant_path_set(db, tenant.number, err) &&
              tenant_query(db, tenant.number, sql, PARAMS(parameter), &rows, err) &&
              (rows_is_null(rows, 0, 0) || json_parse(rows_str(rows, 0, 0), out, err));
    db_rollback(db);
    return ok;
}

bool order_list(Platform *platform, Slug slug, int64_t limit, Json **out, Error *err)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)limit);
    return tenant_call(platform, slug, S("select :order_list($1)"), str_of(text), out, err);
}

bool order_show(Platform *platform, Slug slug, int64_t number, Json **out, Error *err)
{
    char text[24];
    Json *order = NULL;
    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    if (!tenant_call(platform, slug, S("select :order_find($1)"), str_of(text), &order, err))
        return false;
    if (!order) {
        error_set(err, ERR_NOT_FOUND, "the shop '%.*s' has no order %lld", STR_ARG(slug.text), (long long)number);
        return error_next(err, "see `shopctl order list %.*s`", STR_ARG(slug.text));
    }
    *out = order;
    return true;
}
