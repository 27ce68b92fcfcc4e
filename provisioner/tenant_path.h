// provisioner/tenant_path.h: how a transaction comes to work in one tenant's schema.
#pragma once
#include "base/pg.h"

// From now until the transaction ends, names are those of the tenant's schema; temporary tables come last, so that none
// stands for a table of it. Outside of a transaction it has no effect. Fails as db_run.
MUST_CHECK bool tenant_path_set(Db *db, int64_t number, Error *err);

// db_query and db_run in that transaction, with the tenant's functions written as tenant_sql_add has them.
MUST_CHECK bool tenant_query(Db *db, int64_t number, Str sql, Params params, Rows **out, Error *err);
MUST_CHECK bool tenant_run(Db *db, int64_t number, Str sql, Params params, Error *err);

// For whoever writes in that transaction: it is refused with ERR_BUSY while the tenant moves to another cell, and a
// move waits for it.
MUST_CHECK bool tenant_write_begin(Db *db, int64_t number, Error *err);
