// provisioner/dedicated_addresses.c: finds the addresses of the gateway and of PostgreSQL, as shopd's container sees
// them.
#include "provisioner/dedicated_addresses.h"

#include <arpa/inet.h>

#include "base/arena.h"
#include "provisioner/address.h"
#include "provisioner/container.h"

enum { ADDRESS_BITS = 32 };

static Str range_member(const Json *network, const char *key)
{
    return json_str(json_get(json_element(json_get(json_get(network, "IPAM"), "Config"), 0), key));
}

// ---- PostgreSQL's

static bool last_address(Str subnet, Arena *arena, Str *out, Error *err)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN] = "";
    int64_t bits = 0;
    size_t slash = str_find_char(subnet, '/');
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(str_slice(subnet, 0, slash)));
    if (inet_pton(AF_INET, text, &address) != 1 ||
        !str_int64(str_skip(subnet, MIN(slash + 1, subnet.len)), 1, ADDRESS_BITS - 2, &bits, err))
        return error_set(err, ERR_MALFORMED, "'%.*s' is no subnet", STR_ARG(subnet));
    // The one after it is for all.
    address.s_addr = htonl((ntohl(address.s_addr) | (UINT32_MAX >> bits)) - 1);
    *out = str_copy(arena, str_of(inet_ntop(AF_INET, &address, text, sizeof(text))));
    return arena_ok(arena, err);
}

// Docker gives no fixed address in a subnet of its own choice.
bool dedicated_postgres_address_choose(Engine *engine, Dedicated *cell, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *network = NULL;
    if (!thing_find(engine, THING_NETWORK, cell->network, &network, err))
        return false;
    Str subnet = range_member(network, "Subnet");
    if (subnet.len == 0 || !(is_engine_podman(engine) || dedicated_is_own_subnet(subnet)))
        return true;
    return last_address(subnet, arena, &cell->postgres_address, err) ||
           error_wrap(err, "the network '%.*s' has no address for PostgreSQL", STR_ARG(cell->network));
}

// One that an older version made has none. Podman doesn't say which addresses are fixed; its containers all have one.
static bool postgres_address_find(Engine *engine, Dedicated *cell, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    if (!dedicated_postgres_address_choose(engine, cell, arena, err))
        return false;
    if (is_engine_podman(engine) || cell->postgres_address.len == 0)
        return true;
    if (!thing_find(engine, THING_CONTAINER, cell->postgres_name, &container, err))
        return false;
    const Json *network = json_member(json_get(json_get(container, "NetworkSettings"), "Networks"), cell->network);
    if (!str_eq(json_str(json_get(json_get(network, "IPAMConfig"), "IPv4Address")), cell->postgres_address))
        cell->postgres_address = S("");
    return true;
}

// ---- the gateway's

// Connections to a port of the host's loopback address are the engine's proxy's, or are masked as the bridge's.
static bool bridge_find(Engine *engine, const Dedicated *cell, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *network = NULL;
    if (!thing_find(engine, THING_NETWORK, cell->front_network, &network, err))
        return false;
    Str gateway = range_member(network, "Gateway");
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

bool dedicated_addresses_find(Engine *engine, Dedicated *cell, Arena *arena, Error *err)
{
    Str found = S("");
    if (!(is_address_loopback(cell->address) ? bridge_find(engine, cell, arena, &found, err)
                                             : own_find(cell, arena, &found, err)))
        return false;
    Str given = cell->trusted_proxies;
    cell->trusted_proxies =
        str_format(arena, "%.*s%s%.*s", STR_ARG(given), given.len && found.len ? "," : "", STR_ARG(found));
    return arena_ok(arena, err) && postgres_address_find(engine, cell, arena, err);
}
