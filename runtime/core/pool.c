// runtime/core/pool.c: a thread's connections to the database, and the tenants' queues for them.
#include "runtime/core/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pg_pipe.h"

enum {
    MET_MAX = 200,      // tenants of a backend, then it is replaced in a quiet moment
    MET_FORCE = 400,    // ... and here in any
    MET_SLOTS = 1024,
    BUCKETS = 256,
    GRACE_MS = 1000,    // beyond the server's own statement_timeout: then the connection is given up
    CONNECT_TIMEOUT_MS = 5000,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 2000,
    SCOUT_MS = 100,    // of one lane while none is connected: its success brings the others back at once
    ARENA_BUDGET = 16 * MIB,
};

// A connection's place.
typedef struct Lane {
    Pool *pool;
    Pipe *pipe;    // NULL between two connections
    Query *query;
    Watch watch;
    Timer timer;    // connecting takes too long, or the next attempt
    int64_t backoff_ms;
    TenantQueue *first_turn;    // of the tenants that prefer this connection, those for which it is to do something
    TenantQueue *last_turn;
    unsigned met_count;
    int64_t met[MET_SLOTS];    // tenants that this backend has served, hashed
} Lane;

struct TenantQueue {
    int64_t tenant;
    Query *first;
    Query *last;
    unsigned running;
    int64_t waited_ms;    // by its queries together, since it had none or was met by another connection
    bool has_turn;
    TenantQueue *next_turn;
    TenantQueue *next_bucket;    // and of the free ones
};

struct Pool {
    Loop *loop;
    PoolOptions options;
    Arena *arena;
    Lane *lanes;
    unsigned lane_count;
    bool is_down;    // no connection, and the last attempt failed
    bool is_closing;
    Error down;    // why
    Deferred dispatch;
    Timer patience;    // of the one that has waited longest for its own connection
    TenantQueue *buckets[BUCKETS];
    TenantQueue *free_queues;
    TenantQueue crowd;    // of all tenants for whose queues there was no memory
    PoolCounts counts;
};

#define COUNT_CHANGE(pool, field, by) ((void)__atomic_fetch_add(&(pool)->counts.field, by, __ATOMIC_RELAXED))

static uint64_t hash_of(int64_t tenant) { return ((uint64_t)tenant * UINT64_C(0x9E3779B97F4A7C15)) >> 32; }

// ---- the queues ----

static TenantQueue *queue_find(Pool *pool, int64_t tenant)
{
    TenantQueue **bucket = &pool->buckets[hash_of(tenant) % BUCKETS];
    for (TenantQueue *queue = *bucket; queue; queue = queue->next_bucket)
        if (queue->tenant == tenant)
            return queue;
    TenantQueue *queue = pool->free_queues;
    if (queue) {
        pool->free_queues = queue->next_bucket;
    } else {
        arena_retry(pool->arena);
        queue = arena_new(pool->arena, TenantQueue);
    }
    if (!queue)
        return &pool->crowd;
    *queue = (TenantQueue){.tenant = tenant, .next_bucket = *bucket};
    return *bucket = queue;
}

// Nobody waits and nothing runs: the place is free for another tenant.
static void queue_retire(Pool *pool, TenantQueue *queue)
{
    if (queue == &pool->crowd || queue->first || queue->running > 0 || queue->has_turn)
        return;
    TenantQueue **link = &pool->buckets[hash_of(queue->tenant) % BUCKETS];
    while (*link != queue)
        link = &(*link)->next_bucket;
    *link = queue->next_bucket;
    queue->next_bucket = pool->free_queues;
    pool->free_queues = queue;
}

static Lane *lane_of(Pool *pool, int64_t tenant) { return &pool->lanes[hash_of(tenant) % pool->lane_count]; }

// Gives a queue its turn when it waits for something and hasn't got its share of the connections: some stay for others.
static void turn_offer(Pool *pool, TenantQueue *queue)
{
    unsigned kept = MAX(pool->lane_count / 4, 1U);
    unsigned share = pool->lane_count > kept ? pool->lane_count - kept : 1;
    if (queue->has_turn || !queue->first || queue->running >= share)
        return;
    Lane *lane = lane_of(pool, queue->tenant);
    queue->has_turn = true;
    queue->next_turn = NULL;
    if (lane->last_turn)
        lane->last_turn->next_turn = queue;
    else
        lane->first_turn = queue;
    lane->last_turn = queue;
}

static TenantQueue *turn_take(Lane *lane)
{
    TenantQueue *queue = lane->first_turn;
    lane->first_turn = queue->next_turn;
    if (!lane->first_turn)
        lane->last_turn = NULL;
    queue->has_turn = false;
    return queue;
}

static void query_append(Pool *pool, Query *query)
{
    TenantQueue *queue = query->queue;
    query->next = NULL;
    query->before = queue->last;
    if (queue->last)
        queue->last->next = query;
    else
        queue->first = query;
    queue->last = query;
    COUNT_CHANGE(pool, waiting, 1);
    turn_offer(pool, queue);
}

// One that was under way comes before those that weren't.
static void query_prepend(Pool *pool, Query *query)
{
    TenantQueue *queue = query->queue;
    query->before = NULL;
    query->next = queue->first;
    if (queue->first)
        queue->first->before = query;
    else
        queue->last = query;
    queue->first = query;
    COUNT_CHANGE(pool, waiting, 1);
    turn_offer(pool, queue);
}

static void query_remove(Pool *pool, Query *query)
{
    TenantQueue *queue = query->queue;
    if (query->before)
        query->before->next = query->next;
    else
        queue->first = query->next;
    if (query->next)
        query->next->before = query->before;
    else
        queue->last = query->before;
    query->next = query->before = NULL;
    COUNT_CHANGE(pool, waiting, -1U);
}

// It runs no more: another one of its tenant may.
static void query_stop(Pool *pool, Query *query)
{
    query->is_running = false;
    query->queue->running--;
    turn_offer(pool, query->queue);
}

// Its queue may be another tenant's from now on.
static void query_leave(Pool *pool, Query *query)
{
    if (query->queue)
        queue_retire(pool, query->queue);
    query->queue = NULL;
}

static void query_end(Pool *pool, Query *query)
{
    timer_stop(pool->loop, &query->timer);
    COUNT_CHANGE(pool, queries, 1);
    if (query->err.code != ERR_NONE)
        COUNT_CHANGE(pool, failures, 1);
    query_leave(pool, query);
    query->ended(query);    // frees its owner, perhaps
}

// Hosts and names of databases are for the log, as causes, and not for shoppers.
static void error_unreachable(Error *err)
{
    if (err->why[0])
        error_wrap(err, "%s", err->why);
    error_wrap(err, "the shop's database can't be reached");
    error_why(err, "%s", "");
    error_next(err, "%s", "");
    err->code = ERR_UNREACHABLE;
}

static bool error_unknown_outcome(Error *err)
{
    error_why(err, "it is unknown whether the change was made");
    return error_next(err, "send the same request again, an order with the same Idempotency-Key");
}

// A query that was under way on a connection that is lost.
static void query_lost(Pool *pool, Query *query, const Error *why)
{
    query_stop(pool, query);
    if (!query->is_write && !query->was_tried && !pool->is_closing) {
        query->was_tried = true;
        query->err.code = ERR_NONE;
        timer_start(pool->loop, &query->timer, MAX(query->deadline_ms - loop_now_ms(pool->loop), (int64_t)0));
        query_prepend(pool, query);
        return;
    }
    query->err = *why;
    error_unreachable(&query->err);
    if (query->is_write)
        error_unknown_outcome(&query->err);
    query_end(pool, query);
}

static void waiting_fail(Pool *pool)
{
    for (unsigned i = 0; i < pool->lane_count; i++)
        while (pool->lanes[i].first_turn) {
            TenantQueue *queue = turn_take(&pool->lanes[i]);
            if (!queue->first)
                queue_retire(pool, queue);
            while (queue->first) {
                Query *query = queue->first;
                query_remove(pool, query);
                query->err = pool->down;
                bool is_last = !queue->first;
                query_end(pool, query);
                if (is_last)
                    break;    // the queue may be another tenant's by now
            }
        }
}

// ---- the connections ----

static void lane_connect(Lane *lane);
static void lane_serve(Lane *lane, bool is_own);

static bool lane_is_away(const Lane *lane) { return !lane->pipe || pipe_state(lane->pipe) == PIPE_CONNECTING; }
static bool lane_is_idle(const Lane *lane) { return lane->pipe && pipe_state(lane->pipe) == PIPE_IDLE && !lane->query; }

// A pause that doubles with each attempt that fails.
static void lane_retry(Lane *lane)
{
    Pool *pool = lane->pool;
    bool is_scout = lane == pool->lanes && !pool_is_up(pool);
    int64_t max_ms = is_scout ? SCOUT_MS : BACKOFF_MAX_MS;
    lane->backoff_ms = MIN(MAX(lane->backoff_ms * 2, (int64_t)BACKOFF_FIRST_MS), max_ms);
    timer_start(pool->loop, &lane->timer, lane->backoff_ms);
}

static void lane_lost(Lane *lane, const Error *why)
{
    Pool *pool = lane->pool;
    bool was_up = pipe_state(lane->pipe) != PIPE_CONNECTING && lane->backoff_ms == 0;
    loop_unwatch(pool->loop, &lane->watch);
    pipe_close(&lane->pipe);
    if (was_up)
        COUNT_CHANGE(pool, connected, -1U);
    Query *query = lane->query;
    lane->query = NULL;
    if (was_up)
        lane->backoff_ms = 1;
    if (was_up && !pool->is_closing) {
        log_error("database_connection_lost", why);
        timer_start(pool->loop, &lane->timer, lane->backoff_ms);
    } else if (!pool->is_closing) {
        lane_retry(lane);
    }
    if (!was_up && !pool_is_up(pool) && !pool->is_closing) {
        if (!pool->is_down)
            log_error("database_unreachable", why);
        pool->is_down = true;
        pool->down = *why;
        error_unreachable(&pool->down);
        loop_defer(pool->loop, &pool->dispatch);
    }
    if (query)
        query_lost(pool, query, why);
}

static void lane_watch(Lane *lane)
{
    Error err = {0};
    Loop *loop = lane->pool->loop;
    if (lane->watch.is_watched)
        loop_watch_change(loop, &lane->watch, pipe_wants(lane->pipe));
    else if (!loop_watch(loop, &lane->watch, pipe_socket(lane->pipe), pipe_wants(lane->pipe), &err))
        lane_lost(lane, &err);
}

// The right to write is taken from a shop while it moves to another cell, and from one that has used its disk.
static void error_explain(Error *err)
{
    if (err->code != ERR_FORBIDDEN)
        return;
    error_clear(err);
    error_set(err, ERR_BUSY, "nothing can be written in the shop at the moment");
    error_why(err, "it is being moved, or has used the disk of its plan");
}

static void lane_finish(Lane *lane, PipeAnswer *answer)
{
    Pool *pool = lane->pool;
    Query *query = lane->query;
    lane->query = NULL;
    loop_defer(pool->loop, &pool->dispatch);
    if (answer->err.code == ERR_UNREACHABLE) {    // the server is being stopped, as it says itself
        query_lost(pool, query, &answer->err);
        return;
    }
    query_stop(pool, query);
    query->rows = answer->rows;
    if (answer->err.code != ERR_NONE)
        query->err = answer->err;
    error_explain(&query->err);
    query_leave(pool, query);
    lane_serve(lane, true);    // so that the backend works while this answer is made into a page
    lane_serve(lane, false);
    query_end(pool, query);
}

static void lane_connected(Lane *lane)
{
    Pool *pool = lane->pool;
    timer_stop(pool->loop, &lane->timer);
    lane->backoff_ms = 0;
    lane->met_count = 0;
    memset(lane->met, 0, sizeof(lane->met));
    COUNT_CHANGE(pool, connected, 1);
    COUNT_CHANGE(pool, connects, 1);
    if (pool->is_down) {
        log_line(LOG_INFO, "database_reached", S(""));
        for (unsigned i = 0; i < pool->lane_count; i++)
            if (!pool->lanes[i].pipe) {
                pool->lanes[i].backoff_ms = 1;
                timer_start(pool->loop, &pool->lanes[i].timer, 1);
            }
    }
    pool->is_down = false;
    pool->down.code = ERR_NONE;
    loop_defer(pool->loop, &pool->dispatch);
}

static void lane_ready(Watch *watch, uint32_t events)
{
    (void)events;
    Lane *lane = container_of(watch, Lane, watch);
    Error err = {0};
    bool was_connecting = pipe_state(lane->pipe) == PIPE_CONNECTING;
    if (was_connecting)    // libpq may close this socket and open another one with its number
        loop_unwatch(lane->pool->loop, watch);
    bool ok = pipe_go_on(lane->pipe, &err);
    if (ok && was_connecting && pipe_state(lane->pipe) == PIPE_IDLE)
        lane_connected(lane);
    PipeAnswer answer;
    if (lane->query && pipe_answer(lane->pipe, &answer))
        lane_finish(lane, &answer);
    if (!ok)
        lane_lost(lane, &err);
    else if (lane->pipe)    // else it was lost with the query that came next
        lane_watch(lane);
}

static void lane_due(Timer *timer)
{
    Lane *lane = container_of(timer, Lane, timer);
    if (!lane->pipe) {
        lane_connect(lane);
        return;
    }
    Error err = {0};
    error_set(&err, ERR_UNREACHABLE, "the database can't be reached");
    error_why(&err, "connecting took more than %d ms", CONNECT_TIMEOUT_MS);
    lane_lost(lane, &err);
}

static void lane_connect(Lane *lane)
{
    Error err = {0};
    Pool *pool = lane->pool;
    lane->backoff_ms = MAX(lane->backoff_ms, (int64_t)1);    // until it is connected
    if (!pipe_open(pool->options.dsn, "shopd", &lane->pipe, &err)) {
        lane_retry(lane);
        if (!pool_is_up(pool)) {
            pool->is_down = true;
            pool->down = err;
            error_unreachable(&pool->down);
            loop_defer(pool->loop, &pool->dispatch);
        }
        return;
    }
    lane->watch = (Watch){.ready = lane_ready, .is_late = true};
    timer_start(pool->loop, &lane->timer, CONNECT_TIMEOUT_MS);
    lane_watch(lane);
}

static size_t met_slot(const Lane *lane, int64_t tenant)
{
    size_t slot = hash_of(tenant) % MET_SLOTS;
    while (lane->met[slot] != 0 && lane->met[slot] != tenant)
        slot = (slot + 1) % MET_SLOTS;
    return slot;
}

static bool lane_has_met(const Lane *lane, int64_t tenant) { return lane->met[met_slot(lane, tenant)] == tenant; }

// Remembers that this backend has now met the tenant, for which it keeps memory until it ends.
static void lane_meet(Lane *lane, const Query *query)
{
    size_t slot = met_slot(lane, query->tenant);
    if (lane->met[slot] == query->tenant)
        return;
    query->queue->waited_ms = 0;
    lane->met_count += lane->met_count < MET_SLOTS / 2;
    if (lane->met_count < MET_SLOTS / 2)
        lane->met[slot] = query->tenant;
}

static bool lane_start(Lane *lane, Query *query)
{
    Pool *pool = lane->pool;
    int64_t left_ms = MAX(query->deadline_ms - loop_now_ms(pool->loop), (int64_t)1);
    char path[48];
    int length = snprintf(path, sizeof(path), "t_%lld, pg_temp", (long long)query->tenant);
    const PipeCall call = {
        .search_path = {path, (size_t)length},
        .statement_timeout_ms = left_ms,
        .lock_timeout_ms = MAX(left_ms / 2, (int64_t)1),
        .sql = query->sql,
        .params = query->params,
    };
    Error err = {0};
    lane->query = query;
    query->is_running = true;
    query->queue->running++;
    query->queue->waited_ms += loop_now_ms(pool->loop) - query->asked_at_ms;
    turn_offer(pool, query->queue);
    lane_meet(lane, query);
    timer_start(pool->loop, &query->timer, left_ms + GRACE_MS);
    if (!pipe_send(lane->pipe, &call, &err)) {
        lane_lost(lane, &err);
        return false;
    }
    lane_watch(lane);
    return true;
}

static bool is_any_away(const Pool *pool)
{
    for (unsigned i = 0; i < pool->lane_count; i++)
        if (lane_is_away(&pool->lanes[i]))
            return true;
    return false;
}

// It has met so many that it serves nobody until it is replaced; one of them at a time.
static bool lane_is_full(const Lane *lane) { return lane->met_count >= MET_FORCE && !is_any_away(lane->pool); }

// Replaces one backend that has met many tenants, when nobody waits for it.
static void pool_recycle(Pool *pool)
{
    for (unsigned i = 0; i < pool->lane_count; i++) {
        Lane *lane = &pool->lanes[i];
        if (lane->met_count <= MET_MAX || !lane_is_idle(lane) || is_any_away(pool))
            continue;
        if (lane->first_turn && !lane_is_full(lane))
            continue;
        loop_unwatch(pool->loop, &lane->watch);
        pipe_close(&lane->pipe);
        COUNT_CHANGE(pool, connected, -1U);
        COUNT_CHANGE(pool, recycled, 1);
        lane->met_count = 0;
        lane_connect(lane);
    }
}

// ---- who goes next ----

// Until when a tenant waits for a connection that has met it: being met costs a backend more than a short wait. What
// its queries have waited one by one adds up, so that one who keeps its connections busy is met by one more after the
// other.
static int64_t patient_until_ms(const Pool *pool, const TenantQueue *queue)
{
    return queue->first->asked_at_ms + pool->options.patience_ms - queue->waited_ms;
}

// The queue whose turn it is at this connection, or NULL. Others' tenants come after its own, when it has met them, or
// when their patience is at its end.
static TenantQueue *turn_next(Pool *pool, Lane *lane, bool is_own)
{
    for (unsigned i = 0; i < pool->lane_count; i++) {
        Lane *owner = &pool->lanes[i];
        if ((owner == lane) != is_own)
            continue;
        while (owner->first_turn && !owner->first_turn->first)
            queue_retire(pool, turn_take(owner));
        TenantQueue *queue = owner->first_turn;
        if (queue && (is_own || lane_is_away(owner) || lane_has_met(lane, queue->tenant) ||
                      patient_until_ms(pool, queue) <= loop_now_ms(pool->loop)))
            return turn_take(owner);
    }
    return NULL;
}

// Its deadline passed while it waited.
static void query_overdue(Pool *pool, Query *query)
{
    error_set(&query->err, ERR_BUSY, "the shop is busy");
    error_why(&query->err, "no connection to the database was free for %lld ms", (long long)pool->options.timeout_ms);
    query_end(pool, query);
}

static void lane_serve(Lane *lane, bool is_own)
{
    Pool *pool = lane->pool;
    TenantQueue *queue;
    while (lane_is_idle(lane) && !lane_is_full(lane) && (queue = turn_next(pool, lane, is_own))) {
        Query *query = queue->first;
        query_remove(pool, query);
        if (query->deadline_ms > loop_now_ms(pool->loop)) {
            (void)lane_start(lane, query);    // a lane that is lost has dealt with it
        } else {
            turn_offer(pool, queue);
            query_overdue(pool, query);
        }
    }
}

static void patience_start(Pool *pool)
{
    int64_t until_ms = INT64_MAX;
    for (unsigned i = 0; i < pool->lane_count; i++) {
        const TenantQueue *queue = pool->lanes[i].first_turn;
        if (queue && queue->first)
            until_ms = MIN(until_ms, patient_until_ms(pool, queue));
    }
    timer_stop(pool->loop, &pool->patience);
    if (until_ms > loop_now_ms(pool->loop) && until_ms < INT64_MAX)
        timer_start(pool->loop, &pool->patience, until_ms - loop_now_ms(pool->loop));
}

static void pool_dispatch(Deferred *deferred)
{
    Pool *pool = container_of(deferred, Pool, dispatch);
    if (pool->is_down) {
        waiting_fail(pool);
        return;
    }
    for (unsigned i = 0; i < pool->lane_count; i++)
        lane_serve(&pool->lanes[i], true);
    for (unsigned i = 0; i < pool->lane_count; i++)
        lane_serve(&pool->lanes[i], false);
    patience_start(pool);
    pool_recycle(pool);
}

static void patience_due(Timer *timer)
{
    Pool *pool = container_of(timer, Pool, patience);
    loop_defer(pool->loop, &pool->dispatch);
}

static void query_due(Timer *timer)
{
    Query *query = container_of(timer, Query, timer);
    Pool *pool = query->pool;
    Error err = {0};
    if (query->is_running) {
        error_set(&err, ERR_UNREACHABLE, "the database doesn't answer");
        error_why(&err, "nothing came within %lld ms", (long long)pool->options.timeout_ms + GRACE_MS);
        query->was_tried = true;    // its time is up
        for (unsigned i = 0; i < pool->lane_count; i++)
            if (pool->lanes[i].query == query) {
                lane_lost(&pool->lanes[i], &err);
                return;
            }
    }
    query_remove(pool, query);
    query_overdue(pool, query);
}

void pool_query(Pool *pool, Query *query)
{
    query->pool = pool;
    query->queue = queue_find(pool, query->tenant);
    query->asked_at_ms = loop_now_ms(pool->loop);
    query->deadline_ms = query->asked_at_ms + pool->options.timeout_ms;
    query->timer.due = query_due;
    query_append(pool, query);
    timer_start(pool->loop, &query->timer, pool->options.timeout_ms);
    loop_defer(pool->loop, &pool->dispatch);
}

void pool_timeout_set(Pool *pool, int64_t timeout_ms) { pool->options.timeout_ms = timeout_ms; }

bool pool_is_up(const Pool *pool) { return __atomic_load_n(&pool->counts.connected, __ATOMIC_RELAXED) > 0; }

PoolCounts pool_counts(const Pool *pool)
{
    return (PoolCounts){
        .queries = __atomic_load_n(&pool->counts.queries, __ATOMIC_RELAXED),
        .failures = __atomic_load_n(&pool->counts.failures, __ATOMIC_RELAXED),
        .connects = __atomic_load_n(&pool->counts.connects, __ATOMIC_RELAXED),
        .recycled = __atomic_load_n(&pool->counts.recycled, __ATOMIC_RELAXED),
        .connected = __atomic_load_n(&pool->counts.connected, __ATOMIC_RELAXED),
        .waiting = __atomic_load_n(&pool->counts.waiting, __ATOMIC_RELAXED),
    };
}

bool pool_open(Loop *loop, const PoolOptions *options, Pool **out, Error *err)
{
    Arena *arena = arena_open(ARENA_BUDGET);
    Pool *pool = arena_new(arena, Pool);
    Lane *lanes = arena_array(arena, MAX(options->connections, 1U), Lane);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    *pool = (Pool){.loop = loop, .options = *options, .arena = arena, .lanes = lanes};
    pool->lane_count = MAX(options->connections, 1U);
    pool->dispatch.run = pool_dispatch;
    pool->patience.due = patience_due;
    for (unsigned i = 0; i < pool->lane_count; i++) {
        lanes[i].pool = pool;
        lanes[i].timer.due = lane_due;
        lane_connect(&lanes[i]);
    }
    *out = pool;
    return true;
}

void pool_close(Pool **pool)
{
    Pool *closed = *pool;
    if (!closed)
        return;
    *pool = NULL;
    closed->is_closing = true;
    Error stopping = {0};
    error_set(&stopping, ERR_UNREACHABLE, "the server is stopping");
    closed->down = stopping;
    for (unsigned i = 0; i < closed->lane_count; i++) {
        Lane *lane = &closed->lanes[i];
        if (lane->pipe)
            lane_lost(lane, &stopping);
        timer_stop(closed->loop, &lane->timer);
    }
    waiting_fail(closed);
    timer_stop(closed->loop, &closed->patience);
    Arena *arena = closed->arena;
    arena_close(&arena);
}
