// tests/test_tenant_sql.c: how one tenant's functions are called in SQL.
#include "base/tenant_sql.h"

#include "base/arena.h"
#include "tests/support/more_check.h"

static const struct {
    const char *written, *sent;
} NAMED[] = {
    {"", ""},
    {"select 1", "select 1"},
    {"select :order_place($1, :money(2))", "select order_place_17($1, money_17(2))"},
    {":a(", "a_17("},
    {"create function :f() returns x", "create function f_17() returns x"},
    {"select 'x'::text, y::numeric(10)", "select 'x'::text, y::numeric(10)"},
    {"select x[1:2], ':name', :role", "select x[1:2], ':name', :role"},
    {"a := :b()", "a := b_17()"},
    {":", ":"},
    {"::", "::"},
    {":(", ":("},
    {"x:", "x:"},
    {":name", ":name"},
    {":upperX(", ":upperX("},
};

TEST(a_tenants_functions_have_its_number_behind_their_names)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char suffix[TENANT_SUFFIX];
    StrBuf out = {.arena = arena};
    tenant_sql_add(&out, str_of(NAMED[_i].written), tenant_suffix(17, suffix));
    ck_assert_str(strbuf_str(&out), str_of(NAMED[_i].sent));
}

SUITE(tenant_sql, EACH(a_tenants_functions_have_its_number_behind_their_names, NAMED))
