// tests/test_migration.c: migrations run once, go on after a kill, and replace only functions that changed.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/embed.h"
#include "provisioner/cell.h"
#include "provisioner/migration.h"
#include "provisioner/slug.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

enum { AT_ONCE = 4, KILLS = 12, KILL_STEP_US = 3000, SHOWN = 200 };

static const MigrationTarget CONTROL = {.folder = "control", .schema = S("control")};

static size_t control_files(void)
{
    size_t count = 0;
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++)
        count += str_has_prefix(str_of(file->name), S("control/"));
    return count;
}

// Long texts, of which only the place where they differ is shown.
static void check_same(Str actual, Str expected)
{
    size_t at = 0;
    while (at < MIN(actual.len, expected.len) && actual.data[at] == expected.data[at])
        at++;
    size_t begin = at - MIN(at, (size_t)SHOWN);
    ck_assert_msg(str_eq(actual, expected), "after %zu bytes there is\n%.*s\nin place of\n%.*s", at,
                  STR_ARG(str_slice(actual, begin, at + SHOWN)), STR_ARG(str_slice(expected, begin, at + SHOWN)));
}

static Str new_database(void)
{
    Str dsn = test_database("migration");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    Error err = {0};
    ck_assert_ok(db_script(db, S("create schema control"), &err), &err);
    return dsn;
}

static size_t run(Db *db)
{
    Error err = {0};
    size_t applied = 0;
    ck_assert_ok(migration_run(db, &CONTROL, &applied, &err), &err);
    return applied;
}

// What the schema `control` consists of.
static const char MADE[] =
    "select concat_ws(E'\\n', (select string_agg(concat_ws(' ', table_name, column_name, data_type, column_default, "
    "is_nullable), E'\\n' order by table_name, ordinal_position) from information_schema.columns where table_schema = "
    "'control'), (select string_agg(pg_get_functiondef(p.oid), E'\\n' order by p.oid::regprocedure::text) from pg_proc "
    "p "
    "where pronamespace = 'control'::regnamespace), (select string_agg(name || ' ' || checksum, E'\\n' order by name) "
    "from "
    "control.migrations))";

TEST(all_files_run_once)
{
    CLEANUP(db_close) Db *db = test_db_open(new_database());
    ck_assert_uint_eq(run(db), control_files());
    ck_assert_uint_eq(run(db), 0);
}

TEST(a_killed_migration_goes_on_where_it_was)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * MIB);
    CLEANUP(db_close) Db *whole = test_db_open(new_database());
    (void)run(whole);
    Str made = test_value(whole, arena, MADE);
    for (int i = 0; i < KILLS; i++) {
        Str dsn = new_database();
        (void)fflush(NULL);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            Db *db = test_db_open(dsn);
            (void)run(db);
            _exit(0);
        }
        (void)usleep((useconds_t)(i * KILL_STEP_US));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        CLEANUP(db_close) Db *db = test_db_open(dsn);
        (void)run(db);
        check_same(test_value(db, arena, MADE), made);
        ck_assert_uint_eq(run(db), 0);
    }
}

typedef struct Runner {
    Db *db;
    size_t applied;
    bool ok;
    Error err;
} Runner;

static void *runner_run(void *context)
{
    Runner *runner = context;
    runner->ok = migration_run(runner->db, &CONTROL, &runner->applied, &runner->err);
    return NULL;
}

TEST(of_several_at_once_each_file_is_run_by_one)
{
    Str dsn = new_database();
    Runner runners[AT_ONCE] = {0};
    pthread_t threads[AT_ONCE];
    size_t applied = 0;
    for (int i = 0; i < AT_ONCE; i++)
        runners[i].db = test_db_open(dsn);
    for (int i = 0; i < AT_ONCE; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, runner_run, &runners[i]), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        db_close(&runners[i].db);
        applied += runners[i].applied;
    }
    for (int i = 0; i < AT_ONCE; i++)
        ck_assert_ok(runners[i].ok, &runners[i].err);
    ck_assert_uint_eq(applied, control_files());
}

TEST(only_functions_whose_checksum_changed_are_replaced)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * MIB);
    CLEANUP(db_close) Db *db = test_db_open(new_database());
    Error err = {0};
    (void)run(db);
    ck_assert_ok(db_script(db,
                           S("create table public.before as select oid, xmin::text as version from pg_proc where "
                             "pronamespace = 'control'::regnamespace;"
                             "update control.migrations set checksum = 'older' where name = 'functions/cells.sql'"),
                           &err),
                 &err);
    ck_assert_uint_eq(run(db), 1);
    ck_assert_str(
        test_value(db, arena,
                   "select string_agg(p.proname, ' ' order by p.proname) from pg_proc p join public.before b on "
                   "b.oid = p.oid where p.xmin::text <> b.version"),
        S("cell_add cell_changes cell_forget cell_list cell_opened"));
    ck_assert_uint_eq(run(db), 0);
}

typedef struct Strange {
    Str sql;
    const char *says;
} Strange;

static const Strange STRANGE[] = {
    {S("update control.migrations set checksum = 'other' where name = '001_tables.sql'"),
     "has changed since it was applied"},
    {S("insert into control.migrations (name, checksum) values ('999_later.sql', 'x')"), "newer than this program"},
};

TEST(a_schema_of_another_program_is_left_alone)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * MIB);
    CLEANUP(db_close) Db *db = test_db_open(new_database());
    Error err = {0};
    (void)run(db);
    ck_assert_ok(db_run(db, STRANGE[_i].sql, NO_PARAMS, &err), &err);
    Str made = test_value(db, arena, MADE);
    ck_assert(!migration_run(db, &CONTROL, NULL, &err));
    ck_assert_says(&err, ERR_STATE, STRANGE[_i].says);
    check_same(test_value(db, arena, MADE), made);
}

// ---- tenants

// What a tenant's schema consists of, without its name, for which $ stands, and its number behind the functions' names.
static const char TENANT_MADE[] =
    "select replace(replace(concat_ws(E'\\n', (select string_agg(concat_ws(' ', table_name, column_name, data_type, "
    "column_default, is_nullable), E'\\n' order by table_name, ordinal_position) from information_schema.columns where "
    "table_schema = '$'), (select string_agg(concat_ws(' ', pg_get_functiondef(p.oid), p.proowner::regrole, "
    "array(select "
    "a::text from unnest(p.proacl) a order by a::text)), E'\\n' order by p.oid::regprocedure::text) from pg_proc p "
    "where "
    "pronamespace = '$'::regnamespace), (select string_agg(concat_ws(' ', c.relname, c.relkind, c.relowner::regrole, "
    "array(select a::text from unnest(c.relacl) a order by a::text)), E'\\n' order by c.relname) from pg_class c where "
    "relnamespace = '$'::regnamespace and relkind <> 'c'), (select string_agg(name || ' ' || checksum, E'\\n' order by "
    "name) from $.migrations), array(select a::text from pg_namespace, unnest(nspacl) a where nspname = '$' order by "
    "a::text)), '$', 'SCHEMA'), substr('$', 2) || '(', '(')";

static Str tenant_made(TestWorld *world, Str schema)
{
    StrBuf sql = {.arena = world->arena};
    for (const char *text = TENANT_MADE; *text; text++)
        if (*text == '$')
            strbuf_add(&sql, schema);
        else
            strbuf_add_char(&sql, *text);
    return test_value(world->cell, world->arena, strbuf_str(&sql).data);
}

static Str spare_schema(TestWorld *world)
{
    return test_value(world->cell, world->arena, "select 't_' || max(number) from cell.tenants");
}

TEST(a_spare_is_what_its_migrations_make)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "migration", false);
    test_world_bring(&world, "shop", "active");
    Str spare = spare_schema(&world), role = test_value(world.cell, world.arena, "select shopd_role from cell.meta");
    Str made = tenant_made(&world, spare);
    Str schema = tenant_schema(getpid() * INT64_C(100000) + 99999, world.arena);
    Str sql =
        str_format(world.arena,
                   "create role %.*s nologin; create schema %.*s authorization cell_owner; set role cell_owner; grant "
                   "usage on schema %.*s to %.*s, \"%.*s\"; reset role",
                   STR_ARG(schema), STR_ARG(schema), STR_ARG(schema), STR_ARG(schema), STR_ARG(role));
    MigrationTarget target = {
        .folder = "tenant", .schema = schema, .owner = S("cell_owner"), .tenant_role = schema, .shopd_role = role};
    size_t applied = 0;
    ck_assert_ok(db_script(world.cell, sql, &err), &err);
    ck_assert_ok(migration_run(world.cell, &target, &applied, &err), &err);
    ck_assert_uint_gt(applied, 1);
    check_same(tenant_made(&world, schema), made);
    ck_assert_ok(migration_run(world.cell, &target, &applied, &err), &err);
    ck_assert_uint_eq(applied, 0);
    test_world_close(&world);
}

TEST(cell_migrate_brings_every_tenant_to_this_version)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "migration", false);
    test_world_bring(&world, "shop", "active");
    Str schema = spare_schema(&world), made = tenant_made(&world, schema);
    Str sql = str_format(world.arena,
                         "update cell.tenants set version = '000-old'; drop function %.*s.store_version%.*s(); update "
                         "%.*s.migrations set checksum = 'older' where name = 'functions/catalog.sql'",
                         STR_ARG(schema), STR_ARG(str_skip(schema, 1)), STR_ARG(schema));
    ck_assert_ok(db_script(world.cell, sql, &err), &err);
    ck_assert_ok(cell_migrate(world.platform, S("main"), &err), &err);
    check_same(tenant_made(&world, schema), made);
    char version[MIGRATION_VERSION];
    ck_assert_str(test_value(world.cell, world.arena, "select string_agg(distinct version, ' ') from cell.tenants"),
                  migration_version("tenant", version));
    test_world_check(&world, "shop", "after cell_migrate");
    test_world_close(&world);
}

SUITE(migration, ONCE(all_files_run_once), ONCE(a_killed_migration_goes_on_where_it_was),
      ONCE(of_several_at_once_each_file_is_run_by_one), ONCE(only_functions_whose_checksum_changed_are_replaced),
      EACH(a_schema_of_another_program_is_left_alone, STRANGE), ONCE(a_spare_is_what_its_migrations_make),
      ONCE(cell_migrate_brings_every_tenant_to_this_version))
