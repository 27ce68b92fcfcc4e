// provisioner/replica.h: a tenant's rows in two cells: copied, followed while the shop sells, and held still until both
// have the same. The operation works at the target (op->cell, op->number); its other cell is the source. The cells
// never connect to each other: all goes through this process.
#pragma once
#include "provisioner/operation.h"
#include "provisioner/replica_compare.h"

// Whether the target has the rows as of some moment, and the source still has what was written since.
MUST_CHECK bool replica_is_copied(Operation *operation, bool *out, Error *err);
// Copies all rows as of one moment and begins to keep what is written later. What was at the target is gone. Sets
// "bytes" in operation->data. Fails with ERR_STATE where both are of different versions.
MUST_CHECK bool replica_copy(Operation *operation, Error *err);

// Whether the target has all, and nobody writes at the source any more.
MUST_CHECK bool replica_is_held(Operation *operation, bool *out, Error *err);
// Does at the target what is written at the source until nothing is left to do; compares all rows; then closes the
// source for writing, and compares what was written meanwhile. From there on the target keeps what is written at it, so
// that the way back is one as well. Sets "rows" and "checksums_equal" in operation->data. An error leaves the source
// open for writing.
MUST_CHECK bool replica_hold(Operation *operation, Error *err);
// Opens the source for writing again, and forgets the way back; open is success.
MUST_CHECK bool replica_release(Operation *operation, Error *err);
// How long it has been closed, in milliseconds; 0: it is open.
MUST_CHECK bool replica_pause_ms(Operation *operation, int64_t *out, Error *err);

// Records up to where an end has the other one's rows (null: it is no copy), and whether nothing more will come.
MUST_CHECK bool replica_position_set(const Operation *operation, ReplicaEnd end, Str position, bool is_whole,
                                     Error *err);
// The target is a copy no more.
MUST_CHECK bool replica_end(Operation *operation, Error *err);

// Removes what keeps a tenant's changes in a cell's cluster; none is success.
MUST_CHECK bool replica_forget(Db *cell, int64_t number, Error *err);
