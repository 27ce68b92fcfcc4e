// provisioner/installation.c: takes a platform down, and says what runs of it.
#include "provisioner/installation.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pg.h"
#include "provisioner/address.h"
#include "provisioner/cell.h"
#include "provisioner/cluster.h"
#include "provisioner/running.h"
#include "provisioner/supervisor.h"

enum {
    BUDGET = 64 * MIB,
    LOCK_TIMEOUT_MS = 180000,
    SETTLE_MS = 5000,
    STEP_MS = 10,
    SUPERVISOR_GRACE_MS = 70000,    // beside the gateway's and shopd's time: PostgreSQL's
};

// ---- down ----

typedef struct Stopped {
    Json *names;
    bool ok;
} Stopped;

static void note_stopped(void *context, const Service *service, int pid)
{
    Stopped *stopped = context;
    (void)pid;
    stopped->ok = stopped->ok && json_append(stopped->names, json_from_str(service->name));
}

// One that was forked just now may not have said yet who it is; the lock tells that there is one.
static bool supervisor_settle(const Place *place, Error *err)
{
    for (int64_t deadline_ms = clock_ms() + SETTLE_MS;; clock_sleep_ms(STEP_MS)) {
        CLEANUP(process_close) Process process;
        CLEANUP(fd_close) int lock = -1;
        Error held = {0};
        if (!supervisor_open(place, &process, err))
            return false;
        if (process.pid || place_lock(place, SUPERVISOR_LOCK, 0, &lock, &held))
            return true;
        if (held.code != ERR_BUSY || clock_ms() >= deadline_ms) {
            *err = held;
            return false;
        }
    }
}

// What another user runs is his to stop: his sockets and his rights are others than ours.
bool installation_owner_check(const Place *place, Error *err)
{
    struct stat about;
    if (stat(place->run.data, &about) != 0 || about.st_uid == geteuid())
        return true;
    error_set(err, ERR_FORBIDDEN, "the platform in '%.*s' is another user's", STR_ARG(place->data));
    error_why(err, "user %u started it", (unsigned)about.st_uid);
    return error_next(err, "run shopctl as that user");
}

// A supervisor that is told to stops all it knows; what it leaves, or nobody supervised, is stopped here.
bool installation_stop(const Launch *launch, Json **out, Error *err)
{
    const Place *place = &launch->place;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running running = {0};
    CLEANUP(running_close) Running left = {0};
    CLEANUP(json_close) Json *names = json_build("[]");
    Stopped stopped = {.names = names, .ok = names != NULL};
    if (!supervisor_settle(place, err) || !place_record_read(place, &record, err) ||
        !running_open(place, record, arena, &running, err))
        return false;
    bool had_supervisor = running.supervisor.pid != 0;
    if (had_supervisor) {
        (void)process_stop(&running.supervisor, SIGTERM, 2 * launch->stop_timeout_ms + SUPERVISOR_GRACE_MS);
        for (size_t i = running.count; i-- > 0;)
            if (running.services[i].process.pid && !is_process_alive(&running.services[i].process))
                note_stopped(&stopped, &running.services[i], running.services[i].process.pid);
    }
    if (!running_open(place, record, arena, &left, err) ||
        !services_stop(launch, left.services, left.count, note_stopped, &stopped, err))
        return false;
    if (had_supervisor)
        stopped.ok = stopped.ok && json_append(names, json_from_str(S("supervisor")));
    place_clear(place);
    Json *answer = stopped.ok ? json_build("{s:b, s:O}", "changed", json_count(names) > 0, "stopped", names) : NULL;
    if (!json_ok(answer, err))
        return false;
    *out = answer;
    return true;
}

bool installation_down(const InstallationOptions *options, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(fd_close) int lock = -1;
    Launch launch = {.stop_timeout_ms = setting_int(options->settings, "stop_timeout_s") * 1000};
    if (!launch_place(options->settings, arena, &launch.place, err))
        return false;
    if (!file_exists(launch.place.run)) {    // it never ran here
        Json *answer = json_build("{s:b, s:[]}", "changed", 0, "stopped");
        if (!json_ok(answer, err))
            return false;
        *out = answer;
        return true;
    }
    return installation_owner_check(&launch.place, err) &&
           place_lock(&launch.place, "up.lock", LOCK_TIMEOUT_MS, &lock, err) && installation_stop(&launch, out, err);
}

// ---- status ----

// The cells as the databases say, else as they were known.
static Json *cells_now(const InstallationOptions *options, const Json *record, bool may_answer)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *list = NULL;
    Error unreachable = {0};
    if (may_answer && platform_open(options->settings, &platform, &unreachable) &&
        cell_list(platform, &list, &unreachable))
        return json_hold((Json *)json_get(list, "items"));
    const Json *known = json_get(record, "cells");
    return known ? json_hold((Json *)known) : json_build("[]");
}

static Json *processes_list(const Running *running)
{
    Json *list = json_build("[]");
    bool ok = list != NULL;
    if (ok && running->supervisor.pid)
        ok = json_append(list, json_build("{s:s, s:i}", "name", "supervisor", "pid", running->supervisor.pid));
    for (size_t i = 0; i < running->count && ok; i++)
        if (running->services[i].process.pid)
            ok = json_append(list, json_build("{s:s%, s:i}", "name", running->services[i].name.data,
                                              running->services[i].name.len, "pid", running->services[i].process.pid));
    if (!ok)
        json_close(&list);
    return list;
}

// The names of what should run and doesn't; nothing is missing of a platform that is stopped.
static Json *missing_list(const Running *running)
{
    Json *list = json_build("[]");
    bool ok = list != NULL, is_stopped = running->alive == 0 && !running->supervisor.pid;
    if (ok && !is_stopped && !running->supervisor.pid)
        ok = json_append(list, json_from_str(S("supervisor")));
    for (size_t i = 0; i < running->count && ok && !is_stopped; i++)
        if (!running->services[i].process.pid)
            ok = json_append(list, json_from_str(running->services[i].name));
    if (!ok)
        json_close(&list);
    return list;
}

bool installation_status(const InstallationOptions *options, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running running = {0};
    Place place;
    Error ignored = {0};
    if (!launch_place(options->settings, arena, &place, err) || !place_record_read(&place, &record, err) ||
        !running_open(&place, record, arena, &running, err))
        return false;
    size_t alive = running.alive + (running.supervisor.pid != 0);
    const char *state = alive == 0 ? "stopped" : record && alive == running.count + 1 ? "running" : "partly";
    Str listen = json_str(json_get(record, "listen")), dsn = json_str(json_get(json_get(record, "control"), "dsn"));
    Str url = S("");
    if (listen.len && !address_url(listen, arena, &url, &ignored))
        error_clear(&ignored);
    if (!place.is_embedded && !dsn_public(setting_text(options->settings, "control_dsn"), arena, &dsn, err))
        return false;
    Json *answer = json_build("{s:s, s:s%, s:s%, s:{s:s%}}", "state", state, "data", place.data.data, place.data.len,
                              "url", url.data, url.len, "control", "dsn", dsn.len ? dsn.data : "", dsn.len);
    if (!answer || !json_put(answer, "cells", cells_now(options, record, alive > 0 || !place.is_embedded)) ||
        !json_put(answer, "shopd", services_shopd_list(&place, record)) ||
        !json_put(answer, "processes", processes_list(&running)) ||
        !json_put(answer, "missing", missing_list(&running)))
        json_close(&answer);
    if (!json_ok(answer, err))
        return false;
    *out = answer;
    return true;
}
