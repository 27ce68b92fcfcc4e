// provisioner/upgrade_driver.c: how a shop of its own gets the PostgreSQL, the schema and the shopd of this version.
// Its input: "postgres", "schema", "shopd" (which of them are another version's), "postgres_image" (that it had),
// "port" (the shop's before), and "is_moved": whether the second shopd takes over at its own port, so that requests
// always find one, or, for want of a gateway, at the first one's after that has gone.
#include "provisioner/container_driver.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/cell.h"
#include "provisioner/container_steps.h"
#include "provisioner/dedicated_addresses.h"
#include "provisioner/dedicated_make.h"
#include "provisioner/dedicated_ready.h"
#include "provisioner/gateway_leads.h"
#include "provisioner/http_client.h"
#include "provisioner/tenant_steps.h"

enum {
    LOG_LINES = 5,
    RESTARTS_MAX = 3,
    PAGE_MS = 5000,
    PAUSE_MS = 50,
};

static bool is_given(const Operation *op, const char *key)
{
    return json_kind(json_get(op->input, key)) == JSON_KIND_TRUE;
}

// What is on the host: the cell, its shopd, and the second one.
typedef struct Upgrade {
    Dedicated cell;
    Dedicated next;    // the same, with the second shopd's name, port and address
    Engine *engine;
    Str image, command;    // of a shopd that is made now
    Made shopd, second;
} Upgrade;

static bool is_new(const Upgrade *upgrade, const Made *made)
{
    return made->is_there && str_eq(made->image, upgrade->image) && str_eq(made->command, upgrade->command);
}

static bool is_switched(const Operation *op, const Upgrade *upgrade)
{
    return upgrade->cell.port != json_int64(json_get(op->input, "port"));
}

static bool upgrade_read(Operation *op, Upgrade *out, Error *err)
{
    if (!cell_reach(op, &out->cell, &out->engine, err) || !operation_image(op, IMAGE_SHOPD, &out->image, err) ||
        !dedicated_command(out->engine, &out->cell, op->arena, &out->command, err) ||
        !dedicated_made(out->engine, out->cell.shopd_name, op->arena, &out->shopd, err) ||
        !dedicated_made(out->engine, out->cell.next_name, op->arena, &out->second, err))
        return false;
    out->next = out->cell;
    out->next.shopd_name = out->cell.next_name;
    out->next.port = is_switched(op, out) ? out->cell.port : out->cell.port_next;
    out->next.url =
        str_format(op->arena, str_has_char(out->cell.address, ':') ? "http://[%.*s]:%lld" : "http://%.*s:%lld",
                   STR_ARG(out->cell.address), (long long)out->next.port);
    return arena_ok(op->arena, err);
}

// The second one has become the shop's.
static bool has_taken_over(const Upgrade *upgrade)
{
    return !upgrade->second.is_there && is_new(upgrade, &upgrade->shopd);
}

// ---- PostgreSQL

static bool postgres_look(Operation *op, Dedicated *out_cell, Engine **out_engine, Made *out, Error *err)
{
    return cell_reach(op, out_cell, out_engine, err) &&
           dedicated_made(*out_engine, out_cell->postgres_name, op->arena, out, err);
}

static bool version_probe(Operation *op, bool *out_done, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Made made;
    Str image;
    *out_done = !is_given(op, "postgres");
    if (*out_done)
        return true;
    if (!operation_image(op, IMAGE_POSTGRES, &image, err) || !postgres_look(op, &cell, &engine, &made, err))
        return false;
    *out_done = made.is_running && str_eq(made.image, image);
    return true;
}

// A checkpoint beforehand leaves little to write while nobody can buy.
static bool connections_before(Operation *op, int64_t *out, Error *err)
{
    Db *db = NULL;
    if (dedicated_connections(op->platform, op->cell, out, err))
        return platform_cell(op->platform, op->cell, &db, err) && db_run(db, S("checkpoint"), NO_PARAMS, err);
    if (err->code != ERR_UNREACHABLE)
        return false;
    error_clear(err);    // it doesn't run
    *out = 1;
    return true;
}

// Of two containers with one name one is gone before the other can be made: never two on one volume.
static bool postgres_replace(Operation *op, Str image, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Made made;
    int64_t connections = 0;
    if (!postgres_look(op, &cell, &engine, &made, err) || !connections_before(op, &connections, err))
        return false;
    int64_t from_ms = clock_ms();
    if (!operation_beat(op, err))
        return false;
    if (!str_eq(made.image, image) && made.is_there &&
        (!container_stop(engine, cell.postgres_name, POSTGRES_STOP_S, err) ||
         !thing_remove(engine, THING_CONTAINER, cell.postgres_name, err)))
        return false;
    if (!dedicated_postgres_address_choose(engine, &cell, op->arena, err) ||
        !thing_make(engine, THING_CONTAINER, cell.postgres_name, dedicated_postgres_container(&cell, image), err) ||
        !container_start(engine, cell.postgres_name, err))
        return false;
    if (!dedicated_database_wait(op->platform, op, op->cell, op->slug, connections, err)) {
        error_why(err, "its log ends: %.*s",
                  STR_ARG(str_visible(op->arena,
                                      str_trim(container_log_tail(engine, cell.postgres_name, LOG_LINES, op->arena)))));
        err->code = ERR_FAILED;    // the one before is better than this one
        return false;
    }
    return json_set(op->data, "write_pause_ms", json_from_int(clock_ms() - from_ms), err);
}

static bool version_apply(Operation *op, Error *err)
{
    bool is_done = false;
    Str image;
    return version_probe(op, &is_done, err) &&
           (is_done || (operation_image(op, IMAGE_POSTGRES, &image, err) && postgres_replace(op, image, err)));
}

static bool version_revert(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Made made;
    Str before = json_str(json_get(op->input, "postgres_image"));
    if (!is_given(op, "postgres") || before.len == 0)
        return true;
    return postgres_look(op, &cell, &engine, &made, err) &&
           ((made.is_running && str_eq(made.image, before)) || postgres_replace(op, before, err));
}

// ---- schema: shopd of the version before goes on with it, as that of a shared cell does

static bool schema_probe(Operation *op, bool *out_done, Error *err)
{
    size_t files = 0;
    int64_t tenants = 0;
    *out_done = !is_given(op, "schema");
    if (*out_done)
        return true;
    if (!cell_pending(op->platform, op->cell, &files, &tenants, err))
        return false;
    *out_done = files == 0 && tenants == 0;
    return true;
}

static bool schema_apply(Operation *op, Error *err)
{
    return !is_given(op, "schema") || cell_migrate(op->platform, op->cell, err);
}

// ---- next: the second shopd, beside the first one

static bool next_probe(Operation *op, bool *out_done, Error *err)
{
    Upgrade upgrade;
    *out_done = !is_given(op, "shopd");
    if (*out_done)
        return true;
    if (!upgrade_read(op, &upgrade, err))
        return false;
    *out_done = has_taken_over(&upgrade) || (is_new(&upgrade, &upgrade.second) && upgrade.second.is_running);
    return true;
}

static bool port_reserve(Operation *op, int64_t from, Error *err)
{
    return control_call(op, S("select control.cell_port_reserve($1::bigint, $2::bigint, $3, $4::integer)"),
                        PARAMS(OPERATION(op), op->cell, STEP_NUMBER(from)), err);
}

static bool next_start(Operation *op, Upgrade *upgrade, Error *err)
{
    bool is_old = upgrade->second.is_there && !is_new(upgrade, &upgrade->second);    // of an operation that was left
    return (!is_old || thing_remove(upgrade->engine, THING_CONTAINER, upgrade->next.shopd_name, err)) &&
           shopd_start(upgrade->engine, &upgrade->next, upgrade->image, op->arena, err);
}

// A program that isn't the platform's may have the port.
static bool next_apply(Operation *op, Error *err)
{
    Upgrade upgrade;
    if (!is_given(op, "shopd"))
        return true;
    for (int tried = 0;; tried++) {
        if (!upgrade_read(op, &upgrade, err))
            return false;
        if (has_taken_over(&upgrade))
            return true;
        if (upgrade.next.port == 0) {
            if (!port_reserve(op, 0, err))
                return false;
            continue;
        }
        if (next_start(op, &upgrade, err))
            return true;
        if (!is_port_taken(err) || is_switched(op, &upgrade) || tried >= PORTS_TRIED_MAX)
            return false;
        error_clear(err);
        if (!thing_remove(upgrade.engine, THING_CONTAINER, upgrade.next.shopd_name, err) ||
            !port_reserve(op, upgrade.next.port + 1, err))
            return false;
    }
}

static bool port_release(Operation *op, Error *err)
{
    return control_call(op, S("select control.cell_port_release($1::bigint, $2::bigint, $3)"),
                        PARAMS(OPERATION(op), op->cell), err);
}

static bool next_revert(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    return !is_given(op, "shopd") ||
           (cell_reach(op, &cell, &engine, err) && container_stop(engine, cell.next_name, SHOPD_STOP_S, err) &&
            thing_remove(engine, THING_CONTAINER, cell.next_name, err) && port_release(op, err));
}

// ---- ready: the second one serves the shop, asked as a shopper asks

// One that isn't fit ends, and is started again and again by the engine.
static bool second_wait(Operation *op, const Upgrade *upgrade, Error *err)
{
    Str url = str_format(op->arena, "%.*s/readyz", STR_ARG(upgrade->next.url));
    int64_t deadline_ms = clock_ms() + platform_options(op->platform)->ready_ms;
    for (; arena_ok(op->arena, err); clock_sleep_ms(PAUSE_MS)) {
        CLEANUP(json_close) Json *there = NULL;
        Error ignored = {0};
        int status = 0;
        if (http_get_status(url, S("localhost"), PAGE_MS, &status, &ignored) && status == 200)
            return true;
        if (!thing_find(upgrade->engine, THING_CONTAINER, upgrade->next.shopd_name, &there, err) ||
            !operation_beat(op, err))
            return false;
        if (json_int64(json_get(there, "RestartCount")) >= RESTARTS_MAX)
            return error_set(err, ERR_FAILED, "it ends right after its start");
        if (clock_ms() > deadline_ms)
            return error_set(err, ERR_FAILED, "it isn't ready at %.*s", STR_ARG(upgrade->next.url));
    }
    return false;
}

static bool page_wait(Operation *op, Str url, Error *err)
{
    int64_t deadline_ms = clock_ms() + platform_options(op->platform)->smoke_ms;
    Str page = str_format(op->arena, "%.*s/search", STR_ARG(url));
    if (!arena_ok(op->arena, err) || !str_eq(op->context->status, S("active")))
        return arena_ok(op->arena, err);    // a suspended shop's page says 503
    for (;; clock_sleep_ms(PAUSE_MS)) {
        int status = 0;
        bool is_answered = http_get_status(page, op->context->host, PAGE_MS, &status, err);
        if (is_answered && status == 200)
            return true;
        if (clock_ms() > deadline_ms)
            return !is_answered ? false : error_set(err, ERR_FAILED, "its page answers with status %d", status);
        error_clear(err);
    }
}

static bool ready_probe(Operation *op, bool *out_done, Error *err)
{
    (void)err;
    *out_done = !is_given(op, "shopd");    // asking again costs nothing
    return true;
}

// The shop goes on with the first one where the second isn't fit.
static bool ready_apply(Operation *op, Error *err)
{
    Upgrade upgrade;
    if (!is_given(op, "shopd"))
        return true;
    if (!upgrade_read(op, &upgrade, err))
        return false;
    if (has_taken_over(&upgrade) || (second_wait(op, &upgrade, err) && page_wait(op, upgrade.next.url, err)))
        return true;
    Str tail = str_trim(container_log_tail(upgrade.engine, upgrade.next.shopd_name, LOG_LINES, op->arena));
    error_wrap(err, "the new shopd of the shop '%.*s' isn't ready", STR_ARG(op->slug));
    error_where(err, "the container '%.*s' on the host '%.*s'", STR_ARG(upgrade.next.shopd_name),
                STR_ARG(upgrade.cell.host));
    error_why(err, "its log ends: %.*s", STR_ARG(str_visible(op->arena, tail)));
    err->code = ERR_FAILED;
    return false;
}

// ---- switch: the shop's address is the second one's, for the record and for the gateway

static bool is_moved(const Operation *op) { return is_given(op, "shopd") && is_given(op, "is_moved"); }

static bool switch_probe(Operation *op, bool *out_done, Error *err)
{
    (void)err;
    *out_done = !is_moved(op);    // the gateway is asked again
    return true;
}

static bool switch_to(Operation *op, int64_t port, Error *err)
{
    return control_call(op, S("select control.cell_port_switch($1::bigint, $2::bigint, $3, $4::integer)"),
                        PARAMS(OPERATION(op), op->cell, STEP_NUMBER(port)), err) &&
           gateway_leads_wait(op->platform, op->cell, err);
}

static bool switch_apply(Operation *op, Error *err)
{
    Upgrade upgrade;
    return !is_moved(op) || (upgrade_read(op, &upgrade, err) && switch_to(op, upgrade.next.port, err));
}

static bool switch_revert(Operation *op, Error *err)
{
    return !is_moved(op) || switch_to(op, json_int64(json_get(op->input, "port")), err);
}

// ---- leave: what the first one has begun it ends; then it goes. From here it only goes forward.

// Where there is nothing to do, nothing bars the way back.
static bool past_probe(Operation *op, bool (*is_past)(const Upgrade *upgrade), bool *out_done, Error *err)
{
    Upgrade upgrade;
    *out_done = false;
    if (!is_given(op, "shopd"))
        return true;
    if (!upgrade_read(op, &upgrade, err))
        return false;
    *out_done = is_past(&upgrade);
    return true;
}

static bool has_left(const Upgrade *upgrade) { return !upgrade->shopd.is_there || is_new(upgrade, &upgrade->shopd); }

static bool leave_probe(Operation *op, bool *out_done, Error *err) { return past_probe(op, has_left, out_done, err); }

static bool leave_apply(Operation *op, Error *err)
{
    Upgrade upgrade;
    if (!is_given(op, "shopd"))
        return true;
    return upgrade_read(op, &upgrade, err) && operation_beat(op, err) &&
           json_set(op->data, "left_at_ms", json_from_int(clock_unix_ms()), err) &&
           container_stop(upgrade.engine, upgrade.cell.shopd_name, SHOPD_STOP_S, err) &&
           thing_remove(upgrade.engine, THING_CONTAINER, upgrade.cell.shopd_name, err);
}

// ---- take over: the second one gets the first one's name, or, where the address stays, its port

static bool has_ended(const Upgrade *upgrade) { return has_taken_over(upgrade) && upgrade->cell.port_next == 0; }

static bool takeover_probe(Operation *op, bool *out_done, Error *err)
{
    return past_probe(op, has_ended, out_done, err);
}

static bool take_name(const Upgrade *upgrade, Error *err)
{
    return !upgrade->second.is_there ||
           container_rename(upgrade->engine, upgrade->cell.next_name, upgrade->cell.shopd_name, err);
}

static bool take_port(Operation *op, Upgrade *upgrade, Error *err)
{
    int64_t from_ms = json_int64(json_get(op->data, "left_at_ms"));
    return shopd_start(upgrade->engine, &upgrade->cell, upgrade->image, op->arena, err) &&
           dedicated_ready_wait(op->platform, op, upgrade->cell.url, op->slug, err) &&
           json_set(op->data, "away_ms", json_from_int(clock_unix_ms() - from_ms), err) &&
           thing_remove(upgrade->engine, THING_CONTAINER, upgrade->cell.next_name, err);
}

static bool takeover_apply(Operation *op, Error *err)
{
    Upgrade upgrade;
    if (!is_given(op, "shopd"))
        return true;
    return upgrade_read(op, &upgrade, err) && operation_beat(op, err) &&
           (is_moved(op) ? take_name(&upgrade, err) : take_port(op, &upgrade, err)) && port_release(op, err);
}

static const Step STEPS[] = {
    {.name = "image", .probe = image_probe, .apply = image_apply, .revert = nothing_revert},
    {.name = "postgres", .probe = version_probe, .apply = version_apply, .revert = version_revert},
    {.name = "schema", .probe = schema_probe, .apply = schema_apply, .revert = nothing_revert},
    {.name = "next", .probe = next_probe, .apply = next_apply, .revert = next_revert},
    {.name = "ready", .probe = ready_probe, .apply = ready_apply, .revert = nothing_revert},
    {.name = "switch", .probe = switch_probe, .apply = switch_apply, .revert = switch_revert},
    {.name = "leave", .probe = leave_probe, .apply = leave_apply},
    {.name = "takeover", .probe = takeover_probe, .apply = takeover_apply},
};

const Driver CONTAINER_UPGRADE = {
    .kind = "upgrade", .steps = STEPS, .count = COUNT(STEPS), .begin = tenant_context, .prepare = own_cells_start};
