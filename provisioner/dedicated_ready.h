// provisioner/dedicated_ready.h: waits until a cell of its own serves again.
#pragma once
#include "provisioner/operation.h"

// Both keep the operation alive that waits; NULL: none does.

// Asks `url` (of the shopd, http://ADDRESS:PORT) for /readyz every 20 ms until it is ready, for two minutes at most.
// Fails with ERR_UNREACHABLE, naming the shop, or as operation_beat.
MUST_CHECK bool dedicated_ready_wait(Operation *op, Str url, Str slug, Error *err);

// How many connections its shopd has to the cell's database. Fails as platform_cell.
MUST_CHECK bool dedicated_connections(Platform *platform, Str cell, int64_t *out, Error *err);
// Waits, for two minutes at most, until its database answers and shopd has as many connections to it again, so that
// shoppers can buy; or some, and for two seconds no more: one that was ending may have been counted. Fails with
// ERR_UNREACHABLE, naming the shop.
MUST_CHECK bool dedicated_database_wait(Operation *op, Platform *platform, Str cell, Str slug, int64_t connections,
                                        Error *err);
