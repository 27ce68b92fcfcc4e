// runtime/core/server.c: the process: threads, sockets, signals, drain.
#include "runtime/core/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/core/confine.h"
#include "runtime/core/connection.h"
#include "runtime/core/dispatch.h"
#include "runtime/core/listen.h"
#include "runtime/core/privileges.h"
#include "runtime/core/version.h"

enum {
    SERVER_BUDGET = 64 * MIB,
    THREAD_BUDGET = 512 * MIB,
    REQUEST_BUDGET = 8 * MIB,
    SETTINGS_BUDGET = 2 * MIB,
    STACK_BYTES = 512 * KIB,
    ROUTE_SETS_MAX = 16,
    FILES_MAX = 1048576,
};

// One per thread: what it is, and the tasks that others post to it.
typedef struct Runner {
    Thread thread;
    pthread_t pthread;
    bool is_started;
    Listening listening;
    Task drain;
    Task stop;
    Task reload;
    Error err;       // of its start
    bool was_cut;    // its drain took too long
} Runner;

struct Server {
    ServerOptions options;
    ServerHooks hooks;
    Arena *arena;
    Settings settings[2];    // the present ones and those being taken over
    Proxies proxies[2];      // of them
    Arena *settings_arenas[2];
    unsigned settings_now;
    atomic_uint settings_taken;    // by threads
    bool is_reload_due;            // SIGHUP came before all threads had taken over the last ones
    const Router *router;
    Limits *limits;
    Runner *runners;
    Metrics **metrics;
    unsigned count;
    unsigned port;
    int signals;    // signalfd; -1 when embedded
    int wake;       // eventfd: server_stop, and a thread that has started or failed
    atomic_uint started;
    atomic_uint serving;    // threads that have begun and aren't drained
    atomic_bool is_stopping;
    void *context;
};

unsigned server_port(const Server *server) { return server->port; }
unsigned server_thread_count(const Server *server) { return server->count; }
Thread *server_thread(Server *server, unsigned number) { return &server->runners[number].thread; }
const Settings *server_settings(const Server *server) { return &server->settings[server->settings_now]; }
const Router *server_router(const Server *server) { return server->router; }
const ServerHooks *server_hooks(const Server *server) { return &server->hooks; }
void server_context_set(Server *server, void *context) { server->context = context; }
void *server_context(const Server *server) { return server->context; }

static void wake(Server *server)
{
    ssize_t written = write(server->wake, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;    // it can only be full, and then it wakes, too
}

// Until wake, a signal, or for no reason: who calls looks again.
static void wake_await(Server *server)
{
    struct pollfd fds[] = {{.fd = server->wake, .events = POLLIN}, {.fd = server->signals, .events = POLLIN}};
    (void)poll(fds, COUNT(fds), -1);
    uint64_t count;
    ssize_t got = read(server->wake, &count, sizeof(count));
    (void)got;    // there may be nothing to read
}

void server_stop(Server *server)
{
    atomic_store(&server->is_stopping, true);
    wake(server);
}

// ---- a thread ----

static void stop_run(Task *task) { loop_stop(container_of(task, Runner, stop)->thread.loop); }

// One that has no requests left may be the home of a tenant whose request another one still has: all end together.
static void thread_drained(Thread *thread)
{
    Server *server = thread->server;
    if (atomic_fetch_sub(&server->serving, 1) > 1)
        return;
    for (unsigned i = 0; i < server->count; i++)
        if (server->runners[i].is_started)
            loop_post(server->runners[i].thread.loop, &server->runners[i].stop);
}

static void drain_run(Task *task)
{
    Runner *runner = container_of(task, Runner, drain);
    clients_drain(runner->thread.clients);
}

static void reload_run(Task *task)
{
    Runner *runner = container_of(task, Runner, reload);
    Server *server = runner->thread.server;
    runner->thread.settings = &server->settings[server->settings_now];
    runner->thread.proxies = &server->proxies[server->settings_now];
    if (server->hooks.reload)
        server->hooks.reload(&runner->thread);
    if (atomic_fetch_add(&server->settings_taken, 1) + 1 == server->count)
        wake(server);
}

static void pin(unsigned number)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(number % (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), &cores);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
}

static bool thread_begin(Runner *runner, Error *err)
{
    Thread *thread = &runner->thread;
    if (thread->settings->pin)
        pin(thread->number);
    if (!access_open(thread->loop, STDERR_FILENO, thread->metrics, thread->arena, &thread->access, err) ||
        !clients_open(thread, thread_drained, &thread->clients, err))
        return false;
    if (thread->server->hooks.thread_start && !thread->server->hooks.thread_start(thread, err))
        return false;
    Listening *listening = &runner->listening;
    while (listening->count > 0) {
        if (!clients_listen(thread->clients, listening->sockets[listening->count - 1], listening->is_shared, err))
            return false;
        listening->count--;
    }
    return true;
}

static void *thread_main(void *argument)
{
    Runner *runner = argument;
    Thread *thread = &runner->thread;
    Server *server = thread->server;
    bool ok = thread_begin(runner, &runner->err);
    if (ok)
        atomic_fetch_add(&server->serving, 1);
    atomic_fetch_add(&server->started, 1);
    wake(server);
    if (ok)
        loop_run(thread->loop);
    runner->was_cut = ok && clients_were_cut(thread->clients);
    if (ok && server->hooks.thread_stop)
        server->hooks.thread_stop(thread);
    clients_close(&thread->clients);
    if (thread->access)
        access_flush(thread->access);
    return NULL;
}

// What a thread has of its own is made before any thread runs, since they post tasks to each other.
static bool runner_open(Server *server, Runner *runner, unsigned number, Error *err)
{
    Thread *thread = &runner->thread;
    runner->drain.run = drain_run;
    runner->stop.run = stop_run;
    runner->reload.run = reload_run;
    *thread = (Thread){
        .server = server,
        .settings = server_settings(server),
        .hooks = &server->hooks,
        .router = server->router,
        .proxies = &server->proxies[0],
        .limits = server->limits,
        .number = number,
        .count = server->count,
        .arena = arena_open(THREAD_BUDGET),
        .request_budget = server->options.request_budget ? server->options.request_budget : REQUEST_BUDGET,
    };
    if (getrandom(&thread->id_seed, sizeof(thread->id_seed), 0) != sizeof(thread->id_seed))
        thread->id_seed = (uint64_t)clock_us() * (number + 1);
    if (!loop_open(thread->arena, &thread->loop, err) || !metrics_open(&thread->metrics, err))
        return false;
    server->metrics[number] = thread->metrics;
    return true;
}

// ---- opening ----

static unsigned thread_count(const Settings *settings)
{
    cpu_set_t cores;
    if (settings->threads > 0)
        return (unsigned)settings->threads;
    return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? (unsigned)MAX(CPU_COUNT(&cores), 1) : 1;
}

static void files_raise(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = MIN(files.rlim_max, (rlim_t)FILES_MAX);
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static bool sockets_open(Server *server, Error *err)
{
    Listening first;
    listen_inherited(&first);
    bool is_inherited = first.count > 0;
    first.is_shared = is_inherited;
    if (!is_inherited && !listen_open(server_settings(server)->listen, &first, err))
        return false;
    server->port = listen_port(&first);
    server->runners[0].listening = first;
    for (unsigned i = 1; i < server->count; i++) {
        Listening *more = &server->runners[i].listening;
        if (!is_inherited) {
            if (!listen_again(&first, more, err))
                return false;
            continue;
        }
        more->is_shared = true;
        for (; more->count < first.count; more->count++)    // inherited ones are shared
            more->sockets[more->count] = dup(first.sockets[more->count]);
    }
    return true;
}

static bool signals_open(Server *server, Error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return error_set(err, ERR_FAILED, "signals can't be blocked");
    server->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return server->signals >= 0 || error_from_errno(err, errno, "signals can't be read");
}

static bool router_open(Server *server, Error *err)
{
    RouteSet sets[ROUTE_SETS_MAX] = {ROUTES_CORE};
    assert(server->options.route_set_count < ROUTE_SETS_MAX);
    for (size_t i = 0; i < server->options.route_set_count; i++)
        sets[i + 1] = server->options.routes[i];
    return router_make(sets, server->options.route_set_count + 1, server_settings(server)->modules, server->arena,
                       &server->router, err);
}

static bool threads_start(Server *server, Error *err)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool ok = true;
    for (unsigned i = 0; ok && i < server->count; i++) {
        int failed = pthread_create(&server->runners[i].pthread, &attributes, thread_main, &server->runners[i]);
        server->runners[i].is_started = failed == 0;
        ok = failed == 0 || error_from_errno(err, failed, "a thread can't be started");
    }
    (void)pthread_attr_destroy(&attributes);
    while (ok && atomic_load(&server->started) < server->count)
        wake_await(server);
    for (unsigned i = 0; ok && i < server->count; i++)
        if (server->runners[i].err.code != ERR_NONE) {
            *err = server->runners[i].err;
            ok = false;
        }
    return ok;
}

static bool server_begin(Server *server, Error *err)
{
    const Settings *settings = server_settings(server);
    server->count = thread_count(settings);
    atomic_store(&server->settings_taken, server->count);
    server->runners = arena_array(server->arena, server->count, Runner);
    server->metrics = arena_array(server->arena, server->count, Metrics *);
    if (!arena_ok(server->arena, err))
        return false;
    files_raise();
    if (!router_open(server, err) ||
        !proxies_read(settings->trusted_proxies, server->arena, &server->proxies[0], err) ||
        !limits_open(&server->limits, err) || !sockets_open(server, err))
        return false;
    if (!server->options.is_embedded &&
        (!signals_open(server, err) || !privileges_drop(settings->user, err) || !confine(err)))
        return false;
    for (unsigned i = 0; i < server->count; i++)
        if (!runner_open(server, &server->runners[i], i, err))
            return false;
    if (server->hooks.start && !server->hooks.start(server, err))
        return false;
    return threads_start(server, err);
}

bool server_open(const ServerOptions *options, Server **out, Error *err)
{
    Arena *arena = arena_open(SERVER_BUDGET);
    Server *server = arena_new(arena, Server);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    server->arena = arena;
    server->options = *options;
    server->settings[0] = *options->settings;
    if (options->hooks)
        server->hooks = *options->hooks;
    server->signals = -1;
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0)
        error_from_errno(err, errno, "an event can't be made");
    if (server->wake < 0 || !server_begin(server, err)) {
        server_close(&server);
        return false;
    }
    if (!options->is_embedded)
        service_notify(S("READY=1"));
    *out = server;
    return true;
}

// ---- running ----

static bool settings_read(Server *server, Arena *arena, unsigned next, Error *err)
{
    Str changed, waiting;
    Settings settings;
    const Settings *running = server_settings(server);
    if (!server->options.reread(arena, &settings, err))
        return false;
    shopd_settings_renew(&settings, running, arena, &changed, &waiting);
    StrBuf fields = {.arena = arena};
    log_field_str(&fields, "changed", changed);
    log_field_str(&fields, "waits_for_restart", waiting);
    if (!proxies_read(settings.trusted_proxies, arena, &server->proxies[next], err) || !arena_ok(arena, err))
        return false;
    log_level_set(MIN(shopd_settings_log_level(running), shopd_settings_log_level(&settings)));
    log_line(LOG_INFO, "reloaded", strbuf_str(&fields));
    log_level_set(shopd_settings_log_level(&settings));
    server->settings[next] = settings;
    return true;
}

// SIGHUP. New settings take the other place, which no thread reads once all have taken over the last ones.
static void settings_reread(Server *server)
{
    Error err = {0};
    unsigned next = 1 - server->settings_now;
    server->is_reload_due = atomic_load(&server->settings_taken) < server->count;
    if (!server->options.reread || server->is_reload_due)
        return;
    if (server->settings_arenas[next])
        arena_close(&server->settings_arenas[next]);
    Arena *arena = server->settings_arenas[next] = arena_open(SETTINGS_BUDGET);
    if (!settings_read(server, arena, next, &err)) {
        log_error("reload_failed", &err);
        return;
    }
    server->settings_now = next;
    atomic_store(&server->settings_taken, 0);
    for (unsigned i = 0; i < server->count; i++)
        loop_post(server->runners[i].thread.loop, &server->runners[i].reload);
}

// Reads what has come; true: it is time to stop.
static bool signals_read(Server *server)
{
    struct signalfd_siginfo signal;
    while (server->signals >= 0 && read(server->signals, &signal, sizeof(signal)) == sizeof(signal)) {
        if (signal.ssi_signo == SIGHUP)
            server->is_reload_due = true;
        else
            atomic_store(&server->is_stopping, true);
    }
    if (server->is_reload_due)
        settings_reread(server);
    return atomic_load(&server->is_stopping);
}

// Those that still run look at who was started (thread_drained), so that it changes when none does.
static void threads_join(Server *server)
{
    for (unsigned i = 0; i < server->count; i++)
        if (server->runners[i].is_started)
            (void)pthread_join(server->runners[i].pthread, NULL);
    for (unsigned i = 0; i < server->count; i++)
        server->runners[i].is_started = false;
}

static void threads_drain(Server *server)
{
    for (unsigned i = 0; i < server->count; i++)
        if (server->runners[i].is_started)
            loop_post(server->runners[i].thread.loop, &server->runners[i].drain);
    threads_join(server);
}

bool server_wait(Server *server)
{
    while (!signals_read(server))
        wake_await(server);
    if (!server->options.is_embedded) {
        service_notify(S("STOPPING=1"));
        log_line(LOG_INFO, "draining", S(""));
    }
    threads_drain(server);
    bool was_cut = false;
    for (unsigned i = 0; i < server->count; i++)
        was_cut |= server->runners[i].was_cut;
    return !was_cut;
}

void server_close(Server **server)
{
    if (!*server)
        return;
    Server *closed = TAKE(*server);
    if (closed->runners)
        threads_drain(closed);
    if (closed->hooks.stop && closed->context)
        closed->hooks.stop(closed);
    for (unsigned i = 0; closed->runners && i < closed->count; i++) {
        Runner *runner = &closed->runners[i];
        listen_close(&runner->listening);
        loop_close(&runner->thread.loop);
        metrics_close(&runner->thread.metrics);
        if (runner->thread.arena)
            arena_close(&runner->thread.arena);
    }
    limits_close(&closed->limits);
    fd_close(&closed->signals);
    fd_close(&closed->wake);
    for (size_t i = 0; i < COUNT(closed->settings_arenas); i++)
        if (closed->settings_arenas[i])
            arena_close(&closed->settings_arenas[i]);
    Arena *arena = closed->arena;
    arena_close(&arena);
}

void server_limits_share(Server *server, uint64_t id)
{
    Error err = {0};
    if (!server->options.is_embedded && !limits_share(server->limits, id, &err))
        log_error("limits_not_shared", &err);
}

void server_metrics_write(Thread *thread, StrBuf *out)
{
    Server *server = thread->server;
    metrics_write(server->metrics, server->count, out);
    metrics_write_head(out, "shopd_threads", "gauge", "Threads that serve.");
    metrics_write_sample(out, "shopd_threads", S(""), server->count);
    metrics_write_head(out, "shopd_info", "gauge", "This shopd; the value is always 1.");
    metrics_write_sample(out, "shopd_info", str_format(out->arena, "version=\"%s\"", SHOPD_VERSION), 1);
    if (server->hooks.metrics)
        server->hooks.metrics(thread, out);
}
