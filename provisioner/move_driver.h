// provisioner/move_driver.h: the drivers that take a tenant from one cell to another. Input of a move: {"plan"} where
// it gets another one, {"cell"}, {"host"}, {"labels"} where they are asked for.
#pragma once
#include "provisioner/operation.h"

extern const Driver TENANT_MOVE;                  // into a cell that others share
extern const Driver TENANT_MOVE_DEDICATED;        // into one of its own
extern const Driver TENANT_MOVE_BACK;             // to where it was
extern const Driver TENANT_FINALIZE;              // gives up where it was: a schema
extern const Driver TENANT_FINALIZE_DEDICATED;    // a cell of its own
