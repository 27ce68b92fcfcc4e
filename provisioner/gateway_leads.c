// provisioner/gateway_leads.c: compares the servers of a cell's backend with its record, again and again.
#include "provisioner/gateway_leads.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/gateway.h"
#include "provisioner/gateway_files.h"
#include "provisioner/haproxy.h"

enum { BUDGET = 64 * MIB, LEADS_MS = 30000, PAUSE_MS = 100 };

static bool running_open(Platform *platform, Arena *arena, Haproxy *out, bool *out_there, Error *err)
{
    Str socket = str_format(arena, "%.*s/gateway/haproxy.sock", STR_ARG(platform_options(platform)->data));
    *out_there = arena_ok(arena, err) && haproxy_open(socket, arena, out, err);
    if (err->code != ERR_UNREACHABLE)
        return *out_there;
    error_clear(err);
    return true;
}

bool gateway_is_there(Platform *platform, bool *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Haproxy haproxy;
    return running_open(platform, arena, &haproxy, out, err);
}

static bool is_address(const GatewayCell *cell, Str address)
{
    for (size_t i = 0; i < cell->address_count; i++)
        if (str_eq(cell->addresses[i], address))
            return true;
    return false;
}

// As many servers are used as there are addresses, and each has one of them.
static bool is_as_recorded(const Haproxy *haproxy, Str backend, const GatewayCell *cell)
{
    size_t used = 0;
    for (size_t i = 0; i < haproxy->server_count; i++) {
        const HaproxyServer *server = &haproxy->servers[i];
        if (!str_eq(server->backend, backend) || !haproxy_server_is_used(server))
            continue;
        if (!is_address(cell, server->address))
            return false;
        used++;
    }
    return used == cell->address_count;
}

static bool look(Platform *platform, Str name, bool *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(gateway_record_close) GatewayRecord record = {0};
    Haproxy haproxy;
    GatewayMap cells;
    bool is_there = false;
    *out = false;
    if (!running_open(platform, arena, &haproxy, &is_there, err))
        return false;
    if (!is_there) {
        *out = true;
        return true;
    }
    if (!gateway_record_read(platform, arena, &record, err) ||
        !haproxy_map(&haproxy, GATEWAY_CELLS_MAP, arena, &cells, err))
        return false;
    for (size_t i = 0; i < record.cell_count; i++)
        if (str_eq(record.cells[i].name, name))
            *out = is_as_recorded(&haproxy, gateway_map_get(&cells, name), &record.cells[i]);
    return true;
}

bool gateway_leads_wait(Platform *platform, Str cell, Error *err)
{
    bool is_done = false;
    gateway_refresh(platform);
    for (int64_t deadline_ms = clock_ms() + LEADS_MS; look(platform, cell, &is_done, err); clock_sleep_ms(PAUSE_MS)) {
        if (is_done)
            return true;
        if (clock_ms() < deadline_ms)
            continue;
        error_set(err, ERR_UNREACHABLE, "the gateway doesn't follow the record of the cell '%.*s'", STR_ARG(cell));
        error_why(err, "its requests went elsewhere for %d s", LEADS_MS / 1000);
        return error_next(err, "see shopctl gateway status, run shopctl gateway sync, and go on");
    }
    return false;
}
