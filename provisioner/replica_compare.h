// provisioner/replica_compare.h: whether a tenant's rows are the same in two cells.
#pragma once
#include "provisioner/operation.h"
#include "provisioner/tenant_data.h"

enum { REPLICA_KEYS_MAX = 4 };

// A session whose rows look the same on every server: both sides of a comparison, of a copy and of a stream need it.
// What takes long there keeps the operation alive (NULL: none).
MUST_CHECK bool replica_session_set(Operation *op, Db *db, Error *err);

// One end: a session (see above) in which cell_owner's tables can be read, and the tenant's number there.
typedef struct ReplicaEnd {
    Db *db;
    int64_t number;
} ReplicaEnd;

// Rows that were written since both were last compared: their keys, as the elements of an array each.
typedef struct ReplicaTouched {
    StrBuf keys[REPLICA_KEYS_MAX];
    size_t count;
} ReplicaTouched;

// Notes the key of a row; texts as PostgreSQL has them, as many as the table has keys.
void replica_touch(ReplicaTouched *touched, Arena *arena, const Str *keys, size_t key_count);

// Compares the number of rows and a checksum over all of them, table by table. *out_rows is how many there are in all.
// Fails with ERR_FAILED, naming the first table that differs.
MUST_CHECK bool replica_compare(ReplicaEnd source, ReplicaEnd target, const TenantTables *tables, int64_t *out_rows,
                                Error *err);
// The same for the rows that were touched alone; `touched` has one element for each table.
MUST_CHECK bool replica_compare_touched(ReplicaEnd source, ReplicaEnd target, const TenantTables *tables,
                                        ReplicaTouched *touched, Error *err);
