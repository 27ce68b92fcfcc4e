// provisioner/transition_driver.c: drivers that change a tenant that is there: its state, its settings, limits and
// hosts.
#include "provisioner/schema_driver.h"

#include "provisioner/container_steps.h"
#include "provisioner/tenant_steps.h"

static Str input_text(const Operation *op, const char *key) { return json_str(json_get(op->input, key)); }

// ---- a transition: {"from": "active", "to": "suspended"}

static bool cell_transition_probe(Operation *op, bool *out_done, Error *err)
{
    return cell_is(op, S("select cell.tenant_state($1::bigint) = $2"),
                   PARAMS(STEP_NUMBER(op->number), input_text(op, "to")), out_done, err);
}

static bool cell_state_set(Operation *op, Str state, Error *err)
{
    return cell_call(op, S("select cell.tenant_state_set($1::bigint, $2::bigint, $3::bigint, $4)"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number), state), err);
}

static bool cell_transition_apply(Operation *op, Error *err) { return cell_state_set(op, input_text(op, "to"), err); }

static bool cell_transition_revert(Operation *op, Error *err)
{
    return cell_state_set(op, input_text(op, "from"), err);
}

static bool record_transition_probe(Operation *op, bool *out_done, Error *err)
{
    if (!tenant_context_read(op, err))
        return false;
    *out_done = str_eq(op->context->status, input_text(op, "to"));
    return true;
}

static bool record_transition(Operation *op, Str from, Str to, Error *err)
{
    return control_call(op, S("select control.tenant_transition($1::bigint, $2::bigint, $3, $4)"),
                        PARAMS(OPERATION(op), from, to), err);
}

static bool record_transition_apply(Operation *op, Error *err)
{
    return record_transition(op, input_text(op, "from"), input_text(op, "to"), err);
}

static bool record_transition_revert(Operation *op, Error *err)
{
    return record_transition(op, input_text(op, "to"), input_text(op, "from"), err);
}

static const Step TRANSITION_STEPS[] = {
    {.name = "cell", .probe = cell_transition_probe, .apply = cell_transition_apply, .revert = cell_transition_revert},
    {.name = "record",
     .probe = record_transition_probe,
     .apply = record_transition_apply,
     .revert = record_transition_revert},
};

#define TRANSITION(name)                                                                                               \
    {                                                                                                                  \
        .kind = (name), .steps = TRANSITION_STEPS, .count = COUNT(TRANSITION_STEPS), .begin = tenant_context,          \
        .prepare = own_cells_start                                                                                     \
    }
const Driver TENANT_SUSPEND = TRANSITION("suspend");
const Driver TENANT_RESUME = TRANSITION("resume");
const Driver TENANT_ARCHIVE = TRANSITION("archive");

// ---- set: {"set": {...}, "before": {...}}. The record comes first here: hosts are claimed in it.

static bool change_probe(Operation *op, bool *out_done, Error *err)
{
    (void)op;
    (void)err;
    *out_done = false;    // writing the same again changes nothing
    return true;
}

static bool change(Operation *op, Str which, Error *err)
{
    return control_call(op, S("select control.tenant_change($1::bigint, $2::bigint, $3)"), PARAMS(OPERATION(op), which),
                        err) &&
           tenant_context_read(op, err);
}

static bool change_apply(Operation *op, Error *err) { return change(op, S("set"), err); }

static bool change_revert(Operation *op, Error *err) { return change(op, S("before"), err); }

// A shop that waits for approval or was deleted has none: its record is all that changes.
static bool has_schema(const Operation *op) { return op->number != 0; }

static bool served_settings_probe(Operation *op, bool *out_done, Error *err)
{
    *out_done = true;
    return !has_schema(op) || settings_probe(op, out_done, err);
}

static bool served_settings_apply(Operation *op, Error *err) { return !has_schema(op) || settings_apply(op, err); }

static bool served_register_probe(Operation *op, bool *out_done, Error *err)
{
    *out_done = true;
    return !has_schema(op) || register_probe(op, out_done, err);
}

static bool served_register_apply(Operation *op, Error *err) { return !has_schema(op) || register_apply(op, err); }

// Reverts come in reverse order, before the record is what it was: they do nothing, and the record's revert is followed
// by what the cell must know.
static bool change_and_tell_revert(Operation *op, Error *err)
{
    return change_revert(op, err) && served_settings_apply(op, err) && served_register_apply(op, err);
}

static const Step SET_STEPS[] = {
    {.name = "record", .probe = change_probe, .apply = change_apply, .revert = change_and_tell_revert},
    {.name = "settings", .probe = served_settings_probe, .apply = served_settings_apply, .revert = nothing_revert},
    {.name = "register", .probe = served_register_probe, .apply = served_register_apply, .revert = nothing_revert},
};

const Driver TENANT_SET = {
    .kind = "set", .steps = SET_STEPS, .count = COUNT(SET_STEPS), .begin = tenant_context, .prepare = own_cells_start};
