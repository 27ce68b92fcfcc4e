// provisioner/container_steps.c: what is made on a host, in order: images, network, volumes, secrets, PostgreSQL,
// shopd.
#include "provisioner/container_steps.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/cell.h"
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/dedicated_addresses.h"
#include "provisioner/dedicated_ready.h"
#include "provisioner/gateway.h"
#include "provisioner/host.h"
#include "provisioner/http_client.h"
#include "provisioner/secret.h"
#include "provisioner/server.h"
#include "provisioner/tenant_steps.h"

enum {
    READY_REQUEST_MS = 2000,
    PAUSE_FIRST_MS = 20,
    PAUSE_MAX_MS = 100,
    LOG_MS = 1000,
    LOG_LINES = 5,
};

// ---- the cell and its engine

static bool cell_read(Operation *op, Dedicated *out, Error *err)
{
    if (!tenant_context(op, err) || !dedicated_find(op->platform, op->cell, op->arena, out, err))
        return false;
    if (out->host.len)
        return true;
    error_set(err, ERR_STATE, "the cell '%.*s' isn't one of its own", STR_ARG(op->cell));
    return error_why(err, "its record names no host");
}

bool cell_reach(Operation *op, Dedicated *out, Engine **out_engine, Error *err)
{
    Host *host = NULL;
    *out_engine = NULL;
    if (!cell_read(op, out, err) || !platform_host(op->platform, out->host, &host, err))
        return false;
    *out_engine = host_engine(host);
    return true;
}

static bool is_there(Operation *op, ContainerThing thing, Str (*name)(const Dedicated *cell), bool *out, Error *err)
{
    CLEANUP(json_close) Json *there = NULL;
    Dedicated cell;
    Engine *engine = NULL;
    if (!cell_reach(op, &cell, &engine, err) || !thing_find(engine, thing, name(&cell), &there, err))
        return false;
    *out = there != NULL;
    return true;
}

static bool gone(Operation *op, ContainerThing thing, Str (*name)(const Dedicated *cell), Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    bool is_cell = false;
    if (!tenant_has_place(op, &is_cell, err) || !is_cell)
        return err->code == ERR_NONE;
    return cell_reach(op, &cell, &engine, err) && thing_remove(engine, thing, name(&cell), err);
}

static Str network_of(const Dedicated *cell) { return cell->network; }
static Str data_of(const Dedicated *cell) { return cell->data_volume; }
static Str secrets_of(const Dedicated *cell) { return cell->secrets_volume; }
static Str keeper_of(const Dedicated *cell) { return cell->secrets_name; }
static Str postgres_of(const Dedicated *cell) { return cell->postgres_name; }
static Str shopd_of(const Dedicated *cell) { return cell->shopd_name; }

// ---- image

// The operation remembers what it uses, so that all of its steps use the same.
static const char *const IMAGE_KEYS[IMAGE_KINDS] = {[IMAGE_POSTGRES] = "image_postgres", [IMAGE_SHOPD] = "image_shopd"};

static bool image_make(Operation *op, ImageKind kind, Image *out, Error *err)
{
    return operation_beat(op, err) && image_find(&platform_options(op->platform)->images, kind, op->arena, out, err) &&
           json_set(op->data, IMAGE_KEYS[kind], json_from_str(out->reference), err);
}

bool operation_image(Operation *op, ImageKind kind, Str *out_reference, Error *err)
{
    Image image;
    *out_reference = json_str(json_get(op->data, IMAGE_KEYS[kind]));
    if (out_reference->len)
        return true;
    if (!image_make(op, kind, &image, err))
        return false;
    *out_reference = image.reference;
    return true;
}

bool image_probe(Operation *op, bool *out_done, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    *out_done = cell_reach(op, &cell, &engine, err);
    for (int kind = 0; *out_done && kind < IMAGE_KINDS; kind++) {
        Image image;
        if (!image_make(op, (ImageKind)kind, &image, err) || !image_is_there(engine, &image, out_done, err))
            return false;
    }
    return err->code == ERR_NONE;
}

// A slow line may take longer than the time after which another process takes over.
static bool image_moved(void *context, int64_t done, int64_t total, Error *err)
{
    (void)done, (void)total;
    return operation_beat(context, err);
}

bool image_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    const ImageWatch watch = {image_moved, op};
    if (!cell_reach(op, &cell, &engine, err))
        return false;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        Image image;
        if (!image_make(op, (ImageKind)kind, &image, err) || !image_load(engine, &image, &watch, err))
            return false;
    }
    return true;
}

// ---- network and volumes

bool network_probe(Operation *op, bool *out_done, Error *err)
{
    return is_there(op, THING_NETWORK, network_of, out_done, err);
}

bool network_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    return cell_reach(op, &cell, &engine, err) && dedicated_front_make(engine, &cell, err) &&
           dedicated_network_make(engine, &cell, err);
}

bool network_revert(Operation *op, Error *err) { return gone(op, THING_NETWORK, network_of, err); }

bool volume_probe(Operation *op, bool *out_done, Error *err)
{
    return is_there(op, THING_VOLUME, data_of, out_done, err) &&
           (!*out_done || is_there(op, THING_VOLUME, secrets_of, out_done, err));
}

bool volume_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    return cell_reach(op, &cell, &engine, err) &&
           thing_make(engine, THING_VOLUME, cell.data_volume, dedicated_volume(&cell, cell.data_volume), err) &&
           thing_make(engine, THING_VOLUME, cell.secrets_volume, dedicated_volume(&cell, cell.secrets_volume), err);
}

bool volume_revert(Operation *op, Error *err)
{
    return gone(op, THING_VOLUME, data_of, err) && gone(op, THING_VOLUME, secrets_of, err);
}

// ---- secrets: files in a volume, put there by way of a container that never runs

bool secrets_put(Engine *engine, const Dedicated *cell, Str image, const ContainerFile *files, size_t count, Error *err)
{
    return thing_make(engine, THING_CONTAINER, cell->secrets_name, dedicated_secrets_container(cell, image), err) &&
           container_put(engine, cell->secrets_name, S(IMAGE_SECRETS), files, count, err) &&
           thing_remove(engine, THING_CONTAINER, cell->secrets_name, err);
}

static bool files_put(Operation *op, Engine *engine, const Dedicated *cell, Str image, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str secret, verifier;
    if (!secret_make(arena, &secret, err) ||
        !db_password_hash(platform_control(op->platform), S("cell_shopd"), secret, arena, &verifier, err))
        return false;
    const ContainerFile files[] = {
        {S("postgresql.conf"), dedicated_postgres_conf(&cell->postgres, arena), 0444, 0},
        {S("pg_hba.conf"), dedicated_hba_conf(arena), 0444, 0},
        {S("shopd.pgpass"), str_format(arena, "*:*:*:cell_shopd:%.*s\n", STR_ARG(secret)), 0400, IMAGE_SHOPD_UID},
        {S("shopd.verifier"), verifier, 0400, IMAGE_POSTGRES_UID},
    };
    return arena_ok(arena, err) && secrets_put(engine, cell, image, files, COUNT(files), err);
}

// Once PostgreSQL's container is there the files are, too, and must stay what they are.
bool secrets_probe(Operation *op, bool *out_done, Error *err)
{
    return is_there(op, THING_CONTAINER, postgres_of, out_done, err);
}

bool secrets_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Str image;
    return cell_reach(op, &cell, &engine, err) && operation_image(op, IMAGE_POSTGRES, &image, err) &&
           files_put(op, engine, &cell, image, err);
}

bool secrets_revert(Operation *op, Error *err) { return gone(op, THING_CONTAINER, keeper_of, err); }

// ---- PostgreSQL

static bool is_running(Operation *op, Str (*name)(const Dedicated *cell), bool *out, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    Dedicated cell;
    Engine *engine = NULL;
    if (!cell_reach(op, &cell, &engine, err) || !thing_find(engine, THING_CONTAINER, name(&cell), &container, err))
        return false;
    *out = is_container_running(container);
    return true;
}

bool postgres_probe(Operation *op, bool *out_done, Error *err) { return is_running(op, postgres_of, out_done, err); }

bool postgres_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Str image;
    return cell_reach(op, &cell, &engine, err) && operation_image(op, IMAGE_POSTGRES, &image, err) &&
           dedicated_postgres_address_choose(engine, &cell, op->arena, err) &&
           thing_make(engine, THING_CONTAINER, cell.postgres_name, dedicated_postgres_container(&cell, image), err) &&
           container_start(engine, cell.postgres_name, err);
}

bool postgres_revert(Operation *op, Error *err) { return gone(op, THING_CONTAINER, postgres_of, err); }

// ---- database: PostgreSQL answers, and has the cell's tables and shopd's login

// The file of the verifier is PostgreSQL's to read: the password itself never leaves the host.
#define LOGIN_SQL                                                                                                      \
    "do $do$ begin execute format('alter role cell_shopd password %L', "                                               \
    "trim(trailing E'\\n' from pg_read_file('" IMAGE_SECRETS "/shopd.verifier'))); end $do$"

bool database_probe(Operation *op, bool *out_done, Error *err)
{
    Db *db = NULL;
    Dedicated cell;
    CLEANUP(rows_close) Rows *rows = NULL;
    *out_done = false;
    if (!cell_read(op, &cell, err))
        return false;
    if (!platform_cell(op->platform, op->cell, &db, err) ||
        !db_query(db,
                  S("select to_regclass('cell.meta') is not null and exists (select from pg_authid where rolname = "
                    "'cell_shopd' and rolpassword is not null)"),
                  NO_PARAMS, &rows, err)) {
        bool is_missing = err->code == ERR_NOT_FOUND || err->code == ERR_UNREACHABLE;
        if (is_missing)
            error_clear(err);
        return is_missing;
    }
    *out_done = rows_bool(rows, 0, 0) && cell.is_open;
    return true;
}

static bool not_answering(Operation *op, Str (*name)(const Dedicated *cell), const char *what, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Error ignored = {0};
    error_wrap(err, "%s of the shop '%.*s' doesn't answer", what, STR_ARG(op->slug));
    if (cell_reach(op, &cell, &engine, &ignored)) {
        Str tail = str_trim(container_log_tail(engine, name(&cell), LOG_LINES, op->arena));
        error_where(err, "the container '%.*s' on the host '%.*s'", STR_ARG(name(&cell)), STR_ARG(cell.host));
        if (tail.len)
            error_why(err, "its log ends: %.*s", STR_ARG(str_visible(op->arena, tail)));
    }
    return false;
}

// Ends the log at the line that says so.
static bool is_not_ready(void *context, Str bytes, Error *err)
{
    (void)context, (void)err;
    return str_find(bytes, S("ready to accept connections")) == bytes.len;
}

// Each try is a process more in the container, which takes CPU from the making of its files: the log tells without one.
// Returns when it does, or after LOG_MS.
static void postgres_log_wait(Operation *op)
{
    const ContainerLogSpec spec = {.must_follow = true, .timeout_ms = LOG_MS};
    Dedicated cell;
    Engine *engine = NULL;
    Error ignored = {0};
    if (!cell_reach(op, &cell, &engine, &ignored) ||
        !container_log(engine, cell.postgres_name, &spec, is_not_ready, NULL, &ignored))
        error_clear(&ignored);
}

static bool postgres_wait(Operation *op, Db **out, Error *err)
{
    for (int64_t deadline_ms = clock_ms() + platform_options(op->platform)->ready_ms;; clock_sleep_ms(PAUSE_MAX_MS)) {
        postgres_log_wait(op);
        if (platform_cell_database(op->platform, op->cell, S("postgres"), out, err))
            return true;
        if (err->code != ERR_UNREACHABLE || clock_ms() > deadline_ms)
            return not_answering(op, postgres_of, "PostgreSQL", err);
        error_clear(err);
        if (!operation_beat(op, err))
            return false;
    }
}

bool database_apply(Operation *op, Error *err)
{
    CLEANUP(db_close) Db *server = NULL;
    Db *cell = NULL;
    return tenant_context(op, err) && postgres_wait(op, &server, err) && server_database_make(server, S("cell"), err) &&
           cell_migrate(op->platform, op->cell, err) && platform_cell(op->platform, op->cell, &cell, err) &&
           db_script(cell, S(LOGIN_SQL), err);
}

// ---- shopd

bool shopd_probe(Operation *op, bool *out_done, Error *err) { return is_running(op, shopd_of, out_done, err); }

bool is_port_taken(const Error *err)
{
    static const Str SAYINGS[] = {S("port is already allocated"), S("address already in use"), S("Bind for")};
    for (size_t i = 0; i < COUNT(SAYINGS); i++)
        if (str_find(str_of(err->why), SAYINGS[i]) < strlen(err->why))
            return true;
    return false;
}

bool shopd_start(Engine *engine, Dedicated *cell, Str image, Arena *arena, Error *err)
{
    return dedicated_addresses_find(engine, cell, arena, err) &&
           thing_make(engine, THING_CONTAINER, cell->shopd_name, dedicated_shopd_container(cell, image), err) &&
           container_connect(engine, cell->shopd_name, cell->network, err) &&
           container_start(engine, cell->shopd_name, err);
}

// A program that isn't the platform's may have the port.
bool shopd_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    Str image;
    if (!operation_image(op, IMAGE_SHOPD, &image, err))
        return false;
    for (int tried = 0;; tried++) {
        if (!cell_reach(op, &cell, &engine, err))
            return false;
        if (shopd_start(engine, &cell, image, op->arena, err))
            return true;
        if (!is_port_taken(err) || tried == PORTS_TRIED_MAX)
            return false;
        error_clear(err);
        if (!thing_remove(engine, THING_CONTAINER, cell.shopd_name, err) ||
            !control_call(op, S("select control.cell_port_next($1::bigint, $2::bigint, $3)"),
                          PARAMS(OPERATION(op), op->cell), err) ||
            !tenant_context_read(op, err))
            return false;
    }
}

bool shopd_revert(Operation *op, Error *err) { return gone(op, THING_CONTAINER, shopd_of, err); }

// ---- healthy

bool healthy_probe(Operation *op, bool *out_done, Error *err)
{
    (void)op;
    (void)err;
    *out_done = false;    // asking again costs nothing
    return true;
}

bool healthy_apply(Operation *op, Error *err)
{
    int64_t deadline_ms = clock_ms() + platform_options(op->platform)->ready_ms;
    Dedicated cell;
    Engine *engine = NULL;
    if (!cell_reach(op, &cell, &engine, err))
        return false;
    Str ready = str_format(op->arena, "%.*s/readyz", STR_ARG(cell.url));
    if (!arena_ok(op->arena, err))
        return false;
    for (int64_t pause_ms = PAUSE_FIRST_MS;; pause_ms = MIN(pause_ms * 2, (int64_t)PAUSE_MAX_MS)) {
        CLEANUP(json_close) Json *container = NULL;
        Error ignored = {0};
        int status = 0;
        if (http_get_status(ready, S("localhost"), READY_REQUEST_MS, &status, &ignored) && status == 200)
            return true;
        if (!thing_find(engine, THING_CONTAINER, cell.shopd_name, &container, err))
            return false;
        if (!container || clock_ms() > deadline_ms) {
            error_set(err, ERR_UNREACHABLE, "it isn't ready at %.*s", STR_ARG(cell.url));
            return not_answering(op, shopd_of, "shopd", err);
        }
        clock_sleep_ms(pause_ms);
        if (!operation_beat(op, err))
            return false;
    }
}

// ---- route: the gateway, where one runs, leads there

bool route_probe(Operation *op, bool *out_done, Error *err)
{
    (void)op;
    (void)err;
    *out_done = false;    // telling it again changes nothing
    return true;
}

bool route_apply(Operation *op, Error *err)
{
    (void)err;
    gateway_refresh(op->platform);
    return true;
}

typedef enum ContainerWas { WAS_ABSENT, WAS_DOWN, WAS_UP } ContainerWas;

// Starts a container where it is down.
static bool container_bring(Engine *engine, Str name, ContainerWas *out_was, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    if (!thing_find(engine, THING_CONTAINER, name, &container, err))
        return false;
    *out_was = !container ? WAS_ABSENT : is_container_up(container) ? WAS_UP : WAS_DOWN;
    return *out_was != WAS_DOWN || container_start(engine, name, err);
}

bool own_postgres_start(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    ContainerWas was;
    return cell_reach(op, &cell, &engine, err) && container_bring(engine, cell.postgres_name, &was, err) &&
           (was == WAS_ABSENT || dedicated_database_wait(op->platform, op, op->cell, op->slug, 0, err));
}

// Whether to go on: of what doesn't come up the steps have more to say.
static bool may_go_on(bool has_come_up, Error *err)
{
    if (has_come_up || err->code == ERR_BUSY || err->code == ERR_NO_MEMORY)
        return has_come_up;
    error_clear(err);
    return true;
}

static bool cell_start(Operation *op, Str name, Error *err)
{
    Dedicated cell;
    Host *host = NULL;
    ContainerWas was;
    if (name.len == 0 || !dedicated_find(op->platform, name, op->arena, &cell, err) || cell.host.len == 0)
        return err->code == ERR_NONE;
    if (!platform_host(op->platform, cell.host, &host, err) ||
        !container_bring(host_engine(host), cell.postgres_name, &was, err))
        return false;
    if (was == WAS_DOWN && !may_go_on(dedicated_database_wait(op->platform, op, name, op->slug, 0, err), err))
        return false;
    return container_bring(host_engine(host), cell.shopd_name, &was, err) &&
           (was != WAS_DOWN || may_go_on(dedicated_ready_wait(op->platform, op, cell.url, op->slug, err) &&
                                             dedicated_database_wait(op->platform, op, name, op->slug, 1, err),
                                         err));
}

bool own_cells_start(Operation *op, Error *err)
{
    return tenant_context(op, err) && cell_start(op, op->cell, err) && cell_start(op, op->other_cell, err);
}

// ---- leave and remove: the containers, from where it only goes forward, and the rest. What has no PostgreSQL any more
// can't be asked, and so not be taken back.

bool own_leave_probe(Operation *op, bool *out_done, Error *err) { return is_removed(op, out_done, err); }

// PostgreSQL gets the time to write all that it has: whoever finds the volume's copy in a backup finds it whole.
bool own_leave_apply(Operation *op, Error *err)
{
    Dedicated cell;
    Engine *engine = NULL;
    return cell_reach(op, &cell, &engine, err) && container_stop(engine, cell.shopd_name, SHOPD_STOP_S, err) &&
           shopd_revert(op, err) && operation_beat(op, err) &&
           container_stop(engine, cell.postgres_name, POSTGRES_STOP_S, err) && postgres_revert(op, err) &&
           operation_beat(op, err);
}

bool remove_probe(Operation *op, bool *out_done, Error *err)
{
    static const struct {
        ContainerThing thing;
        Str (*name)(const Dedicated *cell);
    } PARTS[] = {{THING_CONTAINER, shopd_of},
                 {THING_CONTAINER, postgres_of},
                 {THING_NETWORK, network_of},
                 {THING_VOLUME, data_of},
                 {THING_VOLUME, secrets_of}};
    bool is_cell = false, is_part = false;
    *out_done = true;
    if (!tenant_has_place(op, &is_cell, err) || !is_cell)
        return err->code == ERR_NONE;
    for (size_t i = 0; i < COUNT(PARTS) && *out_done; i++) {
        if (!is_there(op, PARTS[i].thing, PARTS[i].name, &is_part, err))
            return false;
        *out_done = !is_part;
    }
    return true;
}

bool remove_apply(Operation *op, Error *err)
{
    return shopd_revert(op, err) && postgres_revert(op, err) && secrets_revert(op, err) && volume_revert(op, err) &&
           network_revert(op, err);
}

bool is_removed(Operation *op, bool *out, Error *err)
{
    bool is_postgres = false, is_cell = false;
    *out = true;
    if (!tenant_has_place(op, &is_cell, err) || !is_cell)
        return err->code == ERR_NONE;
    if (!is_there(op, THING_CONTAINER, postgres_of, &is_postgres, err))
        return false;
    *out = !is_postgres;
    return true;
}

bool deactivate_revert(Operation *op, Error *err)
{
    return control_call(op, S("select control.tenant_deactivate($1::bigint, $2::bigint)"), PARAMS(OPERATION(op)), err);
}
