// provisioner/tenant_steps.c: the steps by which a tenant comes to life: in a cell first, then in the record.
#include "provisioner/tenant_steps.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/http_client.h"
#include "provisioner/migration.h"
#include "provisioner/spare.h"

enum { SMOKE_PAUSE_FIRST_MS = 5, SMOKE_PAUSE_MAX_MS = 250, SMOKE_REQUEST_MS = 5000 };

Str step_number(int64_t value, StepNumber *text)
{
    int length = snprintf(text->text, sizeof(text->text), "%lld", (long long)value);
    return (Str){text->text, (size_t)length};
}

bool control_call(Operation *op, Str sql, Params params, Error *err)
{
    return db_run(platform_control(op->platform), sql, params, err);
}

bool control_is(Operation *op, Str sql, Params params, bool *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(op->platform), sql, params, &rows, err))
        return false;
    *out = rows_bool(rows, 0, 0);
    return true;
}

bool cell_call(Operation *op, Str sql, Params params, Error *err)
{
    Db *cell = NULL;
    return operation_cell(op, &cell, err) && db_run(cell, sql, params, err);
}

bool cell_value(Operation *op, Str sql, Params params, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *cell = NULL;
    if (!operation_cell(op, &cell, err) || !db_query(cell, sql, params, &rows, err))
        return false;
    Str value = rows_count(rows) ? str_copy(op->arena, rows_str(rows, 0, 0)) : S("");
    if (!arena_ok(op->arena, err))
        return false;
    *out = value;
    return true;
}

bool cell_is(Operation *op, Str sql, Params params, bool *out, Error *err)
{
    Str value;
    if (!cell_value(op, sql, params, &value, err))
        return false;
    *out = str_eq(value, S("t"));
    return true;
}

bool nothing_revert(Operation *op, Error *err)
{
    (void)op;
    (void)err;
    return true;
}

// ---- what is known of the tenant

bool tenant_context_read(Operation *op, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Str host =
        str_format(op->arena, "%.*s.%.*s", STR_ARG(op->slug), STR_ARG(platform_options(op->platform)->base_domain));
    if (!arena_ok(op->arena, err) ||
        !db_query(
            platform_control(op->platform),
            S("select status, number, cell, cell_url, limits, "
              "array(select $2 union all select jsonb_array_elements_text(domains))::text, settings, retention_s, "
              "other_cell, other_number from control.tenant_context($1, $3, $4::bigint)"),
            PARAMS(op->slug, host, op->driver->side ? str_of(op->driver->side) : SQL_NULL, STEP_NUMBER(op->id)), &rows,
            err))
        return false;
    if (rows_count(rows) == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no tenant '%.*s'", STR_ARG(op->slug));
    TenantContext *context = arena_new(op->arena, TenantContext);
    if (!arena_ok(op->arena, err))
        return false;
    *context = (TenantContext){.status = str_copy(op->arena, rows_str(rows, 0, 0)),
                               .number = rows_int64(rows, 0, 1),
                               .cell = str_copy(op->arena, rows_str(rows, 0, 2)),
                               .cell_url = str_copy(op->arena, rows_str(rows, 0, 3)),
                               .limits = str_copy(op->arena, rows_str(rows, 0, 4)),
                               .hosts = str_copy(op->arena, rows_str(rows, 0, 5)),
                               .host = host,
                               .settings = str_copy(op->arena, rows_str(rows, 0, 6)),
                               .retention_s = rows_int64(rows, 0, 7)};
    Str other = str_copy(op->arena, rows_str(rows, 0, 8));
    if (!arena_ok(op->arena, err))
        return false;
    op->context = context;
    op->cell = context->cell;
    op->number = context->number ? context->number : op->number;
    op->other_cell = other;
    op->other_number = rows_int64(rows, 0, 9);
    return true;
}

bool tenant_context(Operation *op, Error *err) { return op->context || tenant_context_read(op, err); }

bool tenant_has_place(Operation *op, bool *out, Error *err)
{
    *out = false;
    if (!tenant_context(op, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        error_clear(err);
        return true;
    }
    *out = op->cell.len > 0;
    return true;
}

bool tenant_number_find(Operation *op, Error *err)
{
    bool is_placed = false;
    Str text;
    if (op->number)
        return true;
    if (!tenant_has_place(op, &is_placed, err))
        return false;
    if (!is_placed)
        return true;
    if (!cell_value(op, S("select cell.tenant_taken($1::bigint)"), PARAMS(STEP_NUMBER(op->id)), &text, err))
        return false;
    return text.len == 0 || str_int64(text, 1, INT64_MAX, &op->number, err);
}

bool tenant_is_in_cell(Operation *op, bool *out, Error *err)
{
    *out = false;
    if (op->number == 0)
        return true;
    return cell_is(op, S("select exists (select from cell.tenants where number = $1::bigint)"),
                   PARAMS(STEP_NUMBER(op->number)), out, err);
}

// ---- reserve: the record of the tenant, with its place in a cell

bool reserve_probe(Operation *op, bool *out_done, Error *err)
{
    return control_is(op, S("select control.tenant_is_reserved($1::bigint)"), PARAMS(STEP_NUMBER(op->id)), out_done,
                      err);
}

bool reserve_apply(Operation *op, Error *err)
{
    return control_call(op, S("select control.tenant_reserve($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err) &&
           tenant_context_read(op, err);
}

bool reserve_revert(Operation *op, Error *err)
{
    return control_call(op, S("select control.tenant_unreserve($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}

// ---- spare: a schema out of the cell's store

bool spare_probe(Operation *op, bool *out_done, Error *err)
{
    if (!tenant_number_find(op, err))
        return false;
    *out_done = op->number != 0;
    return true;
}

// A spare that is there; without one the operation's number stays 0.
static bool spare_take(Operation *op, Error *err)
{
    char version[MIGRATION_VERSION];
    Str text = S("");
    return cell_value(op, S("select cell.spare_take($1::bigint, $2::bigint, $3, $4)"),
                      PARAMS(OPERATION(op), op->slug, migration_version("tenant", version)), &text, err) &&
           (text.len == 0 || str_int64(text, 1, INT64_MAX, &op->number, err));
}

bool spare_apply(Operation *op, Error *err)
{
    if (!spare_take(op, err))
        return false;
    return op->number != 0 ||
           (operation_beat(op, err) && spare_make_taken(op->platform, op->cell, op->id, op->epoch, op->slug, err) &&
            spare_take(op, err));
}

bool spare_revert(Operation *op, Error *err)
{
    Db *cell = NULL;
    if (!tenant_number_find(op, err))
        return false;
    if (op->number == 0)
        return true;
    if (!operation_cell(op, &cell, err) || !tenant_drop(cell, op->id, op->epoch, op->number, err))
        return false;
    op->number = 0;
    return true;
}

// ---- settings: what the shop is called and how it counts

bool settings_probe(Operation *op, bool *out_done, Error *err)
{
    return cell_is(op, S("select cell.tenant_has_settings($1::bigint, $2::jsonb, $3::jsonb)"),
                   PARAMS(STEP_NUMBER(op->number), op->context->settings, op->context->limits), out_done, err);
}

bool settings_apply(Operation *op, Error *err)
{
    return cell_call(op, S("select cell.tenant_settings($1::bigint, $2::bigint, $3::bigint, $4::jsonb, $5::jsonb)"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number), op->context->settings, op->context->limits), err);
}

// ---- register: hosts and limits in the cell

bool register_probe(Operation *op, bool *out_done, Error *err)
{
    return cell_is(op, S("select cell.tenant_is_registered($1::bigint, $2::text[], $3::jsonb)"),
                   PARAMS(STEP_NUMBER(op->number), op->context->hosts, op->context->limits), out_done, err);
}

bool register_apply(Operation *op, Error *err)
{
    return cell_call(op, S("select cell.tenant_register($1::bigint, $2::bigint, $3::bigint, $4::text[], $5::jsonb)"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number), op->context->hosts, op->context->limits), err);
}

bool register_revert(Operation *op, Error *err)
{
    return tenant_number_find(op, err) &&
           (op->number == 0 || cell_call(op, S("select cell.tenant_unregister($1::bigint, $2::bigint, $3::bigint)"),
                                         PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err));
}

// ---- smoke: the shop answers, asked as a shopper asks

bool smoke_probe(Operation *op, bool *out_done, Error *err)
{
    (void)op;
    (void)err;
    *out_done = false;    // asking again costs nothing
    return true;
}

// A page of the shop's that leaves few plans in shopd's backends: each of them is looked at for every table that is
// made in the cell.
#define SMOKE_PAGE "/search"

// What is asked of the cell's shopd, and what an error calls that.
typedef struct Page {
    const char *path;
    Str host, name;
} Page;

static bool is_good(int status) { return status >= 200 && status < 300; }

// Asks until the answer is a good one, as long as a new shop may take. *out_status is that of the last answer.
static bool page_wait(Operation *op, const Page *page, int *out_status, Error *err)
{
    Str cell = op->context->cell_url;
    int64_t deadline_ms = clock_ms() + platform_options(op->platform)->smoke_ms;
    Str url = str_format(op->arena, "%.*s%s", STR_ARG(cell), page->path + (cell.data[cell.len - 1] == '/'));
    if (!arena_ok(op->arena, err))
        return false;
    for (int64_t pause_ms = SMOKE_PAUSE_FIRST_MS;; pause_ms = MIN(pause_ms * 2, (int64_t)SMOKE_PAUSE_MAX_MS)) {
        bool is_answered = http_get_status(url, page->host, SMOKE_REQUEST_MS, out_status, err);
        if ((is_answered && is_good(*out_status)) || clock_ms() + pause_ms >= deadline_ms)
            return is_answered || error_wrap(err, "%.*s doesn't answer", STR_ARG(page->name));
        error_clear(err);
        clock_sleep_ms(pause_ms);
        if (!operation_beat(op, err))
            return false;
    }
}

static bool smoke_refused(const Operation *op, int status, Error *err)
{
    bool is_unknown = status == 404 || status == 503;    // its shopd may not have read the cell's news yet
    error_set(err, is_unknown ? ERR_UNREACHABLE : ERR_FAILED, "the new shop '%.*s' answers with status %d",
              STR_ARG(op->slug), status);
    error_where(err, "%.*s", STR_ARG(op->context->cell_url));
    return error_next(err, "see the log of the cell's shopd");
}

bool smoke_apply(Operation *op, Error *err)
{
    int status = 0;
    if (op->context->cell_url.len == 0) {    // it lost it meanwhile
        error_set(err, ERR_STATE, "nobody can reach the new shop '%.*s'", STR_ARG(op->slug));
        error_why(err, "its cell '%.*s' has no address", STR_ARG(op->cell));
        return error_next(err, "shopctl cell add %.*s --url http://HOST:PORT", STR_ARG(op->cell));
    }
    Page page = {.path = SMOKE_PAGE,
                 .host = op->context->host,
                 .name = str_format(op->arena, "the new shop '%.*s'", STR_ARG(op->slug))};
    return page_wait(op, &page, &status, err) && (is_good(status) || smoke_refused(op, status, err));
}

bool cell_answers(Operation *op, Error *err)
{
    int status = 0;
    Page page = {.path = "/readyz",
                 .host = S("localhost"),
                 .name = str_format(op->arena, "the shopd of the cell '%.*s'", STR_ARG(op->cell))};
    if (op->context->cell_url.len == 0) {
        error_set(err, ERR_UNREACHABLE, "the cell '%.*s' has no address", STR_ARG(op->cell));
        return error_next(err, "shopctl cell add %.*s --url http://HOST:PORT", STR_ARG(op->cell));
    }
    if (!page_wait(op, &page, &status, err))
        return false;
    if (is_good(status))
        return true;
    error_set(err, ERR_UNREACHABLE, "%.*s isn't ready", STR_ARG(page.name));
    error_where(err, "%.*s", STR_ARG(op->context->cell_url));
    return error_why(err, "it answers with status %d", status);
}

// ---- activate: in the cell, then in the record

bool activate_probe(Operation *op, bool *out_done, Error *err)
{
    Str state;
    *out_done = false;
    if (!tenant_context_read(op, err) ||
        !cell_value(op, S("select cell.tenant_state($1::bigint)"), PARAMS(STEP_NUMBER(op->number)), &state, err))
        return false;
    *out_done = str_eq(state, S("active")) && str_eq(op->context->status, S("active"));
    return true;
}

bool activate_apply(Operation *op, Error *err)
{
    return cell_call(op, S("select cell.tenant_state_set($1::bigint, $2::bigint, $3::bigint, 'active')"),
                     PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err) &&
           control_call(op, S("select control.tenant_activate($1::bigint, $2::bigint, $3::bigint)"),
                        PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err);
}

bool activate_revert(Operation *op, Error *err)
{
    return tenant_number_find(op, err) &&
           control_call(op, S("select control.tenant_deactivate($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)),
                        err) &&
           (op->number == 0 ||
            cell_call(op, S("select cell.tenant_state_set($1::bigint, $2::bigint, $3::bigint, 'reserved')"),
                      PARAMS(OPERATION(op), STEP_NUMBER(op->number)), err));
}

// ---- drop: schema, role and rows

bool drop_probe(Operation *op, bool *out_done, Error *err)
{
    bool is_there = false;
    if (!tenant_is_in_cell(op, &is_there, err))
        return false;
    *out_done = !is_there;
    return true;
}

bool drop_apply(Operation *op, Error *err)
{
    Db *cell = NULL;
    return operation_cell(op, &cell, err) && tenant_drop(cell, op->id, op->epoch, op->number, err);
}
