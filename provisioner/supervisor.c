// provisioner/supervisor.c: one loop over signals and process descriptors; it never waits for anything else.
#include "provisioner/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "provisioner/cluster.h"

enum {
    LIST_BUDGET = 16 * MIB,
    SERVICES_MAX = 512,
    IDLE_MS = 60000,            // how often logs are looked at
    POSTGRES_WAIT_MS = 500,     // how long the others wait for one that isn't ready; then they start all the same
    POSTGRES_RETRY_MS = 200,    // and are started again after as long, until it is
    READY_STEP_MS = 20,         // how often a PostgreSQL that starts is asked
    STEADY_MS = 10000,          // who lived as long didn't fail at its start
    KILLED_DELAY_MS = 250,      // between two ends of one that hardly lived, but not for a fault of its start
    BACKOFF_FIRST_MS = 100,     // doubled with each failure in a row
    BACKOFF_MAX_MS = 15000,
    LOG_MAX = 64 * MIB,
    PREDECESSORS_MAX = 8,
    SUCCESSOR_STEP_MS = 20,      // how often a successor that starts is asked
    SUCCESSOR_PROBE_MS = 100,    // and how long it may take to answer
};

typedef struct Watch {    // beside each service
    int64_t started_ms;
    int64_t due_ms;    // not started before
    unsigned failures;
} Watch;

// A shopd whose place another one takes: it serves until that one does, then it ends.
typedef struct Predecessor {
    Process process;
    bool is_told;
} Predecessor;

typedef struct Supervisor {
    const SupervisorOptions *options;
    Arena *list_arena;    // of services; another one with each new list
    Service *services;
    Watch watches[SERVICES_MAX];
    size_t count;
    Predecessor predecessors[PREDECESSORS_MAX];
    size_t predecessor_count;
    Process starter;
    bool is_prepared;    // the databases are ready for shopd and the controller
    bool is_ending;
    bool is_postgres_ready;
    int exit_code;
} Supervisor;

static sigset_t signals_taken(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    static const int TAKEN[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < COUNT(TAKEN); i++)
        (void)sigaddset(&set, TAKEN[i]);
    return set;
}

void supervisor_block_signals(void)
{
    sigset_t set = signals_taken();
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

void supervisor_unblock_signals(void)
{
    sigset_t set = signals_taken();
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void say(LogLevel level, const char *event, const Service *service, const char *key, int64_t value)
{
    CLEANUP(arena_close) Arena *arena = arena_open(4 * KIB);
    StrBuf fields = {.arena = arena};
    if (service)
        log_field_str(&fields, "service", service->name);
    if (key)
        log_field_int(&fields, key, value);
    log_line(level, event, strbuf_str(&fields));
}

// Tells systemd, where it started us (sd_notify(3)).
static void tell_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
}

// ---- the list of services ----

static const Place *place_of(const Supervisor *s) { return &s->options->launch->place; }

static bool is_predecessor(const Supervisor *s, const Process *process)
{
    for (size_t i = 0; i < s->predecessor_count; i++)
        if (s->predecessors[i].process.pid == process->pid)
            return true;
    return false;
}

static void predecessor_add(Supervisor *s, const Service *service, Process *process)
{
    s->predecessors[s->predecessor_count++] = (Predecessor){.process = *process};
    say(LOG_INFO, "makes_room", service, "pid", process->pid);
    *process = (Process){.pidfd = -1};
}

// It goes on until its successor, at another address, is ready. False where it has to end at once.
static bool retire(Supervisor *s, const Service *old, Service *service)
{
    Error err = {0};
    if (!service->process.pid || str_eq(old->listen, service->listen) || s->predecessor_count == PREDECESSORS_MAX)
        return false;
    if (!service_retire(place_of(s), service, &err)) {
        log_error("not-retired", &err);
        return false;
    }
    predecessor_add(s, service, &service->process);
    return true;
}

// Who was in the old list stays as it is, but for a shopd whose address or database is another one now: another one is
// started there. Who isn't in the new list ends.
static void services_take_over(Supervisor *s, Service *services, size_t count)
{
    Watch watches[SERVICES_MAX] = {{0}};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < s->count; j++)
            if (str_eq(services[i].name, s->services[j].name)) {
                services[i].process = s->services[j].process;
                s->services[j].process = (Process){.pidfd = -1};
                watches[i] = s->watches[j];
                bool is_same =
                    str_eq(services[i].listen, s->services[j].listen) && str_eq(services[i].dsn, s->services[j].dsn);
                if (!is_same && !retire(s, &s->services[j], &services[i]))
                    process_signal(&services[i].process, SIGTERM);
            }
    for (size_t j = 0; j < s->count; j++) {
        process_signal(&s->services[j].process, SIGTERM);
        process_close(&s->services[j].process);
    }
    memcpy(s->watches, watches, sizeof(watches));
    s->services = services;
    s->count = count;
}

static bool postgres_reload(const Supervisor *s, const Json *record, Error *err)
{
    Str *databases = NULL;
    size_t count = 0;
    if (!services_databases(record, S("cell_main"), s->list_arena, &databases, &count, err) ||
        !cluster_configure(place_of(s), databases, count, err))
        return false;
    for (size_t i = 0; i < s->count; i++)
        if (s->services[i].kind == SERVICE_POSTGRES)
            process_signal(&s->services[i].process, SIGHUP);
    return true;
}

// Those of a supervisor that was killed. One that can't be watched ends by itself.
static void predecessor_adopt(Supervisor *s, const Service *service)
{
    Process former;
    Error err = {0};
    if (service->kind != SERVICE_SHOPD || s->predecessor_count == PREDECESSORS_MAX)
        return;
    if (!service_former_open(place_of(s), service, &former, &err)) {
        log_error("not-watched", &err);
        return;
    }
    if (former.pid && !is_predecessor(s, &former))
        predecessor_add(s, service, &former);
    process_close(&former);
}

// One that can't be found keeps no other from being found.
static bool services_adopt(Supervisor *s, Error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        Service *service = &s->services[i];
        Error trouble = {0};
        predecessor_adopt(s, service);
        if (service->process.pid)
            continue;
        if (!service_open(place_of(s), service, &trouble) && err->code == ERR_NONE)
            *err = trouble;
        if (service->process.pid)
            say(LOG_INFO, "adopted", service, "pid", service->process.pid);
    }
    return err->code == ERR_NONE;
}

static bool services_read(Supervisor *s, Error *err)
{
    CLEANUP(json_close) Json *record = NULL;
    Arena *arena = arena_open(LIST_BUDGET);
    Service *services = NULL;
    size_t count = 0;
    bool ok = !s->is_prepared || place_record_read(place_of(s), &record, err);
    ok = ok && services_list(place_of(s), record, arena, &services, &count, err);
    if (ok && count > SERVICES_MAX)
        ok = error_set(err, ERR_TOO_LARGE, "%zu services are too many", count);
    if (!ok) {
        arena_close(&arena);
        return false;
    }
    services_take_over(s, services, count);
    arena_close(&s->list_arena);
    s->list_arena = arena;
    return services_adopt(s, err) && (!s->is_prepared || !place_of(s)->is_embedded || postgres_reload(s, record, err));
}

// ---- starting and restarting ----

static Str failed_path(const Supervisor *s, const Service *service, Arena *arena)
{
    return place_path(arena, place_of(s)->run, "%.*s.failed", STR_ARG(service->name));
}

static void failure_count(Supervisor *s, size_t i, const char *reason)
{
    Watch *watch = &s->watches[i];
    CLEANUP(arena_close) Arena *arena = arena_open(16 * KIB);
    Error err = {0};
    watch->failures++;
    unsigned shift = MIN(watch->failures - 1, 8U);
    watch->due_ms = clock_ms() + MIN((int64_t)BACKOFF_FIRST_MS << shift, (int64_t)BACKOFF_MAX_MS);
    if (watch->failures >= SERVICE_FAILURES_MAX &&
        !file_write(failed_path(s, &s->services[i], arena), str_of(reason), 0644, &err))
        log_error("not-written", &err);
}

static void service_begin(Supervisor *s, size_t i)
{
    Service *service = &s->services[i];
    Watch *watch = &s->watches[i];
    Error err = {0};
    watch->started_ms = clock_ms();
    if (service->kind == SERVICE_POSTGRES && !service_open(place_of(s), service, &err))
        error_clear(&err);
    if (service->process.pid) {    // somebody else started it: two servers on one cluster there can't be
        say(LOG_INFO, "adopted", service, "pid", service->process.pid);
        return;
    }
    if (service_start(s->options->launch, service, &err)) {
        say(LOG_INFO, "started", service, "pid", service->process.pid);
        return;
    }
    log_error("not-started", &err);
    failure_count(s, i, err.what);
}

static void service_ended(Supervisor *s, size_t i)
{
    Service *service = &s->services[i];
    Watch *watch = &s->watches[i];
    int pid = service->process.pid;
    ProcessEnd end;
    if (!has_process_ended(&service->process, 0, &end))
        return;
    int64_t now_ms = clock_ms(), lived_ms = now_ms - watch->started_ms;
    bool is_killed = end.signal == SIGKILL || end.signal == SIGTERM || (end.signal == 0 && end.exit_code < 0);
    CLEANUP(arena_close) Arena *arena = arena_open(4 * KIB);
    Str reason = end.signal ? str_format(arena, "signal %d ended it", end.signal)
                            : str_format(arena, "it ended with exit code %d", end.exit_code);
    StrBuf fields = {.arena = arena};
    log_field_str(&fields, "service", service->name);
    log_field_int(&fields, "pid", pid);
    log_field_str(&fields, "why", reason);
    log_line(LOG_WARNING, "ended", strbuf_str(&fields));
    bool was_ready = service->kind == SERVICE_POSTGRES && s->is_postgres_ready;
    if (service->kind == SERVICE_POSTGRES)
        s->is_postgres_ready = false;
    if (lived_ms >= STEADY_MS || was_ready)
        watch->failures = 0;
    bool is_too_soon = place_of(s)->is_embedded && service->kind != SERVICE_POSTGRES && !s->is_postgres_ready;
    if (is_too_soon)
        watch->due_ms = now_ms + POSTGRES_RETRY_MS - POSTGRES_WAIT_MS;
    else if (is_killed || was_ready)
        watch->due_ms = lived_ms < KILLED_DELAY_MS ? now_ms + KILLED_DELAY_MS : now_ms;
    else if (watch->failures == 0 && lived_ms >= STEADY_MS)
        watch->due_ms = now_ms;
    else
        failure_count(s, i, reason.data ? reason.data : "");
}

// Lets them end once all that shoppers reach is ready without them. Gives when to come back.
static int64_t predecessors_tend(Supervisor *s)
{
    bool is_waiting = false, is_ready = true;
    for (size_t i = 0; i < s->predecessor_count; i++)
        is_waiting = is_waiting || !s->predecessors[i].is_told;
    if (!is_waiting)
        return INT64_MAX;
    for (size_t i = 0; i < s->count && is_ready; i++)
        if (s->services[i].kind == SERVICE_SHOPD || s->services[i].kind == SERVICE_GATEWAY)
            is_ready = is_service_ready(place_of(s), &s->services[i], SUCCESSOR_PROBE_MS);
    if (!is_ready)
        return clock_ms() + SUCCESSOR_STEP_MS;
    for (size_t i = 0; i < s->predecessor_count; i++) {
        process_signal(&s->predecessors[i].process, SIGTERM);
        s->predecessors[i].is_told = true;
    }
    return INT64_MAX;
}

static void predecessors_reap(Supervisor *s)
{
    for (size_t i = 0; i < s->predecessor_count;) {
        ProcessEnd end;
        int pid = s->predecessors[i].process.pid;
        if (!has_process_ended(&s->predecessors[i].process, 0, &end)) {
            i++;
            continue;
        }
        say(LOG_INFO, "made_room", NULL, "pid", pid);
        s->predecessors[i] = s->predecessors[--s->predecessor_count];
    }
}

// Starts what is due. Gives when to come back.
static int64_t services_tend(Supervisor *s)
{
    int64_t now_ms = clock_ms(), next_ms = now_ms + IDLE_MS;
    bool is_embedded = place_of(s)->is_embedded;
    if (is_embedded && !s->is_postgres_ready && s->count && s->services[0].process.pid)
        s->is_postgres_ready = is_cluster_ready(place_of(s));
    for (size_t i = 0; i < s->count; i++) {
        Service *service = &s->services[i];
        if (service->process.pid)
            continue;
        bool must_wait = is_embedded && service->kind != SERVICE_POSTGRES && !s->is_postgres_ready &&
                         now_ms - s->watches[i].due_ms < POSTGRES_WAIT_MS;
        if (!must_wait && s->watches[i].due_ms <= now_ms)
            service_begin(s, i);
        if (!service->process.pid)
            next_ms = MIN(next_ms, must_wait ? now_ms + READY_STEP_MS : MAX(s->watches[i].due_ms, now_ms));
    }
    if (is_embedded && !s->is_postgres_ready)
        next_ms = MIN(next_ms, now_ms + READY_STEP_MS);
    return next_ms;
}

// ---- logs ----

// What writes to a log keeps it open, so a long one is copied and emptied: the lines of that moment may be lost.
static void log_cut(Str path, Arena *arena)
{
    struct stat about;
    Str before = str_format(arena, "%.*s.1", STR_ARG(path));
    CLEANUP(fd_close) int from = before.len ? open(path.data, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (from < 0 || fstat(from, &about) != 0 || about.st_size < LOG_MAX)
        return;
    CLEANUP(fd_close) int to = open(before.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (to < 0)
        return;
    while (copy_file_range(from, NULL, to, NULL, LOG_MAX, 0) > 0)
        continue;
    Error err = {0};
    if (ftruncate(from, 0) != 0) {
        error_from_errno(&err, errno, "the log '%.*s' can't be cut", STR_ARG(path));
        log_error("log-not-cut", &err);
    }
}

static void logs_cut(const Supervisor *s)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    for (size_t i = 0; i < s->count; i++)
        log_cut(service_log(place_of(s), &s->services[i], arena), arena);
    if (!s->options->is_foreground)
        log_cut(place_path(arena, place_of(s)->log, "supervisor.log"), arena);
}

// ---- the loop ----

static void starter_ended(Supervisor *s)
{
    ProcessEnd end;
    if (!has_process_ended(&s->starter, 0, &end))
        return;
    if (end.exit_code == 0) {
        tell_manager("READY=1");
        return;
    }
    s->exit_code = end.exit_code > 0 ? end.exit_code : EXIT_FAILURE;
    s->is_ending = true;
}

static bool is_watched(const Supervisor *s, pid_t pid)
{
    if (pid == s->starter.pid || is_predecessor(s, &(Process){.pid = pid}))
        return true;
    for (size_t i = 0; i < s->count; i++)
        if (s->services[i].process.pid == pid)
            return true;
    return false;
}

// Children of dead children are ours: former backends, and in a container whatever its first process must take.
static void strangers_reap(const Supervisor *s)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 || is_watched(s, info.si_pid))
            return;
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void signal_take(Supervisor *s, unsigned signal)
{
    Error err = {0};
    if (signal == SIGTERM || signal == SIGINT)
        s->is_ending = true;
    if (signal != SIGHUP)
        return;
    s->is_prepared = true;
    if (!services_read(s, &err))
        log_error("not-read", &err);
    for (size_t i = 0; i < s->count; i++) {
        CLEANUP(arena_close) Arena *arena = arena_open(16 * KIB);
        Str failed = failed_path(s, &s->services[i], arena);
        s->watches[i].failures = 0;
        s->watches[i].due_ms = clock_ms();
        if (failed.len)
            (void)unlink(failed.data);
    }
}

static struct pollfd end_of(const Process *process)
{
    return (struct pollfd){.fd = process->pid ? process->pidfd : -1, .events = POLLIN};
}

// Waits for a signal, or for the end of a process, until `next_ms`.
static void await(const Supervisor *s, int signal_fd, int64_t next_ms)
{
    struct pollfd fds[SERVICES_MAX + PREDECESSORS_MAX + 2] = {{.fd = signal_fd, .events = POLLIN}};
    size_t count = 1;
    fds[count++] = end_of(&s->starter);
    for (size_t i = 0; i < s->count; i++)
        fds[count++] = end_of(&s->services[i].process);
    for (size_t i = 0; i < s->predecessor_count; i++)
        fds[count++] = end_of(&s->predecessors[i].process);
    (void)poll(fds, count, (int)MAX(next_ms - clock_ms(), (int64_t)0));
}

static void loop(Supervisor *s, int signal_fd)
{
    int64_t logs_ms = clock_ms();
    while (!s->is_ending) {
        int64_t next_ms = services_tend(s);
        await(s, signal_fd, MIN(next_ms, predecessors_tend(s)));
        for (size_t i = 0; i < s->count; i++)
            if (s->services[i].process.pid)
                service_ended(s, i);
        predecessors_reap(s);
        if (s->starter.pid)
            starter_ended(s);
        for (struct signalfd_siginfo info; read(signal_fd, &info, sizeof(info)) == sizeof(info);)
            signal_take(s, info.ssi_signo);
        strangers_reap(s);
        if (clock_ms() - logs_ms >= IDLE_MS) {
            logs_cut(s);
            logs_ms = clock_ms();
        }
    }
}

static void note_stopped(void *context, const Service *service, int pid)
{
    (void)context;
    say(LOG_INFO, "stopped", service, "pid", pid);
}

static void end(Supervisor *s)
{
    Error err = {0};
    for (size_t i = 0; i < s->predecessor_count; i++)
        process_signal(&s->predecessors[i].process, SIGTERM);
    tell_manager("STOPPING=1");
    if (s->starter.pid)
        (void)process_stop(&s->starter, SIGTERM, 1000);
    if (services_stop(s->options->launch, s->services, s->count, note_stopped, NULL, &err))
        place_clear(place_of(s));
    else
        log_error("not-stopped", &err);
    for (size_t i = 0; i < s->predecessor_count; i++)
        (void)process_stop(&s->predecessors[i].process, SIGTERM, s->options->launch->stop_timeout_ms);
}

int supervisor_run(const SupervisorOptions *options)
{
    Supervisor supervisor = {.options = options, .starter = options->starter}, *s = &supervisor;
    sigset_t set = signals_taken();
    Error err = {0};
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    CLEANUP(fd_close) int signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    CLEANUP(arena_close) Arena *arena = arena_open(16 * KIB);
    Str pid_path = place_path(arena, place_of(s)->run, "supervisor.pid");
    if (signal_fd < 0)
        error_from_errno(&err, errno, "signals can't be taken");
    else if (arena_ok(arena, &err) && process_write_self(pid_path.data, &err) && services_read(s, &err)) {
        say(LOG_INFO, "supervising", NULL, "pid", getpid());
        loop(s, signal_fd);
        end(s);
    }
    if (err.code) {
        log_error("supervisor-failed", &err);
        s->exit_code = error_exit_code(err.code);
    }
    for (size_t i = 0; i < s->count; i++)
        process_close(&s->services[i].process);
    arena_close(&s->list_arena);
    return s->exit_code;
}

bool supervisor_open(const Place *place, Process *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * KIB);
    Str path = place_path(arena, place->run, "supervisor.pid");
    return arena_ok(arena, err) && process_open(path.data, out, err);
}
