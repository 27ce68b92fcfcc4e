// tests/test_tenants.c: the directory of a cell's hosts, and its views while it is replaced.
#include "runtime/core/tenants.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

#define COLUMNS "as d (number, slug, schema, state, hosts, limits, looks)"

static Directory *directory_of(Db *db, const Directory *before, int64_t changed, const char *values)
{
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(rows_close) Rows *rows = NULL;
    Str sql = str_format(arena, "select * from (values %s) " COLUMNS " where number > 0", values);
    ck_assert_ok(db_query(db, sql, NO_PARAMS, &rows, &err), &err);
    Directory *directory = NULL;
    ck_assert_ok(directory_build(before, changed, rows, &directory, &err), &err);
    return directory;
}

#define ACME                                                                                                           \
    "(1::bigint, 'acme', 't_1', 'active', '{acme.localhost,www.acme.example}'::text[], '{\"requests_per_second\": "    \
    "5}'::jsonb, '{\"name\": \"Acme\"}'::jsonb)"
#define BETA "(2, 'beta', 't_2', 'suspended', '{Beta.localhost}'::text[], '{}'::jsonb, '{\"name\": \"Beta\"}'::jsonb)"
#define NONE "(0::bigint, '', '', '', '{}'::text[], '{}'::jsonb, '{}'::jsonb)"

static const struct {
    Str host;
    int64_t number;
} HOSTS[] = {
    {S("acme.localhost"), 1},  {S("www.acme.example"), 1}, {S("beta.localhost"), 2},
    {S("gamma.localhost"), 0}, {S("acme.localhos"), 0},    {S(""), 0},
};

TEST(a_host_has_one_tenant_or_none)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("tenants"));
    Directory *directory =
        directory_of(db, NULL, 0, ACME "," BETA ", (3, 'gamma', 't_3', 'archived', '{gamma.localhost}', '{}', '{}')");
    for (size_t i = 0; i < COUNT(HOSTS); i++) {
        const Tenant *tenant = directory_find(directory, HOSTS[i].host);
        ck_assert_int_eq(tenant ? tenant->number : 0, HOSTS[i].number);
    }
    ck_assert_uint_eq(directory_count(directory), 2);
    const Tenant *acme = directory_find(directory, S("acme.localhost"));
    ck_assert_int_eq(acme->requests_per_second, 5);
    ck_assert_int_eq(acme->refusal, ERR_NONE);
    ck_assert_str(acme->looks, S("{\"name\": \"Acme\"}"));
    ck_assert_int_eq(directory_find(directory, S("beta.localhost"))->refusal, ERR_SUSPENDED);
    directory_release(&directory);
}

TEST(one_change_leaves_the_others_as_they_were)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("tenants"));
    Directory *first = directory_of(db, NULL, 0, ACME "," BETA);
    Directory *renamed = directory_of(
        db, first, 1, "(1::bigint, 'acme2', 't_1', 'active', '{acme2.localhost}'::text[], '{}'::jsonb, '{}'::jsonb)");
    ck_assert_ptr_null(directory_find(renamed, S("acme.localhost")));
    ck_assert_str(directory_find(renamed, S("acme2.localhost"))->slug, S("acme2"));
    ck_assert_str(directory_find(renamed, S("beta.localhost"))->slug, S("beta"));
    ck_assert_str(directory_find(renamed, S("beta.localhost"))->looks, S("{\"name\": \"Beta\"}"));
    ck_assert_ptr_nonnull(directory_find(first, S("acme.localhost")));    // a snapshot never changes
    Directory *without = directory_of(db, renamed, 2, NONE);
    directory_release(&renamed);
    ck_assert_uint_eq(directory_count(without), 1);
    ck_assert_str(directory_find(without, S("acme2.localhost"))->slug, S("acme2"));
    directory_release(&first);
    directory_release(&without);
}

TEST(a_request_keeps_its_tenant_while_the_directory_is_replaced)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("tenants"));
    DirectoryView view = {0};
    ck_assert_ptr_null(directory_view_find(&view, S("acme.localhost")));
    const Tenant *held[DIRECTORY_OLD_MAX + 1];
    for (size_t i = 0; i <= DIRECTORY_OLD_MAX; i++) {
        Directory *directory = directory_of(db, NULL, 0, ACME);
        directory_view_show(&view, directory);
        directory_release(&directory);
        held[i] = directory_view_find(&view, S("acme.localhost"));
    }
    Directory *one_too_many = directory_of(db, NULL, 0, BETA);
    directory_view_show(&view, one_too_many);
    ck_assert_ptr_null(directory_find(view.now.directory, S("beta.localhost")));
    directory_view_release(&view, held[3]);
    ck_assert_ptr_nonnull(directory_find(view.now.directory, S("beta.localhost")));
    ck_assert_str(held[0]->slug, S("acme"));
    for (size_t i = 0; i <= DIRECTORY_OLD_MAX; i++)
        if (i != 3)
            directory_view_release(&view, held[i]);
    directory_release(&one_too_many);
    directory_view_close(&view);
}

SUITE(tenants, ONCE(a_host_has_one_tenant_or_none), ONCE(one_change_leaves_the_others_as_they_were),
      ONCE(a_request_keeps_its_tenant_while_the_directory_is_replaced))
