// provisioner/dedicated_proxies.h: whose word about a shopper's address the shopd of a cell of its own takes.
#pragma once
#include "provisioner/dedicated.h"

// Adds to cell->trusted_proxies the address that the gateway's requests come from, as shopd in its container sees it;
// the front network is there. It is told from where this program runs: a gateway elsewhere is named by the setting
// trusted_proxies. In `arena`. Fails as engine_call.
MUST_CHECK bool dedicated_proxies_find(Engine *engine, Dedicated *cell, Arena *arena, Error *err);
