// provisioner/gateway.c: the gateway by the record: its files, and what of a running one differs from it.
#include "provisioner/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/gateway_files.h"
#include "provisioner/haproxy.h"

enum { BUDGET = 1024 * MIB, REFRESH_BUDGET = 16 * MIB, LOCK_MS = 10000, LOCK_STEP_MS = 50 };

// What is compared with what, in one arena.
typedef struct Gateway {
    Arena *arena;
    const GatewayOptions *options;
    GatewayRecord record;
    GatewayFiles files;
    bool is_running;
    Error absence;    // why it isn't
    Haproxy haproxy;
    GatewayMap hosts, limits, cells;    // as the running one has them
    size_t backend_count;               // of the running one
    Json *changes;                      // [TEXT]: what the running one lacks
    Json *why;                          // [TEXT]: what of that needs a reload
} Gateway;

static bool lock_wait(const GatewayOptions *options, int fd, Error *err)
{
    for (int64_t deadline_ms = clock_ms() + LOCK_MS; flock(fd, LOCK_EX | LOCK_NB) != 0; clock_sleep_ms(LOCK_STEP_MS))
        if (clock_ms() >= deadline_ms) {
            error_set(err, ERR_BUSY, "another shopctl is at work on the gateway in '%.*s'",
                      STR_ARG(options->directory));
            return error_why(err, "it has held the file 'lock' there for %d ms", LOCK_MS);
        }
    return true;
}

// One at a time. The lock goes with the descriptor.
static bool directory_lock(const GatewayOptions *options, Arena *arena, int *out_fd, Error *err)
{
    Str path = gateway_path(options, "lock", arena);
    if (!arena_ok(arena, err) || !directory_make(options->directory, 0700, err))
        return false;
    *out_fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*out_fd < 0)
        return error_from_errno(err, errno, "the lock '%.*s' can't be opened", STR_ARG(path));
    return lock_wait(options, *out_fd, err);
}

static bool say(Json *list, Str text, Error *err)
{
    return json_append(list, json_from_str(text)) || json_ok(NULL, err);
}

// ---- what there is

static size_t backends_of(const Haproxy *haproxy)
{
    size_t highest = 0;
    for (size_t i = 0; i < haproxy->server_count; i++)
        highest = MAX(highest, gateway_slot_of(haproxy->servers[i].backend));
    return highest;
}

static bool running_read(Gateway *gateway, Error *err)
{
    Arena *arena = gateway->arena;
    Haproxy *haproxy = &gateway->haproxy;
    if (!haproxy_open(gateway_path(gateway->options, "haproxy.sock", arena), arena, haproxy, err) ||
        !haproxy_map(haproxy, GATEWAY_HOSTS_MAP, arena, &gateway->hosts, err) ||
        !haproxy_map(haproxy, GATEWAY_LIMITS_MAP, arena, &gateway->limits, err) ||
        !haproxy_map(haproxy, GATEWAY_CELLS_MAP, arena, &gateway->cells, err))
        return false;
    gateway->backend_count = backends_of(haproxy);
    gateway->is_running = true;
    return true;
}

// Without a running HAProxy, the files' backends are kept.
static bool gateway_read(Gateway *gateway, Platform *platform, Error *err)
{
    GatewayMap files_cells;
    if (!gateway_options_check(gateway->options, gateway->arena, err) ||
        !gateway_record_read(platform, gateway->arena, &gateway->record, err) ||
        !gateway_files_cells(gateway->options, gateway->arena, &files_cells, err))
        return false;
    gateway->changes = json_build("[]");
    gateway->why = json_build("[]");
    if (!json_ok(gateway->changes, err) || !json_ok(gateway->why, err))
        return false;
    if (!running_read(gateway, &gateway->absence) && gateway->absence.code != ERR_UNREACHABLE) {
        *err = gateway->absence;
        return false;
    }
    return gateway_slots_assign(&gateway->record, gateway->is_running ? &gateway->cells : &files_cells, &files_cells,
                                gateway->is_running ? gateway->backend_count : SIZE_MAX, gateway->arena, err) &&
           gateway_files_make(gateway->options, &gateway->record, gateway->arena, &gateway->files, err);
}

static void gateway_close(Gateway *gateway)
{
    gateway_record_close(&gateway->record);
    json_close(&gateway->changes);
    json_close(&gateway->why);
    arena_close(&gateway->arena);
}

// ---- what differs, and putting it right

static bool line_say(Gateway *gateway, const char *what, Str key, Str from, Str to, Error *err)
{
    Str text = str_format(gateway->arena, "%s '%.*s': %.*s -> %.*s", what, STR_ARG(key),
                          STR_ARG(from.len ? from : S("nothing")), STR_ARG(to.len ? to : S("nothing")));
    return arena_ok(gateway->arena, err) && say(gateway->changes, text, err);
}

// Says what the map lacks and has too much. *out_differs tells whether there is any.
static bool map_compare(Gateway *gateway, const char *what, const GatewayMap *wanted, const GatewayMap *there,
                        bool *out_differs, Error *err)
{
    size_t i = 0, k = 0;
    *out_differs = false;
    while (i < wanted->count || k < there->count) {
        MapLine a = i < wanted->count ? wanted->lines[i] : (MapLine){0};
        MapLine b = k < there->count ? there->lines[k] : (MapLine){0};
        int order = !a.key.len ? 1 : !b.key.len ? -1 : str_compare(a.key, b.key);
        i += order <= 0;
        k += order >= 0;
        if (order == 0 && str_eq(a.value, b.value))
            continue;
        *out_differs = true;
        if (!line_say(gateway, what, order <= 0 ? a.key : b.key, order < 0 ? S("") : b.value,
                      order > 0 ? S("") : a.value, err))
            return false;
    }
    return true;
}

static bool map_follow(Gateway *gateway, const char *name, const char *what, const GatewayMap *wanted,
                       const GatewayMap *there, bool is_applied, Error *err)
{
    bool differs = false;
    return map_compare(gateway, what, wanted, there, &differs, err) &&
           (!differs || !is_applied || haproxy_map_replace(&gateway->haproxy, name, wanted, gateway->arena, err));
}

// A server of the backend that has the address and is used; else (address empty) one that isn't used.
static HaproxyServer *server_find(const Gateway *gateway, Str backend, Str address)
{
    for (size_t i = 0; i < gateway->haproxy.server_count; i++) {
        HaproxyServer *server = &gateway->haproxy.servers[i];
        if (str_eq(server->backend, backend) && haproxy_server_is_used(server) == (address.len > 0) &&
            (address.len == 0 || str_eq(server->address, address)))
            return server;
    }
    return NULL;
}

static bool server_add(Gateway *gateway, const GatewayCell *cell, Str address, bool is_applied, Error *err)
{
    Str backend = gateway_backend(cell->slot, gateway->arena);
    Str text = str_format(gateway->arena, "cell '%.*s': %.*s gets its requests, in %.*s", STR_ARG(cell->name),
                          STR_ARG(address), STR_ARG(backend));
    HaproxyServer *server = server_find(gateway, backend, S(""));
    if (!arena_ok(gateway->arena, err) || !say(gateway->changes, text, err))
        return false;
    if (!server)
        return say(
            gateway->why,
            str_format(gateway->arena, "the backend %.*s has no room for %.*s", STR_ARG(backend), STR_ARG(address)),
            err);
    server->address = address;
    server->state = S("UP");
    return !is_applied || haproxy_server_use(&gateway->haproxy, server, address, gateway->arena, err);
}

static bool servers_add(Gateway *gateway, bool is_applied, Error *err)
{
    for (size_t i = 0; i < gateway->record.cell_count; i++) {
        const GatewayCell *cell = &gateway->record.cells[i];
        if (cell->slot == 0 || cell->slot > gateway->backend_count) {
            if (!say(gateway->why,
                     str_format(gateway->arena, "all %zu backends are taken, and the cell '%.*s' has none",
                                gateway->backend_count, STR_ARG(cell->name)),
                     err))
                return false;
            continue;
        }
        for (size_t k = 0; k < cell->address_count; k++)
            if (!server_find(gateway, gateway_backend(cell->slot, gateway->arena), cell->addresses[k]) &&
                !server_add(gateway, cell, cell->addresses[k], is_applied, err))
                return false;
    }
    return true;
}

static bool is_wanted(const Gateway *gateway, const HaproxyServer *server)
{
    size_t slot = gateway_slot_of(server->backend);
    for (size_t i = 0; i < gateway->record.cell_count; i++) {
        const GatewayCell *cell = &gateway->record.cells[i];
        for (size_t k = 0; cell->slot == slot && k < cell->address_count; k++)
            if (str_eq(cell->addresses[k], server->address))
                return true;
    }
    return false;
}

static bool servers_remove(Gateway *gateway, bool is_applied, Error *err)
{
    for (size_t i = 0; i < gateway->haproxy.server_count; i++) {
        const HaproxyServer *server = &gateway->haproxy.servers[i];
        if (gateway_slot_of(server->backend) == 0 || !haproxy_server_is_used(server) || is_wanted(gateway, server))
            continue;
        Str text = str_format(gateway->arena, "%.*s gets no more requests, in %.*s", STR_ARG(server->address),
                              STR_ARG(server->backend));
        if (!arena_ok(gateway->arena, err) || !say(gateway->changes, text, err) ||
            (is_applied && !haproxy_server_stop(&gateway->haproxy, server, gateway->arena, err)))
            return false;
    }
    return true;
}

// First what requests may go to, then the ways to it, last what nothing leads to any more.
static bool gateway_follow(Gateway *gateway, bool is_applied, Error *err)
{
    GatewayMap cells;
    if (!str_eq(gateway->haproxy.description, gateway->files.description) &&
        !say(gateway->why, S("it runs with another configuration"), err))
        return false;
    return gateway_cells_map(&gateway->record, gateway->backend_count, gateway->arena, &cells, err) &&
           servers_add(gateway, is_applied, err) &&
           map_follow(gateway, GATEWAY_CELLS_MAP, "cell", &cells, &gateway->cells, is_applied, err) &&
           map_follow(gateway, GATEWAY_LIMITS_MAP, "limit of", &gateway->record.limits, &gateway->limits, is_applied,
                      err) &&
           map_follow(gateway, GATEWAY_HOSTS_MAP, "host", &gateway->record.hosts, &gateway->hosts, is_applied, err) &&
           servers_remove(gateway, is_applied, err);
}

// ---- render

static bool files_json(const Gateway *gateway, Json **out, Error *err)
{
    *out = json_build("[]");
    for (size_t i = 0; i < GATEWAY_FILES; i++) {
        const GatewayFile *file = &gateway->files.files[i];
        if (!json_append(*out, json_build("{s:s, s:b}", "file", file->name, "changed", (int)file->is_changed)))
            json_close(out);
    }
    return json_ok(*out, err);
}

static bool render_locked(Gateway *gateway, Platform *platform, bool is_dry_run, Json **out, Error *err)
{
    CLEANUP(json_close) Json *files = NULL;
    const GatewayOptions *options = gateway->options;
    if (!gateway_read(gateway, platform, err) || !gateway_certificates_check(options, err) ||
        (!is_dry_run && !gateway_files_write(options, &gateway->files, gateway->arena, err)) ||
        !files_json(gateway, &files, err))
        return false;
    *out = json_build("{s:s%, s:O, s:I, s:I, s:O}", "directory", options->directory.data, options->directory.len,
                      "files", files, "hosts", (json_int)gateway->record.hosts.count, "cells",
                      (json_int)gateway->record.cell_count, "problems", gateway->record.problems);
    return json_ok(*out, err);
}

bool gateway_render(Platform *platform, const GatewayOptions *options, bool is_dry_run, Json **out, Error *err)
{
    CLEANUP(gateway_close) Gateway gateway = {.arena = arena_open(BUDGET), .options = options};
    CLEANUP(fd_close) int lock = -1;
    return (is_dry_run || directory_lock(options, gateway.arena, &lock, err)) &&
           render_locked(&gateway, platform, is_dry_run, out, err);
}

// ---- sync

static bool stopped(const Gateway *gateway, Error *err)
{
    Str configuration = gateway_path(gateway->options, "haproxy.cfg", gateway->arena);
    *err = gateway->absence;
    if (gateway->options->held)
        return error_next(err, "run shopctl up, which starts it");
    return error_next(err, "run shopctl gateway render, then haproxy -W -D -f '%.*s'", STR_ARG(configuration));
}

static bool sync_json(const Gateway *gateway, Json **out, Error *err)
{
    const GatewayOptions *options = gateway->options;
    Str reload = options->held
                     ? S("shopctl up")
                     : haproxy_reload_command(&gateway->haproxy, gateway_path(options, "haproxy.cfg", gateway->arena),
                                              gateway->arena);
    *out = json_build("{s:s%, s:O}", "address", options->listen.data, options->listen.len, "changes", gateway->changes);
    return arena_ok(gateway->arena, err) &&
           json_set(*out, "reload", json_count(gateway->why) ? json_from_str(reload) : json_build("n"), err) &&
           json_set(*out, "why", json_hold(gateway->why), err) &&
           json_set(*out, "problems", json_hold(gateway->record.problems), err);
}

bool gateway_sync(Platform *platform, const GatewayOptions *options, bool is_dry_run, Json **out, Error *err)
{
    CLEANUP(gateway_close) Gateway gateway = {.arena = arena_open(BUDGET), .options = options};
    CLEANUP(fd_close) int lock = -1;
    if ((!is_dry_run && !directory_lock(options, gateway.arena, &lock, err)) || !gateway_read(&gateway, platform, err))
        return false;
    if (!gateway.is_running)
        return stopped(&gateway, err);
    return gateway_follow(&gateway, !is_dry_run, err) &&
           (is_dry_run || gateway_files_write(options, &gateway.files, gateway.arena, err)) &&
           sync_json(&gateway, out, err);
}

// ---- status

static bool servers_json(const Gateway *gateway, Str backend, Json **out, Error *err)
{
    *out = json_build("[]");
    for (size_t i = 0; i < gateway->haproxy.server_count; i++) {
        const HaproxyServer *server = &gateway->haproxy.servers[i];
        if (!str_eq(server->backend, backend) || !haproxy_server_is_used(server))
            continue;
        if (!json_append(*out,
                         json_build("{s:s%, s:s%, s:I}", "address", server->address.data, server->address.len, "state",
                                    server->state.data, server->state.len, "sessions", (json_int)server->sessions)))
            json_close(out);
    }
    return json_ok(*out, err);
}

static bool backends_json(const Gateway *gateway, Json **out, Error *err)
{
    *out = json_build("[]");
    for (size_t i = 0; i < gateway->cells.count && gateway->is_running; i++) {
        const MapLine *line = &gateway->cells.lines[i];
        CLEANUP(json_close) Json *servers = NULL;
        if (!servers_json(gateway, line->value, &servers, err))
            return false;
        if (!json_append(*out, json_build("{s:s%, s:s%, s:O}", "cell", line->key.data, line->key.len, "backend",
                                          line->value.data, line->value.len, "servers", servers)))
            json_close(out);
    }
    return json_ok(*out, err);
}

// What sync would do, what it couldn't, and files that a restart would read.
static bool differences_find(Gateway *gateway, Error *err)
{
    if (!gateway->is_running)
        return say(gateway->changes, str_format(gateway->arena, "%s: %s", gateway->absence.what, gateway->absence.why),
                   err);
    if (!gateway_follow(gateway, false, err))
        return false;
    for (size_t i = 0; i < json_count(gateway->why); i++)
        if (!say(gateway->changes, json_str(json_element(gateway->why, i)), err))
            return false;
    for (size_t i = 0; i < GATEWAY_FILES; i++) {
        const GatewayFile *file = &gateway->files.files[i];
        if (file->is_changed &&
            !say(gateway->changes, str_format(gateway->arena, "the file %s isn't as it should be", file->name), err))
            return false;
    }
    return arena_ok(gateway->arena, err);
}

bool gateway_status(Platform *platform, const GatewayOptions *options, Json **out, Error *err)
{
    CLEANUP(gateway_close) Gateway gateway = {.arena = arena_open(BUDGET), .options = options};
    CLEANUP(json_close) Json *backends = NULL;
    if (!gateway_read(&gateway, platform, err) || !backends_json(&gateway, &backends, err) ||
        !differences_find(&gateway, err))
        return false;
    Json *tls_address = options->certificates.len ? json_from_str(options->tls_listen) : json_build("n");
    size_t spares = gateway.backend_count > gateway.cells.count ? gateway.backend_count - gateway.cells.count : 0;
    *out = json_build("{s:s, s:s%}", "state", gateway.is_running ? "running" : "stopped", "address",
                      options->listen.data, options->listen.len);
    return json_set(*out, "tls_address", tls_address, err) && json_set(*out, "backends", json_hold(backends), err) &&
           json_set(*out, "hosts", json_from_int((int64_t)gateway.hosts.count), err) &&
           json_set(*out, "spares", json_from_int((int64_t)spares), err) &&
           json_set(*out, "in_sync", json_from_bool(json_count(gateway.changes) == 0), err) &&
           json_set(*out, "differences", json_hold(gateway.changes), err) &&
           json_set(*out, "problems", json_hold(gateway.record.problems), err);
}

void gateway_refresh(Platform *platform)
{
    CLEANUP(arena_close) Arena *arena = arena_open(REFRESH_BUDGET);
    CLEANUP(json_close) Json *answer = NULL;
    GatewayOptions options = platform_options(platform)->gateway;
    Error err = {0};
    Str socket = str_format(arena, "%.*s/haproxy.sock", STR_ARG(options.directory));
    if (options.directory.len && file_exists(socket) &&
        (!gateway_options_renew(&options, platform_options(platform)->data, arena, &err) ||
         !gateway_sync(platform, &options, false, &answer, &err)) &&
        err.code != ERR_UNREACHABLE)
        platform_warn(platform, "the gateway isn't up to date yet: %s", err.what);
}
