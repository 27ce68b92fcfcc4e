// provisioner/dump.c: writes and reads dumps of tenants.
#include "provisioner/dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/spare.h"
#include "provisioner/tenant_data.h"
#include "provisioner/tenant_steps.h"

enum { DUMP_FORMAT = 1, MANIFEST_MAX = 4 * MIB, READ_STEP = 256 * KIB, BUDGET = 64 * MIB, COPY_TIMEOUT_MS = 3600000 };

static const char MANIFEST[] = "manifest.json";

bool dump_is_there(Str path)
{
    char name[PATH_MAX];
    (void)snprintf(name, sizeof(name), "%.*s/%s", STR_ARG(path), MANIFEST);
    return file_exists(str_of(name));
}

// ---- the manifest

static bool manifest_read(Str path, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(2 * MANIFEST_MAX);
    Str text, name = str_format(arena, "%.*s/%s", STR_ARG(path), MANIFEST);
    if (!arena_ok(arena, err) || !file_read(name, MANIFEST_MAX, arena, &text, err) || !json_parse(text, out, err))
        return false;
    int64_t format = json_int64(json_get(*out, "format"));
    if (format == DUMP_FORMAT)
        return true;
    json_close(out);
    error_set(err, ERR_STATE, "the dump '%.*s' is of an unknown format", STR_ARG(path));
    error_why(err, "its format is %lld, this program reads %d", (long long)format, DUMP_FORMAT);
    return error_next(err, "use the newer program");
}

static bool size_read(Str path, int64_t *out_size_bytes, Error *err)
{
    CLEANUP(json_close) Json *manifest = NULL;
    if (!manifest_read(path, &manifest, err))
        return false;
    const Json *tables = json_get(manifest, "tables");
    for (size_t i = 0; i < json_count(tables); i++)
        *out_size_bytes += json_int64(json_get(json_element(tables, i), "bytes"));
    return true;
}

// ---- writing

typedef struct Writing {
    Operation *op;
    int fd;
    int64_t rows, bytes;
} Writing;

static bool bytes_write(int fd, Str bytes, Error *err)
{
    while (bytes.len > 0) {
        ssize_t count = write(fd, bytes.data, bytes.len);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_from_errno(err, errno, "the dump can't be written");
        bytes = str_skip(bytes, (size_t)count);
    }
    return true;
}

static bool row_put(void *context, Str bytes, Error *err)
{
    Writing *writing = context;
    writing->rows++;
    writing->bytes += (int64_t)bytes.len;
    return bytes_write(writing->fd, bytes, err) && operation_beat(writing->op, err);
}

static bool sync_directory(Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *name = str_copy(arena, path).data;
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(fd_close) int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return error_from_errno(err, errno, "the directory '%.*s' can't be synced", STR_ARG(path));
    return true;
}

static bool table_write(Operation *op, Db *db, Str directory, const TenantTable *table, Json *list, int64_t *size,
                        Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str path = str_format(arena, "%.*s/%.*s.copy", STR_ARG(directory), STR_ARG(table->name));
    Str sql = str_format(arena, "copy %.*s.%.*s (%.*s) to stdout", STR_ARG(tenant_schema(op->number, arena)),
                         STR_ARG(table->quoted), STR_ARG(table->columns));
    if (!arena_ok(arena, err))
        return false;
    Writing writing = {.op = op, .fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    CLEANUP(fd_close) int fd = writing.fd;
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(path));
    if (!db_copy_out(db, sql, row_put, &writing, err))
        return false;
    if (fsync(fd) != 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be synced", STR_ARG(path));
    *size += writing.bytes;
    Json *entry =
        json_build("{s:s%, s:s%, s:I, s:I}", "table", table->name.data, table->name.len, "columns", table->columns.data,
                   table->columns.len, "rows", (json_int)writing.rows, "bytes", (json_int)writing.bytes);
    return json_append(list, entry) || json_ok(NULL, err);
}

static bool manifest_write(Operation *op, Str directory, Json *parts, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MANIFEST_MAX);
    CLEANUP(json_close) Json *settings = NULL;
    char now[CLOCK_TEXT];
    Str time = clock_rfc3339(clock_unix_ms(), now), text;
    if (!json_parse(op->context->settings, &settings, err))
        return false;
    CLEANUP(json_close)
    Json *manifest =
        json_build("{s:i, s:s%, s:s%, s:I, s:s%, s:I, s:O}", "format", DUMP_FORMAT, "created_at", time.data, time.len,
                   "slug", op->slug.data, op->slug.len, "number", (json_int)op->number, "cell", op->cell.data,
                   op->cell.len, "operation", (json_int)op->id, "settings", settings);
    if (!json_ok(manifest, err))
        return false;
    for (JsonIter it = json_iter(parts); json_next(&it);)
        if (!json_set(manifest, str_copy(arena, it.key).data, json_hold(it.value), err))
            return false;
    Str path = str_format(arena, "%.*s/%s", STR_ARG(directory), MANIFEST);
    return json_print(manifest, 1, arena, &text, err) && file_write(path, text, 0600, err);
}

static bool tables_write(Operation *op, Db *db, Str directory, int64_t *size, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(json_close) Json *list = json_build("[]");
    CLEANUP(json_close) Json *identities = json_build("[]");
    CLEANUP(json_close) Json *migrations = NULL;
    TenantTables tables;
    if (!json_ok(list, err) || !json_ok(identities, err) || !tenant_tables_read(db, op->number, arena, &tables, err))
        return false;
    for (size_t i = 0; i < tables.count; i++)
        if (!table_write(op, db, directory, &tables.tables[i], list, size, err))
            return false;
    if (!tenant_identities_read(db, op->number, identities, err) ||
        !tenant_migrations_read(db, op->number, &migrations, err))
        return false;
    CLEANUP(json_close)
    Json *parts = json_build("{s:O, s:O, s:O}", "migrations", migrations, "tables", list, "identities", identities);
    return json_ok(parts, err) && manifest_write(op, directory, parts, err);
}

static bool cell_connect(Operation *op, Db **out, Error *err)
{
    Db *fence = NULL;
    return operation_cell(op, &fence, err) && platform_cell_open(op->platform, op->cell, out, err) &&
           db_run(*out, S("select set_config('statement_timeout', $1, false)"), PARAMS(STEP_NUMBER(COPY_TIMEOUT_MS)),
                  err);
}

bool dump_write(Operation *op, Str path, int64_t *out_size_bytes, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = NULL;
    Str partial = str_format(arena, "%.*s.partial", STR_ARG(path)), whole = str_copy(arena, path);
    Str parent = str_slice(path, 0, path.len);
    while (parent.len > 1 && parent.data[parent.len - 1] != '/')
        parent.len--;
    parent.len -= parent.len > 1;
    *out_size_bytes = 0;
    if (!arena_ok(arena, err))
        return false;
    if (dump_is_there(path))
        return size_read(path, out_size_bytes, err);
    int64_t size = 0;
    // Repeatable read: every table as of one moment. As cell_owner nothing of the tenant's own can be run.
    if (!dump_remove(path, err) || !directory_make(parent, 0700, err) || !directory_make(partial, 0700, err) ||
        !cell_connect(op, &db, err) ||
        !db_script(db, S("begin isolation level repeatable read read only; set local role cell_owner"), err) ||
        !tables_write(op, db, partial, &size, err) || !db_commit(db, err) || !sync_directory(partial, err))
        return error_wrap(err, "the tenant '%.*s' can't be dumped", STR_ARG(op->slug));
    if (rename(partial.data, whole.data) != 0)
        return error_from_errno(err, errno, "the dump '%.*s' can't be put in its place", STR_ARG(path));
    *out_size_bytes = size;
    return sync_directory(parent, err);
}

// ---- reading

static bool file_load(Operation *op, Db *db, Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char *step = arena_bytes(arena, READ_STEP);
    const char *name = str_copy(arena, path).data;
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(fd_close) int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be opened", STR_ARG(path));
    for (Str bytes = S("");;) {
        if (!file_step(fd, path, step, READ_STEP, &bytes, err))
            return false;
        if (bytes.len == 0)
            return true;
        if (!db_copy_put(db, bytes, err) || !operation_beat(op, err))
            return false;
    }
}

static bool table_load(Operation *op, Db *db, Str path, const Json *entry, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str table = json_str(json_get(entry, "table")), schema = tenant_schema(op->number, arena);
    Str name = db_name(db, arena, table);
    Str sql = str_format(arena, "copy %.*s.%.*s (%.*s) from stdin", STR_ARG(schema), STR_ARG(name),
                         STR_ARG(json_str(json_get(entry, "columns"))));
    Str file = str_format(arena, "%.*s/%.*s.copy", STR_ARG(path), STR_ARG(table));
    int64_t rows = 0, expected = json_int64(json_get(entry, "rows"));
    if (!arena_ok(arena, err) || !db_copy_in(db, sql, err) || !file_load(op, db, file, err) ||
        !db_copy_in_end(db, &rows, err))
        return false;
    if (rows == expected)
        return true;
    error_set(err, ERR_MALFORMED, "the file '%.*s' isn't whole", STR_ARG(file));
    return error_why(err, "it has %lld rows of %lld", (long long)rows, (long long)expected);
}

static bool version_refused(Str migration, bool is_known, Error *err)
{
    error_set(err, ERR_STATE, "the dump is of another version");
    if (is_known)
        error_why(err, "its migrations up to '%.*s' aren't this program's", STR_ARG(migration));
    else
        error_why(err, "it is newer than this program: its migration '%.*s' isn't known here", STR_ARG(migration));
    return error_next(err, "restore it with the program that it was made with");
}

// *out is the dump's newest migration where the cell's tables, which are of this program's version, are newer; empty
// where both are of the same version.
static bool version_find(Operation *op, Db *db, const Json *manifest, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *ours = NULL;
    const Json *theirs = json_get(manifest, "migrations");
    if (!tenant_migrations_read(db, op->number, &ours, err))
        return false;
    size_t count = json_count(theirs);
    for (size_t i = 0; i < count; i++) {
        Str name = json_str(json_element(theirs, i));
        bool is_known = false;
        for (size_t k = 0; k < json_count(ours); k++)
            is_known = is_known || str_eq(json_str(json_element(ours, k)), name);
        if (!is_known || !str_eq(json_str(json_element(ours, i)), name))
            return version_refused(name, is_known, err);
    }
    if (count == 0)
        return error_set(err, ERR_MALFORMED, "the dump names no migrations");
    Str newest = count < json_count(ours) ? str_copy(arena, json_str(json_element(theirs, count - 1))) : S("");
    if (!arena_ok(arena, err))
        return false;
    *out = newest;
    return true;
}

typedef void Script(StrBuf *sql, int64_t number, Str shopd_role, Str migration);

// Does nothing for a dump of this version.
static bool script_run(Operation *op, Db *db, Script *script, Str migration, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    Str shopd_role;
    if (migration.len == 0)
        return true;
    strbuf_add(&sql, S("reset role;\n"));
    if (!cell_shopd_role(db, arena, &shopd_role, err))
        return false;
    script(&sql, op->number, shopd_role, migration);
    strbuf_add(&sql, S("set local role cell_owner;\n"));
    return arena_ok(arena, err) && db_script(db, strbuf_str(&sql), err);
}

// The rows of an older program go into tables as that one had them; this program's migrations then do with them what
// they do with a living tenant's.
bool dump_load(Operation *op, Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(json_close) Json *manifest = NULL;
    CLEANUP(db_close) Db *db = NULL;
    Str older = S("");
    if (!manifest_read(path, &manifest, err) || !cell_connect(op, &db, err))
        return false;
    const Json *files = json_get(manifest, "tables");
    TenantTables tables = {0};
    bool ok = db_begin(db, err) &&
              db_run(db, S("select cell.epoch_check($1::bigint, $2::bigint, $3::bigint)"),
                     PARAMS(STEP_NUMBER(op->id), STEP_NUMBER(op->epoch), STEP_NUMBER(op->number)), err) &&
              db_script(db, S("set local role cell_owner"), err) &&
              version_find(op, db, manifest, arena, &older, err) &&
              script_run(op, db, tenant_script_older, older, err) &&
              tenant_tables_read(db, op->number, arena, &tables, err) &&
              tenant_triggers_switch(db, op->number, &tables, false, err) &&
              tenant_tables_empty(db, op->number, &tables, err);
    for (size_t i = 0; ok && i < json_count(files); i++)
        ok = table_load(op, db, path, json_element(files, i), err);
    ok = ok && tenant_identities_set(db, op->number, json_get(manifest, "identities"), err) &&
         tenant_triggers_switch(db, op->number, &tables, true, err) &&
         script_run(op, db, tenant_script_newest, older, err) &&
         db_run(db, S("select cell.tenant_looks_copy($1::bigint)"), PARAMS(STEP_NUMBER(op->number)), err) &&
         db_commit(db, err);
    return ok || error_wrap(err, "the dump '%.*s' can't be restored", STR_ARG(path));
}

// ---- removing

static bool directory_remove(Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *name = str_copy(arena, path).data;
    if (!arena_ok(arena, err))    // no name is no directory, and so success
        return false;
    DIR *directory = opendir(name);
    if (!directory)
        return errno == ENOENT || error_from_errno(err, errno, "the directory '%s' can't be read", name);
    bool ok = true;
    for (const struct dirent *entry = NULL; ok && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = unlinkat(dirfd(directory), entry->d_name, 0) == 0 ||
                 error_from_errno(err, errno, "the file '%s/%s' can't be removed", name, entry->d_name);
    (void)closedir(directory);
    if (ok && rmdir(name) != 0 && errno != ENOENT)
        return error_from_errno(err, errno, "the directory '%s' can't be removed", name);
    return ok;
}

bool dump_remove(Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str partial = str_format(arena, "%.*s.partial", STR_ARG(path));
    return arena_ok(arena, err) && directory_remove(partial, err) && directory_remove(path, err);
}

bool dumps_expire(Platform *platform, size_t *out_removed, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    *out_removed = 0;
    if (!db_query(platform_control(platform), S("select id, path from control.dumps_expired()"), NO_PARAMS, &rows, err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        if (!dump_remove(rows_str(rows, i, 1), err) ||
            !db_run(platform_control(platform), S("delete from control.dumps where id = $1::bigint"),
                    PARAMS(rows_str(rows, i, 0)), err))
            return false;
        ++*out_removed;
    }
    return true;
}
