// provisioner/delete_driver.c: how a shop goes, but for a dump, and how it comes back from that.
#include "provisioner/container_driver.h"
#include "provisioner/container_steps.h"
#include "provisioner/move_driver.h"
#include "provisioner/schema_driver.h"

#include "base/arena.h"
#include "provisioner/dump.h"
#include "provisioner/tenant_steps.h"

// ---- dump

// Follows from the tenant and the operation, so that whoever goes on finds it.
static bool dump_path(const Operation *op, Str *out, Error *err)
{
    *out = json_str(json_get(op->input, "dump"));
    return out->len > 0 || error_set(err, ERR_STATE, "operation %lld names no dump", (long long)op->id);
}

static bool is_recorded(Operation *op, Str path, bool *out, Error *err)
{
    return control_is(op, S("select exists (select from control.dumps where path = $1)"), PARAMS(path), out, err);
}

static bool dump_probe(Operation *op, bool *out_done, Error *err)
{
    Str path;
    return dump_path(op, &path, err) && is_recorded(op, path, out_done, err) &&
           (*out_done = *out_done && dump_is_there(path), true);
}

static bool dump_apply(Operation *op, Error *err)
{
    Str path;
    int64_t size_bytes = 0;
    return dump_path(op, &path, err) && dump_write(op, path, &size_bytes, err) &&
           control_call(op, S("select control.dump_record($1::bigint, $2::bigint, $3, $4::bigint, $5::bigint)"),
                        PARAMS(OPERATION(op), path, STEP_NUMBER(size_bytes), STEP_NUMBER(op->context->retention_s)),
                        err);
}

static bool dump_revert(Operation *op, Error *err)
{
    Str path;
    return dump_path(op, &path, err) && dump_remove(path, err) &&
           control_call(op, S("delete from control.dumps where path = $1"), PARAMS(path), err);
}

// ---- unregister

static bool unregister_probe(Operation *op, bool *out_done, Error *err)
{
    bool is_there = false;
    if (!tenant_is_in_cell(op, &is_there, err))
        return false;
    *out_done = !is_there;
    return !is_there || cell_is(op, S("select not exists (select from cell.domains where tenant = $1::bigint)"),
                                PARAMS(STEP_NUMBER(op->number)), out_done, err);
}

static bool unregister_apply(Operation *op, Error *err)
{
    return cell_call(op, S("select cell.tenant_unregister($1::bigint, $2::bigint, $3::bigint)"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err);
}

// ---- drop and forget: from here it only goes forward; `tenant restore` is the way back

static bool forget_probe(Operation *op, bool *out_done, Error *err)
{
    if (!tenant_context_read(op, err))
        return false;
    *out_done = str_eq(op->context->status, S("deleted"));
    return true;
}

static bool forget_apply(Operation *op, Error *err)
{
    return control_call(op, S("select control.tenant_forget($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}

static const Step DELETE_STEPS[] = {
    {.name = "dump", .probe = dump_probe, .apply = dump_apply, .revert = dump_revert},
    {.name = "unregister", .probe = unregister_probe, .apply = unregister_apply, .revert = register_apply},
    {.name = "drop", .probe = drop_probe, .apply = drop_apply},
    {.name = "forget", .probe = forget_probe, .apply = forget_apply},
};

const Driver SCHEMA_DELETE = {
    .kind = "delete", .steps = DELETE_STEPS, .count = COUNT(DELETE_STEPS), .begin = tenant_context};

// A cell of one's own goes as a whole; once its PostgreSQL is gone there is nobody to ask.
static bool dedicated_unregister_probe(Operation *op, bool *out_done, Error *err)
{
    return is_removed(op, out_done, err) && (*out_done || unregister_probe(op, out_done, err));
}

// The gateway leads to the cell that is gone until it is told.
static bool dedicated_forget_apply(Operation *op, Error *err) { return forget_apply(op, err) && route_apply(op, err); }

static const Step CONTAINER_DELETE_STEPS[] = {
    {.name = "dump", .probe = dump_probe, .apply = dump_apply, .revert = dump_revert},
    {.name = "unregister", .probe = dedicated_unregister_probe, .apply = unregister_apply, .revert = register_apply},
    {.name = "leave", .probe = own_leave_probe, .apply = own_leave_apply},
    {.name = "remove", .probe = remove_probe, .apply = remove_apply},
    {.name = "forget", .probe = forget_probe, .apply = dedicated_forget_apply},
};

const Driver CONTAINER_DELETE = {.kind = "delete-dedicated",
                                 .steps = CONTAINER_DELETE_STEPS,
                                 .count = COUNT(CONTAINER_DELETE_STEPS),
                                 .begin = tenant_context,
                                 .prepare = own_cells_start};

// ---- restore

// Loading again would take back what shoppers did since, so a tenant that is served counts as loaded.
static bool load_probe(Operation *op, bool *out_done, Error *err)
{
    return cell_is(op, S("select cell.tenant_state($1::bigint) <> 'reserved'"), PARAMS(STEP_NUMBER(op->number)),
                   out_done, err);
}

static bool load_apply(Operation *op, Error *err)
{
    Str path;
    return dump_path(op, &path, err) && dump_load(op, path, err);
}

static bool hosts_apply(Operation *op, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(op->platform), S("select control.tenant_domains_restore($1::bigint, $2::bigint)"),
                  PARAMS(OPERATION(op)), &rows, err))
        return false;
    if (!rows_is_null(rows, 0, 0))
        platform_warn(op->platform, "of another shop by now, and so not of '%.*s' again: %.*s", STR_ARG(op->slug),
                      STR_ARG(rows_str(rows, 0, 0)));
    return tenant_context_read(op, err) && register_apply(op, err);
}

static bool hosts_revert(Operation *op, Error *err)
{
    return register_revert(op, err) &&
           control_call(op, S("select control.tenant_domains_release($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)),
                        err);
}

static const Step RESTORE_STEPS[] = {
    {.name = "reserve", .probe = reserve_probe, .apply = reserve_apply, .revert = reserve_revert},
    {.name = "spare", .probe = spare_probe, .apply = spare_apply, .revert = spare_revert},
    {.name = "load", .probe = load_probe, .apply = load_apply, .revert = nothing_revert},
    {.name = "register", .probe = register_probe, .apply = hosts_apply, .revert = hosts_revert},
    {.name = "smoke", .probe = smoke_probe, .apply = smoke_apply, .revert = nothing_revert},
    {.name = "activate", .probe = activate_probe, .apply = activate_apply, .revert = activate_revert},
};

const Driver SCHEMA_RESTORE = {
    .kind = "restore", .steps = RESTORE_STEPS, .count = COUNT(RESTORE_STEPS), .begin = tenant_context};

static bool dedicated_hosts_revert(Operation *op, Error *err)
{
    return control_call(op, S("select control.tenant_domains_release($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)),
                        err);
}

static const Step CONTAINER_RESTORE_STEPS[] = {
    {.name = "reserve", .probe = reserve_probe, .apply = reserve_apply, .revert = reserve_revert},
#include "provisioner/dedicated_steps.def"
    {.name = "load", .probe = load_probe, .apply = load_apply, .revert = nothing_revert},
    {.name = "register", .probe = register_probe, .apply = hosts_apply, .revert = dedicated_hosts_revert},
    {.name = "healthy", .probe = healthy_probe, .apply = healthy_apply, .revert = nothing_revert},
    {.name = "route", .probe = route_probe, .apply = route_apply, .revert = nothing_revert},
    {.name = "smoke", .probe = smoke_probe, .apply = smoke_apply, .revert = nothing_revert},
    {.name = "activate", .probe = activate_probe, .apply = activate_apply, .revert = deactivate_revert},
};

const Driver CONTAINER_RESTORE = {.kind = "restore-dedicated",
                                  .steps = CONTAINER_RESTORE_STEPS,
                                  .count = COUNT(CONTAINER_RESTORE_STEPS),
                                  .begin = tenant_context};

// ---- every kind that there is

const Driver *const DRIVERS[] = {&SCHEMA_CREATE,
                                 &TENANT_SET,
                                 &TENANT_SUSPEND,
                                 &TENANT_RESUME,
                                 &TENANT_ARCHIVE,
                                 &SCHEMA_DELETE,
                                 &SCHEMA_RESTORE,
                                 &CONTAINER_CREATE,
                                 &CONTAINER_DELETE,
                                 &CONTAINER_RESTORE,
                                 &CONTAINER_RESIZE,
                                 &CONTAINER_UPGRADE,
                                 &TENANT_MOVE,
                                 &TENANT_MOVE_DEDICATED,
                                 &TENANT_MOVE_BACK,
                                 &TENANT_FINALIZE,
                                 &TENANT_FINALIZE_DEDICATED,
                                 NULL};
