// runtime/core/query.h: a request's place for its wait for the database; pool.h works with it.
#pragma once
#include "base/def.h"

typedef struct RequestQuery {
    bool is_waiting;
} RequestQuery;
