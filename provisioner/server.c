// provisioner/server.c: what a PostgreSQL server is and allows.
#include "provisioner/server.h"

#include "base/arena.h"

enum { BUDGET = MIB, VERSION_STEP = 10000 };

static const DbOptions DB_OPTIONS = {.application = "shopctl"};

bool server_facts_read(Db *db, Arena *arena, ServerFacts *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(db,
                  S("select current_setting('server_version_num'), current_setting('server_version'), current_user, "
                    "current_database(), getdatabaseencoding(), rolsuper, rolcreatedb, rolcreaterole, "
                    "exists (select from pg_available_extensions where name = 'unaccent') "
                    "from pg_roles where rolname = current_user"),
                  NO_PARAMS, &rows, err))
        return false;
    *out = (ServerFacts){
        .version = rows_int64(rows, 0, 0),
        .version_text = str_copy(arena, rows_str(rows, 0, 1)),
        .login = str_copy(arena, rows_str(rows, 0, 2)),
        .database = str_copy(arena, rows_str(rows, 0, 3)),
        .encoding = str_copy(arena, rows_str(rows, 0, 4)),
        .is_superuser = rows_bool(rows, 0, 5),
        .has_createdb = rows_bool(rows, 0, 6),
        .has_createrole = rows_bool(rows, 0, 7),
        .has_unaccent = rows_bool(rows, 0, 8),
    };
    return arena_ok(arena, err);
}

static bool rights_check(const ServerFacts *facts, Error *err)
{
    if (facts->is_superuser || (facts->has_createdb && facts->has_createrole))
        return true;
    const char *missing = facts->has_createdb     ? "CREATEROLE"
                          : facts->has_createrole ? "CREATEDB"
                                                  : "CREATEDB and CREATEROLE";
    error_set(err, ERR_FORBIDDEN, "the login '%.*s' may not make all that a platform needs", STR_ARG(facts->login));
    error_why(err, "it lacks %s", missing);
    return error_next(err, "as a superuser: alter role \"%.*s\" %s%s%s;", STR_ARG(facts->login),
                      facts->has_createdb ? "" : "createdb", facts->has_createdb || facts->has_createrole ? "" : " ",
                      facts->has_createrole ? "" : "createrole");
}

bool server_facts_check(const ServerFacts *facts, Error *err)
{
    if (facts->version / VERSION_STEP < SERVER_VERSION_MIN) {
        error_set(err, ERR_STATE, "the PostgreSQL server is too old");
        error_why(err, "it is of version %.*s", STR_ARG(facts->version_text));
        return error_next(err, "use one of version %d or newer", SERVER_VERSION_MIN);
    }
    if (!rights_check(facts, err))
        return false;
    if (!str_eq(facts->encoding, S("UTF8"))) {
        error_set(err, ERR_STATE, "the database '%.*s' can't hold the platform", STR_ARG(facts->database));
        error_why(err, "its encoding is %.*s, not UTF8", STR_ARG(facts->encoding));
        return error_next(err, "name another database: one that isn't there is made, in UTF8");
    }
    if (facts->has_unaccent)
        return true;
    error_set(err, ERR_STATE, "the PostgreSQL server lacks the extension 'unaccent'");
    error_why(err, "search without accents needs it");
    return error_next(err, "install PostgreSQL's contrib modules there (Debian has them in postgresql-%lld)",
                      (long long)(facts->version / VERSION_STEP));
}

bool server_database_make(Db *db, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(db,
                  S("select exists (select from pg_database where datname = $1), "
                    "(select pg_encoding_to_char(encoding) = 'UTF8' from pg_database where datname = 'template1')"),
                  PARAMS(name), &rows, err))
        return false;
    if (rows_bool(rows, 0, 0))
        return true;
    // Where the server's own encoding is another one, so is its locale, which wouldn't fit.
    const char *encoding = rows_bool(rows, 0, 1) ? "" : " template template0 encoding 'UTF8' locale 'C'";
    Str sql = str_format(arena, "create database %.*s%s", STR_ARG(db_name(db, arena, name)), encoding);
    if (!arena_ok(arena, err))
        return false;
    if (db_run(db, sql, NO_PARAMS, err))
        return true;
    if (err->code == ERR_EXISTS) {    // another one was faster
        error_clear(err);
        return true;
    }
    return error_wrap(err, "the database '%.*s' can't be made", STR_ARG(name));
}

bool server_database_drop(Db *db, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str login = str_format(arena, "%.*s_shopd", STR_ARG(name));
    Str database_sql = str_format(arena, "drop database if exists %.*s", STR_ARG(db_name(db, arena, name)));
    Str login_sql = str_format(arena, "drop role if exists %.*s", STR_ARG(db_name(db, arena, login)));
    return arena_ok(arena, err) && db_run(db, database_sql, NO_PARAMS, err) && db_run(db, login_sql, NO_PARAMS, err);
}

static bool server_check(Db *db, Arena *arena, Error *err)
{
    ServerFacts facts;
    return server_facts_read(db, arena, &facts, err) && server_facts_check(&facts, err);
}

// *out is the open control database, or NULL where it is missing; *out_server is the server's own then.
static bool control_open(Str control_dsn, Arena *arena, Db **out, Db **out_server, Error *err)
{
    Str name, dsn;
    if (!dsn_value(control_dsn, "dbname", arena, &name, err))
        return error_wrap(err, "the setting 'control_dsn' is refused");
    if (name.len == 0) {
        error_set(err, ERR_INVALID, "the setting 'control_dsn' names no database");
        return error_next(err, "add one, as in dbname=shop_control: it is made where it is missing");
    }
    if (db_open(control_dsn, &DB_OPTIONS, out, err))
        return server_check(*out, arena, err);
    if (err->code != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    return dsn_with_database(control_dsn, S("postgres"), arena, &dsn, err) &&
           db_open(dsn, &DB_OPTIONS, out_server, err) && server_check(*out_server, arena, err);
}

bool server_control_check(Str control_dsn, bool *out_missing, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *control = NULL;
    CLEANUP(db_close) Db *server = NULL;
    if (!control_open(control_dsn, arena, &control, &server, err))
        return false;
    *out_missing = control == NULL;
    return true;
}

bool server_control_make(Str control_dsn, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *control = NULL;
    CLEANUP(db_close) Db *server = NULL;
    if (!control_open(control_dsn, arena, &control, &server, err))
        return false;
    return control || (server_database_make(server, dsn_database(control_dsn, arena), err) &&
                       db_open(control_dsn, &DB_OPTIONS, &control, err) && server_check(control, arena, err));
}
