// tests/test_route.c: which row a method and a path find.
#include "runtime/core/request.h"
#include "tests/support/more_check.h"

static bool handled(Request *r UNUSED, Error *err UNUSED) { return true; }

static const Route ROWS[] = {
    {.method = METHOD_GET, .pattern = "/", .module = "storefront", .handler = handled},
    {.method = METHOD_GET, .pattern = "/products/{handle}", .module = "storefront", .handler = handled},
    {.method = METHOD_GET, .pattern = "/products/new", .module = "storefront", .handler = handled},
    {.method = METHOD_POST, .pattern = "/carts", .module = "storefront", .handler = handled},
    {.method = METHOD_PATCH, .pattern = "/carts/{id}/lines/{line}", .module = "storefront", .handler = handled},
    {.method = METHOD_DELETE, .pattern = "/carts/{id}/lines/{line}", .module = "storefront", .handler = handled},
    {.method = METHOD_GET, .pattern = "/carts/new/lines/all", .module = "storefront", .handler = handled},
    {.method = METHOD_GET, .pattern = "/invoices", .module = "billing", .handler = handled},
};

static const RouteSet SETS[] = {{ROWS, COUNT(ROWS)}};

static const struct {
    Method method;
    Str path;
    const char *pattern;    // NULL: none
    const char *allow;      // where there is none
    const char *parameters[2];
} FOUND[] = {
    {METHOD_GET, S("/"), "/", "", {0}},
    {METHOD_HEAD, S("/"), "/", "", {0}},
    {METHOD_GET, S("/products/lamp"), "/products/{handle}", "", {"lamp"}},
    {METHOD_GET, S("/products/new"), "/products/new", "", {0}},
    {METHOD_GET, S("/products/caf%C3%A9"), "/products/{handle}", "", {"caf\xc3\xa9"}},
    {METHOD_GET, S("/products/a%2Fb"), "/products/{handle}", "", {"a/b"}},
    {METHOD_GET, S("/products/a+b"), "/products/{handle}", "", {"a+b"}},
    {METHOD_PATCH, S("/carts/7/lines/9"), "/carts/{id}/lines/{line}", "", {"7", "9"}},
    {METHOD_PATCH, S("/carts/new/lines/9"), "/carts/{id}/lines/{line}", "", {"new", "9"}},
    {METHOD_GET, S("/carts/new/lines/all"), "/carts/new/lines/all", "", {0}},
    {METHOD_GET, S("/carts"), NULL, "POST, OPTIONS", {0}},
    {METHOD_POST, S("/products/lamp"), NULL, "GET, HEAD, OPTIONS", {0}},
    {METHOD_GET, S("/carts/7/lines/9"), NULL, "PATCH, DELETE, OPTIONS", {0}},
    {METHOD_OTHER, S("/"), NULL, "GET, HEAD, OPTIONS", {0}},
    {METHOD_GET, S("/nothing"), NULL, "", {0}},
    {METHOD_GET, S("/products"), NULL, "", {0}},
    {METHOD_GET, S("/products/"), NULL, "", {0}},
    {METHOD_GET, S("//"), NULL, "", {0}},
    {METHOD_GET, S("//products/lamp"), NULL, "", {0}},
    {METHOD_GET, S("/products/lamp/"), NULL, "", {0}},
    {METHOD_GET, S("/products/."), NULL, "", {0}},
    {METHOD_GET, S("/products/.."), NULL, "", {0}},
    {METHOD_GET, S("/products/%2e%2E"), NULL, "", {0}},
    {METHOD_GET, S("/./products/lamp"), NULL, "", {0}},
    {METHOD_GET, S("/%70roducts/lamp"), NULL, "", {0}},
    {METHOD_GET, S("/Products/lamp"), NULL, "", {0}},
    {METHOD_GET, S("*"), NULL, "", {0}},
    {METHOD_GET, S("/a/b/c/d/e/f/g/h/i/j"), NULL, "", {0}},
};

TEST(a_path_finds_its_row_or_what_it_allows)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    const Router *router = NULL;
    RouteMatch match;
    ck_assert_ok(router_make(SETS, COUNT(SETS), S(""), arena, &router, &err), &err);
    ck_assert_ok(route_find(router, FOUND[_i].method, FOUND[_i].path, arena, &match, &err), &err);
    ck_assert_str(str_of(match.route ? match.route->pattern : ""), str_of(FOUND[_i].pattern ?: ""));
    char text[ROUTE_ALLOW_TEXT];
    if (!match.route)
        ck_assert_str(route_allow(match.allowed, text), str_of(FOUND[_i].allow));
    for (size_t i = 0; match.route && i < COUNT(FOUND[_i].parameters) && FOUND[_i].parameters[i]; i++)
        ck_assert_str(match.parameters[i], str_of(FOUND[_i].parameters[i]));
}

static const Refused BROKEN[] = {
    {S("/products/%"), "two hexadecimal"},
    {S("/products/%4"), "two hexadecimal"},
    {S("/products/%zz"), "two hexadecimal"},
    {S("/nothing/%g0"), "two hexadecimal"},
    {S("/products/%00"), "NUL"},
    {S("/products/a%00b"), "NUL"},
    {S("/products/%C3"), "isn't UTF-8"},
    {S("/products/%C0%AF"), "isn't UTF-8"},
    {S("/products/%ED%A0%80"), "isn't UTF-8"},
};

TEST(a_path_that_cannot_be_decoded_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    const Router *router = NULL;
    RouteMatch match;
    ck_assert_ok(router_make(SETS, COUNT(SETS), S(""), arena, &router, &err), &err);
    ck_assert(!route_find(router, METHOD_GET, BROKEN[_i].text, arena, &match, &err));
    ck_assert_says(&err, ERR_MALFORMED, BROKEN[_i].says);
}

TEST(only_rows_of_chosen_modules_are_there)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    const Router *router = NULL;
    RouteMatch match;
    ck_assert_ok(router_make(SETS, COUNT(SETS), S("auth, billing"), arena, &router, &err), &err);
    ck_assert_ok(route_find(router, METHOD_GET, S("/invoices"), arena, &match, &err), &err);
    ck_assert_ptr_eq(match.route, &ROWS[COUNT(ROWS) - 1]);
    ck_assert_ok(route_find(router, METHOD_GET, S("/"), arena, &match, &err), &err);
    ck_assert_ptr_null(match.route);
    ck_assert_ptr_eq(router_route(router, 0), &ROWS[COUNT(ROWS) - 1]);
    ck_assert_ptr_null(router_route(router, 1));
}

static bool made(Arena *arena, Error *err)
{
    const Router *router = NULL;
    RouteMatch match;
    if (!router_make(SETS, COUNT(SETS), S(""), arena, &router, err) ||
        !route_find(router, METHOD_GET, S("/products/%41"), arena, &match, err))
        return false;
    ck_assert_str(match.parameters[0], S("A"));
    return true;
}

TEST(a_router_is_whole_or_memory_ran_out)
{
    check_every_budget(made);
}

SUITE(route, EACH(a_path_finds_its_row_or_what_it_allows, FOUND),
      EACH(a_path_that_cannot_be_decoded_is_refused, BROKEN), ONCE(only_rows_of_chosen_modules_are_there),
      ONCE(a_router_is_whole_or_memory_ran_out))
