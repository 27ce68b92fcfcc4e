// runtime/core/route.h: rows of the routes' table, and the matcher that is made from them.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Request Request;
typedef bool RouteHandler(Request *r, Error *err);    // false: core answers from err

typedef enum Method {
    METHOD_GET,    // answers HEAD as well
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,    // answered by core from the table
    METHOD_OTHER,      // known to HTTP, to none of our routes
    METHOD_COUNT
} Method;
Str method_name(Method method);

typedef enum RouteRole { ROLE_PUBLIC, ROLE_CUSTOMER, ROLE_STAFF, ROLE_OWNER, ROLE_OPERATOR } RouteRole;

// What a request's body must be; core answers 415 for another one.
typedef enum RouteBody { BODY_NONE, BODY_FORM, BODY_JSON } RouteBody;

// The label of the metrics, few on purpose.
typedef enum RouteClass {
    CLASS_PAGE,
    CLASS_API,
    CLASS_CART,
    CLASS_CHECKOUT,
    CLASS_ASSET,
    CLASS_CORE,
    CLASS_NONE,
    CLASS_COUNT
} RouteClass;
const char *route_class_name(RouteClass class_);

enum { ROUTE_PARAMETERS_MAX = 4, ROUTE_BODY_MAX_DEFAULT = 64 * KIB };

typedef struct Route {
    Method method;
    const char *pattern;    // "/products/{handle}": whole segments, literal ones win over parameters
    const char *module;     // "storefront"
    RouteRole role;
    RouteHandler *handler;
    const char *summary;           // for the docs: a short sentence
    const char *request_schema;    // names in the OpenAPI document; NULL: none
    const char *response_schema;
    const char *found;    // of a POST that answers 200, not 201, where what it makes is there: what that means
    RouteBody body;
    bool is_body_optional;
    size_t body_max_bytes;    // 0: ROUTE_BODY_MAX_DEFAULT
    RouteClass class_;
    bool is_cacheable;    // the page cache may keep its answer
    bool is_unlimited;    // doesn't count for the tenant's requests per second (assets of a page)
    bool is_any_host;     // answered without a tenant (/healthz)
} Route;

typedef struct RouteSet {
    const Route *rows;
    size_t count;
} RouteSet;

// The compiled table; immutable, shared by all threads.
typedef struct Router Router;

// Compiles the rows of `sets` whose module is in `modules` (comma-separated; empty: all; the module "core" always).
// Lives in `arena`. Fails with ERR_NO_MEMORY; two rows that can't be told apart are an assert.
MUST_CHECK bool router_make(const RouteSet *sets, size_t count, Str modules, Arena *arena, const Router **out,
                            Error *err);

typedef struct RouteMatch {
    const Route *route;                      // NULL: see allowed
    unsigned allowed;                        // bit 1 << Method of what the path takes; 0: no such path
    Str parameters[ROUTE_PARAMETERS_MAX];    // percent-decoded, not empty, in the pattern's order; views or in the
                                             // arena
    size_t parameter_count;
} RouteMatch;

// Finds the route of a raw path ("/products/caf%C3%A9"). An encoded slash is data of its segment, never a separator;
// dot segments and empty segments match nothing; a slash at the end is another path. Fails with ERR_MALFORMED for a
// broken escape, NUL or what isn't UTF-8 once decoded.
MUST_CHECK bool route_find(const Router *router, Method method, Str path, Arena *arena, RouteMatch *out, Error *err);

// "GET, HEAD, POST": for the Allow header, in `text`.
enum { ROUTE_ALLOW_TEXT = 64 };
Str route_allow(unsigned allowed, char text[ROUTE_ALLOW_TEXT]);

// The rows in use, in the order of their sets, for documents and the permission test: NULL at the end.
const Route *router_route(const Router *router, size_t i);
