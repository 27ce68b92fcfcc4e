// runtime/storefront/openapi.c: the store API's document.
#include "runtime/storefront/openapi.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

static Json *content_of(const char *type, const char *schema)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB * 4);
    Str ref = str_format(arena, "#/components/schemas/%s", schema);
    return json_build("{s:{s:{s:s%}}}", type, "schema", "$ref", ref.data, ref.len);
}

static Json *response_of(const Route *route, const char *description)
{
    return json_build("{s:s, s:o}", "description", description, "content",
                      content_of("application/json", route->response_schema));
}

static Json *problem_of(const char *description)
{
    return json_build("{s:s, s:o}", "description", description, "content",
                      content_of("application/problem+json", "Problem"));
}

static bool has_query(const Json *parameters)
{
    for (size_t i = 0; i < json_count(parameters); i++)
        if (str_eq(json_str(json_get(json_element(parameters, i), "in")), S("query")))
            return true;
    return false;
}

static Json *responses_of(const Route *route, const Json *parameters)
{
    const char *status = route->method == METHOD_POST ? "201" : "200";
    Json *responses = json_build("{}");
    if (route->found)
        (void)json_put(responses, "200", response_of(route, route->found));
    if (route->response_schema)
        (void)json_put(responses, status, response_of(route, "done"));
    if (has_query(parameters))
        (void)json_put(responses, "422",
                       problem_of("parameters are refused; errors names each of them, none is ignored"));
    (void)json_put(responses, "default", problem_of("what is wrong (RFC 9457)"));
    return responses;
}

static Json *parameters_of(const Route *route, const Json *more)
{
    Json *parameters = json_build("[]");
    Str rest = str_of(route->pattern);
    for (size_t at = 0; (at = str_find_char(rest, '{')) < rest.len;) {
        rest = str_skip(rest, at + 1);
        Str name = str_slice(rest, 0, str_find_char(rest, '}'));
        (void)json_append(parameters, json_build("{s:s%, s:s, s:b, s:{s:s}}", "name", name.data, name.len, "in", "path",
                                                 "required", true, "schema", "type", "string"));
    }
    for (size_t i = 0; i < json_count(more); i++)
        (void)json_append(parameters, json_hold((Json *)(uintptr_t)json_element(more, i)));
    return parameters;
}

static Json *operation_of(const Route *route, const Json *parameters)
{
    Json *operation = json_build("{s:s, s:o, s:o}", "summary", route->summary, "parameters",
                                 parameters_of(route, parameters), "responses", responses_of(route, parameters));
    if (route->request_schema)
        (void)json_put(operation, "requestBody",
                       json_build("{s:b, s:o}", "required", !route->is_body_optional, "content",
                                  content_of("application/json", route->request_schema)));
    return operation;
}

static bool paths_add(Json *document, const RouteSet *routes, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *parameters = NULL;
    if (!json_parse(str_of(OPENAPI_PARAMETERS), &parameters, err) ||
        !json_set(document, "paths", json_build("{}"), err))
        return false;
    Json *paths = (Json *)(uintptr_t)json_get(document, "paths");
    for (size_t i = 0; i < routes->count; i++) {
        const Route *route = &routes->rows[i];
        if (!str_has_prefix(str_of(route->pattern), S("/api/")))
            continue;
        Str method = method_name(route->method);
        Str name = str_format(arena, "%.*s %s", STR_ARG(method), route->pattern);
        if (!json_get(paths, route->pattern) && !json_set(paths, route->pattern, json_build("{}"), err))
            return false;
        Json *path = (Json *)(uintptr_t)json_get(paths, route->pattern);
        if (!json_set(path, str_lower(arena, method).data, operation_of(route, json_get(parameters, name.data)), err))
            return false;
    }
    return true;
}

bool openapi_print(const RouteSet *routes, Arena *arena, Str *out, Error *err)
{
    Json *schemas = NULL;
    if (!json_parse(str_of(OPENAPI_SCHEMAS), &schemas, err))
        return error_wrap(err, "the schemas of the store API can't be read");
    CLEANUP(json_close)
    Json *document = json_build(
        "{s:s, s:{s:s, s:s, s:s}}", "openapi", "3.1.0", "info", "title", "Store API", "version", "1", "description",
        "A shop's catalogue, carts and orders, at the shop's own host. Amounts are in minor units, ids are texts.");
    Str text;
    bool ok = paths_add(document, routes, arena, err) &&
              json_set(document, "components", json_build("{s:O}", "schemas", schemas), err) &&
              json_print(document, 2, arena, &text, err);
    json_close(&schemas);
    if (!ok)
        return false;
    *out = str_format(arena, "%.*s\n", STR_ARG(text));
    return arena_ok(arena, err);
}
