// provisioner/cell.c: opens cells and keeps them at this program's version.
#include "provisioner/cell.h"

#include "base/arena.h"
#include "provisioner/migration.h"
#include "provisioner/spare.h"

enum { CELL_NAME_MAX = 40, BUDGET = 4 * MIB, MIGRATE_TIMEOUT_MS = 120000 };

static const DbOptions DB_OPTIONS = {.application = "shopctl", .statement_timeout_ms = MIGRATE_TIMEOUT_MS};

static bool name_check(Str name, Error *err)
{
    bool is_right = name.len > 0 && name.len <= CELL_NAME_MAX;
    for (size_t i = 0; i < name.len && is_right; i++) {
        char c = name.data[i];
        bool is_inner = i > 0 && i < name.len - 1;
        is_right = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (is_inner && c == '-');
    }
    if (is_right)
        return true;
    error_set(err, ERR_INVALID, "the cell's name '%.*s' is refused", STR_ARG(name));
    return error_next(err, "use 1 to %d of a-z, 0-9 and hyphens between them", CELL_NAME_MAX);
}

static Str number_text(int64_t number, Arena *arena)
{
    return number ? str_format(arena, "%lld", (long long)number) : SQL_NULL;
}

// ---- the database

static bool database_make(Db *server, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(server, S("select 1 from pg_database where datname = $1"), PARAMS(name), &rows, err))
        return false;
    if (rows_count(rows) > 0)
        return true;
    Str sql = str_format(arena, "create database %.*s", STR_ARG(db_name(server, arena, name)));
    if (!arena_ok(arena, err))
        return false;
    if (db_run(server, sql, NO_PARAMS, err))
        return true;
    if (err->code == ERR_EXISTS) {    // another one was faster
        error_clear(err);
        return true;
    }
    return error_wrap(err, "the database '%.*s' can't be made", STR_ARG(name));
}

// Opens the cell's database; makes it first where it is missing, through `server` or the server's own database
// postgres.
static bool database_open(Db *server, Str dsn, Arena *arena, Db **out, Error *err)
{
    Str name = dsn_database(dsn, arena);
    if (name.len == 0) {
        error_set(err, ERR_INVALID, "the connection string of the cell names no database");
        return error_next(err, "add one, as in 'host=/run/postgresql dbname=cell_eu'");
    }
    if (server)
        return database_make(server, name, err) && db_open(dsn, &DB_OPTIONS, out, err);
    if (db_open(dsn, &DB_OPTIONS, out, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    CLEANUP(db_close) Db *postgres = NULL;
    Str postgres_dsn;
    return dsn_with_database(dsn, S("postgres"), arena, &postgres_dsn, err) &&
           db_open(postgres_dsn, &DB_OPTIONS, &postgres, err) && database_make(postgres, name, err) &&
           db_open(dsn, &DB_OPTIONS, out, err);
}

// Roles belong to the whole server, so another cell may make the same one at the same moment. What PUBLIC may do by
// default and no shop needs is taken back where we may do so.
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
    "    if not pg_has_role(current_user, 'cell_owner', 'member') then\n"
    "        grant cell_owner to current_user;\n"
    "    end if;\n"
    "    execute format('revoke all on database %I from public', v_database);\n"
    "    execute format('grant connect on database %I to %I', v_database, v_shopd);\n"
    "    if not exists (select from pg_namespace where nspname = 'cell') then\n"
    "        create schema cell authorization cell_owner;\n"
    "    end if;\n"
    "    create extension if not exists unaccent schema cell;\n"
    "    alter default privileges for role cell_owner revoke execute on functions from public;\n"
    "    execute format('alter role %I in database %I set jit = off', v_shopd, v_database);\n"
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

static bool cell_prepare(Platform *platform, Db *cell, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_script(cell, str_of(PREPARE), err) ||
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
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(db_close) Db *cell = NULL;
    if (!db_query(platform_control(platform), S("select dsn from control.cells where name = $1"), PARAMS(name), &rows,
                  err))
        return false;
    if (rows_count(rows) == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no cell '%.*s'", STR_ARG(name));
        return error_next(err, "see shopctl cell list");
    }
    return (db_open(rows_str(rows, 0, 0), &DB_OPTIONS, &cell, err) && cell_bring_up(platform, cell, name, err)) ||
           error_wrap(err, "the cell '%.*s' can't be brought to this version", STR_ARG(name));
}

bool cell_add(Platform *platform, const CellSpec *spec, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(db_close) Db *cell = NULL;
    Str dsn = spec->dsn;
    if (!name_check(spec->name, err))
        return false;
    Str database = str_format(arena, "cell_%.*s", STR_ARG(spec->name));
    if (dsn.len == 0 && !dsn_with_database(platform_options(platform)->control_dsn, database, arena, &dsn, err))
        return false;
    if (!db_query(platform_control(platform),
                  S("select dsn from control.cell_add($1, $2, $3, $4::integer, $5::integer)"),
                  PARAMS(spec->name, dsn, spec->url.len ? spec->url : SQL_NULL, number_text(spec->capacity, arena),
                         number_text(spec->spares, arena)),
                  &rows, err))
        return false;
    Str known = rows_str(rows, 0, 0);
    if (spec->dsn.len && !str_eq(known, spec->dsn)) {
        error_set(err, ERR_EXISTS, "there is a cell '%.*s' already", STR_ARG(spec->name));
        return error_why(err, "its database is another one");
    }
    return (database_open(spec->dsn.len ? NULL : platform_control(platform), known, arena, &cell, err) &&
            cell_bring_up(platform, cell, spec->name, err)) ||
           error_wrap(err, "the cell '%.*s' can't be opened", STR_ARG(spec->name));
}

bool cell_tidy(Platform *platform, Str name, Error *err)
{
    Db *cell = NULL;
    return platform_cell(platform, name, &cell, err) && db_run(cell, S("select cell.fences_forget()"), NO_PARAMS, err);
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
