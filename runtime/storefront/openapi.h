// runtime/storefront/openapi.h: the store API's document, made from the routes' table.
#pragma once
#include "runtime/core/route.h"

// OpenAPI 3.1 as JSON text in `arena`: each route below /api/, with the schemas of schemas.c. Fails with ERR_NO_MEMORY.
MUST_CHECK bool openapi_print(const RouteSet *routes, Arena *arena, Str *out, Error *err);

// {"NAME": schema} as JSON text; and for some routes their parameters beside those of the path.
extern const char OPENAPI_SCHEMAS[];
extern const char OPENAPI_PARAMETERS[];    // {"GET /api/...": [parameter]}
