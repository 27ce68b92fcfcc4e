// provisioner/product_import.h: Shopify's product CSV into a tenant's catalogue; docs/import.md says what each column
// does.
#pragma once
#include "base/faults.h"
#include "base/json.h"
#include "base/pg.h"

// Zero is the default.
typedef struct ImportOptions {
    bool skip_invalid;    // a file with bad lines imports the good ones; else it changes nothing
    bool set_stock;       // quantities also set the stock of variants that are there already
    bool is_dry_run;      // does all of it, and takes it back
    void (*progress)(void *context, int64_t line_count);    // called after each line; NULL: nobody watches
    void *progress_context;
} ImportOptions;

// What the file names, also when nothing had to change; `faults` are in the order of lines, with the column's name as
// `where`, the value as `what`, and why.
typedef struct ImportReport {
    int64_t products;    // distinct handles
    int64_t variants;    // lines with an option value
    int64_t images;      // distinct images of a handle
    int64_t skipped;     // lines that can't be used
    Faults faults;
    bool is_refused;    // there are bad lines, and nothing was imported because of them
    bool is_changed;    // the catalogue changed (or would have, in a dry run)
} ImportReport;

// Imports the file at `path` ("-" is the standard input) in one transaction into the tenant whose schema is
// t_`tenant`. `db` is connected to its cell as the owner of its tables, outside of a transaction, with a
// statement_timeout_ms of minutes. Image files are looked for beside the CSV. A file with bad lines is success, and the
// report says so. The report lives in `arena`. Fails with ERR_NOT_FOUND or ERR_FORBIDDEN for the file, ERR_INVALID for
// its header, ERR_TOO_LARGE for a row, ERR_PLAN_LIMIT when the shop would have more products than its plan allows (two
// imports at once can't pass it together), ERR_UNREACHABLE, ERR_BUSY: nothing is imported then.
MUST_CHECK bool product_import(Db *db, int64_t tenant, Str path, const ImportOptions *options, Arena *arena,
                               ImportReport *out, Error *err);

// {"products","variants","images","skipped","errors":[{"line","column","value","reason"}],"changed"}; the caller closes
// *out. Fails with ERR_NO_MEMORY.
MUST_CHECK bool product_import_json(const ImportReport *report, Json **out, Error *err);
