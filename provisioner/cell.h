// provisioner/cell.h: cells: databases that hold tenants, opened, listed, kept at the newest version.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

enum { CELL_CAPACITY = 1000 };

typedef struct CellSpec {
    Str name;            // a-z, 0-9 and inner hyphens, up to 40
    Str dsn;             // of its database; empty: cell_NAME in the control database's server
    Str url;             // of its shopd, as http://127.0.0.1:8080; empty: none yet, and then new shops aren't asked for
    int64_t capacity;    // 0: CELL_CAPACITY
    int64_t spares;      // how many spare schemas are kept; 0: 4
} CellSpec;

// Opens a cell: makes the database where it is missing, its roles and tables, and records it. Run again after a crash
// it goes on; for a cell that is open it changes url, capacity and spares where they are given. Fails with ERR_INVALID
// for a wrong name or url, or as db_open; then nothing is left of a new cell.
MUST_CHECK bool cell_add(Platform *platform, const CellSpec *spec, Error *err);
// What cell_add would change, with its refusals and changing nothing: {"name","changes":[{"key","from","to"},...]}; a
// database that would be made is the change of "database". The caller closes *out.
MUST_CHECK bool cell_preview(Platform *platform, const CellSpec *spec, Json **out, Error *err);
// Brings a cell's own tables and functions to this version, then those of its tenants, spares last.
MUST_CHECK bool cell_migrate(Platform *platform, Str name, Error *err);

// What of that is to be done: files of sql/cell, and tenants that aren't at this version.
MUST_CHECK bool cell_pending(Platform *platform, Str name, size_t *out_files, int64_t *out_tenants, Error *err);

// Removes what only collects in a cell: fences of operations that are long over. In one of a tenant's own, takes the
// right to write from a tenant that has used its disk, or gives it back, and warns of both.
MUST_CHECK bool cell_tidy(Platform *platform, Str name, Error *err);

// {"name","dsn","url","state","tenants","capacity","spares","version","host","created_at"}; the caller closes *out.
// Fails with ERR_NOT_FOUND.
MUST_CHECK bool cell_show(Platform *platform, Str name, Json **out, Error *err);
MUST_CHECK bool cell_list(Platform *platform, Json **out, Error *err);    // {"items":[...],"total":N}
