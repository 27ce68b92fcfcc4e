// provisioner/migration.c: applies what sql/ has and a database hasn't.
#include "provisioner/migration.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/embed.h"
#include "base/tenant_sql.h"

enum { ATTEMPTS = 5, ATTEMPT_PAUSE_MS = 200, CHECKSUM_TEXT = 17, BUDGET = 64 * MIB };

#define FNV_OFFSET 14695981039346656037ULL
#define FNV_PRIME 1099511628211ULL

static uint64_t fnv1a(uint64_t hash, Str text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * FNV_PRIME;
    return hash;
}

static const char *checksum(Str text, char out[CHECKSUM_TEXT])
{
    (void)snprintf(out, CHECKSUM_TEXT, "%016llx", (unsigned long long)fnv1a(FNV_OFFSET, text));
    return out;
}

// The file's name below its folder, or NULL where it belongs to another one.
static const char *name_in(const Embedded *file, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(file->name, folder, length) == 0 && file->name[length] == '/' ? file->name + length + 1 : NULL;
}

static bool is_function_file(const char *name) { return strncmp(name, "functions/", strlen("functions/")) == 0; }

Str migration_version(const char *folder, char text[MIGRATION_VERSION])
{
    uint64_t hash = FNV_OFFSET;
    char newest[4] = "000";
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++) {
        const char *name = name_in(file, folder);
        if (!name)
            continue;
        hash = fnv1a(fnv1a(hash, str_of(name)), embedded_content(file));
        if (!is_function_file(name))
            (void)snprintf(newest, sizeof(newest), "%.3s", name);
    }
    int length = snprintf(text, MIGRATION_VERSION, "%s-%08llx", newest, (unsigned long long)(hash & 0xFFFFFFFFU));
    return (Str){text, (size_t)length};
}

// ---- text

static void add_name(StrBuf *sql, Str name) { strbuf_format(sql, "\"%.*s\"", STR_ARG(name)); }

// What a tenant's functions have behind their names: that of the schema t_17 is _17.
static Str function_suffix(const MigrationTarget *target)
{
    return target->tenant_role.len > 0 ? str_skip(target->schema, 1) : (Str){0};
}

// A file's text, with the names of roles and of a tenant's functions put in.
static void add_content(StrBuf *sql, Str text, const MigrationTarget *target)
{
    StrBuf own = {.arena = sql->arena};
    tenant_sql_add(&own, text, function_suffix(target));
    text = strbuf_str(&own);
    const struct {
        Str word, name;
    } words[] = {{S(":tenant_role"), target->tenant_role}, {S(":shopd_role"), target->shopd_role}};
    while (text.len > 0) {
        size_t at = str_find_char(text, ':');
        strbuf_add(sql, str_slice(text, 0, at));
        text = str_skip(text, at);
        size_t w = 0;
        while (w < COUNT(words) && !str_has_prefix(text, words[w].word))
            w++;
        if (w < COUNT(words)) {
            add_name(sql, words[w].name);
            text = str_skip(text, words[w].word.len);
        } else if (text.len > 0) {
            strbuf_add_char(sql, ':');
            text = str_skip(text, 1);
        }
    }
    strbuf_add(sql, S("\n;\n"));
}

static void add_role(StrBuf *sql, Str role)
{
    if (role.len == 0) {
        strbuf_add(sql, S("reset role;\n"));
        return;
    }
    strbuf_add(sql, S("set local role "));
    add_name(sql, role);
    strbuf_add(sql, S(";\n"));
}

static void add_settings(StrBuf *sql, const MigrationTarget *target)
{
    strbuf_add(sql,
               S("set local lock_timeout = '5s'; set local check_function_bodies = off; set local search_path = "));
    add_name(sql, target->schema);
    strbuf_add(sql, S(", pg_temp;\n"));
}

static void add_record(StrBuf *sql, const char *name, Str content)
{
    char sum[CHECKSUM_TEXT];
    strbuf_format(sql,
                  "insert into migrations (name, checksum) values ('%s', '%s') "
                  "on conflict (name) do update set checksum = excluded.checksum, applied_at = now();\n",
                  name, checksum(content, sum));
}

static const char TENANT_DEFAULTS[] = "alter default privileges revoke execute on functions from public;\n"
                                      "alter default privileges grant execute on functions to \"%.*s\";\n";

// The tenant's role may make functions only while a migration does it. An operator without superuser rights must be a
// member of a role to act as it, and stays one for no longer (a long list of memberships is slow to read).
static void add_tenant_begin(StrBuf *sql, const MigrationTarget *target)
{
    strbuf_format(sql, "reset role;\ngrant %.*s to current_user;\n", STR_ARG(target->tenant_role));
    add_role(sql, target->owner);
    strbuf_format(sql, "grant create on schema %.*s to %.*s;\n", STR_ARG(target->schema), STR_ARG(target->tenant_role));
    strbuf_add(sql, S("reset role;\n"));
    add_role(sql, target->tenant_role);
    strbuf_format(sql, TENANT_DEFAULTS, STR_ARG(target->owner));
}

// Functions whose names have no number are of tenants made by an older program: those with one stand in their place.
static const char FUNCTIONS_SETTLE[] =
    "do $do$\n"
    "declare f record;\n"
    "begin\n"
    "    for f in\n"
    "        select p.oid::regprocedure called, p.proname, p.prosecdef from pg_depend d join pg_proc p on p.oid = "
    "d.objid\n"
    "        where d.refclassid = 'pg_namespace'::regclass and d.refobjid = current_schema()::regnamespace\n"
    "          and d.classid = 'pg_proc'::regclass and p.proowner = current_user::regrole\n"
    "    loop\n"
    "        if f.proname !~ '_[0-9]+$' then\n"
    "            execute format('drop function %%s', f.called);\n"
    "        elsif f.prosecdef then\n"
    "            execute format('grant execute on function %%s to %.*s', f.called);\n"
    "        end if;\n"
    "    end loop;\n"
    "end $do$;\n";

static void add_tenant_end(StrBuf *sql, const MigrationTarget *target)
{
    if (target->shopd_role.len > 0) {
        Str quoted = str_format(sql->arena, "\"%.*s\"", STR_ARG(target->shopd_role));
        strbuf_format(sql, FUNCTIONS_SETTLE, STR_ARG(quoted));
    }
    strbuf_add(sql, S("reset role;\n"));
    add_role(sql, target->owner);
    strbuf_format(sql, "revoke create on schema %.*s from %.*s;\n", STR_ARG(target->schema),
                  STR_ARG(target->tenant_role));
    strbuf_format(sql, "reset role;\nrevoke %.*s from current_user;\n", STR_ARG(target->tenant_role));
    add_role(sql, target->owner);
}

static const char TABLE_SQL[] = "create table if not exists migrations (\n"
                                "    name text primary key,\n"
                                "    checksum text not null,\n"
                                "    applied_at timestamptz not null default now()\n"
                                ");\n";

static bool is_among(const char *name, MigrationRange range)
{
    if (is_function_file(name))
        return range.until.len == 0;
    return (range.after.len == 0 || str_compare(str_of(name), range.after) > 0) &&
           (range.until.len == 0 || str_compare(str_of(name), range.until) <= 0);
}

static void add_files(StrBuf *sql, const MigrationTarget *target, MigrationRange range, bool is_function)
{
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++) {
        const char *name = name_in(file, target->folder);
        if (name && is_function_file(name) == is_function && is_among(name, range))
            add_content(sql, embedded_content(file), target);
    }
}

void migration_script(StrBuf *sql, const MigrationTarget *target, MigrationRange range)
{
    bool is_tenant = target->tenant_role.len > 0 && range.until.len == 0;
    add_settings(sql, target);
    add_role(sql, target->owner);
    strbuf_add(sql, str_of(TABLE_SQL));
    add_files(sql, target, range, false);
    if (is_tenant)
        add_tenant_begin(sql, target);
    add_files(sql, target, range, true);
    if (is_tenant)
        add_tenant_end(sql, target);
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++) {
        const char *name = name_in(file, target->folder);
        if (name && is_among(name, range))
            add_record(sql, name, embedded_content(file));
    }
    strbuf_add(sql, S("reset role;\n"));
}

// ---- one file at a time

// True where the record has this file with this checksum. A migration whose checksum differs is an error.
static bool is_recorded(const Rows *rows, const char *name, Str content, bool *out, Error *err)
{
    char sum[CHECKSUM_TEXT];
    *out = false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        if (!str_eq(rows_str(rows, i, 0), str_of(name)))
            continue;
        if (str_eq(rows_str(rows, i, 1), str_of(checksum(content, sum)))) {
            *out = true;
            return true;
        }
        if (is_function_file(name))
            return true;
        error_set(err, ERR_STATE, "the migration '%s' has changed since it was applied", name);
        error_why(err, "its checksum is %s, that of the applied one %.*s", sum, STR_ARG(rows_str(rows, i, 1)));
        return error_next(err,
                          "take the program that made this database, or put the change into a migration of its own");
    }
    return true;
}

static bool check_known(const Rows *rows, const MigrationTarget *target, Error *err)
{
    for (size_t i = 0; i < rows_count(rows); i++) {
        Str recorded = rows_str(rows, i, 0);
        bool is_known = str_has_prefix(recorded, S("functions/"));    // functions may go
        for (const Embedded *file = EMBEDDED_SQL; file->name && !is_known; file++) {
            const char *name = name_in(file, target->folder);
            is_known = name && str_eq(str_of(name), recorded);
        }
        if (is_known)
            continue;
        error_set(err, ERR_STATE, "the schema '%.*s' is newer than this program", STR_ARG(target->schema));
        error_why(err, "it has the migration '%.*s', which isn't known here", STR_ARG(recorded));
        return error_next(err, "use the newer program");
    }
    return true;
}

static bool records_read(Db *db, const MigrationTarget *target, Arena *arena, Rows **out, Error *err)
{
    Str sql =
        str_format(arena, "select name, checksum from \"%.*s\".migrations order by name", STR_ARG(target->schema));
    return arena_ok(arena, err) && db_query(db, sql, NO_PARAMS, out, err);
}

// In one transaction: the lock, a second look at the record, the file, its record.
static bool file_apply(Db *db, const MigrationTarget *target, const Embedded *file, bool *out_applied, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const char *name = name_in(file, target->folder);
    Str content = embedded_content(file);
    StrBuf begin = {.arena = arena}, body = {.arena = arena};
    add_settings(&begin, target);
    add_role(&begin, target->owner);
    strbuf_add(&begin, S("lock table migrations in share row exclusive mode;\n"));
    bool is_tenant_function = target->tenant_role.len > 0 && is_function_file(name);
    if (is_tenant_function)
        add_tenant_begin(&body, target);
    add_content(&body, content, target);
    if (is_tenant_function)
        add_tenant_end(&body, target);
    add_record(&body, name, content);
    strbuf_add(&body, S("reset role;\n"));
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(rows_close) Rows *rows = NULL;
    bool is_done = false;
    *out_applied = false;
    if (db_begin(db, err) && db_script(db, strbuf_str(&begin), err) && records_read(db, target, arena, &rows, err) &&
        is_recorded(rows, name, content, &is_done, err) && (is_done || db_script(db, strbuf_str(&body), err)) &&
        db_commit(db, err)) {
        *out_applied = !is_done;
        return true;
    }
    db_rollback(db);
    return error_wrap(err, "the migration '%s/%s' failed in schema '%.*s'", target->folder, name,
                      STR_ARG(target->schema));
}

// Two that make the same table at once meet in the catalog; the one that loses finds it made.
static bool table_make(Db *db, const MigrationTarget *target, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    StrBuf sql = {.arena = arena};
    add_settings(&sql, target);
    add_role(&sql, target->owner);
    strbuf_add(&sql, str_of(TABLE_SQL));
    strbuf_add(&sql, S("reset role;\n"));
    for (int attempt = 1; arena_ok(arena, err); attempt++) {
        if (db_script(db, strbuf_str(&sql), err))
            return true;
        if (err->code != ERR_EXISTS || attempt == ATTEMPTS)
            break;
        error_clear(err);
        clock_sleep_ms(ATTEMPT_PAUSE_MS);
    }
    return false;
}

static bool pass(Db *db, const MigrationTarget *target, bool functions, size_t *applied, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!records_read(db, target, arena, &rows, err) || !check_known(rows, target, err))
        return false;
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++) {
        const char *name = name_in(file, target->folder);
        if (!name || is_function_file(name) != functions)
            continue;
        bool is_done = false;
        if (!is_recorded(rows, name, embedded_content(file), &is_done, err))
            return false;
        for (int attempt = 1; !is_done; attempt++) {
            bool is_mine = false;
            is_done = file_apply(db, target, file, &is_mine, err);
            *applied += is_mine;
            if (is_done)
                break;
            if (err->code != ERR_BUSY || attempt == ATTEMPTS)
                return false;
            error_clear(err);
            clock_sleep_ms(ATTEMPT_PAUSE_MS);
        }
    }
    return true;
}

bool migration_run(Db *db, const MigrationTarget *target, size_t *out_applied, Error *err)
{
    size_t applied = 0;
    if (!table_make(db, target, err) || !pass(db, target, false, &applied, err) ||
        !pass(db, target, true, &applied, err))
        return false;
    if (out_applied)
        *out_applied = applied;
    return true;
}

bool migration_pending(Db *db, const MigrationTarget *target, size_t *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(rows_close) Rows *there = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    Str table = str_format(arena, "%.*s.migrations", STR_ARG(target->schema));
    if (!arena_ok(arena, err) || !db_query(db, S("select to_regclass($1) is not null"), PARAMS(table), &there, err))
        return false;
    bool is_new = !rows_bool(there, 0, 0);
    if (!is_new && (!records_read(db, target, arena, &rows, err) || !check_known(rows, target, err)))
        return false;
    *out = 0;
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++) {
        const char *name = name_in(file, target->folder);
        bool is_done = false;
        if (name && !is_new && !is_recorded(rows, name, embedded_content(file), &is_done, err))
            return false;
        *out += name && !is_done;
    }
    return true;
}
