// runtime/core/ask.c: a request's calls of its tenant's functions: to the home thread of the tenant and back.
#include "base/arena.h"
#include "base/tenant_sql.h"
#include "runtime/core/cell.h"

static void answer_take(RequestQuery *asked)
{
    Request *r = asked->request;
    CLEANUP(rows_close) Rows *rows = asked->query.rows;
    asked->query.rows = NULL;
    asked->is_waiting = false;
    if (asked->query.err.code != ERR_NONE) {
        QueryFailed *failed = asked->failed;
        r->err = asked->query.err;
        request_resume(r, failed && failed(r, &r->err));
        return;
    }
    request_resume(r, asked->done(r, rows, &r->err));
}

static void answer_arrived(Task *task) { answer_take(container_of(task, RequestQuery, go)); }

static void query_ended(Query *query)
{
    RequestQuery *asked = container_of(query, RequestQuery, query);
    CellThread *own = asked->request->thread->shop;
    if (asked->home == own) {
        answer_take(asked);
        return;
    }
    asked->go.run = answer_arrived;
    loop_post(own->thread->loop, &asked->go);
}

static void query_arrived(Task *task)
{
    RequestQuery *asked = container_of(task, RequestQuery, go);
    pool_query(((CellThread *)asked->home)->pool, &asked->query);
}

static bool ask(Request *r, Str sql, Params params, bool is_write, QueryDone *done, Error *err)
{
    RequestQuery *asked = &r->database;
    assert(!asked->is_waiting && r->tenant.number > 0);
    char suffix[TENANT_SUFFIX];
    StrBuf own = {.arena = r->arena};
    tenant_sql_add(&own, sql, tenant_suffix(r->tenant.number, suffix));
    Str *values = arena_array(r->arena, params.count + 1, Str);
    if (!arena_ok(r->arena, err))
        return false;
    for (size_t i = 0; i < params.count; i++)
        values[i] = params.values[i];
    Query *query = &asked->query;
    memset(query, 0, offsetof(Query, err));
    query->err.code = ERR_NONE;
    query->tenant = r->tenant.number;
    query->sql = strbuf_str(&own);
    query->params = (Params){values, params.count};
    query->is_write = is_write;
    query->ended = query_ended;
    CellThread *home = cell_home(r);
    asked->request = r;
    asked->done = done;
    asked->failed = NULL;
    asked->home = home;
    asked->is_waiting = true;
    request_wait(r);
    if (home == cell_thread(r)) {
        pool_query(home->pool, query);
        return true;
    }
    asked->go.run = query_arrived;
    loop_post(home->thread->loop, &asked->go);
    return true;
}

bool request_query(Request *r, Str sql, Params params, QueryDone *done, Error *err)
{
    return ask(r, sql, params, false, done, err);
}

bool request_write(Request *r, Str sql, Params params, QueryDone *done, Error *err)
{
    return ask(r, sql, params, true, done, err);
}

void request_query_or(Request *r, QueryFailed *failed) { r->database.failed = failed; }
