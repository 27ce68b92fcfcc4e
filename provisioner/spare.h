// provisioner/spare.h: spare tenants: schemas with their roles, made ahead, so that creating a shop needs no DDL.
#pragma once
#include "provisioner/platform.h"

enum {
    SPARES_PER_TRANSACTION = 8,
    SPARES_EXPECTED_MAX = 32,    // in one transaction, where the server has room for their locks
    SPARE_LOCKS = 110            // that making one takes, about
};

// Makes `count` (one at least) spares in a cell, several to a transaction; above one transaction's worth by two
// connections at once. A crash leaves whole spares only. Fails as db_open, or ERR_BUSY.
MUST_CHECK bool spares_make(Platform *platform, Str cell_name, size_t count, Error *err);

// Makes a spare and takes one for an operation, in one transaction, so that nobody else's operation can take what was
// made for this one; with it as many as are expected (platform_expect), and the cell and the server's table of locks
// have room for: each transaction that makes some costs the cell's other shops their plans. The slug is as slug.h has
// it. Fails as db_open, ERR_BUSY also for an operation that was taken over.
MUST_CHECK bool spare_make_taken(Platform *platform, Str cell_name, int64_t operation, int64_t epoch, Str slug,
                                 Error *err);

// Makes spares until the cell has as many as it keeps, one transaction at a time with a pause between them, so that the
// cell's shops don't feel it (each drops the plans that their connections keep). *out_made is how many.
MUST_CHECK bool spares_fill(Platform *platform, Str cell_name, int64_t pause_ms, size_t *out_made, Error *err);

// Appends the statements that make one spare: what spares_make runs, for measurements.
void spare_script(StrBuf *sql, int64_t number, Str shopd_role);

// Appends the statements that make a tenant's schema anew, empty, as it was when `migration` was the newest one: tables
// alone. Those of _newest make the rest, when its rows are in it. Both in one transaction; nobody may be in the schema.
void tenant_script_older(StrBuf *sql, int64_t number, Str shopd_role, Str migration);
void tenant_script_newest(StrBuf *sql, int64_t number, Str shopd_role, Str migration);

// The role that shopd logs in as in a cell, in `arena`: that of its database. Fails as db_query.
MUST_CHECK bool cell_shopd_role(Db *cell, Arena *arena, Str *out, Error *err);

// Removes a tenant from its cell in one transaction: schema, role, rows. One that isn't there is success. Refused with
// ERR_BUSY for an operation that was taken over.
MUST_CHECK bool tenant_drop(Db *cell, int64_t operation, int64_t epoch, int64_t number, Error *err);
