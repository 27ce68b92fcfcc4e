// provisioner/replica_slot.h: what keeps a tenant's changes in its cell's cluster: a publication of its tables and a
// slot, both named after its schema.
#pragma once
#include "base/pg_replication.h"
#include "provisioner/operation.h"
#include "provisioner/tenant_data.h"

enum { REPLICA_TIMEOUT_MS = 3600000 };    // of statements that go through all rows
#define REPLICA_DB ((DbOptions){.statement_timeout_ms = REPLICA_TIMEOUT_MS})

typedef enum ReplicaSlotState { REPLICA_SLOT_NONE, REPLICA_SLOT_KEPT, REPLICA_SLOT_LOST } ReplicaSlotState;

// _LOST: the cluster gave up what it was to keep, since it was too much.
MUST_CHECK bool replica_slot_state(Db *cell, int64_t number, ReplicaSlotState *out, Error *err);

// Makes publication and slot anew; *out_connection, which the caller closes, holds the slot's snapshot until then. The
// server waits for all transactions that write in its cluster: after a few seconds the platform is warned of them, and
// after its writers_ms it fails with ERR_BUSY, names them, and the operation is hopeless.
MUST_CHECK bool replica_slot_make(Operation *operation, Str cell_name, int64_t number, const TenantTables *tables,
                                  Arena *arena, ReplicationSlot *out, Db **out_connection, Error *err);
// Another slot, gone with its connection: a snapshot and the position that belongs to it. Waits and fails likewise.
MUST_CHECK bool replica_snapshot_take(Operation *operation, Str cell_name, int64_t number, Arena *arena,
                                      ReplicationSlot *out, Db **out_connection, Error *err);

// Begins a transaction that reads what a slot's snapshot has.
MUST_CHECK bool replica_snapshot_begin(Db *db, const ReplicationSlot *slot, Error *err);

// The stream of the tenant's changes from `position` on, on a connection of its own, which the caller closes. Whoever
// else reads it is ended: a process that was overtaken.
MUST_CHECK bool replica_stream_open(Platform *platform, Str cell_name, int64_t number, uint64_t position, Db **out,
                                    Error *err);
