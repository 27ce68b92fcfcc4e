// provisioner/tenant_resize.c: checks what a shop is to have, and has the operation run.
#include "provisioner/tenant_resize.h"

#include "base/arena.h"
#include "provisioner/container_driver.h"
#include "provisioner/dedicated_make.h"
#include "provisioner/host.h"
#include "provisioner/plan.h"
#include "provisioner/tenant_container.h"

enum { BUDGET = 4 * MIB };
static const double MILLI = 1000.0;

// The amounts of a cell's record, and the fields of a plan that have their bounds.
static const struct {
    const char *program, *kind, *key, *field;
} AMOUNTS[] = {
    {"postgres", "millicpu", "postgres.cpu", "resources.postgres.cpu"},
    {"postgres", "memory_bytes", "postgres.memory_bytes", "resources.postgres.memory"},
    {"postgres", "disk_bytes", "postgres.disk_bytes", "resources.postgres.disk"},
    {"shopd", "millicpu", "shopd.cpu", "resources.shopd.cpu"},
    {"shopd", "memory_bytes", "shopd.memory_bytes", "resources.shopd.memory"},
};

typedef struct Resizing {
    Platform *platform;
    Arena *arena;
    TenantRecord tenant;
    Dedicated cell;
    Json *input;
} Resizing;

static void resizing_close(Resizing *resizing)
{
    json_close(&resizing->input);
    arena_close(&resizing->arena);
}

static int64_t amount(const Resizing *resizing, const char *size, size_t i)
{
    return json_int64(json_get(json_get(json_get(resizing->input, size), AMOUNTS[i].program), AMOUNTS[i].kind));
}

// ---- checks

static Json *wish_json(const TenantSize *size)
{
    Json *wish = json_build("{s:b}", "is_plan", (int)size->is_plan);
    const struct {
        const char *key;
        int64_t value;
    } given[] = {{"millicpu", size->millicpu}, {"memory_bytes", size->memory_bytes}, {"disk_bytes", size->disk_bytes}};
    for (size_t i = 0; i < COUNT(given); i++)
        if (given[i].value)
            (void)json_put(wish, given[i].key, json_from_int(given[i].value));
    return wish;
}

static const PlanField *field_find(const char *key)
{
    const PlanField *field = PLAN_FIELDS;
    while (field->key && strcmp(field->key, key) != 0)
        field++;
    assert(field->key);
    return field;
}

// As a plan of this size would be refused.
static bool bounds_check(const Resizing *resizing, Error *err)
{
    for (size_t i = 0; i < COUNT(AMOUNTS); i++) {
        const PlanField *field = field_find(AMOUNTS[i].field);
        int64_t value = amount(resizing, "after", i);
        if (value >= field->min && value <= field->max)
            continue;
        Str text = unit_text(field->unit, value, resizing->arena),
            min = unit_text(field->unit, field->min, resizing->arena);
        Str max = unit_text(field->unit, field->max, resizing->arena);
        error_set(err, ERR_INVALID, "the shop '%.*s' can't have this size", STR_ARG(resizing->tenant.slug));
        error_where(err, "%s", AMOUNTS[i].key);
        error_why(err, "it would be %.*s, not %.*s to %.*s", STR_ARG(text), STR_ARG(min), STR_ARG(max));
        return error_next(err, "the plan's shares of PostgreSQL and shopd hold for what both get together");
    }
    return true;
}

static bool disk_check(const Resizing *resizing, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *db = NULL;
    int64_t wanted = dedicated_resources(json_get(resizing->input, "after"), "postgres").disk_bytes;
    if (wanted >= dedicated_resources(json_get(resizing->input, "before"), "postgres").disk_bytes)
        return true;
    if (!platform_cell(resizing->platform, resizing->cell.cell, &db, err) ||
        !db_query(db, S("select pg_database_size(current_database())"), NO_PARAMS, &rows, err))
        return false;
    int64_t used = rows_int64(rows, 0, 0);
    if (used <= wanted)
        return true;
    error_set(err, ERR_INVALID, "the shop '%.*s' has no room in so little disk", STR_ARG(resizing->tenant.slug));
    error_where(err, "postgres.disk_bytes");
    error_why(err, "its database takes %.*s", STR_ARG(unit_text(UNIT_BYTES, used, resizing->arena)));
    return error_next(err, "give it more than that");
}

static bool room_check(const Resizing *resizing, Error *err)
{
    Str larger = S("");
    return json_print(json_get(resizing->input, "larger"), 0, resizing->arena, &larger, err) &&
           db_run(platform_control(resizing->platform), S("select control.cell_room_check($1, $2::jsonb)"),
                  PARAMS(resizing->cell.cell, larger), err);
}

// Reads what is, and makes the operation's input.
static bool resizing_open(Platform *platform, Slug slug, const TenantSize *size, Resizing *out, Error *err)
{
    CLEANUP(json_close) Json *wish = wish_json(size);
    CLEANUP(rows_close) Rows *rows = NULL;
    Str text = S("");
    out->platform = platform;
    out->arena = arena_open(BUDGET);
    if (!json_print(wish, 0, out->arena, &text, err) ||
        !tenant_cell_find(platform, slug, out->arena, &out->tenant, &out->cell, err) ||
        !db_query(platform_control(platform), S("select control.tenant_resize_input($1, $2::jsonb)"),
                  PARAMS(slug.text, text), &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &out->input, err))
        return false;
    return bounds_check(out, err) && disk_check(out, err);
}

static bool is_changed(const Resizing *resizing)
{
    return json_kind(json_get(resizing->input, "is_changed")) == JSON_KIND_TRUE;
}

// ---- answers

static Json *value_json(size_t i, int64_t value)
{
    return strcmp(AMOUNTS[i].kind, "millicpu") ? json_from_int(value) : json_build("f", (double)value / MILLI);
}

static Json *changes_json(const Resizing *resizing)
{
    Json *changes = json_build("[]");
    for (size_t i = 0; i < COUNT(AMOUNTS); i++) {
        int64_t from = amount(resizing, "before", i), to = amount(resizing, "after", i);
        if (from != to && !json_append(changes, json_build("{s:s, s:o, s:o}", "key", AMOUNTS[i].key, "from",
                                                           value_json(i, from), "to", value_json(i, to))))
            json_close(&changes);
    }
    return changes;
}

// Threads and cache are shopd's from its start.
static bool upgrade_wanted(const Resizing *resizing, bool *out, Error *err)
{
    Host *host = NULL;
    Dedicated cell;
    Made made;
    Str command;
    if (!dedicated_find(resizing->platform, resizing->cell.cell, resizing->arena, &cell, err) ||
        !platform_host(resizing->platform, cell.host, &host, err) ||
        !dedicated_made(host_engine(host), cell.shopd_name, resizing->arena, &made, err) ||
        !dedicated_command(host_engine(host), &cell, resizing->arena, &command, err))
        return false;
    *out = made.is_there && !str_eq(made.command, command);
    return true;
}

// What the operation was told, which may be what an earlier command asked for, and how long the shop was away.
static bool outcome_read(Resizing *resizing, int64_t id, int64_t *out_away_ms, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Json *input = NULL;
    if (!db_query(
            platform_control(resizing->platform),
            S("select input, coalesce((data ->> 'away_ms')::bigint, 0) from control.operations where id = $1::bigint"),
            PARAMS(str_int(resizing->arena, id)), &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &input, err))
        return false;
    json_close(&resizing->input);
    resizing->input = input;
    *out_away_ms = rows_int64(rows, 0, 1);
    return true;
}

bool tenant_resize_preview(Platform *platform, Slug slug, const TenantSize *size, Json **out, Error *err)
{
    CLEANUP(resizing_close) Resizing resizing = {0};
    int64_t left = 0;
    if (!resizing_open(platform, slug, size, &resizing, err) ||
        !operation_left(platform, &CONTAINER_RESIZE, slug.text, &left, err))
        return false;
    if (left)
        return operation_preview(platform, left, false, out, err);
    if (!db_run(platform_control(platform), S("select control.lease_check_free($1, false)"), PARAMS(slug.text), err) ||
        !room_check(&resizing, err))
        return false;
    *out = json_build("{s:o}", "changes", changes_json(&resizing));
    return json_ok(*out, err);
}

bool tenant_resize(Platform *platform, Slug slug, const TenantSize *size, Json **out, Error *err)
{
    CLEANUP(resizing_close) Resizing resizing = {0};
    bool is_done = false, is_upgrade_wanted = false;    // an earlier change, perhaps another one: this one follows it
    int64_t id = 0, away_ms = 0;
    if (!operation_continue(platform, &CONTAINER_RESIZE, slug.text, &is_done, &id, err) ||
        !resizing_open(platform, slug, size, &resizing, err))
        return false;
    const OperationSpec spec = {.driver = &CONTAINER_RESIZE, .slug = slug.text, .input = resizing.input};
    if (is_changed(&resizing) && (!room_check(&resizing, err) || !operation_run(platform, &spec, &id, err)))
        return false;
    bool has_changed = is_done || is_changed(&resizing);
    if ((has_changed && !outcome_read(&resizing, id, &away_ms, err)) ||
        !upgrade_wanted(&resizing, &is_upgrade_wanted, err))
        return false;
    *out = json_build("{s:s%, s:b, s:o, s:I, s:b}", "slug", slug.text.data, slug.text.len, "changed", (int)has_changed,
                      "changes", changes_json(&resizing), "away_ms", (json_int)away_ms, "upgrade_wanted",
                      (int)is_upgrade_wanted);
    return json_ok(*out, err);
}
