// tests/test_openapi.c: the committed OpenAPI document is the one that the routes' table prints.
#include "base/file.h"
#include "base/json.h"
#include "runtime/storefront/openapi.h"
#include "runtime/storefront/storefront.h"
#include "tests/support/more_check.h"

TEST(the_document_in_docs_is_what_the_table_prints)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    Str printed, committed;
    ck_assert_ok(openapi_print(&ROUTES_STOREFRONT, arena, &printed, &err), &err);
    ck_assert_ok(file_read(S("docs/openapi.json"), MIB, arena, &committed, &err), &err);
    ck_assert_msg(str_eq(printed, committed), "docs/openapi.json is old: run `make docs`");
}

TEST(each_schema_that_a_route_names_is_there)
{
    CLEANUP(json_close) Json *schemas = NULL;
    Error err = {0};
    ck_assert_ok(json_parse(str_of(OPENAPI_SCHEMAS), &schemas, &err), &err);
    for (size_t i = 0; i < ROUTES_STOREFRONT.count; i++) {
        const Route *route = &ROUTES_STOREFRONT.rows[i];
        ck_assert(!route->request_schema || json_get(schemas, route->request_schema));
        ck_assert(!route->response_schema || json_get(schemas, route->response_schema));
        bool is_api = str_has_prefix(str_of(route->pattern), S("/api/"));
        ck_assert_msg(!is_api || route->response_schema, "%s has no schema", route->pattern);
    }
}

TEST(adding_a_line_answers_200_where_the_variant_is_in_the_cart)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    CLEANUP(json_close) Json *document = NULL;
    Error err = {0};
    Str printed;
    ck_assert_ok(openapi_print(&ROUTES_STOREFRONT, arena, &printed, &err), &err);
    ck_assert_ok(json_parse(printed, &document, &err), &err);
    const Json *post = json_get(json_get(json_get(document, "paths"), "/api/v1/store/carts/{id}/lines"), "post");
    ck_assert_ptr_nonnull(json_get(json_get(post, "responses"), "200"));
    ck_assert_ptr_nonnull(json_get(json_get(post, "responses"), "201"));
}

SUITE(openapi, ONCE(adding_a_line_answers_200_where_the_variant_is_in_the_cart),
      ONCE(the_document_in_docs_is_what_the_table_prints), ONCE(each_schema_that_a_route_names_is_there))
