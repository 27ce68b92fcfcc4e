// runtime/core/pool.h: a thread's connections to its cell's database, and the tenants' queues for them.
#pragma once
#include "runtime/core/query.h"
#include "runtime/core/request.h"

typedef struct PoolOptions {
    Str dsn;    // with the role to log in as; lives as long as the pool
    unsigned connections;
    int64_t timeout_ms;     // of one query, its wait in the queue included
    int64_t patience_ms;    // how long a tenant waits for its own connection before it takes a stranger's
} PoolOptions;

// Opens a pool for the thread of `loop`; it connects when the loop runs. Fails with ERR_NO_MEMORY.
MUST_CHECK bool pool_open(Loop *loop, const PoolOptions *options, Pool **out, Error *err);
// Queries that are under way end with ERR_UNREACHABLE.
void pool_close(Pool **pool);

// Starts a query. Its `ended` is called later, whatever happens. A tenant has a connection of its own choice (by its
// number) whose backend knows its tables, and at most three quarters of all at once. When it is busy another idle one
// serves that has met the tenant before, or, once its queries have waited `patience_ms` together, any: being met costs
// a backend more than a short wait. Tenants of a connection are served in turn. Failures: ERR_UNREACHABLE (no
// connection, or it was lost on the way), ERR_BUSY (the deadline passed while it waited, a timeout of the server, a
// deadlock), and what the function raised.
void pool_query(Pool *pool, Query *query);

void pool_timeout_set(Pool *pool, int64_t timeout_ms);    // of queries from now on
bool pool_is_up(const Pool *pool);                        // at least one connection is there

// What /metrics shows; written by the pool's thread, read by any.
typedef struct PoolCounts {
    unsigned long long queries;     // ended
    unsigned long long failures;    // of them
    unsigned long long connects;    // connections made
    unsigned long long recycled;    // of them closed because they had met many tenants
    unsigned connected;             // now
    unsigned waiting;               // queries in queues now
} PoolCounts;
PoolCounts pool_counts(const Pool *pool);

// ---- for handlers ----

// Runs one call of the tenant's functions, `sql` with their names as tenant_sql_add has them, on the tenant's home
// thread, then calls `done` on the request's own thread, at most once, never before this returns; false from it, or a
// failure, goes to core. Params are copied, their texts must live as long as the request. Fails with ERR_NO_MEMORY.
MUST_CHECK bool request_query(Request *r, Str sql, Params params, QueryDone *done, Error *err);
// The same for a call that changes something: when the connection is lost, it is not tried again and the answer says
// that the outcome is unknown.
MUST_CHECK bool request_write(Request *r, Str sql, Params params, QueryDone *done, Error *err);
// Calls `failed` (on the request's thread) when the query of the last request_query or request_write has failed.
void request_query_or(Request *r, QueryFailed *failed);
