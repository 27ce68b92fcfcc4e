// provisioner/replica_ready.h: whether the servers of a move's ends let a tenant's changes be kept and read: asked
// before anything is begun.
#pragma once
#include "provisioner/platform.h"

// What a move takes of its source's server: a slot that is read, one for comparing, and the way back's where both ends
// are of one server; of its target's server the way back's alone.
enum { REPLICA_SOURCE_SLOTS = 3, REPLICA_SOURCE_SENDERS = 2, REPLICA_TARGET_SLOTS = 1, REPLICA_TARGET_SENDERS = 1 };

typedef struct ReplicaFacts {
    Str login;
    bool can_replicate;
    Str wal_level;
    int64_t slots_max, slots_free;
    int64_t senders_max, senders_free;
} ReplicaFacts;

// Fails with ERR_FORBIDDEN for a login that may not replicate, or ERR_STATE for a server that can't have so many slots
// and senders more, and says in SQL what mends it.
MUST_CHECK bool replica_facts_check(const ReplicaFacts *facts, Str cell_name, int64_t slots, int64_t senders,
                                    Error *err);

// Asks both ends, and connects to each for replication. An empty `target` is a cell that isn't there yet: its server
// will be ours. On the way back the source has its slot already. Fails as replica_facts_check and
// platform_cell_replication.
MUST_CHECK bool replica_ready(Platform *platform, Str source, Str target, bool is_back, Error *err);
