// provisioner/resize_driver.c: how a shop of its own gets other CPU and memory while it sells. Its input has two sizes,
// "before" and "after", and the "larger" of both in each amount, which it has on its way from one to the other.
#include "provisioner/container_driver.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/container_steps.h"
#include "provisioner/dedicated_ready.h"
#include "provisioner/tenant_steps.h"

static bool size_text(Operation *op, const char *size, Str *out, Error *err)
{
    return json_print(json_get(op->input, size), 0, op->arena, out, err);
}

// ---- reserve: the host's capacity, the larger of both sizes

static bool record_size(Operation *op, const char *size, bool is_back, Error *err)
{
    Str text;
    return size_text(op, size, &text, err) &&
           control_call(op, S("select control.cell_resize($1::bigint, $2::bigint, $3, $4::jsonb, $5::boolean)"),
                        PARAMS(OPERATION(op), op->cell, text, is_back ? S("t") : S("f")), err);
}

static bool has_size(Operation *op, Str sql, const char *size, bool *out, Error *err)
{
    Str text;
    return size_text(op, size, &text, err) && control_is(op, sql, PARAMS(op->cell, text), out, err);
}

static bool record_probe(Operation *op, bool *out_done, Error *err)
{
    return has_size(op, S("select control.tenant_is_resized($1, $2::jsonb)"), "after", out_done, err);
}

static bool capacity_probe(Operation *op, bool *out_done, Error *err)
{
    if (!record_probe(op, out_done, err))
        return false;
    if (*out_done)    // it has its new size already
        return true;
    return has_size(op, S("select exists (select from control.cells where name = $1 and resources = $2::jsonb)"),
                    "larger", out_done, err);
}

static bool capacity_apply(Operation *op, Error *err) { return record_size(op, "larger", false, err); }
static bool capacity_revert(Operation *op, Error *err) { return record_size(op, "before", true, err); }

// ---- limits of the running containers

typedef struct Part {
    Str name;
    DedicatedResources size;
} Part;

enum { PARTS = 2 };

static bool parts_find(Operation *op, const char *size, Engine **out_engine, Part out[PARTS], Error *err)
{
    Dedicated cell;
    if (!cell_reach(op, &cell, out_engine, err))
        return false;
    const Json *sizes = json_get(op->input, size);
    out[0] = (Part){cell.postgres_name, dedicated_resources(sizes, "postgres")};
    out[1] = (Part){cell.shopd_name, dedicated_resources(sizes, "shopd")};
    return true;
}

// A container that somebody removed gets its limits when it is made again.
static bool limit_is(Engine *engine, const Part *part, bool *out, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    if (!thing_find(engine, THING_CONTAINER, part->name, &container, err))
        return false;
    *out = !container || has_container_limits(container, part->size.millicpu, part->size.memory_bytes);
    return true;
}

static bool limits_are(Operation *op, const char *size, bool *out, Error *err)
{
    Engine *engine = NULL;
    Part parts[PARTS];
    *out = parts_find(op, size, &engine, parts, err);
    for (size_t i = 0; i < PARTS && *out; i++)
        if (!limit_is(engine, &parts[i], out, err))
            return false;
    return err->code == ERR_NONE;
}

static bool limits_set(Operation *op, const char *size, Error *err)
{
    Engine *engine = NULL;
    Part parts[PARTS];
    if (!parts_find(op, size, &engine, parts, err))
        return false;
    for (size_t i = 0; i < PARTS; i++) {
        bool is_set = false;
        if (!limit_is(engine, &parts[i], &is_set, err) ||
            (!is_set &&
             !container_limit(engine, parts[i].name, parts[i].size.millicpu, parts[i].size.memory_bytes, err)))
            return false;
    }
    return true;
}

static bool raise_probe(Operation *op, bool *out_done, Error *err) { return limits_are(op, "larger", out_done, err); }
static bool raise_apply(Operation *op, Error *err) { return limits_set(op, "larger", err); }
static bool raise_revert(Operation *op, Error *err) { return limits_set(op, "before", err); }

static bool lower_probe(Operation *op, bool *out_done, Error *err) { return limits_are(op, "after", out_done, err); }

// The kernel takes no memory away that is in use.
static bool lower_apply(Operation *op, Error *err)
{
    if (limits_set(op, "after", err))
        return true;
    if (err->code != ERR_UNREACHABLE && err->next[0] == '\0')
        error_next(err, "leave it more than it uses, or give what it uses free: shopctl tenant restart %.*s",
                   STR_ARG(op->slug));
    return false;
}
static bool lower_revert(Operation *op, Error *err) { return limits_set(op, "larger", err); }

// ---- PostgreSQL's settings

// A container that was removed is made by the controller, with these files, once the operation has ended: *out_there.
static bool conf_put(Operation *op, const char *size, bool *out_there, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    Dedicated cell;
    Engine *engine = NULL;
    Str image;
    if (!cell_reach(op, &cell, &engine, err) || !operation_image(op, IMAGE_POSTGRES, &image, err) ||
        !thing_find(engine, THING_CONTAINER, cell.postgres_name, &container, err))
        return false;
    *out_there = container != NULL;
    if (container)
        image = json_str(json_get(json_get(container, "Config"), "Image"));
    const DedicatedResources resources = dedicated_resources(json_get(op->input, size), "postgres");
    const ContainerFile file = {S("postgresql.conf"), dedicated_postgres_conf(&resources, op->arena), 0444, 0};
    return arena_ok(op->arena, err) && secrets_put(engine, &cell, image, &file, 1, err);
}

// Whether the files have what only a start brings in; what a reload brings in is in.
static bool is_restart_needed(Operation *op, bool *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *db = NULL;
    if (!platform_reconnect(op->platform, err) || !platform_cell(op->platform, op->cell, &db, err) ||
        !db_run(db, S("select pg_reload_conf()"), NO_PARAMS, err) ||
        !db_query(db, S("select exists (select from pg_file_settings where error is not null)"), NO_PARAMS, &rows, err))
        return false;
    *out = rows_bool(rows, 0, 0);
    return true;
}

// A checkpoint beforehand leaves little to write while nobody can buy.
static bool postgres_restart(Operation *op, Error *err)
{
    Db *db = NULL;
    Dedicated cell;
    Engine *engine = NULL;
    int64_t connections = 0;
    if (!cell_reach(op, &cell, &engine, err) || !dedicated_connections(op->platform, op->cell, &connections, err) ||
        !platform_cell(op->platform, op->cell, &db, err) || !db_run(db, S("checkpoint"), NO_PARAMS, err))
        return false;
    int64_t from_ms = clock_ms();
    return operation_beat(op, err) && container_restart(engine, cell.postgres_name, POSTGRES_STOP_S, err) &&
           dedicated_database_wait(op->platform, op, op->cell, op->slug, connections, err) &&
           json_set(op->data, "away_ms", json_from_int(clock_ms() - from_ms), err);
}

static bool settings_follow(Operation *op, const char *size, Error *err)
{
    bool is_there = false, is_needed = false;
    if (!own_postgres_start(op, err) || !conf_put(op, size, &is_there, err))
        return false;
    return !is_there || (is_restart_needed(op, &is_needed, err) && (!is_needed || postgres_restart(op, err)));
}

static bool conf_probe(Operation *op, bool *out_done, Error *err)
{
    (void)op;
    (void)err;
    *out_done = false;    // writing the same again changes nothing
    return true;
}

static bool conf_apply(Operation *op, Error *err) { return settings_follow(op, "after", err); }
static bool conf_revert(Operation *op, Error *err) { return settings_follow(op, "before", err); }

// ---- record: the shop has the new size, of which only another operation brings it back

static bool record_apply(Operation *op, Error *err)
{
    Str text;
    return size_text(op, "after", &text, err) &&
           control_call(op, S("select control.tenant_resized($1::bigint, $2::bigint, $3, $4::jsonb)"),
                        PARAMS(OPERATION(op), op->cell, text), err);
}

static const Step STEPS[] = {
    {.name = "reserve", .probe = capacity_probe, .apply = capacity_apply, .revert = capacity_revert},
    {.name = "raise", .probe = raise_probe, .apply = raise_apply, .revert = raise_revert},
    {.name = "settings", .probe = conf_probe, .apply = conf_apply, .revert = conf_revert},
    {.name = "lower", .probe = lower_probe, .apply = lower_apply, .revert = lower_revert},
    {.name = "record", .probe = record_probe, .apply = record_apply},
};

const Driver CONTAINER_RESIZE = {
    .kind = "resize", .steps = STEPS, .count = COUNT(STEPS), .begin = tenant_context, .prepare = own_cells_start};
