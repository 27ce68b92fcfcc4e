// provisioner/dedicated_addresses.h: what the containers of a cell of its own have to know of addresses.
#pragma once
#include "provisioner/dedicated.h"

// Sets cell->postgres_address for a PostgreSQL that is to be made: the last one of the cell's network, which is there.
// With its name alone shopd would stand still for seconds while PostgreSQL's container is away and nobody knows the
// name, and Podman may never know it. Stays empty where Docker chose the subnet. In `arena`. Fails as engine_call.
MUST_CHECK bool dedicated_postgres_address_choose(Engine *engine, Dedicated *cell, Arena *arena, Error *err);

// What shopd's container has to know: the address that PostgreSQL's has, and, added to cell->trusted_proxies, whose
// word about a shopper's address shopd takes: the address that the gateway's requests come from, as its container sees
// it; the front network is there. It is told from where this program runs: a gateway elsewhere is named by the setting
// trusted_proxies.
MUST_CHECK bool dedicated_addresses_find(Engine *engine, Dedicated *cell, Arena *arena, Error *err);
