// runtime/core/server.h: shopd as a process: threads, listeners, signals, the life from start to drain.
#pragma once
#include "runtime/core/access.h"
#include "runtime/core/limit.h"
#include "runtime/core/loop.h"
#include "runtime/core/metrics.h"
#include "runtime/core/peer.h"
#include "runtime/core/request.h"
#include "runtime/core/settings.h"
#include "runtime/core/stamp.h"

typedef struct Server Server;
typedef struct Clients Clients;    // a thread's connections: runtime/core/connection.h

// One thread of the server. Threads share nothing that changes, but for rings, rate limits (atomic) and immutable
// snapshots.
struct Thread {
    Server *server;
    const Settings *settings;    // replaced between two turns when they are read again
    const struct ServerHooks *hooks;
    const Router *router;
    const Proxies *proxies;
    Limits *limits;
    unsigned number;    // 0 ... count - 1
    unsigned count;
    Loop *loop;
    Arena *arena;    // as long as the thread
    size_t request_budget;
    Metrics *metrics;
    AccessLog *access;
    Clients *clients;
    Stamp stamp;         // as of this turn
    uint64_t id_seed;    // of request ids
    void *shop;          // of the hooks: pool, page cache
};

// What the layers above give to the server. Any may be NULL.
typedef struct ServerHooks {
    // Once, before the threads, with the rights of the user that shopd runs as (the listeners are bound);
    // server_context_set is for it.
    bool (*start)(Server *server, Error *err);
    void (*stop)(Server *server);    // after the last thread has ended
    // On each thread, before it accepts and after its last request.
    bool (*thread_start)(Thread *thread, Error *err);
    void (*thread_stop)(Thread *thread);
    // The tenant of a host name (small letters, no port, no trailing dot), held; false: unknown, answered by a 404 that
    // names no tenant. Without this hook there are no tenants, and routes answer on any host.
    bool (*find_tenant)(Thread *thread, Str host, TenantRef *out);
    void (*release_tenant)(Thread *thread, const Tenant *tenant);
    // Answers (respond_*) for an error outside of /api/; false: core's plain page. `faults` may be NULL.
    bool (*error_page)(Request *r, const Error *err, const Faults *faults);
    // Whether /readyz says 200. Called on any thread.
    bool (*ready)(Server *server);
    // SIGHUP, on each thread: its settings are new ones.
    void (*reload)(Thread *thread);
    // More lines for /metrics, on the scraping thread; reads other threads' counters as atomics.
    void (*metrics)(Thread *thread, StrBuf *out);
} ServerHooks;

typedef struct ServerOptions {
    const Settings *settings;
    const ServerHooks *hooks;
    const RouteSet *routes;    // beside core's own
    size_t route_set_count;
    size_t request_budget;    // of a request's arena; 0: 8 MiB
    bool is_embedded;         // in a test: no signals, no change of user; ends by server_stop
    // SIGHUP: reads the settings again, into `arena`; NULL: they stay. Those of a running server keep their place.
    bool (*reread)(Arena *arena, Settings *out, Error *err);
} ServerOptions;

// Binds, drops privileges, runs the start hook, starts the threads and returns when all of them accept. Fails with
// ERR_USAGE (an address), ERR_EXISTS (in use), ERR_FORBIDDEN or what a hook says.
MUST_CHECK bool server_open(const ServerOptions *options, Server **out, Error *err);
// Waits for SIGTERM or SIGINT (or server_stop), drains, ends the threads. True: all that was under way was answered.
bool server_wait(Server *server);
void server_stop(Server *server);    // begins the drain; from any thread
void server_close(Server **server);

unsigned server_port(const Server *server);    // of the first listener
unsigned server_thread_count(const Server *server);
Thread *server_thread(Server *server, unsigned number);    // for posting to its loop; the rest of it belongs to itself
const Settings *server_settings(const Server *server);
const Router *server_router(const Server *server);
const ServerHooks *server_hooks(const Server *server);
// In the start hook: rates hold for all processes with this id on this machine together. Where that can't be had, it is
// logged, and they hold for this process.
void server_limits_share(Server *server, uint64_t id);
void server_metrics_write(Thread *thread, StrBuf *out);    // of all threads, and of the hooks
void server_context_set(Server *server, void *context);    // in the start hook
void *server_context(const Server *server);
