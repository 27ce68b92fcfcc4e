// runtime/core/route.c: a tree of path segments made from the rows; literal segments win over parameters.
#include "runtime/core/route.h"

#include "base/arena.h"
#include "runtime/core/request.h"

enum { SEGMENTS_MAX = 8 };

typedef struct Node Node;
struct Node {
    Str literal;    // empty for the parameter
    Node *next;     // beside it
    Node *literals;
    Node *parameter;
    const Route *routes[METHOD_COUNT];
};

struct Router {
    Node root;
    const Route **rows;
    size_t count;
};

static const char *const METHOD_NAMES[METHOD_COUNT] = {
    [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",       [METHOD_PUT] = "PUT",
    [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "OTHER",
};

static const char *const CLASS_NAMES[CLASS_COUNT] = {
    [CLASS_PAGE] = "page",   [CLASS_API] = "api",   [CLASS_CART] = "cart", [CLASS_CHECKOUT] = "checkout",
    [CLASS_ASSET] = "asset", [CLASS_CORE] = "core", [CLASS_NONE] = "none",
};

Str method_name(Method method) { return str_of(METHOD_NAMES[method]); }
const char *route_class_name(RouteClass class_) { return CLASS_NAMES[class_]; }

// ---- making it ----

static bool is_parameter(Str segment) { return str_has_prefix(segment, S("{")); }

static Node *child_of(Node *node, Str segment, Arena *arena)
{
    Node **place = &node->parameter;
    if (!is_parameter(segment)) {
        place = &node->literals;
        while (*place && !str_eq((*place)->literal, segment))
            place = &(*place)->next;
    }
    if (!*place) {
        *place = arena_new(arena, Node);
        if (*place && !is_parameter(segment))
            (*place)->literal = segment;
    }
    return *place;
}

static void row_add(Router *router, const Route *row, Arena *arena)
{
    Node *node = &router->root;
    Str rest = str_skip(str_of(row->pattern), 1);
    Str segment;
    while (node && rest.len > 0 && str_cut(&rest, '/', &segment))
        node = child_of(node, segment, arena);
    if (!node)
        return;
    assert(!node->routes[row->method]);    // two rows for the same requests
    node->routes[row->method] = row;
    router->rows[router->count++] = row;
}

static bool is_chosen(Str modules, const char *module)
{
    if (modules.len == 0 || strcmp(module, "core") == 0)
        return true;
    Str name;
    while (str_cut(&modules, ',', &name))
        if (str_eq(str_trim(name), str_of(module)))
            return true;
    return false;
}

bool router_make(const RouteSet *sets, size_t count, Str modules, Arena *arena, const Router **out, Error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += sets[i].count;
    Router *router = arena_new(arena, Router);
    const Route **rows = arena_array(arena, total + 1, const Route *);
    if (!arena_ok(arena, err))
        return false;
    router->rows = rows;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sets[i].count; j++)
            if (is_chosen(modules, sets[i].rows[j].module))
                row_add(router, &sets[i].rows[j], arena);
    if (!arena_ok(arena, err))
        return false;
    *out = router;
    return true;
}

const Route *router_route(const Router *router, size_t i) { return i < router->count ? router->rows[i] : NULL; }

// ---- finding ----

static unsigned methods_of(const Node *node)
{
    unsigned methods = 0;
    for (Method method = 0; method < METHOD_COUNT; method++)
        if (node->routes[method])
            methods |= 1U << method;
    if (methods & 1U << METHOD_GET)
        methods |= 1U << METHOD_HEAD;
    return methods ? methods | 1U << METHOD_OPTIONS : 0;
}

// The node of segments[at ... count); the raw texts of parameters go to out->parameters.
static const Node *node_find(const Node *node, const Str *segments, size_t count, RouteMatch *out)
{
    if (count == 0)
        return methods_of(node) ? node : NULL;
    for (const Node *child = node->literals; child; child = child->next)
        if (str_eq(child->literal, *segments)) {
            const Node *found = node_find(child, segments + 1, count - 1, out);
            if (found)
                return found;
        }
    if (!node->parameter || segments->len == 0)
        return NULL;
    size_t before = out->parameter_count;
    assert(before < ROUTE_PARAMETERS_MAX);
    out->parameters[out->parameter_count++] = *segments;
    const Node *found = node_find(node->parameter, segments + 1, count - 1, out);
    if (!found)
        out->parameter_count = before;
    return found;
}

// False when there are more segments than any pattern has.
static bool path_split(Str path, Str segments[SEGMENTS_MAX], size_t *count)
{
    *count = 0;
    Str rest = str_skip(path, 1);
    if (path.len == 1)
        return true;
    for (;;) {
        if (*count == SEGMENTS_MAX)
            return false;
        size_t end = str_find_char(rest, '/');
        segments[(*count)++] = str_slice(rest, 0, end);
        if (end == rest.len)
            return true;
        rest = str_skip(rest, end + 1);
    }
}

static bool is_dots(Str segment) { return str_eq(segment, S(".")) || str_eq(segment, S("..")); }

static bool parameters_decode(RouteMatch *match, Arena *arena, bool *has_dots, Error *err)
{
    for (size_t i = 0; i < match->parameter_count; i++) {
        if (!percent_decode(match->parameters[i], false, arena, &match->parameters[i], err))
            return false;
        *has_dots |= is_dots(match->parameters[i]);
    }
    return true;
}

bool route_find(const Router *router, Method method, Str path, Arena *arena, RouteMatch *out, Error *err)
{
    *out = (RouteMatch){0};
    Str decoded;
    if (str_has_char(path, '%') && !percent_decode(path, false, arena, &decoded, err))
        return error_where(err, "path");
    Str segments[SEGMENTS_MAX];
    size_t count;
    if (path.len == 0 || path.data[0] != '/' || !path_split(path, segments, &count))
        return true;
    const Node *node = node_find(&router->root, segments, count, out);
    bool has_dots = false;
    if (!node || !parameters_decode(out, arena, &has_dots, err) || has_dots)
        return err->code == ERR_NONE;
    out->allowed = methods_of(node);
    out->route = node->routes[method == METHOD_HEAD ? METHOD_GET : method];
    return true;
}

Str route_allow(unsigned allowed, char text[ROUTE_ALLOW_TEXT])
{
    size_t len = 0;
    for (Method method = 0; method < METHOD_COUNT; method++)
        if (allowed & 1U << method)
            len += (size_t)snprintf(text + len, ROUTE_ALLOW_TEXT - len, "%s%s", len ? ", " : "", METHOD_NAMES[method]);
    return (Str){text, len};
}
