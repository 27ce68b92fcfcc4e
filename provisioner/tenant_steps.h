// provisioner/tenant_steps.h: steps that several drivers share, and what they know of their tenant.
#pragma once
#include "provisioner/operation.h"

typedef struct TenantContext {
    Str status;
    int64_t number;    // by the record; 0: none
    Str cell;          // empty: none
    Str cell_url;      // of its shopd; empty: none
    Str limits;        // JSON: what the cell enforces
    Str hosts;         // text[]: SLUG.BASE_DOMAIN, then the tenant's own
    Str host;          // SLUG.BASE_DOMAIN
    Str settings;      // JSON: name, email, currency, language, country, colors, logo
    int64_t retention_s;
} TenantContext;

// A number as a parameter of SQL.
typedef struct StepNumber {
    char text[24];
} StepNumber;
Str step_number(int64_t value, StepNumber *text);
#define STEP_NUMBER(value) step_number(value, &(StepNumber){{0}})
// $1 and $2 of nearly every function: the operation and its epoch.
#define OPERATION(op) STEP_NUMBER((op)->id), STEP_NUMBER((op)->epoch)

// What the control database says of the operation's tenant, read again; sets operation->cell, and operation->number
// where there is one. Fails with ERR_NOT_FOUND.
MUST_CHECK bool tenant_context_read(Operation *operation, Error *err);
// The same where it wasn't read yet: what a driver begins with whose tenant is there.
MUST_CHECK bool tenant_context(Operation *operation, Error *err);

// Whether the record knows the tenant, with a place in a cell.
MUST_CHECK bool tenant_has_place(Operation *operation, bool *out, Error *err);

// Whether the operation's cell has the tenant, after tenant_context.
MUST_CHECK bool tenant_is_in_cell(Operation *operation, bool *out, Error *err);

// The tenant's number, in operation->number: the one that this operation took in the cell; 0: none.
MUST_CHECK bool tenant_number_find(Operation *operation, Error *err);

// The steps, as operation.h describes them. Those from `spare` on use operation->context: it is there by a driver's
// begin, by `reserve`, or by tenant_has_place and tenant_number_find, which a resumed operation comes by.
MUST_CHECK bool reserve_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool reserve_apply(Operation *operation, Error *err);
MUST_CHECK bool reserve_revert(Operation *operation, Error *err);
MUST_CHECK bool spare_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool spare_apply(Operation *operation, Error *err);
MUST_CHECK bool spare_revert(Operation *operation, Error *err);
MUST_CHECK bool settings_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool settings_apply(Operation *operation, Error *err);
MUST_CHECK bool register_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool register_apply(Operation *operation, Error *err);
MUST_CHECK bool register_revert(Operation *operation, Error *err);    // the tenant isn't known to shopd any more
MUST_CHECK bool smoke_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool smoke_apply(Operation *operation, Error *err);
// The cell's shopd is ready for shops. Fails with ERR_UNREACHABLE when it isn't within the time of a new shop.
MUST_CHECK bool cell_answers(Operation *operation, Error *err);
MUST_CHECK bool activate_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool activate_apply(Operation *operation, Error *err);
MUST_CHECK bool activate_revert(Operation *operation, Error *err);

MUST_CHECK bool drop_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool drop_apply(Operation *operation, Error *err);

// Of steps that leave nothing behind.
MUST_CHECK bool nothing_revert(Operation *operation, Error *err);

// One value out of the cell, as text in the operation's arena; null is the empty text.
MUST_CHECK bool cell_value(Operation *operation, Str sql, Params params, Str *out, Error *err);
MUST_CHECK bool cell_is(Operation *operation, Str sql, Params params, bool *out, Error *err);
// One truth out of the control database.
MUST_CHECK bool control_is(Operation *operation, Str sql, Params params, bool *out, Error *err);
// A function of the control database or of the cell whose answer is of no interest.
MUST_CHECK bool control_call(Operation *operation, Str sql, Params params, Error *err);
MUST_CHECK bool cell_call(Operation *operation, Str sql, Params params, Error *err);
