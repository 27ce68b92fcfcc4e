// provisioner/tenant_data.h: what a tenant's data consists of: the tables of its schema and the identities that count
// in them. For dumps and moves; names and numbers of the tenant are in none of it.
#pragma once
#include "base/json.h"
#include "base/pg.h"

// Texts are SQL, quoted where they have to be.
typedef struct TenantTable {
    Str name;         // as PostgreSQL has it, not quoted
    Str quoted;       // the same as SQL writes it
    Str columns;      // that COPY takes, "id, name": all but the generated ones
    Str row;          // the same of a row x, "x.id, x.name"
    Str keys;         // the primary key, "order_id, position"
    Str key_types;    // "bigint, smallint"
    size_t key_count;
} TenantTable;

typedef struct TenantTables {
    const TenantTable *tables;    // each after those that it refers to
    size_t count;
} TenantTables;

// The tables of a tenant's schema, but that of its migrations; texts in `arena`.
MUST_CHECK bool tenant_tables_read(Db *db, int64_t number, Arena *arena, TenantTables *out, Error *err);
// The one of this name, NULL where there is none.
const TenantTable *tenant_table_find(const TenantTables *tables, Str name);

// Removes all rows. Within a transaction, as cell_owner; the same for the next one.
MUST_CHECK bool tenant_tables_empty(Db *db, int64_t number, const TenantTables *tables, Error *err);
// Triggers of our own are off while tables are filled: what they keep comes with the data.
MUST_CHECK bool tenant_triggers_switch(Db *db, int64_t number, const TenantTables *tables, bool is_on, Error *err);

// Appends {"table","column","next"} of every identity: the next value that would be given.
MUST_CHECK bool tenant_identities_read(Db *db, int64_t number, Json *list, Error *err);
MUST_CHECK bool tenant_identities_set(Db *db, int64_t number, const Json *identities, Error *err);

// The names of the migrations that made its tables, a JSON array in order; the caller closes *out.
MUST_CHECK bool tenant_migrations_read(Db *db, int64_t number, Json **out, Error *err);
