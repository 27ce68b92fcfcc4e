// tests/test_isolation.c: PostgreSQL itself refuses a wrong tenant, to shopd's login and to SQL inside of a tenant's
// function.
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

static const char CATALOGUE[] =
    "insert into @.products (handle, title) values ('taza', 'Taza');"
    "insert into @.variants (product_id, price_minor) values (1, 1900);"
    "insert into @.stock (variant_id, quantity) values (1, 10);"
    "insert into @.carts (token) values ('aaaaaaaaaaaaaaaaaaaaaa');"
    // What SQL could do that somebody brought into a function of the tenant.
    "create function @.injected(p_sql text) returns void language plpgsql security definer as "
    "$$ begin execute p_sql; end $$;"
    "alter function @.injected(text) owner to @;"
    "grant execute on function @.injected(text) to public;";

typedef struct Isolation {
    TestWorld world;
    Str a, b;    // the schemas of two tenants
    Db *shopd;
} Isolation;

// The text with the schemas' names: @ is the first tenant's, # the other one's, and with what their functions have
// behind their names: ^ the first one's, ~ the other one's.
static Str fill(const Isolation *isolation, const char *text)
{
    StrBuf out = {.arena = isolation->world.arena};
    for (; *text; text++)
        if (*text == '@' || *text == '#')
            strbuf_add(&out, *text == '@' ? isolation->a : isolation->b);
        else if (*text == '^' || *text == '~')
            strbuf_add(&out, str_skip(*text == '^' ? isolation->a : isolation->b, 1));
        else
            strbuf_add_char(&out, *text);
    return strbuf_str(&out);
}

static Str shop_add(TestWorld *world, const char *slug)
{
    test_world_bring(world, slug, "active");
    Str sql = str_format(world->arena, "select 't_' || number from cell.tenants where slug = '%s'", slug);
    return test_value(world->cell, world->arena, sql.data);
}

static void open_shops(Isolation *isolation)
{
    TestWorld *world = &isolation->world;
    Error err = {0};
    test_world_open(world, "isolation", false);
    Isolation other = {.world = *world};
    isolation->a = other.b = shop_add(world, "acme");
    isolation->b = other.a = shop_add(world, "beta");
    ck_assert_ok(db_script(world->cell, fill(isolation, CATALOGUE), &err) &&
                     db_script(world->cell, fill(&other, CATALOGUE), &err),
                 &err);
    Str role = test_value(world->cell, world->arena, "select shopd_role from cell.meta"), dsn = S("");
    ck_assert_ok(dsn_with(world->cell_dsn, "user", role, world->arena, &dsn, &err), &err);
    isolation->shopd = test_db_open(dsn);
    ck_assert_ok(db_run(isolation->shopd, fill(isolation, "set search_path = @, pg_temp"), NO_PARAMS, &err), &err);
}

static void close_shops(Isolation *isolation)
{
    db_close(&isolation->shopd);
    test_world_close(&isolation->world);
}

static const char *const LOGIN_REFUSED[] = {
    "select * from @.orders",
    "select * from @.settings",
    "select * from #.carts",
    "select * from @.migrations",
    "select * from cell.tenants",
    "select * from cell.domains",
    "select * from cell.meta",
    "select * from cell.bell",
    "insert into cell.bell (tenant) values ('@')",
    "insert into @.jobs (kind) values ('x')",
    "update @.stock set quantity = 1000",
    "delete from @.carts",
    "truncate @.carts",
    "drop table @.carts",
    "select nextval('@.orders_number_seq')",
    "set role @",
    "set role cell_owner",
    "set role postgres",
    "set session authorization @",
    "grant @ to current_user",
    "create role intruder",
    "create temp table t (x integer)",
    "create table @.t (x integer)",
    "create table cell.t (x integer)",
    "create table public.t (x integer)",
    "create schema intruder",
    "create function @.f() returns integer language sql as 'select 1'",
    "create or replace function @.shop_show^() returns json language sql as 'select null::json'",
    "alter function @.shop_show^() security invoker",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select pg_advisory_lock(1)",
    "select pg_advisory_xact_lock(1)",
    "select pg_try_advisory_lock(1)",
    "select @.stock_set^(1, 1000, 'correction')",
    "select @.cart_json^(1)",
    "select @.order_list^(1)",
    "select @.catalog_bump^()",
    "select @.import_open^()",
    "select #.export_open~()",
    "select cell.tenant_state_set(1, 1, 1, 'active')",
    "select cell.spare_take(1, 1, 'x', 'x')",
    "select cell.fence_raise(1, 1)",
    "select pg_read_file('/etc/passwd')",
    "copy @.carts to stdout",
    "copy (select 1) to program 'true'",
    "copy (select 1) to '/tmp/shop-isolation'",
    "set session_replication_role = replica",
    "alter system set fsync = off",
};

TEST(the_login_of_shopd_may_only_call_what_is_meant_for_it)
{
    Isolation isolation;
    open_shops(&isolation);
    for (size_t i = 0; i < COUNT(LOGIN_REFUSED); i++) {
        Error err = {0};
        Str sql = fill(&isolation, LOGIN_REFUSED[i]);
        ck_assert_msg(!db_run(isolation.shopd, sql, NO_PARAMS, &err), "it may: %.*s", STR_ARG(sql));
        ck_assert_msg(err.code == ERR_FORBIDDEN, "%.*s: %s: %s", STR_ARG(sql), error_name(err.code), err.what);
    }
    close_shops(&isolation);
}

static const char *const LOGIN_ALLOWED[] = {
    "select shop_show^()",
    "select @.product_list^(1, 10, 'default', null, null)",
    "select @.cart_line_add^('aaaaaaaaaaaaaaaaaaaaaa', 1, 2, true)",
    "select @.cart_show^('aaaaaaaaaaaaaaaaaaaaaa')",
    "select * from cell.directory()",
    "select cell.session_key()",
};

TEST(what_is_meant_for_shopd_works)
{
    Isolation isolation;
    open_shops(&isolation);
    for (size_t i = 0; i < COUNT(LOGIN_ALLOWED); i++) {
        Error err = {0};
        Str sql = fill(&isolation, LOGIN_ALLOWED[i]);
        ck_assert_msg(db_run(isolation.shopd, sql, NO_PARAMS, &err), "%.*s: %s", STR_ARG(sql), err.what);
    }
    close_shops(&isolation);
}

static const char *const INJECTED_REFUSED[] = {
    "select * from #.carts",
    "select #.cart_show~('aaaaaaaaaaaaaaaaaaaaaa')",
    "select #.injected('select 1')",
    "update #.stock set quantity = 0",
    "select * from cell.tenants",
    "select * from cell.meta",
    "select cell.directory()",
    "select cell.session_key()",
    "insert into cell.bell (tenant) values ('#')",
    "delete from cell.bell",
    "set role #",
    "set role cell_owner",
    "reset role",
    "reset session authorization",
    "update settings set name = 'x'",
    "update variants set price_minor = 1",
    "delete from orders",
    "update stock_movements set quantity = 1",
    "delete from stock_movements",
    "truncate carts",
    "drop table carts",
    "alter table carts disable trigger all",
    "create table t (x integer)",
    "create temp table t (x integer)",
    "create function f() returns integer language sql as 'select 1'",
    "create or replace function shop_show^() returns json language sql as 'select null::json'",
    "create trigger t before update on orders for each row execute function suppress_redundant_updates_trigger()",
    "grant @ to #",
    "alter role @ superuser",
    "select pg_advisory_lock(1)",
    "select lo_create(0)",
    "select pg_read_file('/etc/passwd')",
};

TEST(sql_inside_of_a_tenants_function_reaches_that_tenant_alone)
{
    Isolation isolation;
    open_shops(&isolation);
    for (size_t i = 0; i < COUNT(INJECTED_REFUSED); i++) {
        Error err = {0};
        Str sql = fill(&isolation, INJECTED_REFUSED[i]);
        ck_assert_msg(!db_run(isolation.shopd, fill(&isolation, "select @.injected($1)"), PARAMS(sql), &err),
                      "it may: %.*s", STR_ARG(sql));
        ck_assert_msg(err.code == ERR_FORBIDDEN, "%.*s: %s: %s", STR_ARG(sql), error_name(err.code), err.what);
    }
    Error err = {0};
    ck_assert_ok(db_run(isolation.shopd,
                        fill(&isolation, "select @.injected('insert into cell.bell (due_at) values "
                                         "(now())')"),
                        NO_PARAMS, &err),
                 &err);
    ck_assert_str(
        test_value(isolation.world.cell, isolation.world.arena, "select string_agg(tenant, ' ') from cell.bell"),
        isolation.a);
    close_shops(&isolation);
}

TEST(a_function_under_another_tenants_path_is_refused_its_tables)
{
    static const char *const CALLS[] = {
        "select @.cart_show^('aaaaaaaaaaaaaaaaaaaaaa')",
        "select @.cart_line_add^('aaaaaaaaaaaaaaaaaaaaaa', 1, 1, true)",
        "select @.cart_create^()",
        "select @.cart_create_filled^('{1}', '{1}')",
        "select @.product_show^('taza')",
        "select @.store_version^()",
    };
    Isolation isolation;
    open_shops(&isolation);
    TestWorld *world = &isolation.world;
    Error err = {0};
    ck_assert_ok(db_run(isolation.shopd, fill(&isolation, "set search_path = #, pg_temp"), NO_PARAMS, &err), &err);
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        Str sql = fill(&isolation, CALLS[i]);
        ck_assert_msg(!db_run(isolation.shopd, sql, NO_PARAMS, &err), "it may: %.*s", STR_ARG(sql));
        error_clear(&err);
    }
    static const char COUNTS[] =
        "select concat_ws(' ', (select count(*) from @.carts), (select count(*) from #.carts), "
        "(select count(*) from @.cart_lines), (select count(*) from #.cart_lines))";
    ck_assert_str(test_value(world->cell, world->arena, fill(&isolation, COUNTS).data), S("1 1 0 0"));
    close_shops(&isolation);
}

// By the catalog, so that a table or a function that is added later is checked too.
static const char *const CATALOG_NEVER[] = {
    "select coalesce(string_agg(p.oid::regprocedure::text, ' '), '') from pg_proc p join pg_namespace n on n.oid = "
    "p.pronamespace, cell.meta m where (n.nspname = 'cell' or n.nspname ~ '^t_') and not p.prosecdef and p.proname !~ "
    "'^unaccent' and has_function_privilege(m.shopd_role, p.oid, 'execute')",
    "select coalesce(string_agg(c.oid::regclass::text, ' '), '') from pg_class c join pg_namespace n on n.oid = "
    "c.relnamespace, cell.meta m where (n.nspname = 'cell' or n.nspname ~ '^t_') and c.relkind in ('r', 'v', 'p') and "
    "(has_table_privilege(m.shopd_role, c.oid, 'select,insert,update,delete,truncate,references,trigger') or "
    "has_any_column_privilege(m.shopd_role, c.oid, 'select,update,references'))",
    "select coalesce(string_agg(c.oid::regclass::text, ' '), '') from pg_class c join pg_namespace n on n.oid = "
    "c.relnamespace, pg_roles r where n.nspname ~ '^t_' and r.rolname = n.nspname and c.relkind in ('r', 'v', 'p') and "
    "has_table_privilege(r.oid, c.oid, 'truncate,references,trigger')",
    "select coalesce(string_agg(r.rolname, ' '), '') from pg_roles r, cell.meta m where (r.rolname = m.shopd_role or "
    "r.rolname in (select 't_' || number from cell.tenants) or r.rolname = 'cell_owner') and (r.rolsuper or "
    "r.rolcreaterole "
    "or r.rolcreatedb or r.rolreplication or r.rolbypassrls or (r.rolcanlogin and r.rolname <> m.shopd_role))",
    "select coalesce(string_agg(m.roleid::regrole::text, ' '), '') from pg_auth_members m join pg_roles r on r.oid = "
    "m.member, cell.meta c where r.rolname = c.shopd_role or r.rolname in (select 't_' || number from cell.tenants) or "
    "m.roleid::regrole::text in (select 't_' || number from cell.tenants)",
    "select coalesce(string_agg(c.oid::regclass::text, ' '), '') from pg_class c join pg_namespace n on n.oid = "
    "c.relnamespace where (n.nspname = 'cell' or n.nspname ~ '^t_') and c.relkind in ('r', 'v', 'p') and c.relowner <> "
    "'cell_owner'::regrole",
};

TEST(no_catalog_entry_gives_more_than_it_should)
{
    Isolation isolation;
    open_shops(&isolation);
    for (size_t i = 0; i < COUNT(CATALOG_NEVER); i++) {
        Str found = test_value(isolation.world.cell, isolation.world.arena, CATALOG_NEVER[i]);
        ck_assert_msg(found.len == 0, "%.*s: %s", STR_ARG(found), CATALOG_NEVER[i]);
    }
    close_shops(&isolation);
}

TEST(a_cells_login_enters_its_own_database_alone)
{
    Isolation isolation;
    open_shops(&isolation);
    TestWorld *world = &isolation.world, other;
    test_world_open(&other, "isolation", false);
    Str role = test_value(world->cell, world->arena, "select shopd_role from cell.meta");
    const Str closed[] = {world->control_dsn, other.cell_dsn, other.control_dsn};
    for (size_t i = 0; i < COUNT(closed); i++) {
        Error err = {0};
        CLEANUP(db_close) Db *db = NULL;
        Str dsn = S("");
        ck_assert_ok(dsn_with(closed[i], "user", role, world->arena, &dsn, &err), &err);
        ck_assert_msg(!db_open(dsn, NULL, &db, &err), "it may enter %.*s", STR_ARG(closed[i]));
        ck_assert_int_eq(err.code, ERR_FORBIDDEN);
    }
    test_world_close(&other);
    close_shops(&isolation);
}

SUITE(isolation, ONCE(the_login_of_shopd_may_only_call_what_is_meant_for_it), ONCE(what_is_meant_for_shopd_works),
      ONCE(sql_inside_of_a_tenants_function_reaches_that_tenant_alone),
      ONCE(a_function_under_another_tenants_path_is_refused_its_tables),
      ONCE(no_catalog_entry_gives_more_than_it_should), ONCE(a_cells_login_enters_its_own_database_alone))
