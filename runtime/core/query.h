// runtime/core/query.h: one call of a tenant's function and the place that it waits in; a member of who asks.
#pragma once
#include "base/pg.h"
#include "runtime/core/loop.h"

typedef struct Request Request;
typedef struct Query Query;
typedef struct TenantQueue TenantQueue;
typedef struct Pool Pool;

// What is to be called, and what came of it. The texts of `sql` and `params` live until it has ended.
struct Query {
    int64_t tenant;    // number: whose schema the call runs in, and whose queue it waits in; 0: the cell's own
    Str sql;
    Params params;
    bool is_write;                  // a lost connection leaves its outcome unknown: it isn't tried again
    void (*ended)(Query *query);    // once, on the pool's thread, never from within pool_query
    Rows *rows;                     // the caller's from `ended` on; NULL when it failed

    // the pool's own
    Pool *pool;
    TenantQueue *queue;
    Query *next;
    Query *before;
    Timer timer;
    int64_t deadline_ms;
    int64_t asked_at_ms;
    bool is_running;
    bool was_tried;

    Error err;    // the last member, of which only the code starts from zero; the caller's from `ended` on
};

// Goes on with a request. On success alone; false: core answers from err. `rows` end with the call.
typedef bool QueryDone(Request *r, const Rows *rows, Error *err);
// Goes on after a failure: answers and clears the error (true), or leaves it to core (false).
typedef bool QueryFailed(Request *r, Error *err);

// A request's place for its wait for the database.
typedef struct RequestQuery {
    Request *request;
    QueryDone *done;
    QueryFailed *failed;    // NULL: core answers
    Task go;                // to the home thread and back
    void *home;             // the thread that does it
    void *context;          // of whoever asked, for `done`; untouched by the pool
    void *session;          // of the handlers, likewise; NULL at a request's start
    bool is_waiting;
    Query query;    // the last member, for the sake of its error
} RequestQuery;
