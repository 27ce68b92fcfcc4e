// provisioner/dedicated_ready.h: waits until a cell of its own serves again.
#pragma once
#include "provisioner/operation.h"

// Asks `url` (of the shopd, http://ADDRESS:PORT) for /readyz every 20 ms until it is ready, for the platform's
// `ready_ms` at most; keeps the operation alive that waits (NULL: none does). Fails with ERR_UNREACHABLE, naming the
// shop, or as operation_beat.
MUST_CHECK bool dedicated_ready_wait(Platform *platform, Operation *op, Str url, Str slug, Error *err);

// How many connections its shopd has to the cell's database. Fails as platform_cell.
MUST_CHECK bool dedicated_connections(Platform *platform, Str cell, int64_t *out, Error *err);
// Waits, as long and with the operation kept alive, until the cell's database answers and shopd has as many
// connections to it again, so that shoppers can buy; or some, and for two seconds no more: one that was ending may have
// been counted. Fails with ERR_UNREACHABLE, naming the shop.
MUST_CHECK bool dedicated_database_wait(Platform *platform, Operation *op, Str cell, Str slug, int64_t connections,
                                        Error *err);
