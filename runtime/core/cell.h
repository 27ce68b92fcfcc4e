// runtime/core/cell.h: shopd's tie to its cell: login, secret, tenants, connections and pages of each thread.
#pragma once
#include "runtime/core/cache.h"
#include "runtime/core/pool.h"
#include "runtime/core/server.h"
#include "runtime/core/tenants.h"
#include "runtime/core/token.h"
#include "runtime/core/view.h"

typedef struct Cell Cell;

// What a thread has of its own: Thread's `shop`.
typedef struct CellThread {
    Cell *cell;
    Thread *thread;
    Pool *pool;
    Cache *cache;
    DirectoryView directory;
    TokenKey key;
    TokenSource tokens;
    const Theme *theme;
} CellThread;

static inline CellThread *cell_thread(const Request *r) { return r->thread->shop; }
// The thread that does this tenant's database work; the request's own until that one has started.
CellThread *cell_home(const Request *r);
// The thread after this one, round and round; NULL where that one doesn't serve yet, or is the same.
CellThread *cell_neighbour(const CellThread *thread);

// The server's hooks, but for error_page, which is the storefront's.
bool cell_start(Server *server, Error *err);
void cell_stop(Server *server);
bool cell_thread_start(Thread *thread, Error *err);
void cell_thread_stop(Thread *thread);
void cell_reload(Thread *thread);
bool cell_find_tenant(Thread *thread, Str host, TenantRef *out);
void cell_release_tenant(Thread *thread, const Tenant *tenant);
bool cell_ready(Server *server);
void cell_metrics(Thread *thread, StrBuf *out);

// The DSN to log in with: with the cell's own role, and with a socket directory that this process may enter (the
// sibling whose name ends in "-shopd" where it may not enter the one that is named). Fails with ERR_INVALID.
MUST_CHECK bool cell_dsn(Str dsn, Str role, Arena *arena, Str *out, Error *err);
