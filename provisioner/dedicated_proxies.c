// provisioner/dedicated_proxies.c: finds the address by which the gateway reaches a container.
#include "provisioner/dedicated_proxies.h"

#include "base/arena.h"
#include "provisioner/address.h"
#include "provisioner/container.h"

// Connections to a port of the host's loopback address are the engine's proxy's, or are masked as the bridge's.
static bool bridge_find(Engine *engine, const Dedicated *cell, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *network = NULL;
    if (!thing_find(engine, THING_NETWORK, cell->front_network, &network, err))
        return false;
    const Json *range = json_element(json_get(json_get(network, "IPAM"), "Config"), 0);
    Str gateway = json_str(json_get(range, "Gateway"));
    *out = str_copy(arena, str_slice(gateway, 0, str_find_char(gateway, '/')));
    return arena_ok(arena, err);
}

// Those to another address keep where they come from.
static bool own_find(const Dedicated *cell, Arena *arena, Str *out, Error *err)
{
    Str address = str_format(arena, str_has_char(cell->address, ':') ? "[%.*s]:%lld" : "%.*s:%lld",
                             STR_ARG(cell->address), (long long)cell->port);
    return arena_ok(arena, err) && address_towards(address, arena, out, err);
}

bool dedicated_proxies_find(Engine *engine, Dedicated *cell, Arena *arena, Error *err)
{
    Str found = S("");
    if (!(is_address_loopback(cell->address) ? bridge_find(engine, cell, arena, &found, err)
                                             : own_find(cell, arena, &found, err)))
        return false;
    Str given = cell->trusted_proxies;
    cell->trusted_proxies =
        str_format(arena, "%.*s%s%.*s", STR_ARG(given), given.len && found.len ? "," : "", STR_ARG(found));
    return arena_ok(arena, err);
}
