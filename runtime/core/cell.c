// runtime/core/cell.c: shopd's tie to its cell.
#include "runtime/core/cell.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/core/news.h"

enum {
    CELL_BUDGET = 16 * MIB,
    UNREACHABLE_MS = 5000,    // a database that is being restarted is waited for
    START_PAUSE_MS = 50,
    PATIENCE_MS = 200,    // some times what a backend needs to meet a tenant
};

// Something that each thread is told. It stays the cell's, since a thread that has ended runs no task.
typedef struct Announcement {
    Arena *arena;
    struct Announcement *next;
    Directory *directory;    // NULL: about a catalogue
    int64_t tenant;
    unsigned left;    // atomic: threads that haven't read it
    struct {
        Task task;
        CellThread *to;
        struct Announcement *of;
    } copies[];
} Announcement;
typedef __typeof__(((Announcement *)0)->copies[0]) AnnouncementCopy;

struct Cell {
    Arena *arena;
    Str dsn;
    TokenKey key;
    const Theme *theme;
    Directory *directory;        // the newest
    pthread_mutex_t starting;    // of `directory` and `threads`: a thread that starts misses no announcement
    unsigned thread_count;
    CellThread **threads;    // atomic: NULL until it has started
    News *news;              // atomic: of thread 0
    Announcement *announcements;
};

// ---- announcements, made on thread 0 ----

static void announcement_free(Announcement *old)
{
    directory_release(&old->directory);
    Arena *arena = old->arena;
    arena_close(&arena);
}

static void announcements_sweep(Cell *cell, bool is_all)
{
    Announcement **link = &cell->announcements;
    while (*link) {
        Announcement *old = *link;
        if (is_all || __atomic_load_n(&old->left, __ATOMIC_ACQUIRE) == 0) {
            *link = old->next;
            announcement_free(old);
        } else {
            link = &old->next;
        }
    }
}

static void announcement_read(Task *task)
{
    AnnouncementCopy *copy = container_of(task, AnnouncementCopy, task);
    Announcement *said = copy->of;
    CellThread *thread = copy->to;
    if (said->directory)
        directory_view_show(&thread->directory, said->directory);
    else
        cache_suspect(thread->cache, said->tenant);
    (void)__atomic_sub_fetch(&said->left, 1, __ATOMIC_RELEASE);
}

static void announce(Cell *cell, Directory *directory, int64_t tenant)
{
    announcements_sweep(cell, false);
    size_t size = sizeof(Announcement) + cell->thread_count * sizeof(AnnouncementCopy);
    Arena *arena = arena_open(size + KIB);
    Announcement *said = arena_bytes(arena, size);
    Error err = {0};
    if (!arena_ok(arena, &err)) {
        log_error("announcement_lost", &err);
        arena_close(&arena);
        return;
    }
    (void)pthread_mutex_lock(&cell->starting);
    if (directory) {
        directory_release(&cell->directory);
        cell->directory = directory_hold(directory);
    }
    *said = (Announcement){.arena = arena, .next = cell->announcements, .tenant = tenant};
    said->directory = directory ? directory_hold(directory) : NULL;
    cell->announcements = said;
    for (unsigned i = 0; i < cell->thread_count; i++) {
        CellThread *to = __atomic_load_n(&cell->threads[i], __ATOMIC_ACQUIRE);
        said->copies[i] = (AnnouncementCopy){.to = to, .of = said, .task.run = announcement_read};
        said->left += to != NULL;
    }
    (void)pthread_mutex_unlock(&cell->starting);
    for (unsigned i = 0; i < cell->thread_count; i++)
        if (said->copies[i].to)
            loop_post(said->copies[i].to->thread->loop, &said->copies[i].task);
}

static void directory_heard(void *context, Directory *directory) { announce(context, directory, 0); }
static void catalog_heard(void *context, int64_t tenant) { announce(context, NULL, tenant); }

// ---- the start ----

static bool is_enterable(Str directory, Arena *arena) { return access(str_copy(arena, directory).data, X_OK) == 0; }

bool cell_dsn(Str dsn, Str role, Arena *arena, Str *out, Error *err)
{
    Str host, database;
    if (!dsn_value(dsn, "host", arena, &host, err) || !dsn_value(dsn, "dbname", arena, &database, err))
        return false;
    Str login = role.len ? role : str_format(arena, "%.*s_shopd", STR_ARG(database));
    if (!dsn_with(dsn, "user", login, arena, out, err))
        return false;
    if (!str_has_prefix(host, S("/")) || is_enterable(host, arena))
        return true;
    Str sibling = str_format(arena, "%.*s-shopd", STR_ARG(host));
    return !is_enterable(sibling, arena) || dsn_with(*out, "host", sibling, arena, out, err);
}

static bool cell_read(Cell *cell, Db *db, Error *err)
{
    CLEANUP(rows_close) Rows *secret = NULL;
    CLEANUP(rows_close) Rows *tenants = NULL;
    if (!db_query(db, S("select cell.session_key()"), NO_PARAMS, &secret, err) ||
        !db_query(db, S("select * from cell.directory(null)"), NO_PARAMS, &tenants, err))
        return error_wrap(err, "the cell isn't ready for shopd");
    if (rows_count(secret) != 1 || rows_str(secret, 0, 0).len == 0)
        return error_set(err, ERR_STATE, "the cell has no session key");
    cell->key = token_key(rows_str(secret, 0, 0));
    return directory_build(NULL, 0, tenants, &cell->directory, err);
}

static bool cell_open_database(Cell *cell, int64_t timeout_ms, Error *err)
{
    for (int64_t from_ms = clock_ms();; clock_sleep_ms(START_PAUSE_MS)) {
        CLEANUP(db_close) Db *db = NULL;
        error_clear(err);
        *err = (Error){0};
        if (db_open(cell->dsn, &(DbOptions){.application = "shopd start"}, &db, err) && cell_read(cell, db, err))
            return true;
        int64_t patience_ms = err->code == ERR_UNREACHABLE ? MAX(timeout_ms, (int64_t)UNREACHABLE_MS) : timeout_ms;
        if (clock_ms() - from_ms >= patience_ms)
            return false;
    }
}

bool cell_start(Server *server, Error *err)
{
    const Settings *settings = server_settings(server);
    Arena *arena = arena_open(CELL_BUDGET);
    Cell *cell = arena_new(arena, Cell);
    unsigned count = server_thread_count(server);
    CellThread **threads = arena_array(arena, count, CellThread *);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    *cell = (Cell){.arena = arena, .starting = PTHREAD_MUTEX_INITIALIZER, .thread_count = count, .threads = threads};
    if (token_start(err) && cell_dsn(settings->cell, settings->role, arena, &cell->dsn, err) &&
        theme_open(arena, &cell->theme, err) && cell_open_database(cell, settings->start_timeout_ms, err)) {
        server_context_set(server, cell);
        server_limits_share(server, token_hash(&cell->key, S("rate limits")));    // the key tells cells apart
        return true;
    }
    directory_release(&cell->directory);
    theme_close(&cell->theme);
    arena_close(&arena);
    return false;
}

void cell_stop(Server *server)
{
    Cell *cell = server_context(server);
    announcements_sweep(cell, true);
    directory_release(&cell->directory);
    theme_close(&cell->theme);
    Arena *arena = cell->arena;
    arena_close(&arena);
}

static size_t cache_budget(const Thread *thread) { return (size_t)thread->settings->cache_bytes / thread->count; }

bool cell_thread_start(Thread *thread, Error *err)
{
    Cell *cell = server_context(thread->server);
    CellThread *own = arena_new(thread->arena, CellThread);
    if (!arena_ok(thread->arena, err))
        return false;
    *own = (CellThread){.cell = cell, .thread = thread, .key = cell->key, .theme = cell->theme};
    PoolOptions options = {
        .dsn = cell->dsn,
        .connections = (unsigned)MAX(thread->settings->connections / thread->count, (int64_t)1),
        .timeout_ms = thread->settings->database_timeout_ms,
        .patience_ms = PATIENCE_MS,
    };
    thread->shop = own;
    if (!cache_open(cache_budget(thread), &own->key, &own->cache, err) ||
        !pool_open(thread->loop, &options, &own->pool, err))
        return false;
    (void)pthread_mutex_lock(&cell->starting);
    directory_view_show(&own->directory, cell->directory);
    __atomic_store_n(&cell->threads[thread->number], own, __ATOMIC_RELEASE);
    (void)pthread_mutex_unlock(&cell->starting);
    if (thread->number > 0)
        return true;
    News *news = NULL;
    NewsReaders readers = {cell, directory_heard, catalog_heard};
    if (!news_open(thread->loop, cell->dsn, cell->directory, &readers, &news, err))
        return false;
    __atomic_store_n(&cell->news, news, __ATOMIC_RELEASE);
    return true;
}

void cell_thread_stop(Thread *thread)
{
    CellThread *own = thread->shop;
    if (!own)
        return;
    if (thread->number == 0) {
        News *news = __atomic_exchange_n(&own->cell->news, NULL, __ATOMIC_ACQ_REL);
        news_close(&news);
    }
    pool_close(&own->pool);
    cache_close(&own->cache);
    directory_view_close(&own->directory);
}

void cell_reload(Thread *thread)
{
    CellThread *own = thread->shop;
    cache_budget_set(own->cache, cache_budget(thread));
    pool_timeout_set(own->pool, thread->settings->database_timeout_ms);
}

// ---- tenants ----

bool cell_find_tenant(Thread *thread, Str host, TenantRef *out)
{
    CellThread *own = thread->shop;
    const Tenant *tenant = directory_view_find(&own->directory, host);
    if (!tenant)
        return false;
    *out = (TenantRef){
        .tenant = tenant,
        .number = tenant->number,
        .slug = tenant->slug,
        .refusal = tenant->refusal,
        .requests_per_second = tenant->requests_per_second,
        .requests_burst = tenant->requests_burst,
    };
    return true;
}

void cell_release_tenant(Thread *thread, const Tenant *tenant)
{
    CellThread *own = thread->shop;
    directory_view_release(&own->directory, tenant);
}

CellThread *cell_home(const Request *r)
{
    CellThread *own = cell_thread(r);
    Cell *cell = own->cell;
    CellThread *home =
        __atomic_load_n(&cell->threads[(uint64_t)r->tenant.number % cell->thread_count], __ATOMIC_ACQUIRE);
    return home ? home : own;
}

CellThread *cell_neighbour(const CellThread *thread)
{
    const Cell *cell = thread->cell;
    CellThread *next =
        __atomic_load_n(&cell->threads[(thread->thread->number + 1) % cell->thread_count], __ATOMIC_ACQUIRE);
    return next == thread ? NULL : next;
}

// Without the database, too: warm pages are served.
bool cell_ready(Server *server) { return server_context(server) != NULL; }

// ---- metrics ----

static void metric(StrBuf *out, const char *name, const char *type, const char *help, unsigned long long value)
{
    strbuf_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, value);
}

void cell_metrics(Thread *thread, StrBuf *out)
{
    CellThread *own = thread->shop;
    Cell *cell = own->cell;
    PoolCounts pool = {0};
    CacheCounts cache = {0};
    for (unsigned i = 0; i < cell->thread_count; i++) {
        CellThread *other = __atomic_load_n(&cell->threads[i], __ATOMIC_ACQUIRE);
        if (!other)
            continue;
        PoolCounts p = pool_counts(other->pool);
        CacheCounts c = cache_counts(other->cache);
        pool.queries += p.queries;
        pool.failures += p.failures;
        pool.connects += p.connects;
        pool.recycled += p.recycled;
        pool.connected += p.connected;
        pool.waiting += p.waiting;
        cache.hits += c.hits;
        cache.misses += c.misses;
        cache.evicted += c.evicted;
        cache.bytes += c.bytes;
    }
    metric(out, "shopd_queries_total", "counter", "Database calls that ended.", pool.queries);
    metric(out, "shopd_query_failures_total", "counter", "Database calls that failed.", pool.failures);
    metric(out, "shopd_database_connects_total", "counter", "Connections made to the database.", pool.connects);
    metric(out, "shopd_database_recycled_total", "counter", "Connections replaced after many tenants.", pool.recycled);
    metric(out, "shopd_database_connections", "gauge", "Connections to the database.", pool.connected);
    metric(out, "shopd_queries_waiting", "gauge", "Database calls that wait for a connection.", pool.waiting);
    metric(out, "shopd_cache_hits_total", "counter", "Pages answered from the cache.", cache.hits);
    metric(out, "shopd_cache_misses_total", "counter", "Pages that weren't in the cache.", cache.misses);
    metric(out, "shopd_cache_evicted_total", "counter", "Pages dropped for want of room.", cache.evicted);
    metric(out, "shopd_cache_bytes", "gauge", "Bytes of pages in the cache.", cache.bytes);
    News *news = __atomic_load_n(&cell->news, __ATOMIC_ACQUIRE);
    metric(out, "shopd_news_up", "gauge", "Whether changes of the cell are heard.", news && news_is_up(news));
    metric(out, "shopd_tenants", "gauge", "Shops in the directory.",
           own->directory.now.directory ? directory_count(own->directory.now.directory) : 0);
}
