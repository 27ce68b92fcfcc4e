// provisioner/dedicated_mend.c: compares a cell's containers with its record.
#include "provisioner/dedicated_mend.h"

#include "base/arena.h"
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/dedicated_addresses.h"
#include "provisioner/host.h"

enum { BUDGET = 4 * MIB };

typedef struct Mending {
    Platform *platform;
    Engine *engine;
    const Dedicated *cell;
    Arena *arena;
    Json *did;
} Mending;

static bool did(const Mending *mending, const char *what, Str name, Error *err)
{
    Str text = str_format(mending->arena, "%s '%.*s'", what, STR_ARG(name));
    return arena_ok(mending->arena, err) && (json_append(mending->did, json_from_str(text)) || json_ok(NULL, err));
}

// The turn on a tenant's containers: while it is ours, no operation on the tenant begins.
typedef struct Turn {
    Platform *platform;
    Str slug;
    bool is_ours;
} Turn;

static bool turn_take(Turn *turn, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(turn->platform), S("select control.mend_begin($1)"), PARAMS(turn->slug), &rows, err))
        return false;
    turn->is_ours = rows_bool(rows, 0, 0);
    return true;
}

static void turn_close(Turn *turn)
{
    Error ignored = {0};    // without the connection the lock is gone as well
    if (turn->is_ours &&
        !db_run(platform_control(turn->platform), S("select control.mend_end($1)"), PARAMS(turn->slug), &ignored))
        error_clear(&ignored);
}

static bool volumes_check(const Mending *mending, Error *err)
{
    const Str names[] = {mending->cell->data_volume, mending->cell->secrets_volume};
    for (size_t i = 0; i < COUNT(names); i++) {
        CLEANUP(json_close) Json *there = NULL;
        if (!thing_find(mending->engine, THING_VOLUME, names[i], &there, err))
            return false;
        if (there)
            continue;
        error_set(err, ERR_STATE, "the volume '%.*s' of the shop '%.*s' is gone", STR_ARG(names[i]),
                  STR_ARG(mending->cell->tenant));
        error_where(err, "the host '%.*s'", STR_ARG(mending->cell->host));
        return error_next(err, "bring it back from a backup of the host: an empty one would be an empty shop");
    }
    return true;
}

// Podman knows networks by their names alone.
static bool other_front_leave(const Mending *mending, const Json *front, Error *err)
{
    CLEANUP(json_close) Json *shopd = NULL;
    if (is_engine_podman(mending->engine))
        return true;
    if (!thing_find(mending->engine, THING_CONTAINER, mending->cell->shopd_name, &shopd, err))
        return false;
    const Json *own =
        json_member(json_get(json_get(shopd, "NetworkSettings"), "Networks"), mending->cell->front_network);
    Str id = json_str(json_get(own, "NetworkID"));
    return id.len == 0 || str_eq(id, json_str(json_get(front, "Id"))) ||
           thing_remove(mending->engine, THING_CONTAINER, mending->cell->shopd_name, err);
}

// Containers keep the number of their network, so that they can't start in one that was made again.
static bool networks_mend(const Mending *mending, Error *err)
{
    const Dedicated *cell = mending->cell;
    CLEANUP(json_close) Json *network = NULL;
    CLEANUP(json_close) Json *front = NULL;
    if (!thing_find(mending->engine, THING_NETWORK, cell->network, &network, err) ||
        !thing_find(mending->engine, THING_NETWORK, cell->front_network, &front, err))
        return false;
    if (!front && (!dedicated_front_make(mending->engine, cell, err) ||
                   !thing_remove(mending->engine, THING_CONTAINER, cell->shopd_name, err) ||
                   !did(mending, "made the network", cell->front_network, err)))
        return false;
    // One that was made for another cell of the host isn't that of this one's shopd.
    if (front && !other_front_leave(mending, front, err))
        return false;
    if (network)
        return true;
    return thing_remove(mending->engine, THING_CONTAINER, cell->shopd_name, err) &&
           thing_remove(mending->engine, THING_CONTAINER, cell->postgres_name, err) &&
           dedicated_network_make(mending->engine, cell, err) && did(mending, "made the network", cell->network, err);
}

static bool image_bring(const Mending *mending, ImageKind kind, Str *out, Error *err)
{
    Image image;
    if (!image_find(&platform_options(mending->platform)->images, kind, mending->arena, &image, err) ||
        !image_load(mending->engine, &image, NULL, err))
        return false;
    *out = image.reference;
    return true;
}

typedef struct Part {
    ImageKind image;
    Str name;
    const DedicatedResources *resources;
    Json *(*body)(const Dedicated *cell, Str image);
    bool has_second_network;
} Part;

static bool container_make(const Mending *mending, const Part *part, Error *err)
{
    Dedicated cell = *mending->cell;
    Str image;
    return image_bring(mending, part->image, &image, err) &&
           (part->image == IMAGE_POSTGRES
                ? dedicated_postgres_address_choose(mending->engine, &cell, mending->arena, err)
                : dedicated_addresses_find(mending->engine, &cell, mending->arena, err)) &&
           thing_make(mending->engine, THING_CONTAINER, part->name, part->body(&cell, image), err) &&
           (!part->has_second_network || container_connect(mending->engine, part->name, mending->cell->network, err)) &&
           container_start(mending->engine, part->name, err) && did(mending, "made the container", part->name, err);
}

static bool limits_mend(const Mending *mending, const Part *part, const Json *container, Error *err)
{
    if (has_container_limits(container, part->resources->millicpu, part->resources->memory_bytes))
        return true;
    return container_limit(mending->engine, part->name, part->resources->millicpu, part->resources->memory_bytes,
                           err) &&
           did(mending, "set the limits of the container", part->name, err);
}

static bool is_in_networks(const Mending *mending, const Part *part, const Json *container)
{
    return is_container_in(container, mending->cell->network) &&
           (!part->has_second_network || is_container_in(container, mending->cell->front_network));
}

// It is known there by a name and an address that it has from its start.
static bool container_renew(const Mending *mending, const Part *part, Error *err)
{
    return container_stop(mending->engine, part->name, POSTGRES_STOP_S, err) &&
           thing_remove(mending->engine, THING_CONTAINER, part->name, err) && container_make(mending, part, err);
}

static bool container_mend(const Mending *mending, const Part *part, Error *err)
{
    CLEANUP(json_close) Json *there = NULL;
    if (!thing_find(mending->engine, THING_CONTAINER, part->name, &there, err))
        return false;
    if (!there)
        return container_make(mending, part, err);
    if (is_container_running(there) && !is_in_networks(mending, part, there))
        return container_renew(mending, part, err);
    if (!limits_mend(mending, part, there, err))
        return false;
    return is_container_up(there) || (container_start(mending->engine, part->name, err) &&
                                      did(mending, "started the container", part->name, err));
}

static bool mend(Platform *platform, const Dedicated *cell, Arena *arena, Json *list, Error *err)
{
    Host *host = NULL;
    if (!platform_host(platform, cell->host, &host, err))
        return false;
    const Mending mending = {platform, host_engine(host), cell, arena, list};
    const Part parts[] = {
        {IMAGE_POSTGRES, cell->postgres_name, &cell->postgres, dedicated_postgres_container, false},
        {IMAGE_SHOPD, cell->shopd_name, &cell->shopd, dedicated_shopd_container, true},
    };
    if (!volumes_check(&mending, err) || !networks_mend(&mending, err))
        return false;
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!container_mend(&mending, &parts[i], err))
            return error_wrap(err, "the shop '%.*s' can't be mended", STR_ARG(cell->tenant));
    return true;
}

bool dedicated_mend(Platform *platform, Str cell_name, Json *list, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(turn_close) Turn turn = {.platform = platform};
    Dedicated cell;
    if (!dedicated_find(platform, cell_name, arena, &cell, err))
        return false;
    if (cell.host.len == 0 || !cell.is_open)
        return true;
    turn.slug = cell.tenant;
    if (!turn_take(&turn, err) || !turn.is_ours)
        return err->code == ERR_NONE;
    // The record may be another one than before it was our turn.
    if (!dedicated_find(platform, cell_name, arena, &cell, err))
        return false;
    return cell.host.len == 0 || mend(platform, &cell, arena, list, err);
}
