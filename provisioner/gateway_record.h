// provisioner/gateway_record.h: what the gateway should do by the control database.
#pragma once
#include "base/json.h"
#include "provisioner/gateway_map.h"
#include "provisioner/platform.h"

enum {
    GATEWAY_SERVERS = 4,      // places for replicas in each backend
    GATEWAY_SPARES = 32,      // backends that wait for new cells
    GATEWAY_WINDOW_S = 10,    // over which requests are counted
};

typedef struct GatewayCell {
    Str name;
    Str addresses[GATEWAY_SERVERS];    // IP:PORT of its shopd processes
    size_t address_count;
    size_t slot;    // its backend is cell-SLOT; 0: none yet
} GatewayCell;

typedef struct GatewayRecord {
    GatewayCell *cells;
    size_t cell_count;
    GatewayMap hosts;     // host to cell
    GatewayMap limits;    // host to requests in GATEWAY_WINDOW_S; without those that have no limit
    Json *problems;       // [{"what","next"}]: what was left out, and what to do about it; the caller's
} GatewayRecord;

// Reads it; texts in `arena`. Names that HAProxy's files can't carry are left out, as are cells that can't be reached
// by plain HTTP. Closed by gateway_record_close, also after a failure.
MUST_CHECK bool gateway_record_read(Platform *platform, Arena *arena, GatewayRecord *out, Error *err);
void gateway_record_close(GatewayRecord *record);

// Gives each cell a backend: the one that it has in `first`, else in `second` (cell to backend), else the lowest that
// is free. Of those in `second`, and of free ones, none above `slot_max` as long as there is one below.
MUST_CHECK bool gateway_slots_assign(GatewayRecord *record, const GatewayMap *first, const GatewayMap *second,
                                     size_t slot_max, Arena *arena, Error *err);
// How many backends a configuration for it should have.
size_t gateway_slots_wanted(const GatewayRecord *record);

Str gateway_backend(size_t slot, Arena *arena);    // "cell-3"
size_t gateway_slot_of(Str backend);               // 0: it is none of these
// Cell to backend, of the cells that have one up to `slot_max`.
MUST_CHECK bool gateway_cells_map(const GatewayRecord *record, size_t slot_max, Arena *arena, GatewayMap *out,
                                  Error *err);
