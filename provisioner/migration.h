// provisioner/migration.h: the one way in which tables and functions come into a database: the files under sql/, in
// order, each in one transaction, recorded with its checksum.
#pragma once
#include "base/pg.h"

// Where files of a folder go. Migrations (NNN_*.sql) run once; functions (functions/*.sql) run again whenever their
// checksum changed. In both, the words :tenant_role and :shopd_role stand for the quoted names, and a tenant's
// functions are named as tenant_sql_add has it, by the schema's number.
typedef struct MigrationTarget {
    const char *folder;    // of sql/: "control", "cell", "tenant"
    Str schema;
    Str owner;          // the role that runs migrations and owns what they make; empty: the login itself
    Str tenant_role;    // of folder "tenant": the role that runs and owns the functions; else empty
    Str shopd_role;     // that may execute those functions that are SECURITY DEFINER; empty: none
} MigrationTarget;

// Brings a schema, which must be there, to the version of this program. Run at once by several, one does the work and
// the others wait. Interrupted, it goes on where it was. Fails with ERR_STATE when a file that was applied has changed
// since or isn't known (a newer program was here), ERR_BUSY when a lock can't be had.
MUST_CHECK bool migration_run(Db *db, const MigrationTarget *target, size_t *out_applied, Error *err);

// How many files migration_run would apply, with its refusals and changing nothing. A schema that isn't there has none.
MUST_CHECK bool migration_pending(Db *db, const MigrationTarget *target, size_t *out, Error *err);

// The version that a folder has in this program: the newest migration's number and 8 hexadecimal digits that follow
// from all files, as "003-5d41402a".
enum { MIGRATION_VERSION = 32 };
Str migration_version(const char *folder, char text[MIGRATION_VERSION]);

// Which files of a folder: empty names are no bounds.
typedef struct MigrationRange {
    Str after;    // the last migration that is there already
    Str until;    // the last one to make; with it, functions aren't made: they are of the newest version
} MigrationRange;

// Appends the statements that make a folder's files in a schema and record them: what migration_run would do, as part
// of a larger transaction. Names must be fit to be SQL names. Roles are as after a `reset role` when it ends.
void migration_script(StrBuf *sql, const MigrationTarget *target, MigrationRange range);
