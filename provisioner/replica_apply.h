// provisioner/replica_apply.h: changes of a tenant's rows in one cell, done again in another.
#pragma once
#include "provisioner/change.h"
#include "provisioner/operation.h"
#include "provisioner/replica_compare.h"

typedef struct Applier Applier;

// For the operation's tenant at `target`, which has all that was committed before `position`; the tables live as long
// as the applier. Fails with ERR_STATE for a table whose key has more columns than REPLICA_KEYS_MAX.
MUST_CHECK bool applier_open(const Operation *operation, Db *target, const TenantTables *tables, uint64_t position,
                             Applier **out, Error *err);
void applier_close(Applier **applier);

// Takes the next change of the stream; several transactions are committed together, each one whole. One that is there
// already is left out. Fails with ERR_BUSY when the operation is another process's by now.
MUST_CHECK bool applier_take(Applier *applier, const Change *change, Error *err);
// Commits what was taken; between two transactions.
MUST_CHECK bool applier_flush(Applier *applier, Error *err);
// Up to where the target has all.
uint64_t applier_position(const Applier *applier);

// The rows that were written since it was opened or they were forgotten, one element for each table; false where there
// are too many to be remembered.
bool applier_touched(Applier *applier, ReplicaTouched **out);
void applier_forget_touched(Applier *applier);
