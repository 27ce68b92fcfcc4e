// provisioner/move_driver.c: how a tenant goes from one cell to another while it sells, and back; docs/moves.md.
#include "provisioner/move_driver.h"

#include "base/clock.h"
#include "provisioner/container_steps.h"
#include "provisioner/replica.h"
#include "provisioner/replica_slot.h"
#include "provisioner/tenant_steps.h"

enum { SMOKE_CONNECTIONS = 8, LEAVE_MS = 200 };

static bool is_switched(Operation *op, bool *out, Error *err)
{
    return control_is(op, S("select control.move_is_switched($1::bigint)"), PARAMS(STEP_NUMBER(op->id)), out, err);
}

// ---- reserve: a place at the target

static bool place_probe(Operation *op, bool *out_done, Error *err)
{
    return control_is(op, S("select control.move_is_reserved($1::bigint)"), PARAMS(STEP_NUMBER(op->id)), out_done, err);
}

static bool place_apply(Operation *op, Error *err)
{
    return control_call(op, S("select control.move_reserve($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err) &&
           tenant_context_read(op, err);
}

static bool place_revert(Operation *op, Error *err)
{
    return control_call(op, S("select control.move_unreserve($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}

// ---- turn: a move that was switched goes back

static bool turn_apply(Operation *op, Error *err)
{
    return control_call(op, S("select control.move_turn($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err) &&
           tenant_context_read(op, err);
}

static bool turn_revert(Operation *op, Error *err)
{
    return control_call(op, S("select control.move_unturn($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}

// ---- copy and hold: the rows

typedef bool Question(Operation *op, bool *out, Error *err);

// Once the record has switched, the target is what counts; without a place there is nothing to ask.
static bool unless_switched(Operation *op, Question *ask, bool *out_done, Error *err)
{
    if (!is_switched(op, out_done, err) || !tenant_number_find(op, err))
        return false;
    return *out_done || op->other_cell.len == 0 || ask(op, out_done, err);
}

// Before the record has switched none of what follows is done.
static bool once_switched(Operation *op, Question *ask, bool *out_done, Error *err)
{
    if (!is_switched(op, out_done, err) || !*out_done)
        return err->code == ERR_NONE;
    return tenant_number_find(op, err) && ask(op, out_done, err);
}

static bool copy_probe(Operation *op, bool *out_done, Error *err)
{
    return unless_switched(op, replica_is_copied, out_done, err);
}

static bool copy_apply(Operation *op, Error *err) { return tenant_number_find(op, err) && replica_copy(op, err); }

static bool other_keeps(Operation *op, bool *out, Error *err)
{
    Db *other = NULL;
    ReplicaSlotState state = REPLICA_SLOT_NONE;
    if (!operation_other_cell(op, &other, err) || !replica_slot_state(other, op->other_number, &state, err))
        return false;
    *out = state != REPLICA_SLOT_NONE;
    return true;
}

static bool other_forget(Operation *op, Error *err)
{
    Db *other = NULL;
    return op->other_cell.len == 0 ||
           (operation_other_cell(op, &other, err) && replica_forget(other, op->other_number, err));
}

static bool hold_probe(Operation *op, bool *out_done, Error *err)
{
    return unless_switched(op, replica_is_held, out_done, err);
}

static bool hold_apply(Operation *op, Error *err) { return tenant_number_find(op, err) && replica_hold(op, err); }

// What is in a cell of its own goes with the cell.
static bool release(Operation *op, Error *err) { return op->other_cell.len == 0 || replica_release(op, err); }

static bool release_and_forget(Operation *op, Error *err)
{
    Db *target = NULL;
    return release(op, err) && tenant_number_find(op, err) &&
           (op->number == 0 || (operation_cell(op, &target, err) && replica_forget(target, op->number, err)));
}

// ---- switch: the record; from here it only goes forward

static bool switch_probe(Operation *op, bool *out_done, Error *err) { return is_switched(op, out_done, err); }

static bool switch_apply(Operation *op, Error *err)
{
    return tenant_number_find(op, err) &&
           control_call(op, S("select control.move_switch($1::bigint, $2::bigint, $3::bigint)"),
                        PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err) &&
           tenant_context_read(op, err);
}

// ---- arrive: the target serves it

static bool has_arrived(Operation *op, bool *out, Error *err)
{
    return cell_is(op, S("select cell.tenant_has_arrived($1::bigint, $2::text[], $3::jsonb, $4)"),
                   PARAMS(STEP_NUMBER(op->number), op->context->hosts, op->context->limits, op->context->status), out,
                   err);
}

static bool arrive_probe(Operation *op, bool *out_done, Error *err)
{
    return once_switched(op, has_arrived, out_done, err);
}

static bool arrive_apply(Operation *op, Error *err)
{
    return tenant_number_find(op, err) &&
           cell_call(op, S("select cell.tenant_arrive($1::bigint, $2::bigint, $3::bigint, $4::text[], $5::jsonb, $6)"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number), op->context->hosts, op->context->limits,
                            op->context->status),
                     err);
}

static bool has_pages(const Operation *op) { return str_eq(op->context->status, S("active")); }

// Each thread of shopd hears of the shop by itself, and each connection may be another one's.
static bool answers_apply(Operation *op, Error *err)
{
    if (!tenant_number_find(op, err))
        return false;
    for (int i = 0; i < SMOKE_CONNECTIONS && has_pages(op); i++)
        if (!smoke_apply(op, err))
            return false;
    return true;
}

// ---- route: the gateway leads there; with it the pause ends

static bool route_and_measure(Operation *op, Error *err)
{
    static const char KEY[] = "write_pause_ms";
    int64_t pause_ms = 0;
    return route_apply(op, err) && tenant_number_find(op, err) && replica_pause_ms(op, &pause_ms, err) &&
           (json_get(op->data, KEY) || json_set(op->data, KEY, json_build("I", (json_int)pause_ms), err));
}

// ---- leave: the source serves it no more

static bool has_left(Operation *op, bool *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *source = NULL;
    if (!operation_other_cell(op, &source, err) ||
        !db_query(source, S("select cell.tenant_state($1::bigint) = 'moved'"), PARAMS(STEP_NUMBER(op->other_number)),
                  &rows, err))
        return false;
    *out = rows_bool(rows, 0, 0);
    return true;
}

static bool leave_probe(Operation *op, bool *out_done, Error *err)
{
    return once_switched(op, has_left, out_done, err);
}

// What was on its way to the source when the gateway was told is answered first.
static bool leave_apply(Operation *op, Error *err)
{
    Db *source = NULL;
    clock_sleep_ms(LEAVE_MS);
    return tenant_number_find(op, err) && operation_other_cell(op, &source, err) &&
           db_run(source, S("select cell.tenant_leave($1::bigint, $2::bigint, $3::bigint)"),
                  PARAMS(OPERATION(op), STEP_NUMBER(op->other_number)), err);
}

// ---- clean: the source keeps no more changes, and the target isn't a copy

static bool is_clean(Operation *op, bool *out, Error *err)
{
    bool is_kept = false;
    *out = false;
    if (!other_keeps(op, &is_kept, err))
        return false;
    return is_kept || cell_is(op, S("select not exists (select from cell.replicas where tenant = $1::bigint)"),
                              PARAMS(STEP_NUMBER(op->number)), out, err);
}

static bool clean_probe(Operation *op, bool *out_done, Error *err)
{
    return once_switched(op, is_clean, out_done, err);
}

static bool clean_apply(Operation *op, Error *err)
{
    return tenant_number_find(op, err) && other_forget(op, err) && replica_end(op, err);
}

#define ARRIVAL                                                                                                        \
    {.name = "switch", .probe = switch_probe, .apply = switch_apply},                                                  \
        {.name = "arrive", .probe = arrive_probe, .apply = arrive_apply},                                              \
        {.name = "smoke", .probe = smoke_probe, .apply = answers_apply},                                               \
        {.name = "route", .probe = route_probe, .apply = route_and_measure},                                           \
        {.name = "leave", .probe = leave_probe, .apply = leave_apply},                                                 \
    {                                                                                                                  \
        .name = "clean", .probe = clean_probe, .apply = clean_apply                                                    \
    }

static const Step MOVE_STEPS[] = {
    {.name = "reserve", .probe = place_probe, .apply = place_apply, .revert = place_revert},
    {.name = "spare", .probe = spare_probe, .apply = spare_apply, .revert = spare_revert},
    {.name = "copy", .probe = copy_probe, .apply = copy_apply, .revert = other_forget},
    {.name = "hold", .probe = hold_probe, .apply = hold_apply, .revert = release_and_forget},
    ARRIVAL,
};

const Driver TENANT_MOVE = {.kind = "move",
                            .steps = MOVE_STEPS,
                            .count = COUNT(MOVE_STEPS),
                            .side = "target",
                            .begin = tenant_context,
                            .prepare = own_cells_start};

static const Step MOVE_DEDICATED_STEPS[] = {
    {.name = "reserve", .probe = place_probe, .apply = place_apply, .revert = place_revert},
#include "provisioner/dedicated_steps.def"
    {.name = "healthy", .probe = healthy_probe, .apply = healthy_apply, .revert = nothing_revert},
    {.name = "copy", .probe = copy_probe, .apply = copy_apply, .revert = other_forget},
    {.name = "hold", .probe = hold_probe, .apply = hold_apply, .revert = release},
    ARRIVAL,
};

const Driver TENANT_MOVE_DEDICATED = {.kind = "move-dedicated",
                                      .steps = MOVE_DEDICATED_STEPS,
                                      .count = COUNT(MOVE_DEDICATED_STEPS),
                                      .side = "target",
                                      .begin = tenant_context,
                                      .prepare = own_cells_start};

// The copy that is there is brought up to date, unless its changes were lost.
static bool copy_keep(Operation *op, Error *err)
{
    bool is_there = false;
    return copy_probe(op, &is_there, err) && (is_there || copy_apply(op, err));
}

static const Step MOVE_BACK_STEPS[] = {
    {.name = "turn", .probe = place_probe, .apply = turn_apply, .revert = turn_revert},
    {.name = "copy", .probe = copy_probe, .apply = copy_keep, .revert = nothing_revert},
    {.name = "hold", .probe = hold_probe, .apply = hold_apply, .revert = release_and_forget},
    ARRIVAL,
};

const Driver TENANT_MOVE_BACK = {.kind = "move-back",
                                 .steps = MOVE_BACK_STEPS,
                                 .count = COUNT(MOVE_BACK_STEPS),
                                 .side = "target",
                                 .begin = tenant_context,
                                 .prepare = own_cells_start};

// ---- finalize

static bool slots_probe(Operation *op, bool *out_done, Error *err)
{
    bool is_kept = false;
    if (op->other_cell.len && !other_keeps(op, &is_kept, err))
        return false;
    *out_done = !is_kept;
    return true;
}

static bool ended_probe(Operation *op, bool *out_done, Error *err)
{
    return control_is(op, S("select (control.move_of($1)).tenant_id is null"), PARAMS(op->slug), out_done, err);
}

static bool ended_apply(Operation *op, Error *err)
{
    return control_call(op, S("select control.move_end($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}

static const Step FINALIZE_STEPS[] = {
    {.name = "slots", .probe = slots_probe, .apply = other_forget},
    {.name = "drop", .probe = drop_probe, .apply = drop_apply},
    {.name = "forget", .probe = ended_probe, .apply = ended_apply},
};

const Driver TENANT_FINALIZE = {.kind = "finalize",
                                .steps = FINALIZE_STEPS,
                                .count = COUNT(FINALIZE_STEPS),
                                .side = "source",
                                .begin = tenant_context,
                                .prepare = own_cells_start};

static const Step FINALIZE_DEDICATED_STEPS[] = {
    {.name = "slots", .probe = slots_probe, .apply = other_forget},
    {.name = "leave", .probe = own_leave_probe, .apply = own_leave_apply},
    {.name = "remove", .probe = remove_probe, .apply = remove_apply},
    {.name = "forget", .probe = ended_probe, .apply = ended_apply},
};

const Driver TENANT_FINALIZE_DEDICATED = {.kind = "finalize-dedicated",
                                          .steps = FINALIZE_DEDICATED_STEPS,
                                          .count = COUNT(FINALIZE_DEDICATED_STEPS),
                                          .side = "source",
                                          .begin = tenant_context,
                                          .prepare = own_cells_start};
