// tests/test_dump.c: dumps of older and newer programs, and dumps that were never finished. This program stands for the
// next version: it has the migrations of tests/sql as well. The shopctl that it runs is the present one.
#include "provisioner/dump.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

enum { SHOPCTL_MS = 120000, PAUSE_MS = 20, SMALL_FILE = 64 * KIB, SHOWN = 300 };

// What the older program's shopctl says, with its exit code in the last line.
static Str older(TestWorld *world, const char *const *words)
{
    const char *build = getenv("TEST_BUILD");
    ck_assert_msg(build != NULL, "TEST_BUILD is unset: run this by `make check`");
    const char *argv[20] = {"sh",
                            "-c",
                            "\"$@\"; echo \"exit code $?\"",
                            "sh",
                            "env",
                            str_format(world->arena, "SHOPCTL_CONTROL_DSN=%.*s", STR_ARG(world->control_dsn)).data,
                            str_format(world->arena, "SHOPCTL_DATA=%.*s", STR_ARG(world->data)).data,
                            str_format(world->arena, "%s/bin/shopctl", build).data};
    size_t count = 8;
    while (*words && count < COUNT(argv) - 1)
        argv[count++] = *words++;
    Error err = {0};
    Str output = S("");
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, SHOPCTL_MS, world->arena, &output, &err), &err);
    return output;
}

#define OLDER(world, ...)                                                                                              \
    do {                                                                                                               \
        Str output_ = older(world, (const char *const[]){__VA_ARGS__, NULL});                                          \
        ck_assert_msg(str_has_suffix(output_, S("exit code 0\n")), "%.*s", STR_ARG(output_));                          \
    } while (0)

// Products, and an order, in a schema of either version.
static const char GOODS[] =
    "insert into products (handle, title) values ('taza', 'Taza'), ('lata', '\xc3\x91"
    "ame');"
    "insert into variants (product_id, price_minor) values (1, 1900), (2, 500);"
    "insert into stock (variant_id, quantity) values (1, 10), (2, 10);"
    "insert into stock_movements (variant_id, quantity, reason) values (1, 10, 'import'), (2, 10, 'import');"
    "insert into carts (token) values (repeat('a', 22)), (repeat('b', 22));"
    "insert into cart_lines (cart_id, variant_id, quantity) values (1, 1, 2), (2, 1, 1);"
    "do $$ begin execute 'select order_place' || substr(current_schema(), 2) || $call$(repeat('a', 22), 'key', 'hash', "
    "'ana@example.org', '{\"name\": \"Ana\"}', 'standard', 'bank_transfer')$call$; end $$";

static void enter(TestWorld *world, const char *slug)
{
    Error err = {0};
    Str sql =
        str_format(world->arena, "select 't_' || number || ', pg_temp' from cell.tenants where slug = '%s'", slug);
    ck_assert_ok(db_run(world->cell, S("select set_config('search_path', $1, false)"),
                        PARAMS(test_value(world->cell, world->arena, sql.data)), &err),
                 &err);
}

static Str migrations(TestWorld *world)
{
    return test_value(world->cell, world->arena,
                      "select string_agg(name, ' ' order by name) from migrations where name !~ '/'");
}

TEST(a_dump_of_an_older_program_is_brought_to_this_version)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    OLDER(&world, "tenant", "create", "shop", "--plan", "free", "--email", "owner@bazar.example");
    enter(&world, "shop");
    ck_assert(!str_has_suffix(migrations(&world), S("999_next.sql")));
    ck_assert_ok(db_script(world.cell, str_of(GOODS), &err), &err);
    OLDER(&world, "tenant", "suspend", "shop");
    OLDER(&world, "tenant", "archive", "shop");
    OLDER(&world, "tenant", "delete", "shop", "--yes");
    test_world_check(&world, "shop", "deleted by the older program");
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    test_world_check(&world, "shop", "restored by this program");
    enter(&world, "shop");
    ck_assert(str_has_suffix(migrations(&world), S("999_next.sql")));
    ck_assert_str(
        test_value(world.cell, world.arena,
                   "select string_agg(concat_ws(' ', p.handle, p.title, title_initial, length), ', ' order by "
                   "p.id) from products p join title_lengths on product_id = p.id"),
        S("taza Taza T 4, lata \xc3\x91"
          "ame \xc3\x91 4"));
    ck_assert_str(test_value(world.cell, world.arena, "select number || delivery_method from orders"),
                  S("1001standard"));
    ck_assert_str(test_value(world.cell, world.arena, "select quantity from stock where variant_id = 1"), S("8"));
    test_world_close(&world);
}

// What the shop's schema is made of: the same as a new tenant's, whatever way it came.
static Str made(TestWorld *world, const char *slug)
{
    enter(world, slug);
    return test_value(
        world->cell, world->arena,
        "select replace(replace(concat_ws(E'\\n', (select string_agg(concat_ws(' ', c.relname, c.relkind, "
        "c.relowner::regrole, "
        "array(select a::text from unnest(c.relacl) a order by a::text)), E'\\n' order by c.relname) from pg_class c "
        "where relnamespace = current_schema()::regnamespace), (select string_agg(concat_ws(' ', p.oid::regprocedure, "
        "p.proowner::regrole, p.prosecdef, array(select a::text from unnest(p.proacl) a order by a::text)), E'\\n' "
        "order "
        "by p.oid::regprocedure::text) from pg_proc p where pronamespace = current_schema()::regnamespace), (select "
        "string_agg(name || checksum, E'\\n' order by name) from migrations), (select nspowner::regrole || (select "
        "string_agg(a::text, ' ' order by a::text) from unnest(nspacl) a) from pg_namespace where nspname = "
        "current_schema())), current_schema(), 'SCHEMA'), substr(current_schema(), 2) || '(', '(')");
}

TEST(a_schema_that_came_from_an_older_dump_is_what_a_new_one_is)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    OLDER(&world, "tenant", "create", "shop", "--plan", "free", "--email", "owner@bazar.example");
    test_world_bring(&world, "shop", "deleted");
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    test_world_bring(&world, "new", "active");
    ck_assert_str(made(&world, "shop"), made(&world, "new"));
    ck_assert_str(test_value(world.cell, world.arena,
                             "select count(*) from cell.tenants where slug is not null and position(slug in "
                             "obj_description(('t_' || number)::regnamespace, 'pg_namespace')) > 0"),
                  S("2"));
    test_world_close(&world);
}

TEST(a_dump_of_a_newer_program_is_refused_and_stays)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    test_world_bring(&world, "shop", "active");
    test_world_bring(&world, "shop", "deleted");
    Str said = older(&world, (const char *const[]){"tenant", "restore", "shop", NULL});
    static const Str SAYS[] = {S("newer than this program"), S("999_next.sql"), S("exit code 1\n")};
    for (size_t i = 0; i < COUNT(SAYS); i++)
        ck_assert_msg(str_find(said, SAYS[i]) < said.len, "%.*s", STR_ARG(said));
    ck_assert_str(test_world_status(&world, "shop"), S("deleted"));
    test_world_check(&world, "shop", "refused by the older program");
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    test_world_check(&world, "shop", "restored by its own program");
    test_world_close(&world);
}

// ---- dumps that were never finished

// In a schema of this program's version; more rows than a file may hold in the test of a full disk.
static const char MANY[] =
    "insert into products (handle, title, description, title_initial) select 'p' || i, 'P', repeat(md5(i::text), 8), "
    "'P' "
    "from generate_series(1, 2000) i; insert into title_lengths (product_id, length) select id, 1 from products;";

static void bring_large(TestWorld *world)
{
    Error err = {0};
    test_world_bring(world, "shop", "active");
    enter(world, "shop");
    ck_assert_ok(db_script(world->cell, str_of(MANY), &err), &err);
    test_world_bring(world, "shop", "archived");
}

static size_t entries(TestWorld *world, const char *pattern)
{
    Str output = S("");
    Error err = {0};
    int64_t count = 0;
    const char *argv[] = {"sh", "-c", "find \"$1\" -path \"$2\" | wc -l", "sh", world->data.data, pattern, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, SHOPCTL_MS, world->arena, &output, &err), &err);
    ck_assert_ok(str_int64(str_trim(output), 0, INT32_MAX, &count, &err), &err);
    return (size_t)count;
}

static void check_no_dump(TestWorld *world)
{
    ck_assert_uint_eq(entries(world, "*/dumps/*/manifest.json"), 0);
    ck_assert_str(test_value(world->control, world->arena, "select count(*) from control.dumps"), S("0"));
}

static bool delete_with_small_files(TestWorld *world, Error *err)
{
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = SMALL_FILE, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = tenant_delete(world->platform, test_slug("shop"), err);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    return ok;
}

TEST(a_dump_that_finds_no_room_is_none_and_the_shop_stays)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    bring_large(&world);
    ck_assert(!delete_with_small_files(&world, &err));
    ck_assert_says(&err, ERR_FAILED, "the tenant 'shop' can't be dumped");
    error_clear(&err);
    check_no_dump(&world);
    ck_assert_uint_eq(entries(&world, "*/dumps/*"), 0);
    ck_assert_str(test_world_status(&world, "shop"), S("archived"));
    test_world_check(&world, "shop", "not deleted: the disk is full");
    ck_assert_ok(tenant_delete(world.platform, test_slug("shop"), &err), &err);
    test_world_check(&world, "shop", "deleted with more room");
    test_world_close(&world);
}

// A dump waits where another transaction has a table for itself; then its process is killed.
TEST(a_dump_whose_process_is_killed_is_none_until_it_is_written_again)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    bring_large(&world);
    enter(&world, "shop");
    ck_assert_ok(db_script(world.cell, S("begin; lock table title_lengths in access exclusive mode"), &err), &err);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error failure = {0};
        Platform *platform = test_world_platform(&world, 0);
        (void)!tenant_delete(platform, test_slug("shop"), &failure);
        _exit(0);
    }
    for (int64_t until_ms = clock_ms() + SHOPCTL_MS; entries(&world, "*.partial/products.copy") == 0;) {
        ck_assert_msg(clock_ms() < until_ms, "no dump was begun");
        clock_sleep_ms(PAUSE_MS);
    }
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    check_no_dump(&world);
    ck_assert(!tenant_restore(world.platform, test_slug("shop"), &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "not deleted");
    error_clear(&err);
    ck_assert_ok(db_script(world.cell, S("commit"), &err), &err);
    ck_assert_ok(tenant_delete(world.platform, test_slug("shop"), &err), &err);
    ck_assert_uint_eq(entries(&world, "*.partial*"), 0);
    test_world_check(&world, "shop", "deleted by the same command again");
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    enter(&world, "shop");
    ck_assert_str(test_value(world.cell, world.arena, "select count(*) from products"), S("2000"));
    test_world_check(&world, "shop", "restored");
    test_world_close(&world);
}

static void kill_after_dump(void *context, const Event *event)
{
    (void)context;
    if (event->phase == EVENT_AFTER && strcmp(event->step, "dump") == 0)
        (void)kill(getpid(), SIGKILL);
}

TEST(the_record_of_a_dump_has_its_size_also_when_another_process_wrote_it)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "dump", false);
    bring_large(&world);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error failure = {0};
        Platform *platform = test_world_platform(&world, 0);
        platform_observe(platform, kill_after_dump, NULL);
        (void)!tenant_delete(platform, test_slug("shop"), &failure);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    Str size = test_value(world.control, world.arena, "select size_bytes from control.dumps");
    ck_assert_ok(db_run(world.control, S("delete from control.dumps"), NO_PARAMS, &err), &err);    // not recorded yet
    ck_assert_ok(tenant_delete(world.platform, test_slug("shop"), &err), &err);
    ck_assert_str(test_value(world.control, world.arena, "select size_bytes from control.dumps"), size);
    ck_assert_int_gt((int64_t)size.len, 5);    // bytes: some 600,000
    test_world_check(&world, "shop", "deleted");
    test_world_close(&world);
}

// ---- nothing else stays

// What the cell's database and its server have, by name: objects, rights, descriptions, rows; and files of tables that
// no catalog row names.
#define LISTED(query) "select string_agg(x, E'\\n' order by x) from (" query ") s (x)"
static const char *const CATALOG[] = {
    LISTED("select concat_ws(' ', classid::regclass, type, identity) from pg_depend, lateral "
           "pg_identify_object(classid, objid, objsubid)"),
    LISTED(
        "select concat_ws(' ', n.nspname, c.relname, c.relkind, c.relacl) from pg_class c join pg_namespace n on n.oid "
        "= c.relnamespace where n.nspname <> 'pg_toast'"),
    LISTED("select concat_ws(' ', oid::regprocedure, proacl) from pg_proc"),
    LISTED(
        "select concat_ws(' ', nspname, nspacl, obj_description(oid, 'pg_namespace')) from pg_namespace where nspname "
        "!~ '^pg_(toast_)?temp'"),
    LISTED("select rolname from pg_roles where shobj_description(oid, 'pg_authid') like '% ' || current_database()"),
    LISTED("select concat_ws(' ', defaclrole::regrole, defaclnamespace, defaclobjtype, defaclacl) from pg_default_acl"),
    LISTED("select concat_ws(' ', datname, datacl) from pg_database where datname = current_database()"),
    LISTED("select f from pg_ls_dir('base/' || (select oid from pg_database where datname = current_database())) f "
           "where f ~ '^[0-9]+' and pg_filenode_relation(0, substring(f from '^[0-9]+')::oid) is null"),
    "select count(*) from pg_shdepend where dbid = (select oid from pg_database where datname = current_database())",
    "select count(*) from pg_largeobject_metadata",
    LISTED("select 'tenant' from cell.tenants union all select 'domain' from cell.domains union all select 'bell' from "
           "cell.bell union all select 'fence' from cell.fences"),
};

static void catalog_read(TestWorld *world, Str out[COUNT(CATALOG)])
{
    CLEANUP(db_close) Db *fresh = test_db_open(world->cell_dsn);    // with nothing cached
    Error err = {0};
    ck_assert_ok(db_run(fresh, S("checkpoint"), NO_PARAMS, &err), &err);    // files of dropped tables go with it
    for (size_t i = 0; i < COUNT(CATALOG); i++)
        out[i] = test_value(fresh, world->arena, CATALOG[i]);
}

static void check_catalog(TestWorld *world, const Str before[COUNT(CATALOG)])
{
    Str after[COUNT(CATALOG)];
    catalog_read(world, after);
    for (size_t i = 0; i < COUNT(CATALOG); i++) {
        size_t at = 0;
        while (at < MIN(before[i].len, after[i].len) && before[i].data[at] == after[i].data[at])
            at++;
        ck_assert_msg(str_eq(before[i], after[i]), "%s: after %zu bytes there is '%.*s'", CATALOG[i], at,
                      STR_ARG(str_slice(after[i], at, at + SHOWN)));
    }
}

TEST(a_deleted_shop_leaves_its_dump_and_its_record)
{
    TestWorld world;
    Error err = {0};
    Str before[COUNT(CATALOG)];
    test_world_open(&world, "dump", false);
    ck_assert_uint_eq(entries(&world, "*"), 1);
    catalog_read(&world, before);
    const Str host = S("bazar.example");
    TenantSpec spec = test_world_spec(&world, "shop");
    spec.domains = &host;
    spec.domain_count = 1;
    ck_assert_ok(tenant_create(world.platform, &spec, NULL, &err), &err);
    enter(&world, "shop");
    ck_assert_ok(db_script(world.cell, str_of(MANY), &err), &err);
    ck_assert_ok(db_script(world.cell, S("select set_config('search_path', '', false)"), &err), &err);
    test_world_bring(&world, "shop", "deleted");
    check_catalog(&world, before);
    ck_assert_uint_eq(entries(&world, "*") - entries(&world, "*/dumps*"), 1);
    ck_assert_uint_eq(entries(&world, "*/dumps/*/manifest.json"), 1);
    ck_assert_str(
        test_value(world.control, world.arena,
                   "select concat_ws(' ', (select string_agg(concat_ws(' ', slug, status, number, cell), ',') "
                   "from control.tenants), (select count(*) from control.domains), (select count(*) from "
                   "control.leases), (select sum(placed) from control.cells), (select count(*) from "
                   "control.dumps))"),
        S("shop deleted 0 0 0 1"));
    ck_assert_ok(tenant_restore(world.platform, test_slug("shop"), &err), &err);
    test_world_bring(&world, "shop", "deleted");    // whatever way it came
    check_catalog(&world, before);
    test_world_close(&world);
}

TEST(what_cannot_be_removed_of_a_dump_is_said)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    char directory[] = "/tmp/shop-dump.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    Str path = str_format(arena, "%s/dump", directory), inner = str_format(arena, "%.*s/inner", STR_ARG(path));
    ck_assert_ok(dump_remove(path, &err), &err);    // there is none
    ck_assert_ok(file_write(path, S("a file"), 0600, &err), &err);
    ck_assert(!dump_remove(path, &err));
    ck_assert(error_says(&err, "can't be read"));
    error_clear(&err);
    ck_assert_int_eq(unlink(path.data), 0);
    ck_assert_ok(directory_make(inner, 0700, &err), &err);
    ck_assert(!dump_remove(path, &err));
    ck_assert(error_says(&err, "dump/inner' can't be removed"));
    error_clear(&err);
    ck_assert_int_eq(rmdir(inner.data), 0);
    ck_assert_ok(dump_remove(path, &err), &err);
    ck_assert_int_eq(rmdir(directory), 0);
}

SUITE(dump, ONCE(a_dump_that_finds_no_room_is_none_and_the_shop_stays),
      ONCE(a_dump_whose_process_is_killed_is_none_until_it_is_written_again),
      ONCE(the_record_of_a_dump_has_its_size_also_when_another_process_wrote_it),
      ONCE(a_deleted_shop_leaves_its_dump_and_its_record), ONCE(a_dump_of_an_older_program_is_brought_to_this_version),
      ONCE(a_schema_that_came_from_an_older_dump_is_what_a_new_one_is),
      ONCE(a_dump_of_a_newer_program_is_refused_and_stays), ONCE(what_cannot_be_removed_of_a_dump_is_said))
