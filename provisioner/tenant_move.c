// provisioner/tenant_move.c: moves of shops, and how they end.
#include "provisioner/tenant_move.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/move_driver.h"
#include "provisioner/operation.h"
#include "provisioner/replica_ready.h"
#include "provisioner/tenant.h"

enum { BUDGET = 4 * MIB };

static bool answer_query(Platform *platform, Str sql, Params params, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(platform_control(platform), sql, params, &rows, err) && json_parse(rows_str(rows, 0, 0), out, err);
}

static bool result_read(Platform *platform, int64_t operation, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB);
    Str id = str_int(arena, operation);
    return arena_ok(arena, err) &&
           answer_query(platform, S("select control.move_result($1::bigint)"), PARAMS(id), out, err);
}

static bool nothing_read(Platform *platform, Slug slug, int64_t from_ms, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB);
    Str took_ms = str_int(arena, clock_ms() - from_ms);
    return arena_ok(arena, err) &&
           answer_query(platform, S("select control.move_none($1, $2::bigint)"), PARAMS(slug.text, took_ms), out, err);
}

// ---- moving

static bool input_make(const TenantMove *move, Json **out, Error *err)
{
    CLEANUP(json_close) Json *input = json_build("{}");
    Json *plan = NULL;
    if (!json_ok(input, err) ||
        (move->plan && (!plan_record_json(move->plan, &plan, err) || !json_set(input, "plan", plan, err))))
        return false;
    if ((move->cell.len && !json_set(input, "cell", json_from_str(move->cell), err)) ||
        (move->host.len && !json_set(input, "host", json_from_str(move->host), err)) ||
        (move->labels && !json_set(input, "labels", json_hold((Json *)move->labels), err)))
        return false;
    *out = TAKE(input);
    return true;
}

static bool input_check(Platform *platform, const TenantRecord *tenant, const Json *input, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    Str text = S("");
    return json_print(input, 0, arena, &text, err) &&
           db_query(platform_control(platform), S("select control.move_check($1, $2::jsonb)"),
                    PARAMS(tenant->slug, text), &rows, err) &&
           replica_ready(platform, tenant->cell, rows_str(rows, 0, 0), false, err);
}

static bool is_shared(const TenantRecord *tenant) { return str_eq(tenant->tier, S("shared")); }

static const Driver *driver_of(const TenantRecord *tenant, const TenantMove *move)
{
    bool to_shared = move->plan ? move->plan->tier == PLAN_TIER_SHARED : is_shared(tenant);
    return to_shared ? &TENANT_MOVE : &TENANT_MOVE_DEDICATED;
}

bool tenant_move(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *input = NULL;
    TenantRecord tenant;
    bool is_done = false;
    int64_t id = 0;
    if (!platform_tenant(platform, slug, arena, &tenant, err) || !input_make(move, &input, err))
        return false;
    const Driver *driver = driver_of(&tenant, move);
    if (!operation_continue(platform, driver, slug.text, &is_done, &id, err))
        return false;
    return (is_done || (input_check(platform, &tenant, input, err) &&
                        operation_run(platform, &(OperationSpec){.driver = driver, .slug = slug.text, .input = input},
                                      &id, err))) &&
           result_read(platform, id, out, err);
}

bool tenant_move_preview(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *input = NULL;
    TenantRecord tenant;
    int64_t left = 0;
    if (!platform_tenant(platform, slug, arena, &tenant, err) || !input_make(move, &input, err))
        return false;
    const Driver *driver = driver_of(&tenant, move);
    if (!operation_left(platform, driver, slug.text, &left, err))
        return false;
    if (left)
        return operation_preview(platform, left, false, out, err);
    return input_check(platform, &tenant, input, err) &&
           db_run(platform_control(platform), S("select control.lease_check_free($1, false)"), PARAMS(slug.text),
                  err) &&
           tenant_steps(driver->kind, out, err);
}

// ---- another plan

// Whether it has this plan, word for word.
static bool has_plan(Platform *platform, const TenantRecord *tenant, const Plan *plan, bool *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    Str text = S(""), version = str_int(arena, tenant->plan_version);
    if (!plan_record_json(plan, &record, err) || !json_print(record, 0, arena, &text, err) || !arena_ok(arena, err) ||
        !db_query(platform_control(platform),
                  S("select $1::jsonb ->> 'name' = $2 and control.plan_version($1::jsonb) = $3::bigint"),
                  PARAMS(text, tenant->plan, version), &rows, err))
        return false;
    *out = rows_bool(rows, 0, 0);
    return true;
}

bool tenant_set_plan(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    int64_t from_ms = clock_ms(), left = 0;
    TenantRecord tenant;
    bool is_same = false;
    if (!platform_tenant(platform, slug, arena, &tenant, err) ||
        !operation_left(platform, driver_of(&tenant, move), slug.text, &left, err) ||
        !has_plan(platform, &tenant, move->plan, &is_same, err))
        return false;
    if (is_same && !left)
        return nothing_read(platform, slug, from_ms, out, err);
    if (is_shared(&tenant) && move->plan->tier == PLAN_TIER_SHARED)
        return tenant_set(platform, slug, &(TenantChange){.plan = move->plan}, err) &&
               nothing_read(platform, slug, from_ms, out, err);
    return tenant_move(platform, slug, move, out, err);
}

bool tenant_set_plan_preview(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TenantRecord tenant;
    bool is_same = false;
    if (!platform_tenant(platform, slug, arena, &tenant, err) ||
        !has_plan(platform, &tenant, move->plan, &is_same, err))
        return false;
    if (is_same || (is_shared(&tenant) && move->plan->tier == PLAN_TIER_SHARED))
        return tenant_set_changes(platform, slug, &(TenantChange){.plan = is_same ? NULL : move->plan}, out, err);
    return tenant_move_preview(platform, slug, move, out, err);
}

// ---- the end

typedef struct Pending {
    bool is_there, is_back;
    const Driver *finalize;    // that gives its old place up
    Str cell, old_cell;
} Pending;

static bool pending_read(Platform *platform, Slug slug, Arena *arena, Pending *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    TenantRecord tenant;
    if (!platform_tenant(platform, slug, arena, &tenant, err) ||
        !db_query(platform_control(platform),
                  S("select is_back, is_dedicated, cell, old_cell from control.move_pending($1)"), PARAMS(slug.text),
                  &rows, err))
        return false;
    *out = (Pending){.finalize = &TENANT_FINALIZE};
    if (rows_count(rows) == 0)
        return true;
    *out = (Pending){.is_there = true,
                     .is_back = rows_bool(rows, 0, 0),
                     .finalize = rows_bool(rows, 0, 1) ? &TENANT_FINALIZE_DEDICATED : &TENANT_FINALIZE,
                     .cell = str_copy(arena, rows_str(rows, 0, 2)),
                     .old_cell = str_copy(arena, rows_str(rows, 0, 3))};
    return arena_ok(arena, err);
}

// It was moved, and isn't on its way back already.
static bool can_turn(const Pending *pending) { return pending->is_there && !pending->is_back; }

// *out_id is 0 where there was nothing to do.
static bool finalize(Platform *platform, Slug slug, int64_t *out_id, Error *err)
{
    static const Driver *const DRIVERS_OF_END[] = {&TENANT_FINALIZE, &TENANT_FINALIZE_DEDICATED};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Pending pending;
    bool is_done = false;
    *out_id = 0;
    for (size_t i = 0; i < COUNT(DRIVERS_OF_END) && !is_done; i++)
        if (!operation_continue(platform, DRIVERS_OF_END[i], slug.text, &is_done, out_id, err))
            return false;
    if (is_done)
        return true;
    return pending_read(platform, slug, arena, &pending, err) &&
           (!pending.is_there ||
            operation_run(platform, &(OperationSpec){.driver = pending.finalize, .slug = slug.text}, out_id, err));
}

bool tenant_move_finalize(Platform *platform, Slug slug, Json **out, Error *err)
{
    int64_t id = 0, from_ms = clock_ms();
    return finalize(platform, slug, &id, err) && nothing_read(platform, slug, from_ms, out, err);
}

bool tenant_move_rollback(Platform *platform, Slug slug, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    int64_t id = 0, ignored = 0, from_ms = clock_ms();
    Pending pending;
    bool is_done = false;
    if (!operation_continue(platform, &TENANT_MOVE_BACK, slug.text, &is_done, &id, err))
        return false;
    if (!is_done) {
        if (!pending_read(platform, slug, arena, &pending, err))
            return false;
        if (can_turn(&pending) &&
            (!replica_ready(platform, pending.cell, pending.old_cell, true, err) ||
             !operation_run(platform, &(OperationSpec){.driver = &TENANT_MOVE_BACK, .slug = slug.text}, &id, err)))
            return false;
    }
    return finalize(platform, slug, &ignored, err) &&
           (id ? result_read(platform, id, out, err) : nothing_read(platform, slug, from_ms, out, err));
}

bool tenant_move_end_preview(Platform *platform, Slug slug, bool is_rollback, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Pending pending;
    if (!pending_read(platform, slug, arena, &pending, err))
        return false;
    bool turns = is_rollback && can_turn(&pending);
    if (turns && !replica_ready(platform, pending.cell, pending.old_cell, true, err))
        return false;
    const Driver *driver = turns ? &TENANT_MOVE_BACK : pending.finalize;
    return tenant_steps(pending.is_there ? driver->kind : "", out, err);
}
