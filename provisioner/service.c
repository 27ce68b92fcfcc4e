// provisioner/service.c: the programs of a running platform.
#include "provisioner/service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pg.h"
#include "provisioner/cluster.h"
#include "provisioner/haproxy_socket.h"
#include "provisioner/shopd_login.h"

enum {
    BUDGET = MIB,
    POSTGRES_FAST_MS = 60000,
    POSTGRES_IMMEDIATE_MS = 5000,
    PROCESS_TEXT_MAX = 16 * KIB,
};

// ---- which ----

static Service shopd_service(const Place *place, const Json *cell, Str public, Arena *arena)
{
    Str dsn = json_str(json_get(cell, "dsn")), name = json_str(json_get(cell, "name"));
    Str database = dsn_database(dsn, arena), listen = str_copy(arena, json_str(json_get(cell, "listen")));
    return (Service){
        .kind = SERVICE_SHOPD,
        .name = str_format(arena, "shopd-%.*s", STR_ARG(name)),
        .cell = str_copy(arena, name),
        .database = database,
        .dsn =
            place->is_embedded ? cluster_shopd_dsn(place, arena, database) : shopd_login_dsn(place, name, dsn, arena),
        .listen = listen,
        .is_public = str_eq(listen, public),
        .process = {.pidfd = -1},
    };
}

bool services_list(const Place *place, const Json *record, Arena *arena, Service **out, size_t *out_count, Error *err)
{
    const Json *cells = json_get(record, "cells");
    Str public = json_str(json_get(record, "listen"));
    Service *services = arena_array(arena, json_count(cells) + 3, Service);
    size_t count = 0;
    if (!arena_ok(arena, err))
        return false;
    if (place->is_embedded)
        services[count++] = (Service){.kind = SERVICE_POSTGRES, .name = S("postgres"), .process = {.pidfd = -1}};
    for (size_t i = 0; i < json_count(cells); i++)
        if (json_str(json_get(json_element(cells, i), "listen")).len)
            services[count++] = shopd_service(place, json_element(cells, i), public, arena);
    if (json_bool(json_get(json_get(record, "gateway"), "is_on")))
        services[count++] = (Service){.kind = SERVICE_GATEWAY,
                                      .name = S("gateway"),
                                      .listen = str_copy(arena, public),
                                      .is_public = true,
                                      .process = {.pidfd = -1}};
    if (record)
        services[count++] = (Service){.kind = SERVICE_CONTROLLER, .name = S("controller"), .process = {.pidfd = -1}};
    if (!arena_ok(arena, err))
        return false;
    *out = services;
    *out_count = count;
    return true;
}

bool services_databases(const Json *record, Str first, Arena *arena, Str **out, size_t *out_count, Error *err)
{
    const Json *cells = json_get(record, "cells");
    Str *databases = arena_array(arena, json_count(cells) + 1, Str);
    size_t count = 0;
    if (!arena_ok(arena, err))
        return false;
    databases[count++] = str_copy(arena, first);
    for (size_t i = 0; i < json_count(cells); i++) {
        Str name = dsn_database(json_str(json_get(json_element(cells, i), "dsn")), arena);
        bool is_hosted = json_str(json_get(json_element(cells, i), "host")).len > 0;
        if (name.len && !is_hosted && !str_eq(name, first))
            databases[count++] = name;
    }
    *out = databases;
    *out_count = count;
    return arena_ok(arena, err);
}

// ---- starting ----

Str service_log(const Place *place, const Service *service, Arena *arena)
{
    return place_path(arena, place->log, "%.*s.log", STR_ARG(service->name));
}

static Str pid_path(const Place *place, const Service *service, Arena *arena)
{
    return place_path(arena, place->run, "%.*s.pid", STR_ARG(service->name));
}

bool service_open(const Place *place, Service *service, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = pid_path(place, service, arena);
    if (!arena_ok(arena, err))
        return false;
    process_close(&service->process);
    if (!process_open(path.data, &service->process, err))
        return false;
    return service->process.pid || service->kind != SERVICE_POSTGRES || cluster_open(place, &service->process, err);
}

static Str former_path(const Place *place, const Service *service, Arena *arena)
{
    return place_path(arena, place->run, "%.*s.pid.former", STR_ARG(service->name));
}

bool service_retire(const Place *place, const Service *service, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = pid_path(place, service, arena), former = former_path(place, service, arena);
    if (!arena_ok(arena, err))
        return false;
    return rename(path.data, former.data) == 0 ||
           error_from_errno(err, errno, "the file '%s' can't be renamed", path.data);
}

bool service_former_open(const Place *place, const Service *service, Process *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str former = former_path(place, service, arena);
    if (!arena_ok(arena, err) || !process_open(former.data, out, err))
        return false;
    if (!out->pid)
        (void)unlink(former.data);
    return true;
}

static bool is_gateway_ready(const Place *place)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error ignored = {0};
    Str answer = S("");
    return haproxy_socket_ask(place_path(arena, place->data, "gateway/haproxy.sock"), S("show info"), arena, &answer,
                              &ignored) &&
           answer.len > 0;
}

bool is_service_ready(const Place *place, const Service *service, int64_t timeout_ms)
{
    if (!service->process.pid)
        return false;
    switch (service->kind) {
    case SERVICE_SHOPD: return is_address_ready(service->listen, timeout_ms);
    case SERVICE_GATEWAY: return is_gateway_ready(place);
    case SERVICE_POSTGRES:
    case SERVICE_CONTROLLER: return true;
    }
    return true;
}

// The way to the control database isn't shopd's to know.
static bool is_operators(const char *variable)
{
    return str_has_prefix(str_of(variable), S("SHOPCTL_")) || str_has_prefix(str_of(variable), S("PGPASSFILE="));
}

static bool shopd_spec(const Launch *launch, const Service *service, Arena *arena, ProcessSpec *out, Error *err)
{
    size_t total = 0, kept = 0, count = 0;
    while (launch->environment[total])
        total++;
    const char **argv = arena_array(arena, 12, const char *);
    const char **environment = arena_array(arena, total + 1, const char *);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < total; i++)
        if (!is_operators(launch->environment[i]))
            environment[kept++] = launch->environment[i];
    argv[count++] = launch->shopd.data;
    argv[count++] = "--cell";    // no password is in it
    argv[count++] = service->dsn.data;
    argv[count++] = "--listen";
    argv[count++] = service->listen.data;
    if (launch->threads.len) {
        argv[count++] = "--threads";
        argv[count++] = launch->threads.data;
    }
    if (launch->place.shopd_user) {    // it binds its port, then becomes this user by itself
        argv[count++] = "--user";
        argv[count++] = launch->place.shopd_user;
    }
    *out = (ProcessSpec){.argv = argv, .environment = environment, .is_session = true};
    return arena_ok(arena, err);
}

// Its master process, which starts another one with each reload, and ends when that one fails.
static bool gateway_spec(const Launch *launch, Arena *arena, ProcessSpec *out, Error *err)
{
    static const char *const NOTHING[] = {NULL};
    const char **argv = arena_array(arena, 5, const char *);
    Str program = S("");
    if (!launch_haproxy(launch->haproxy, arena, &program, err))
        return false;
    Str configuration = place_path(arena, launch->place.data, "gateway/haproxy.cfg");
    if (!arena_ok(arena, err))
        return false;
    argv[0] = program.data;
    argv[1] = "-W";
    argv[2] = "-f";
    argv[3] = configuration.data;
    *out = (ProcessSpec){.argv = argv, .environment = NOTHING, .is_session = true};
    return true;
}

static bool service_spec(const Launch *launch, const Service *service, Arena *arena, ProcessSpec *out, Error *err)
{
    if (service->kind == SERVICE_GATEWAY)
        return gateway_spec(launch, arena, out, err);
    if (service->kind == SERVICE_POSTGRES)
        return cluster_spec(&launch->place, launch->programs, arena, out, err);
    if (service->kind == SERVICE_SHOPD)
        return shopd_spec(launch, service, arena, out, err);
    const char **argv = arena_array(arena, 3, const char *);
    if (!arena_ok(arena, err))
        return false;
    argv[0] = launch->shopctl.data;
    argv[1] = "controller";
    *out = (ProcessSpec){.argv = argv, .environment = launch->environment, .is_session = true};
    return true;
}

bool service_start(const Launch *launch, Service *service, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str log = service_log(&launch->place, service, arena), pid = pid_path(&launch->place, service, arena);
    ProcessSpec spec;
    if (service->kind == SERVICE_POSTGRES &&
        (!cluster_clear(&launch->place, err) || !place_make_sockets(&launch->place, err)))
        return false;
    if (!service_spec(launch, service, arena, &spec, err) ||
        (service->is_public && !listeners_listen(&launch->listeners, err)))
        return false;
    CLEANUP(fd_close) int log_fd = open(log.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (log_fd < 0)
        return error_from_errno(err, errno, "the log '%s' can't be opened", log.data);
    spec.output = log_fd;
    spec.pid_path = pid.data;
    spec.passed = launch->listeners.sockets;
    spec.passed_count = service->is_public ? launch->listeners.count : 0;
    return process_start(&spec, &service->process, err);
}

// ---- stopping ----

// It asks shopd as long as shoppers wait for answers: it takes no more of them, answers those, and ends.
static void stop_gateway(Service *services, size_t count, int64_t timeout_ms)
{
    for (size_t i = 0; i < count; i++)
        if (services[i].kind == SERVICE_GATEWAY && services[i].process.pid)
            (void)process_stop(&services[i].process, SIGUSR1, timeout_ms);
}

// What is left where a supervisor died while one shopd took another's place.
static void stop_former(const Place *place, const Service *services, size_t count, int64_t timeout_ms)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(process_close) Process former = {.pidfd = -1};
        Error ignored = {0};
        if (services[i].kind == SERVICE_SHOPD && service_former_open(place, &services[i], &former, &ignored) &&
            former.pid)
            (void)process_stop(&former, SIGTERM, timeout_ms);
    }
}

static void stop_together(Service *services, size_t count, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    for (size_t i = 0; i < count; i++)
        if (services[i].kind != SERVICE_POSTGRES)
            process_signal(&services[i].process, SIGTERM);
    for (size_t i = 0; i < count; i++)
        if (services[i].kind != SERVICE_POSTGRES && services[i].process.pid)
            (void)process_stop(&services[i].process, SIGTERM, MAX(deadline_ms - clock_ms(), (int64_t)0));
}

static void stop_postgres(Process *process)
{
    ProcessEnd end;
    process_signal(process, SIGINT);    // fast: transactions are rolled back, then a checkpoint
    if (!has_process_ended(process, POSTGRES_FAST_MS, &end))
        (void)process_stop(process, SIGQUIT, POSTGRES_IMMEDIATE_MS);
}

bool services_stop(const Launch *launch, Service *services, size_t count, ServiceStopped *stopped, void *context,
                   Error *err)
{
    enum { SERVICES_MAX = 512 };
    int pids[SERVICES_MAX] = {0};
    assert(count <= SERVICES_MAX);
    for (size_t i = 0; i < count; i++)
        pids[i] = services[i].process.pid;
    stop_gateway(services, count, launch->stop_timeout_ms);
    stop_together(services, count, launch->stop_timeout_ms);
    stop_former(&launch->place, services, count, launch->stop_timeout_ms);
    for (size_t i = 0; i < count; i++)
        if (services[i].kind == SERVICE_POSTGRES && services[i].process.pid)
            stop_postgres(&services[i].process);
    for (size_t i = count; i-- > 0;)
        if (pids[i] && stopped)
            stopped(context, &services[i], pids[i]);
    return !launch->place.is_embedded || cluster_clear(&launch->place, err);
}

// ---- listing ----

// The value of an option in a command line whose words end in NUL; empty where it isn't given.
static Str option_value(Str line, Str option)
{
    Str word, value = S("");
    bool is_next = false;
    while (str_cut(&line, '\0', &word)) {
        if (is_next)
            value = word;
        is_next = str_eq(word, option);
        if (word.len > option.len && str_has_prefix(word, option) && word.data[option.len] == '=')
            value = str_skip(word, option.len + 1);
    }
    return value;
}

// The value of a variable in an environment as the kernel gives it; empty where it isn't set or we may not read it.
static Str variable_value(Str environment, Str prefix)
{
    Str entry;
    while (str_cut(&environment, '\0', &entry))
        if (str_has_prefix(entry, prefix))
            return str_skip(entry, prefix.len);
    return S("");
}

static Str program_name(Str line)
{
    Str program = str_slice(line, 0, str_find_char(line, '\0'));
    const char *slash = program.len ? memrchr(program.data, '/', program.len) : NULL;
    return slash ? str_skip(program, (size_t)(slash + 1 - program.data)) : program;
}

static bool is_same_value(Str dsn, Str other, const char *key, Arena *arena)
{
    Error ignored = {0};
    Str left, right;
    return dsn_value(dsn, key, arena, &left, &ignored) && dsn_value(other, key, arena, &right, &ignored) &&
           str_eq(left, right);
}

// The name of the platform's cell that a DSN means, by server and database; empty for another platform's.
static Str cell_of(const Place *place, const Json *record, Str dsn, Arena *arena)
{
    const Json *cells = json_get(record, "cells");
    if (place->is_embedded && str_find(dsn, place->sockets) == dsn.len && dsn.len)
        return S("");
    for (size_t i = 0; i < json_count(cells); i++) {
        const Json *cell = json_element(cells, i);
        Str known = json_str(json_get(cell, "dsn"));
        if (is_same_value(dsn, known, "dbname", arena) &&
            (place->is_embedded ||
             (is_same_value(dsn, known, "host", arena) && is_same_value(dsn, known, "port", arena))))
            return json_str(json_get(cell, "name"));
    }
    return S("");
}

static Json *modules_list(Str text)
{
    Json *list = json_build("[]");
    Str module;
    bool ok = list != NULL;
    if (text.len == 0)
        text = S("all");
    while (ok && str_cut(&text, ',', &module))
        ok = json_append(list, json_from_str(str_trim(module)));
    if (!ok)
        json_close(&list);
    return list;
}

// What the kernel says of a process: its command line, or its environment.
static Str process_text(const char *pid, const char *what, char *buffer)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, what);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, buffer, PROCESS_TEXT_MAX);
    return (Str){buffer, length > 0 ? (size_t)length : 0};
}

// What a shopd was told by an option, or by the variable that stands for it.
typedef struct ShopdWords {
    Str line;
    Str environment;
} ShopdWords;

static Str told(const ShopdWords *words, const char *option, const char *variable)
{
    Str value = option_value(words->line, str_of(option));
    return value.len ? value : variable_value(words->environment, str_of(variable));
}

static Json *shopd_item(const char *pid, const ShopdWords *words, Str cell)
{
    Str listen = told(words, "--listen", "SHOPD_LISTEN=");
    Json *item = json_build("{s:I, s:s%, s:s%}", "pid", (json_int)strtol(pid, NULL, 10), "listen",
                            listen.len ? listen.data : "", listen.len, "cell", cell.data, cell.len);
    if (!item || !json_put(item, "modules", modules_list(told(words, "--modules", "SHOPD_MODULES="))))
        json_close(&item);
    return item;
}

// The shopd that a child of ours is, where its command line doesn't name its cell.
static const Service *own_service(const Service *services, size_t count, const char *pid)
{
    for (size_t i = 0; i < count; i++)
        if (services[i].kind == SERVICE_SHOPD && services[i].process.pid == (int)strtol(pid, NULL, 10))
            return &services[i];
    return NULL;
}

Json *services_shopd_list(const Place *place, const Json *record)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error ignored = {0};
    Service *services = NULL;
    size_t count = 0;
    if (!services_list(place, record, arena, &services, &count, &ignored))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (services[i].kind == SERVICE_SHOPD && !service_open(place, &services[i], &ignored))
            error_clear(&ignored);
    Json *list = json_build("[]");
    DIR *all = opendir("/proc");
    for (struct dirent *entry; list && all && (entry = readdir(all));) {
        char line[PROCESS_TEXT_MAX], environment[PROCESS_TEXT_MAX];
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        ShopdWords words = {.line = process_text(entry->d_name, "cmdline", line)};
        if (!str_eq(program_name(words.line), S("shopd")))
            continue;
        words.environment = process_text(entry->d_name, "environ", environment);
        const Service *own = own_service(services, count, entry->d_name);
        Str cell = own ? own->cell : cell_of(place, record, told(&words, "--cell", "SHOPD_CELL="), arena);
        if (cell.len && !json_append(list, shopd_item(entry->d_name, &words, cell)))
            json_close(&list);
    }
    if (all)
        (void)closedir(all);
    for (size_t i = 0; i < count; i++)
        process_close(&services[i].process);
    return list;
}
