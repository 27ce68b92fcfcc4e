// provisioner/installation_up.c: brings a platform up on this machine.
#include "provisioner/installation.h"

#include <errno.h>
#include <fcntl.h>
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
#include "provisioner/installation_gateway.h"
#include "provisioner/platform.h"
#include "provisioner/running.h"
#include "provisioner/server.h"
#include "provisioner/shopd_login.h"
#include "provisioner/supervisor.h"

enum {
    BUDGET = 64 * MIB,
    SCRATCH_BUDGET = 4 * MIB,
    LOCK_TIMEOUT_MS = 180000,
    SUPERVISOR_LOCK_MS = 5000,
    STEP_MS = 10,
    PROBE_TIMEOUT_MS = 1000,
    STEADY_MS = 150,    // the controller has nothing to be asked; one that fails at its start ends sooner
    TAIL_LINES = 6,
};

static const char FIRST_CELL[] = "main";
static const char EMBEDDED[] = "embedded", EXISTING[] = "existing";    // "server" of the record

typedef struct Installation {
    const InstallationOptions *options;
    Arena *arena;
    Launch launch;
    Str control_dsn;
    Str control_shown;    // without a password
    Str listen;
    InstallationGateway gateway;
    int64_t deadline_ms;
    bool must_prepare;    // something didn't run, so the databases may be of an older version
} Installation;

static void say(const Installation *in, const char *text)
{
    if (in->options->say && text)
        in->options->say(in->options->context, text);
}

static void warned(void *context, const char *text)
{
    const Installation *in = context;
    say(in, str_format(in->arena, "warning: %s", text).data);
}

// ---- up: the supervisor ----

// Puts the descriptors that a supervisor keeps at the first places after its streams; the others are closed.
static bool descriptors_keep(int lock_fd, Listeners *listeners)
{
    enum { LOCK = STDERR_FILENO + 1, ABOVE = LOCK + 1 + LISTENERS_MAX };
    int above[LISTENERS_MAX] = {0}, lock_above = fcntl(lock_fd, F_DUPFD_CLOEXEC, ABOVE);
    bool ok = lock_above >= 0;
    for (size_t i = 0; i < listeners->count; i++)
        ok = ok && (above[i] = fcntl(listeners->sockets[i], F_DUPFD_CLOEXEC, ABOVE)) >= 0;
    ok = ok && dup3(lock_above, LOCK, O_CLOEXEC) >= 0;
    for (size_t i = 0; i < listeners->count; i++) {
        listeners->sockets[i] = LOCK + 1 + (int)i;
        ok = ok && dup3(above[i], listeners->sockets[i], O_CLOEXEC) >= 0;
    }
    return ok && close_range(LOCK + 1 + (unsigned)listeners->count, ~0U, 0) == 0;
}

static _Noreturn void supervisor_child(const Installation *in, int lock_fd)
{
    Launch launch = in->launch;
    Str log = place_path(in->arena, in->launch.place.log, "supervisor.log");
    int log_fd = log.len ? open(log.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640) : -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool ok = log_fd >= 0 && null >= 0 && setsid() >= 0 && chdir("/") == 0 && dup2(null, STDIN_FILENO) >= 0 &&
              dup2(null, STDOUT_FILENO) >= 0 && dup2(log_fd, STDERR_FILENO) >= 0 &&
              descriptors_keep(lock_fd, &launch.listeners);
    if (!ok)
        _exit(EXIT_FAILURE);
    _exit(supervisor_run(
        &(SupervisorOptions){.launch = &launch, .starter = {.pidfd = -1}, .lock_fd = STDERR_FILENO + 1}));
}

// The supervisor has said who it is: from then on `down` finds it.
static bool supervisor_wait(const Place *place, pid_t pid, Error *err)
{
    for (int64_t deadline_ms = clock_ms() + SUPERVISOR_LOCK_MS; clock_ms() < deadline_ms; clock_sleep_ms(1)) {
        CLEANUP(process_close) Process process;
        if (!supervisor_open(place, &process, err))
            return false;
        if (process.pid == pid)
            return true;
    }
    error_set(err, ERR_FAILED, "the supervisor doesn't start");
    return error_next(err, "see its log in '%.*s'", STR_ARG(place->log));
}

// Forks. In the background the child is the supervisor, in the foreground the parent is: *out_is_supervisor tells it
// that it has been one, and has ended with this exit code.
static bool supervisor_start(const Installation *in, int *up_lock, bool *out_is_supervisor, int *out_exit_code,
                             Error *err)
{
    CLEANUP(fd_close) int lock_fd = -1;
    if (!place_lock(&in->launch.place, SUPERVISOR_LOCK, SUPERVISOR_LOCK_MS, &lock_fd, err))
        return false;
    place_forget_failures(&in->launch.place);
    (void)fflush(NULL);
    pid_t own_pid = getpid();
    supervisor_block_signals();
    pid_t pid = fork();
    if (pid < 0) {
        supervisor_unblock_signals();
        return error_from_errno(err, errno, "the supervisor can't be started");
    }
    bool is_supervisor = in->options->is_foreground ? pid > 0 : pid == 0;
    if (!is_supervisor) {
        supervisor_unblock_signals();
        *out_is_supervisor = false;
        return supervisor_wait(&in->launch.place, in->options->is_foreground ? own_pid : pid, err);
    }
    fd_close(up_lock);
    if (!in->options->is_foreground)
        supervisor_child(in, lock_fd);
    SupervisorOptions own = {.launch = &in->launch, .is_foreground = true, .lock_fd = lock_fd};
    if (!process_open_pid(pid, &own.starter, err))
        return false;
    own.starter.is_child = true;
    *out_exit_code = supervisor_run(&own);
    *out_is_supervisor = true;
    return true;
}

// ---- up: the databases ----

// The log's last lines for a person, the last one for the error.
static bool log_tell(const Installation *in, Str log, Error *err)
{
    Str tail = place_log_tail(in->arena, log, TAIL_LINES), line = S("");
    error_where(err, "%.*s", STR_ARG(log));
    while (str_cut(&tail, '\n', &line))
        say(in, str_format(in->arena, "log: %.*s", STR_ARG(line)).data);
    return line.len ? error_why(err, "the log ends in: %.*s", STR_ARG(line)) : error_why(err, "its log is empty");
}

static bool postgres_wait(const Installation *in, Error *err)
{
    Str dsn = cluster_dsn(&in->launch.place, in->arena, S("postgres"));
    Service postgres = {.name = S("postgres")};
    Str failed = place_path(in->arena, in->launch.place.run, "postgres.failed");
    for (;;) {
        Error refused = {0};
        CLEANUP(db_close) Db *db = NULL;
        if (is_cluster_ready(&in->launch.place) && db_open(dsn, NULL, &db, &refused))
            return true;
        if (clock_ms() < in->deadline_ms && !file_exists(failed)) {
            clock_sleep_ms(STEP_MS);
            continue;
        }
        error_set(err, ERR_UNREACHABLE, "PostgreSQL doesn't start");
        Str log = service_log(&in->launch.place, &postgres, in->arena);
        return log_tell(in, log, err);
    }
}

static bool control_database_make(const Installation *in, Error *err)
{
    CLEANUP(db_close) Db *db = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_open(cluster_dsn(&in->launch.place, in->arena, S("postgres")), NULL, &db, err) ||
        !db_query(db, S("select 1 from pg_database where datname = $1"), PARAMS(S("shop_control")), &rows, err))
        return false;
    if (rows_count(rows) > 0)
        return true;
    say(in, "making the control database");
    // A cell's login can connect to its own database alone.
    return db_run(db, S("revoke connect, temporary on database postgres from public"), NO_PARAMS, err) &&
           db_run(db, S("revoke connect, temporary on database template1 from public"), NO_PARAMS, err) &&
           server_database_make(db, S("shop_control"), err) &&
           db_run(db, S("revoke connect, temporary on database shop_control from public"), NO_PARAMS, err);
}

// A folder that was moved has its sockets elsewhere, an existing server may have another address by now: cells beside
// the control database go with it.
static bool cells_follow(const Installation *in, Platform *platform, const Json *before, Error *err)
{
    Str was = json_str(json_get(json_get(before, "control"), "dsn")), now = in->control_shown;
    if (was.len == 0 || str_eq(was, now))
        return true;
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select name, dsn from control.cells"), NO_PARAMS, &rows, err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        Str dsn = rows_str(rows, i, 1), beside, moved;
        Str database = dsn_database(dsn, in->arena);
        if (!dsn_with_database(was, database, in->arena, &beside, err) ||
            !dsn_with_database(now, database, in->arena, &moved, err) ||
            (str_eq(dsn, beside) &&
             !db_run(platform_control(platform), S("update control.cells set dsn = $2 where name = $1"),
                     PARAMS(rows_str(rows, i, 0), moved), err)))
            return false;
    }
    return true;
}

// In an existing PostgreSQL shopd logs in by a password. What is there stays; the server is told again, since it may be
// another one, or a copy.
static bool logins_make(const Installation *in, Platform *platform, const Json *record, Error *err)
{
    const Json *cells = json_get(record, "cells");
    for (size_t i = 0; i < json_count(cells) && !in->launch.place.is_embedded; i++) {
        const Json *cell = json_element(cells, i);
        if (json_str(json_get(cell, "listen")).len &&
            !shopd_login_make(&in->launch.place, platform, json_str(json_get(cell, "name")), err))
            return false;
    }
    return true;
}

// Cells on hosts, once all else is up: a host may be away, or hang, and nobody waits for it twice.
static bool hosted_cells_migrate(Installation *in, Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *list = NULL;
    CLEANUP(json_close) Json *away = json_build("{}");
    if (!in->must_prepare)
        return true;
    if (!json_ok(away, err) || !cell_list(platform, &list, err))
        return false;
    const Json *items = json_get(list, "items");
    for (size_t i = 0; i < json_count(items); i++) {
        const Json *cell = json_element(items, i);
        Str name = json_str(json_get(cell, "name")), host = json_str(json_get(cell, "host"));
        if (host.len == 0 || !str_eq(json_str(json_get(cell, "state")), S("open")) ||
            json_get(away, str_copy(in->arena, host).data) || cell_migrate(platform, name, err))
            continue;
        say(in, str_format(in->arena, "warning: %s: %s", err->what, err->cause_count ? err->causes[0] : err->why).data);
        bool is_away = err->code == ERR_UNREACHABLE;
        error_clear(err);
        if (is_away && !json_set(away, str_copy(in->arena, host).data, json_from_bool(true), err))
            return false;
    }
    return arena_ok(in->arena, err);
}

static bool cells_make(Installation *in, Platform *platform, const Running *running, Json **out, Error *err)
{
    CLEANUP(json_close) Json *list = NULL;
    if (!cell_list(platform, &list, err))
        return false;
    bool is_there = false;
    const Json *items = json_get(list, "items");
    for (size_t i = 0; i < json_count(items); i++) {
        Str name = json_str(json_get(json_element(items, i), "name"));
        bool is_open = str_eq(json_str(json_get(json_element(items, i), "state")), S("open"));
        bool is_hosted = json_str(json_get(json_element(items, i), "host")).len > 0;
        is_there = is_there || str_eq(name, str_of(FIRST_CELL));
        if (in->must_prepare && is_open && !is_hosted && !cell_migrate(platform, name, err))
            return false;
    }
    Str url;
    if (!installation_gateway_decide(&in->gateway, items, running, err) ||
        !address_url(in->gateway.behind, in->arena, &url, err))
        return false;
    if (in->gateway.why_not.len)
        say(in, str_format(in->arena, "warning: there is no gateway: %.*s", STR_ARG(in->gateway.why_not)).data);
    CellSpec first = {.name = str_of(FIRST_CELL), .url = url};
    if (!is_there) {
        say(in, "opening the first cell");
        first.capacity = setting_int(in->options->settings, "cell_capacity");
        first.spares = setting_int(in->options->settings, "spares");
    }
    if ((!is_there || in->must_prepare) && !cell_add(platform, &first, err))
        return false;
    json_close(&list);
    return installation_gateway_prepare(&in->gateway, platform, err) && cell_list(platform, out, err);
}

// The cells as the record keeps them: with the address of their shopd, where it is ours to run.
static bool record_make(const Installation *in, const Json *list, Json **out, Error *err)
{
    const Place *place = &in->launch.place;
    const Json *items = json_get(list, "items");
    CLEANUP(json_close) Json *cells = json_build("[]");
    bool ok = cells != NULL;
    for (size_t i = 0; i < json_count(items) && ok; i++) {
        Json *cell = json_hold((Json *)json_element(items, i));
        Str name = json_str(json_get(cell, "name")), url = json_str(json_get(cell, "url"));
        bool is_hosted = json_str(json_get(cell, "host")).len > 0;
        Str listen = str_eq(name, str_of(FIRST_CELL)) ? in->gateway.behind : is_hosted ? S("") : address_of_url(url);
        ok = json_put(cell, "listen", json_from_str(listen)) && json_append(cells, cell);
    }
    Json *record =
        ok ? json_build("{s:i, s:s%, s:s%, s:s%, s:s, s:s, s:s, s:{s:s%}, s:O}", "version", 1, "data", place->data.data,
                        place->data.len, "listen", in->listen.data, in->listen.len, "sockets", place->sockets.data,
                        place->sockets.len, "database_user", place->database_login, "shopd_user", place->shopd_login,
                        "server", place->is_embedded ? EMBEDDED : EXISTING, "control", "dsn", in->control_shown.data,
                        in->control_shown.len, "cells", cells)
           : NULL;
    if (record && !installation_gateway_note(&in->gateway, record))
        json_close(&record);
    if (!json_ok(record, err))
        return false;
    *out = record;
    return true;
}

static bool same_json(const Json *a, const Json *b, Arena *arena)
{
    Error ignored = {0};
    Str left, right;
    return a && b && json_print(a, 0, arena, &left, &ignored) && json_print(b, 0, arena, &right, &ignored) &&
           str_eq(left, right);
}

// Brings the control database to this version and connects to it.
static bool control_ready(Installation *in, Platform **out, Error *err)
{
    if (in->launch.place.is_embedded && (!postgres_wait(in, err) || !control_database_make(in, err)))
        return false;
    if (in->must_prepare && !platform_migrate(in->control_dsn, 0, err))
        return error_wrap(err, "the control database can't be brought to this version");
    PlatformOptions options;
    if (!platform_options_read(in->options->settings, in->arena, &options, err))
        return false;
    options.control_dsn = in->control_dsn;
    if (!platform_open_with(&options, out, err))
        return false;
    platform_warned(*out, warned, in);
    return true;
}

// Brings the cells to this version and writes what is known of them; *out is the new record. Tells whether it differs
// from the old one.
static bool cells_ready(Installation *in, Platform *platform, const Json *before, const Running *running, Json **out,
                        bool *out_differs, Error *err)
{
    CLEANUP(json_close) Json *list = NULL;
    CLEANUP(json_close) Json *record = NULL;
    if (!cells_follow(in, platform, before, err) || !cells_make(in, platform, running, &list, err) ||
        !record_make(in, list, &record, err))
        return false;
    *out_differs = !same_json(before, record, in->arena);
    if ((*out_differs || in->must_prepare) && !logins_make(in, platform, record, err))
        return false;
    if (*out_differs && !place_record_write(&in->launch.place, record, err))
        return false;
    *out = TAKE(record);
    return true;
}

// ---- up: waiting ----

static bool not_up(const Installation *in, const Service *service, const char *what, Error *err)
{
    Error ignored = {0};
    Str failed = place_path(in->arena, in->launch.place.run, "%.*s.failed", STR_ARG(service->name)), reason = S("");
    Str log = service_log(&in->launch.place, service, in->arena);
    if (!file_read(failed, KIB, in->arena, &reason, &ignored))
        error_clear(&ignored);
    error_set(err, ERR_UNREACHABLE, "%.*s %s%s%.*s", STR_ARG(service->name), what, reason.len ? ": " : "",
              STR_ARG(reason));
    return log_tell(in, log, err);
}

// The first that doesn't run or answer; NULL when all do.
static const Service *waiting_for(const Place *place, const Running *running)
{
    for (size_t i = 0; i < running->count; i++) {
        const Service *service = &running->services[i];
        if (!is_service_ready(place, service, PROBE_TIMEOUT_MS) ||
            (service->kind == SERVICE_CONTROLLER && process_age_ms(&service->process) < STEADY_MS))
            return service;
    }
    return NULL;
}

static bool services_wait(const Installation *in, const Json *record, Error *err)
{
    for (;;) {
        CLEANUP(arena_close) Arena *scratch = arena_open(SCRATCH_BUDGET);
        CLEANUP(running_close) Running running = {0};
        if (!running_open(&in->launch.place, record, scratch, &running, err))
            return false;
        const Service *service = waiting_for(&in->launch.place, &running);
        if (!service)
            return true;
        if (file_exists(place_path(scratch, in->launch.place.run, "%.*s.failed", STR_ARG(service->name))))
            return not_up(in, service, "doesn't start", err);
        if (!running.supervisor.pid)
            return error_set(err, ERR_FAILED, "the supervisor ended before the platform was up");
        if (clock_ms() >= in->deadline_ms)
            return not_up(in, service, "doesn't answer in time", err);
        clock_sleep_ms(STEP_MS);
    }
}

// ---- up ----

// Who runs now and didn't before, or as another process.
static bool started_list(const Running *before, const Running *now, Json **out, Error *err)
{
    CLEANUP(json_close) Json *list = json_build("[]");
    bool ok = list != NULL;
    for (size_t i = 0; i < now->count && ok; i++) {
        bool is_old = false;
        for (size_t j = 0; j < before->count; j++)
            is_old = is_old || (before->services[j].process.pid == now->services[i].process.pid &&
                                before->services[j].process.started == now->services[i].process.started);
        if (!is_old)
            ok = json_append(list, json_from_str(now->services[i].name));
    }
    if (ok && before->supervisor.pid != now->supervisor.pid)
        ok = json_append(list, json_from_str(S("supervisor")));
    if (!ok)
        return json_ok(NULL, err);
    *out = TAKE(list);
    return true;
}

static bool answer_make(const Installation *in, const Json *record, const Running *before, Json **out, Error *err)
{
    CLEANUP(running_close) Running now = {0};
    CLEANUP(json_close) Json *started = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    if (!running_open(&in->launch.place, record, in->arena, &now, err) || !started_list(before, &now, &started, err) ||
        !installation_status(in->options, &answer, err))
        return false;
    if (!json_set(answer, "changed", json_from_bool(json_count(started) > 0), err) ||
        !json_set(answer, "started", json_hold(started), err))
        return false;
    *out = TAKE(answer);
    return true;
}

// The address: as it is set, else as it was the last time.
static bool listen_choose(Installation *in, const Json *record, const Running *before, Error *err)
{
    const Settings *settings = in->options->settings;
    Str recorded = json_str(json_get(record, "listen"));
    bool is_set = !str_eq(setting_source(settings, "listen"), S("default")) || recorded.len == 0;
    in->listen = str_copy(in->arena, is_set ? setting_text(settings, "listen") : recorded);
    bool is_served = false;
    for (size_t i = 0; i < before->count; i++)
        is_served = is_served || (before->services[i].is_public && before->services[i].process.pid);
    if ((is_served || before->supervisor.pid) && recorded.len && !str_eq(recorded, in->listen)) {
        error_set(err, ERR_STATE, "the platform runs already, on %.*s", STR_ARG(recorded));
        return error_next(err, "run shopctl down first, then up with the new address");
    }
    Str url;
    return address_url(in->listen, in->arena, &url, err) &&
           (is_served || before->supervisor.pid || address_check(in->listen, err));
}

static bool gateway_choose(Installation *in, bool is_up, const Json *record, const Running *running, Error *err)
{
    in->gateway = (InstallationGateway){.settings = in->options->settings,
                                        .place = &in->launch.place,
                                        .arena = in->arena,
                                        .first_cell = str_of(FIRST_CELL)};
    return installation_gateway_choose(&in->gateway, is_up, record, running, in->listen, err);
}

// The cluster, its settings and its sockets' directories, as the server needs them.
static bool cluster_ready_to_run(const Installation *in, const Json *record, Error *err)
{
    const Place *place = &in->launch.place;
    if (!is_cluster_made(place)) {
        say(in, "making the PostgreSQL cluster");
        if (!cluster_make(place, in->launch.programs, err))
            return false;
    }
    Str *databases = NULL;
    size_t count = 0;
    Str first = str_format(in->arena, "cell_%s", FIRST_CELL);
    return services_databases(record, first, in->arena, &databases, &count, err) && cluster_owner_check(place, err) &&
           place_make_sockets(place, err) && cluster_configure(place, databases, count, err);
}

static bool gateway_finish(const Installation *in, Platform *platform, const Json *record, Error *err)
{
    CLEANUP(running_close) Running now = {0};
    return !in->gateway.is_on || (running_open(&in->launch.place, record, in->arena, &now, err) &&
                                  installation_gateway_finish(&in->gateway, platform, &now, in->deadline_ms, err));
}

// What the supervisor noted of starts before this one: it takes that away as well, but we look before it has heard of
// us.
static void failures_forget(const Installation *in, const Running *running)
{
    for (size_t i = 0; i < running->count; i++) {
        Str failed = place_path(in->arena, in->launch.place.run, "%.*s.failed", STR_ARG(running->services[i].name));
        if (failed.len)
            (void)unlink(failed.data);
    }
}

// From databases that are there to programs that answer.
static bool programs_ready(Installation *in, const Json *before_record, const Running *before, Json **out, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running now = {0};
    bool differs = false;
    if (!control_ready(in, &platform, err) ||
        !cells_ready(in, platform, before_record, before, &record, &differs, err) ||
        !running_open(&in->launch.place, record, in->arena, &now, err))
        return false;
    if (in->must_prepare || differs || now.alive < now.count) {
        if (now.alive < now.count)
            say(in, "starting shopd and the controller");
        failures_forget(in, &now);
        process_signal(&now.supervisor, SIGHUP);
    }
    if (!services_wait(in, record, err) || !gateway_finish(in, platform, record, err) ||
        !hosted_cells_migrate(in, platform, err))
        return false;
    *out = TAKE(record);
    return true;
}

static bool up_rest(Installation *in, const Json *before_record, const Running *before, Json **out, Error *err)
{
    CLEANUP(json_close) Json *record = NULL;
    return programs_ready(in, before_record, before, &record, err) && answer_make(in, record, before, out, err);
}

// A call that fails takes down what it began, so that the next one begins from the start.
static void up_undo(const Installation *in, const Running *before)
{
    Error ignored = {0};
    CLEANUP(json_close) Json *answer = NULL;
    if (before->supervisor.pid || before->alive > 0)
        return;
    say(in, "stopping what was started");
    if (!installation_stop(&in->launch, &answer, &ignored))
        error_clear(&ignored);
}

// A folder is of one platform: with its own PostgreSQL, or at work for an existing one.
static bool kind_check(const Installation *in, const Json *record, Error *err)
{
    const Place *place = &in->launch.place;
    bool was_existing = str_eq(json_str(json_get(record, "server")), str_of(EXISTING));
    if (place->is_embedded ? !was_existing : !is_cluster_made(place))
        return true;
    error_set(err, ERR_STATE, "the platform in '%.*s' is another one", STR_ARG(place->data));
    if (place->is_embedded) {
        error_why(err, "it works for an existing PostgreSQL: %.*s",
                  STR_ARG(json_str(json_get(json_get(record, "control"), "dsn"))));
        return error_next(err, "set control_dsn, or choose another --data");
    }
    error_why(err, "it has a PostgreSQL of its own, and control_dsn names another one");
    return error_next(err, "choose another --data, or take control_dsn out of the settings");
}

// What libpq takes from variables beside the connection string, those that go on running wouldn't have.
static void variables_drop(void)
{
    static const char *const VARIABLES[] = {"PGHOST",     "PGHOSTADDR", "PGPORT",    "PGDATABASE",    "PGUSER",
                                            "PGPASSWORD", "PGSERVICE",  "PGSSLMODE", "PGSSLROOTCERT", "PGOPTIONS"};
    for (size_t i = 0; i < COUNT(VARIABLES); i++)
        (void)unsetenv(VARIABLES[i]);
}

// The server that holds the control database, checked before anything is started.
static bool server_choose(Installation *in, const Json *record, Error *err)
{
    if (!kind_check(in, record, err))
        return false;
    variables_drop();
    in->control_dsn = in->launch.place.is_embedded
                          ? cluster_dsn(&in->launch.place, in->arena, S("shop_control"))
                          : str_copy(in->arena, setting_text(in->options->settings, "control_dsn"));
    in->control_shown = in->control_dsn;
    return in->launch.place.is_embedded || (dsn_public(in->control_dsn, in->arena, &in->control_shown, err) &&
                                            (!in->must_prepare || server_control_make(in->control_dsn, err)));
}

static bool foreground_check(const Installation *in, const Running *before, Error *err)
{
    if (!before->supervisor.pid || !in->options->is_foreground)
        return true;
    error_set(err, ERR_STATE, "the platform runs already");
    error_why(err, "process %d supervises it", before->supervisor.pid);
    return error_next(err, "run shopctl down first");
}

static bool up_locked(Installation *in, int *lock, InstallationUp *out, Error *err)
{
    const Place *place = &in->launch.place;
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running before = {0};
    if (!place_record_read(place, &record, err) || !running_open(place, record, in->arena, &before, err) ||
        !listen_choose(in, record, &before, err) || !gateway_choose(in, true, record, &before, err))
        return false;
    in->must_prepare = !record || !before.supervisor.pid || before.alive < before.count;
    bool is_supervisor = false;
    if (!server_choose(in, record, err))
        return false;
    if (!foreground_check(in, &before, err))
        return false;
    if (!before.supervisor.pid) {
        if (place->is_embedded && !cluster_ready_to_run(in, record, err))
            return false;
        say(in,
            place->is_embedded && !before.services[0].process.pid ? "starting PostgreSQL" : "starting the supervisor");
        if (!listeners_open(in->listen, &in->launch.listeners, err))
            return false;
        bool ok = supervisor_start(in, lock, &is_supervisor, &out->exit_code, err);
        listeners_close(&in->launch.listeners);    // the supervisor has its own
        if (!ok)
            return false;
    }
    if (is_supervisor || up_rest(in, record, &before, &out->answer, err))
        return true;
    if (!in->options->is_foreground)    // there the supervisor sees us fail
        up_undo(in, &before);
    return false;
}

bool installation_up(const InstallationOptions *options, InstallationUp *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Installation in = {.options = options, .arena = arena};
    in.deadline_ms = clock_ms() + setting_int(options->settings, "start_timeout_s") * 1000;
    CLEANUP(fd_close) int lock = -1;
    *out = (InstallationUp){0};
    (void)umask(022);    // the database's user must be able to read what we write for it
    return launch_make(options->settings, arena, &in.launch, err) && place_make(&in.launch.place, err) &&
           place_lock(&in.launch.place, "up.lock", LOCK_TIMEOUT_MS, &lock, err) && up_locked(&in, &lock, out, err);
}

bool installation_up_check(const InstallationOptions *options, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running before = {0};
    Installation in = {.options = options, .arena = arena};
    const Place *place = &in.launch.place;
    bool is_missing = false;
    variables_drop();
    return launch_make(options->settings, arena, &in.launch, err) && place_check(place, err) &&
           place_record_read(place, &record, err) && running_open(place, record, arena, &before, err) &&
           listen_choose(&in, record, &before, err) && gateway_choose(&in, true, record, &before, err) &&
           kind_check(&in, record, err) &&
           (place->is_embedded || (record && before.supervisor.pid && before.alive == before.count) ||
            server_control_check(setting_text(options->settings, "control_dsn"), &is_missing, err)) &&
           foreground_check(&in, &before, err) &&
           (!place->is_embedded || !is_cluster_made(place) || cluster_owner_check(place, err));
}

// ---- cells of a running platform ----

static bool is_supervised(const Place *place, Error *err)
{
    CLEANUP(process_close) Process supervisor = {.pidfd = -1};
    return file_exists(place->run) && supervisor_open(place, &supervisor, err) && supervisor.pid != 0;
}

bool installation_cell_check(const InstallationOptions *options, Str name, Str url, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    Place place;
    Str address = address_of_url(url);
    if (!launch_place(options->settings, arena, &place, err))
        return false;
    if (address.len == 0 || !is_supervised(&place, err))
        return err->code == ERR_NONE;
    if (!place_record_read(&place, &record, err))
        return false;
    const Json *cells = json_get(record, "cells");
    for (size_t i = 0; i < json_count(cells); i++) {
        const Json *cell = json_element(cells, i);
        if (str_eq(json_str(json_get(cell, "name")), name) && str_eq(json_str(json_get(cell, "listen")), address))
            return true;
    }
    return address_check(address, err) || error_next(err, "choose another port by --url");
}

bool installation_follow(const InstallationOptions *options, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *before = NULL;
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(fd_close) int lock = -1;
    CLEANUP(running_close) Running running = {0};
    Installation in = {.options = options, .arena = arena};
    in.deadline_ms = clock_ms() + setting_int(options->settings, "start_timeout_s") * 1000;
    if (!launch_place(options->settings, arena, &in.launch.place, err))
        return false;
    if (!is_supervised(&in.launch.place, err))
        return err->code == ERR_NONE;
    if (!place_lock(&in.launch.place, "up.lock", options->is_impatient ? 0 : LOCK_TIMEOUT_MS, &lock, err) ||
        !place_record_read(&in.launch.place, &before, err) ||
        !running_open(&in.launch.place, before, arena, &running, err))
        return false;
    in.listen = str_copy(arena, json_str(json_get(before, "listen")));
    return gateway_choose(&in, false, before, &running, err) && server_choose(&in, before, err) &&
           programs_ready(&in, before, &running, &record, err);
}
