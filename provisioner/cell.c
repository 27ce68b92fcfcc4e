// provisioner/cell.c: opens cells and keeps them at this program's version.
#include "provisioner/cell.h"

#include "base/arena.h"
#include "provisioner/address.h"
#include "provisioner/migration.h"
#include "provisioner/name.h"
#include "provisioner/server.h"
#include "provisioner/spare.h"

enum { BUDGET = 4 * MIB, MIGRATE_TIMEOUT_MS = 120000 };

static const DbOptions DB_OPTIONS = {.application = "shopctl", .statement_timeout_ms = MIGRATE_TIMEOUT_MS};

static Str number_text(int64_t number, Arena *arena) { return number ? str_int(arena, number) : SQL_NULL; }

// ---- the database

typedef struct CellDatabase {
    Str name;
    Str dsn;           // with passwords
    bool is_beside;    // the control database, whose connection makes it where it is missing
    Db *db;            // NULL: it is missing
} CellDatabase;

static void database_close(CellDatabase *database) { db_close(&database->db); }

static bool database_open(CellDatabase *database, Arena *arena, Error *err)
{
    database->name = dsn_database(database->dsn, arena);
    if (database->name.len == 0) {
        error_set(err, ERR_INVALID, "the connection string of the cell names no database");
        return error_next(err, "add one, as in 'host=/run/postgresql dbname=cell_eu'");
    }
    if (db_open(database->dsn, &DB_OPTIONS, &database->db, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    return true;
}

// A connection to the server of a database that is missing, where it can be made; *own is NULL or the caller's to
// close.
static bool database_server(Platform *platform, const CellDatabase *database, Arena *arena, Db **own, Db **out,
                            Error *err)
{
    ServerFacts facts;
    Str dsn = S("");
    if (!database->is_beside &&
        (!dsn_with_database(database->dsn, S("postgres"), arena, &dsn, err) || !db_open(dsn, &DB_OPTIONS, own, err)))
        return false;
    *out = database->is_beside ? platform_control(platform) : *own;
    if (!server_facts_read(*out, arena, &facts, err))
        return false;
    facts.encoding = S("UTF8");    // the new database's own
    return server_facts_check(&facts, err);
}

static bool database_make(Platform *platform, CellDatabase *database, Arena *arena, Error *err)
{
    CLEANUP(db_close) Db *own = NULL;
    Db *server = NULL;
    return database->db || (database_server(platform, database, arena, &own, &server, err) &&
                            server_database_make(server, database->name, err) &&
                            db_open(database->dsn, &DB_OPTIONS, &database->db, err));
}

static bool encoding_check(Db *cell, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(cell, S("select current_database(), getdatabaseencoding()"), NO_PARAMS, &rows, err))
        return false;
    Str encoding = rows_str(rows, 0, 1);
    if (str_eq(encoding, S("UTF8")))
        return true;
    error_set(err, ERR_STATE, "the database '%.*s' can't be a cell", STR_ARG(rows_str(rows, 0, 0)));
    error_why(err, "its encoding is %.*s, not UTF8", STR_ARG(encoding));
    return error_next(err, "name another one: one that isn't there is made, in UTF8");
}

// Roles belong to the whole server, so another cell may make the same one at the same moment. From PostgreSQL 16 on,
// whoever made a role is its member with no more than the right to grant it: to act as it he grants it to himself. What
// PUBLIC may do by default and no shop needs is taken back where we may do so.
static const char PREPARE[] =
    "do $do$\n"
    "declare\n"
    "    v_database name := current_database();\n"
    "    v_shopd name := v_database || '_shopd';\n"
    "    v_function regprocedure;\n"
    "begin\n"
    "    begin\n"
    "        if not exists (select from pg_roles where rolname = 'cell_owner') then\n"
    "            create role cell_owner nologin;\n"
    "        end if;\n"
    "    exception when duplicate_object or unique_violation then null;\n"
    "    end;\n"
    "    begin\n"
    "        if not exists (select from pg_roles where rolname = v_shopd) then\n"
    "            execute format('create role %I login', v_shopd);\n"
    "        end if;\n"
    "    exception when duplicate_object or unique_violation then null;\n"
    "    end;\n"
    "    if current_setting('server_version_num')::integer < 160000 then\n"
    "        if not pg_has_role(current_user, 'cell_owner', 'member') then\n"
    "            grant cell_owner to current_user;\n"
    "        end if;\n"
    "    elsif not (pg_has_role(current_user, 'cell_owner', 'usage')\n"
    "               and pg_has_role(current_user, 'cell_owner', 'set')) then\n"
    "        execute 'grant cell_owner to current_user with inherit true, set true';\n"
    "    end if;\n"
    "    execute format('revoke all on database %I from public', v_database);\n"
    "    execute format('grant connect on database %I to %I', v_database, v_shopd);\n"
    "    if not exists (select from pg_namespace where nspname = 'cell') then\n"
    "        create schema cell authorization cell_owner;\n"
    "    end if;\n"
    "    create extension if not exists unaccent schema cell;\n"
    "    alter default privileges for role cell_owner revoke execute on functions from public;\n"
    "    execute format('alter role %I in database %I set jit = off', v_shopd, v_database);\n"
    "    execute format('alter role %I in database %I set plan_cache_mode = force_generic_plan', v_shopd, "
    "v_database);\n"
    "    if (select rolsuper from pg_roles where rolname = current_user) then\n"
    "        for v_function in\n"
    "            select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace\n"
    "            and (proname ~ '^pg_(try_)?advisory' or proname ~ '^lo_' or proname in ('loread', 'lowrite'))\n"
    "            and proacl is null\n"
    "        loop\n"
    "            execute format('revoke execute on function %s from public', v_function);\n"
    "        end loop;\n"
    "    end if;\n"
    "end $do$";

// Two platforms can't have one cell: each would take the other's tenants for its own.
static bool meta_check(Platform *platform, Db *cell, Error *err)
{
    CLEANUP(rows_close) Rows *ours = NULL;
    CLEANUP(rows_close) Rows *there = NULL;
    CLEANUP(rows_close) Rows *meta = NULL;
    if (!db_query(platform_control(platform), S("select name from control.platforms"), NO_PARAMS, &ours, err) ||
        !db_query(cell, S("select current_database() where to_regclass('cell.meta') is not null"), NO_PARAMS, &there,
                  err))
        return false;
    if (rows_count(there) == 0)
        return true;
    if (!db_query(cell, S("select platform from cell.meta"), NO_PARAMS, &meta, err))
        return false;
    if (rows_count(meta) == 0 || str_eq(rows_str(meta, 0, 0), rows_str(ours, 0, 0)))
        return true;
    Str database = rows_str(there, 0, 0);
    error_set(err, ERR_EXISTS, "the cell is another platform's");
    error_why(err, "the database '%.*s' belongs to the platform %.*s, and this one is %.*s", STR_ARG(database),
              STR_ARG(rows_str(meta, 0, 0)), STR_ARG(rows_str(ours, 0, 0)));
    return error_next(err, "use another server, or the control database of that platform");
}

static bool meta_write(Platform *platform, Db *cell, Str name, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(platform_control(platform), S("select name from control.platforms"), NO_PARAMS, &rows, err) &&
           db_run(
               cell,
               S("insert into cell.meta (name, platform, shopd_role) values ($1, $2, current_database() || '_shopd') "
                 "on conflict (id) do nothing"),
               PARAMS(name, rows_str(rows, 0, 0)), err);
}

// Without a superuser's rights what PUBLIC may do stays, which an operator should know.
static bool public_rights_warn(Platform *platform, Db *cell, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(cell,
                  S("select current_database() where has_function_privilege('public', 'pg_advisory_lock(bigint)', "
                    "'execute') or has_function_privilege('public', 'lo_create(oid)', 'execute')"),
                  NO_PARAMS, &rows, err))
        return false;
    if (rows_count(rows) > 0)
        platform_warn(platform,
                      "in the database '%.*s' every login may take advisory locks and keep large objects, which only a "
                      "superuser can take back: see \"An existing PostgreSQL\" in docs/platform.md",
                      STR_ARG(rows_str(rows, 0, 0)));
    return true;
}

// A role that another platform's login made isn't ours to give: from PostgreSQL 16 on its maker says who may.
static bool prepare_refused(Db *cell, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Error ignored = {0};
    if (err->code == ERR_FORBIDDEN && err->next[0] == '\0' &&
        db_query(cell, S("select quote_ident(current_user)"), NO_PARAMS, &rows, &ignored))
        error_next(err, "as a superuser: grant cell_owner to %.*s with admin option;", STR_ARG(rows_str(rows, 0, 0)));
    return false;
}

static bool cell_prepare(Platform *platform, Db *cell, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!encoding_check(cell, err) || !meta_check(platform, cell, err))
        return false;
    if (!db_script(cell, str_of(PREPARE), err))
        return prepare_refused(cell, err);
    if (!public_rights_warn(platform, cell, err) ||
        !db_query(cell, S("select current_database() || '_shopd'"), NO_PARAMS, &rows, err))
        return false;
    MigrationTarget target = {.folder = "cell",
                              .schema = S("cell"),
                              .owner = S("cell_owner"),
                              .shopd_role = str_copy(arena, rows_str(rows, 0, 0))};
    return arena_ok(arena, err) && migration_run(cell, &target, NULL, err) && meta_write(platform, cell, name, err);
}

// ---- tenants of a cell

static bool tenants_migrate(Db *cell, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    char text[MIGRATION_VERSION];
    Str version = migration_version("tenant", text), role;
    if (!cell_shopd_role(cell, arena, &role, err) ||
        !db_query(cell, S("select number from cell.tenants where version <> $1 order by state = 'spare', number"),
                  PARAMS(version), &rows, err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        Str schema = tenant_schema(rows_int64(rows, i, 0), arena);
        MigrationTarget target = {
            .folder = "tenant", .schema = schema, .owner = S("cell_owner"), .tenant_role = schema, .shopd_role = role};
        if (!arena_ok(arena, err) || !migration_run(cell, &target, NULL, err) ||
            !db_run(cell, S("update cell.tenants set version = $2 where number = $1::bigint"),
                    PARAMS(rows_str(rows, i, 0), version), err))
            return error_wrap(err, "the tenant '%.*s' can't be brought to this version", STR_ARG(schema));
    }
    return true;
}

static bool cell_bring_up(Platform *platform, Db *cell, Str name, Error *err)
{
    char version[MIGRATION_VERSION];
    return cell_prepare(platform, cell, name, err) && tenants_migrate(cell, err) &&
           db_run(platform_control(platform), S("select control.cell_opened($1, $2)"),
                  PARAMS(name, migration_version("cell", version)), err);
}

bool cell_migrate(Platform *platform, Str name, Error *err)
{
    CLEANUP(db_close) Db *cell = NULL;
    return (platform_cell_open_with(platform, name, &DB_OPTIONS, &cell, err) &&
            cell_bring_up(platform, cell, name, err)) ||
           error_wrap(err, "the cell '%.*s' can't be brought to this version", STR_ARG(name));
}

bool cell_pending(Platform *platform, Str name, size_t *out_files, int64_t *out_tenants, Error *err)
{
    static const MigrationTarget TARGET = {.folder = "cell", .schema = {"cell", 4}};
    CLEANUP(db_close) Db *cell = NULL;
    CLEANUP(rows_close) Rows *there = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    char version[MIGRATION_VERSION];
    *out_tenants = 0;
    if (!platform_cell_open_with(platform, name, &DB_OPTIONS, &cell, err) || !meta_check(platform, cell, err) ||
        !migration_pending(cell, &TARGET, out_files, err) ||
        !db_query(cell, S("select to_regclass('cell.tenants') is not null"), NO_PARAMS, &there, err))
        return false;
    if (!rows_bool(there, 0, 0))
        return true;
    if (!db_query(cell, S("select count(*) from cell.tenants where version <> $1"),
                  PARAMS(migration_version("tenant", version)), &rows, err))
        return false;
    *out_tenants = rows_int64(rows, 0, 0);
    return true;
}

// It is kept in the control database and shown, and whoever lists processes has seen it.
static bool dsn_check(Str dsn, Arena *arena, Error *err)
{
    Str password;
    if (!dsn_value(dsn, "password", arena, &password, err))
        return false;
    if (password.len == 0)
        return true;
    error_set(err, ERR_INVALID, "the connection string of the cell holds a password");
    error_why(err, "it is kept in the control database, and shown");
    return error_next(err, "put it into ~/.pgpass, or into a file that passfile= in the connection string names");
}

// Checks the wish before anything is written; gives the connection string that is kept, or will be.
static bool spec_check(Platform *platform, const CellSpec *spec, Arena *arena, Str *out_dsn, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Str whole;
    if (!name_check("cell", spec->name, err) || (spec->url.len && !address_url_check(spec->url, err)) ||
        (spec->dsn.len && !dsn_check(spec->dsn, arena, err)) ||
        !db_query(platform_control(platform), S("select dsn from control.cells where name = $1"), PARAMS(spec->name),
                  &rows, err))
        return false;
    Str known = rows_count(rows) ? str_copy(arena, rows_str(rows, 0, 0)) : S("");
    if (known.len && spec->dsn.len && !str_eq(known, spec->dsn)) {
        error_set(err, ERR_EXISTS, "there is a cell '%.*s' already", STR_ARG(spec->name));
        return error_why(err, "its database is another one");
    }
    *out_dsn = known.len ? known : spec->dsn;
    return out_dsn->len ||
           (dsn_public(platform_options(platform)->control_dsn, arena, &whole, err) &&
            dsn_with_database(whole, str_format(arena, "cell_%.*s", STR_ARG(spec->name)), arena, out_dsn, err));
}

static bool known_open(Platform *platform, const CellSpec *spec, Str dsn, Arena *arena, CellDatabase *out, Error *err)
{
    out->is_beside = spec->dsn.len == 0;
    return platform_cell_dsn(platform, dsn, arena, &out->dsn, err) && database_open(out, arena, err);
}

#define SPEC_PARAMS(spec, dsn, arena)                                                                                  \
    (spec)->name, dsn, (spec)->url.len ? (spec)->url : SQL_NULL, number_text((spec)->capacity, arena),                 \
        number_text((spec)->spares, arena)

static bool opening_failed(const CellSpec *spec, Error *err)
{
    return error_wrap(err, "the cell '%.*s' can't be opened", STR_ARG(spec->name));
}

// What stands in the way of opening the database, or making it.
static bool database_check(Platform *platform, const CellDatabase *database, Arena *arena, Error *err)
{
    CLEANUP(db_close) Db *own = NULL;
    Db *server = NULL;
    return database->db ? encoding_check(database->db, err) && meta_check(platform, database->db, err)
                        : database_server(platform, database, arena, &own, &server, err);
}

static bool database_drop(Platform *platform, CellDatabase *database, Arena *arena, Error *err)
{
    CLEANUP(db_close) Db *own = NULL;
    Db *server = NULL;
    db_close(&database->db);
    return database_server(platform, database, arena, &own, &server, err) &&
           server_database_drop(server, database->name, err);
}

// Takes back what a failed opening has made. What can't be taken back is warned of; the error that led here stays.
static void opening_forget(Platform *platform, const CellSpec *spec, CellDatabase *database, bool is_made, Arena *arena)
{
    Error err = {0};
    if (!db_run(platform_control(platform), S("select control.cell_forget($1)"), PARAMS(spec->name), &err) ||
        (is_made && !database_drop(platform, database, arena, &err)))
        platform_warn(platform, "something is left of the cell '%.*s': %s", STR_ARG(spec->name), err.what);
}

bool cell_add(Platform *platform, const CellSpec *spec, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(database_close) CellDatabase database = {0};
    Str dsn = S("");
    if (!spec_check(platform, spec, arena, &dsn, err))
        return false;
    if (!known_open(platform, spec, dsn, arena, &database, err) || !database_check(platform, &database, arena, err))
        return opening_failed(spec, err);
    bool is_missing = database.db == NULL;
    if (!db_run(platform_control(platform), S("select control.cell_add($1, $2, $3, $4::integer, $5::integer)"),
                PARAMS(SPEC_PARAMS(spec, dsn, arena)), err))
        return false;
    if (database_make(platform, &database, arena, err) && cell_bring_up(platform, database.db, spec->name, err))
        return true;
    opening_forget(platform, spec, &database, is_missing && database.db, arena);
    return opening_failed(spec, err);
}

bool cell_preview(Platform *platform, const CellSpec *spec, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(database_close) CellDatabase database = {0};
    CLEANUP(json_close) Json *changes = NULL;
    char version[MIGRATION_VERSION];
    Str dsn = S("");
    if (!spec_check(platform, spec, arena, &dsn, err) ||
        !db_query(platform_control(platform),
                  S("select control.cell_changes($1, $2, $3, $4::integer, $5::integer, $6)"),
                  PARAMS(SPEC_PARAMS(spec, dsn, arena), migration_version("cell", version)), &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &changes, err))
        return false;
    if (!known_open(platform, spec, dsn, arena, &database, err) || !database_check(platform, &database, arena, err))
        return opening_failed(spec, err);
    Str name = database.name;
    if (!database.db)
        (void)json_append(changes,
                          json_build("{s:s, s:n, s:s%}", "key", "database", "from", "to", name.data, name.len));
    *out = json_build("{s:s%, s:O}", "name", spec->name.data, spec->name.len, "changes", changes);
    return json_ok(*out, err);
}

// Nobody says so when a shop has filled its disk but its own database.
static bool disk_watch(Platform *platform, Db *cell, const Json *disk, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str limit = number_text(json_int64(json_get(disk, "disk_bytes")), arena);
    Str slug = json_str(json_get(disk, "slug"));
    if (!db_query(cell, S("select cell.disk_watch($1::bigint)"), PARAMS(limit), &rows, err))
        return false;
    if (str_eq(rows_str(rows, 0, 0), S("full")))
        platform_warn(platform,
                      "the shop '%.*s' has used the disk of its plan: nothing can be written in it until it has more "
                      "(shopctl tenant resize %.*s --disk)",
                      STR_ARG(slug), STR_ARG(slug));
    else if (!rows_is_null(rows, 0, 0))
        platform_warn(platform, "the shop '%.*s' has room on its disk again", STR_ARG(slug));
    return true;
}

bool cell_tidy(Platform *platform, Str name, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *disk = NULL;
    Db *cell = NULL;
    if (!db_query(platform_control(platform), S("select control.cell_disk($1)"), PARAMS(name), &rows, err) ||
        !platform_cell(platform, name, &cell, err) || !db_run(cell, S("select cell.fences_forget()"), NO_PARAMS, err))
        return false;
    return rows_count(rows) == 0 || rows_is_null(rows, 0, 0) ||
           (json_parse(rows_str(rows, 0, 0), &disk, err) && disk_watch(platform, cell, disk, err));
}

// ---- what is shown

bool cell_list(Platform *platform, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform),
                  S("select json_build_object('items', coalesce(json_agg(c), '[]'), 'total', count(*)) "
                    "from control.cell_list(null) c"),
                  NO_PARAMS, &rows, err))
        return false;
    return json_parse(rows_str(rows, 0, 0), out, err);
}

bool cell_show(Platform *platform, Str name, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select control.cell_list($1)"), PARAMS(name), &rows, err))
        return false;
    if (rows_count(rows) == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no cell '%.*s'", STR_ARG(name));
        return error_next(err, "see shopctl cell list");
    }
    return json_parse(rows_str(rows, 0, 0), out, err);
}
