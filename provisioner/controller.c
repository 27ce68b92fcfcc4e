// provisioner/controller.c: the loop that goes on with what others left, keeps spares, and removes what has had its
// time.
#include "provisioner/controller.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "provisioner/cell.h"
#include "provisioner/dump.h"
#include "provisioner/gateway_watch.h"
#include "provisioner/host_watch.h"
#include "provisioner/operation.h"
#include "provisioner/spare.h"

enum {
    ROUND_MS = 1000,            // between two looks
    TIDY_MS = 60 * 1000,        // between two looks for what has had its time
    SPARE_PAUSE_MS = 500,       // between two spares: each drops the plans that the cell's connections keep
    RECONNECT_FIRST_MS = 50,    // doubled with each failure in a row
    RECONNECT_MAX_MS = 5000,
    LINE_BUDGET = 4 * KIB,
};

static atomic_bool is_stopping;

static void stop(int signal)
{
    (void)signal;
    is_stopping = true;
}

// Abandoned operations, one after the other. One that fails again has its error in its record; the others go on.
static bool operations_adopt(Platform *platform, Error *err)
{
    int64_t id = 0;
    do {
        if (operation_adopt(platform, &id, err))
            continue;
        if (id == 0)
            return false;
        log_error("operation_failed", err);
        error_clear(err);
    } while (id != 0 && !is_stopping);
    return true;
}

// Spares in every cell, and with `is_tidy` nothing that has had its time.
static bool cells_keep(Platform *platform, bool is_tidy, Error *err)
{
    CLEANUP(json_close) Json *cells = NULL;
    if (!cell_list(platform, &cells, err))
        return false;
    const Json *items = json_get(cells, "items");
    for (size_t i = 0; i < json_count(items) && !is_stopping; i++) {
        size_t made = 0;
        const Json *cell = json_element(items, i);
        Str name = json_str(json_get(cell, "name"));
        bool is_full = json_int64(json_get(cell, "spares")) == 0;    // one of its own: nothing to look for each time
        if (!str_eq(json_str(json_get(cell, "state")), S("open")) || (is_full && !is_tidy))
            continue;
        if (!spares_fill(platform, name, SPARE_PAUSE_MS, &made, err) || (is_tidy && !cell_tidy(platform, name, err))) {
            log_error("cell_failed", err);    // this cell is away; the others need theirs
            error_clear(err);
        }
    }
    return true;
}

// *wait_ms, how long to wait after a failure, is the first wait again once a whole round was done.
static bool rounds_run(Platform *platform, int64_t *wait_ms, Error *err)
{
    int64_t tidy_due_ms = 0;
    while (!is_stopping) {
        bool is_tidy = clock_ms() >= tidy_due_ms;
        size_t removed = 0;
        if (!operations_adopt(platform, err) || !cells_keep(platform, is_tidy, err) ||
            (is_tidy && !dumps_expire(platform, &removed, err)))
            return false;
        if (is_tidy)
            tidy_due_ms = clock_ms() + TIDY_MS;
        *wait_ms = RECONNECT_FIRST_MS;
        clock_sleep_unless(&is_stopping, ROUND_MS);
    }
    return true;
}

// What goes on beside the rounds, since it may have to wait for something that is away.
typedef void Watch(const Settings *settings, const atomic_bool *is_stopping);
static Watch *const WATCHES[] = {host_watch, gateway_watch};

typedef struct WatchThread {
    Watch *watch;
    const Settings *settings;
    pthread_t thread;
} WatchThread;

static void *watch_run(void *context)
{
    const WatchThread *thread = context;
    thread->watch(thread->settings, &is_stopping);
    return NULL;
}

static void watches_stop(WatchThread *threads, size_t count)
{
    is_stopping = true;
    for (size_t i = 0; i < count; i++)
        (void)pthread_join(threads[i].thread, NULL);
}

static bool watches_start(const Settings *settings, WatchThread threads[COUNT(WATCHES)], Error *err)
{
    for (size_t i = 0; i < COUNT(WATCHES); i++) {
        threads[i] = (WatchThread){.watch = WATCHES[i], .settings = settings};
        int number = pthread_create(&threads[i].thread, NULL, watch_run, &threads[i]);
        if (number == 0)
            continue;
        watches_stop(threads, i);
        return error_from_errno(err, number, "the controller can't start a thread");
    }
    return true;
}

static void warned(void *context, const char *text)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LINE_BUDGET);
    StrBuf fields = {.arena = arena};
    (void)context;
    log_field_str(&fields, "what", str_of(text));
    log_line(LOG_WARNING, "operator_warned", strbuf_str(&fields));
}

static void wait_log(int64_t wait_ms)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LINE_BUDGET);
    StrBuf fields = {.arena = arena};
    log_field_int(&fields, "wait_ms", wait_ms);
    log_line(LOG_INFO, "controller_waits", strbuf_str(&fields));
}

bool controller_run(const Settings *settings, Error *err)
{
    const struct sigaction action = {.sa_handler = stop};
    if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0)
        return error_set(err, ERR_FAILED, "the controller can't take signals");
    log_line(LOG_INFO, "controller_started", S(""));
    WatchThread threads[COUNT(WATCHES)];
    if (!watches_start(settings, threads, err))
        return false;
    for (int64_t wait_ms = RECONNECT_FIRST_MS; !is_stopping;) {
        CLEANUP(platform_close) Platform *platform = NULL;
        if (platform_open(settings, &platform, err)) {
            platform_warned(platform, warned, NULL);
            if (rounds_run(platform, &wait_ms, err))
                break;
        }
        log_error("platform_unreachable", err);
        error_clear(err);
        wait_log(wait_ms);
        clock_sleep_unless(&is_stopping, wait_ms);
        wait_ms = MIN(wait_ms * 2, (int64_t)RECONNECT_MAX_MS);
    }
    watches_stop(threads, COUNT(threads));
    log_line(LOG_INFO, "controller_stopped", S(""));
    return true;
}
