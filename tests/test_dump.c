// tests/test_dump.c: dumps of older and newer programs, and dumps that were never finished. This program stands for the
// next version: it has the migrations of tests/sql as well. The shopctl that it runs is the present one.
#include "provisioner/dump.h"

#include "base/file.h"
#include "provisioner/migration.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

enum { SHOPCTL_MS = 120000 };

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
    "select order_place(repeat('a', 22), 'key', 'hash', 'ana@example.org', '{\"name\": \"Ana\"}', 'standard', "
    "'bank_transfer')";

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
        "select replace(concat_ws(E'\\n', (select string_agg(concat_ws(' ', c.relname, c.relkind, c.relowner::regrole, "
        "array(select a::text from unnest(c.relacl) a order by a::text)), E'\\n' order by c.relname) from pg_class c "
        "where relnamespace = current_schema()::regnamespace), (select string_agg(concat_ws(' ', p.oid::regprocedure, "
        "p.proowner::regrole, p.prosecdef, array(select a::text from unnest(p.proacl) a order by a::text)), E'\\n' "
        "order "
        "by p.oid::regprocedure::text) from pg_proc p where pronamespace = current_schema()::regnamespace), (select "
        "string_agg(name || checksum, E'\\n' order by name) from migrations), (select nspowner::regrole || (select "
        "string_agg(a::text, ' ' order by a::text) from unnest(nspacl) a) from pg_namespace where nspname = "
        "current_schema())), current_schema(), 'SCHEMA')");
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

SUITE(dump, ONCE(a_dump_of_an_older_program_is_brought_to_this_version),
      ONCE(a_schema_that_came_from_an_older_dump_is_what_a_new_one_is),
      ONCE(a_dump_of_a_newer_program_is_refused_and_stays))
