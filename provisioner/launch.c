// provisioner/launch.c: programs, users and environment, from the settings.
#include "provisioner/launch.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/arena.h"
#include "provisioner/cluster.h"

static bool own_path(Arena *arena, Str *out, Error *err)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length < 0)
        return error_from_errno(err, errno, "the path of this program can't be found");
    Str own = {path, (size_t)length};
    if (str_has_suffix(own, S(" (deleted)")))    // built again since we started
        own.len -= strlen(" (deleted)");
    *out = str_copy(arena, own);
    return arena_ok(arena, err);
}

static Str shopd_beside(const Settings *settings, Str shopctl, Arena *arena)
{
    Str set = setting_text(settings, "shopd");
    const char *slash = memrchr(shopctl.data, '/', shopctl.len);
    return set.len ? str_copy(arena, set) : str_format(arena, "%.*s/shopd", (int)(slash - shopctl.data), shopctl.data);
}

bool launch_shopd(const Settings *settings, Arena *arena, Str *out, Error *err)
{
    Str shopctl = S("");
    if (!own_path(arena, &shopctl, err))
        return false;
    *out = shopd_beside(settings, shopctl, arena);
    return arena_ok(arena, err);
}

// In our PATH, or where Debian has it, which isn't in everybody's.
static Str haproxy_look(Arena *arena)
{
    const char *own = getenv("PATH");
    Str directories = str_format(arena, "%s:/usr/sbin:/usr/local/sbin", own ? own : ""), directory;
    while (str_cut(&directories, ':', &directory)) {
        Str path = str_format(arena, "%.*s/haproxy", STR_ARG(directory));
        if (directory.len && path.len && access(path.data, X_OK) == 0)
            return path;
    }
    return S("");
}

bool launch_haproxy(Str set, Arena *arena, Str *out, Error *err)
{
    Str path = set.len ? str_copy(arena, set) : haproxy_look(arena);
    if (!arena_ok(arena, err))
        return false;
    if (path.len == 0 || access(path.data, X_OK) != 0) {
        error_set(err, ERR_NOT_FOUND, "HAProxy isn't installed");
        if (set.len)
            error_why(err, "the program '%.*s', which the setting haproxy names, can't be run", STR_ARG(set));
        return error_next(err, "install the package haproxy (apt-get install haproxy), or say --gateway never");
    }
    *out = path;
    return true;
}

static bool shopd_path(const Settings *settings, Str shopctl, Arena *arena, Str *out, Error *err)
{
    Str path = shopd_beside(settings, shopctl, arena);
    if (!arena_ok(arena, err))
        return false;
    if (access(path.data, X_OK) != 0) {
        error_from_errno(err, errno, "the program '%s' can't be run", path.data);
        return error_next(err, "set shopd to its path");
    }
    *out = path;
    return true;
}

// A setting's value as text; empty for one that isn't set.
static Str setting_value(const Settings *settings, const SettingRow *row, Arena *arena)
{
    switch (row->type) {
    case SETTING_TEXT:
    case SETTING_CHOICE: return setting_text(settings, row->name);
    case SETTING_INT: return str_int(arena, setting_int(settings, row->name));
    case SETTING_BOOL: return setting_is_true(settings, row->name) ? S("true") : S("false");
    }
    return S("");
}

static Str variable_name(Arena *arena, const char *prefix, const char *setting)
{
    Str name = str_format(arena, "%s%s", prefix, setting);
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] >= 'a' && name.data[i] <= 'z')
            ((char *)name.data)[i] -= 'a' - 'A';
    return name;
}

typedef struct Environment {
    Arena *arena;
    const char **rows;
    size_t count;
} Environment;

static void variable_set(Environment *environment, Str name, Str value)
{
    Str prefix = str_format(environment->arena, "%.*s=", STR_ARG(name));
    for (size_t i = 0; i < environment->count;)
        if (str_has_prefix(str_of(environment->rows[i]), prefix))
            environment->rows[i] = environment->rows[--environment->count];
        else
            i++;
    Str row = str_format(environment->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(value));
    environment->rows[environment->count++] = row.data;
}

// A path that is right wherever the program starts.
static Str real_path(Arena *arena, Str path)
{
    char real[PATH_MAX];
    return path.len && realpath(str_copy(arena, path).data, real) ? str_copy(arena, str_of(real)) : path;
}

// The gateway, or another proxy on this machine, and those that the operator names. A variable of shopd's own stays.
static Str trusted_proxies(const Settings *settings, Arena *arena)
{
    const char *own = getenv("SHOPD_TRUSTED_PROXIES");
    const Str names[] = {S("loopback"), setting_text(settings, "trusted_proxies"), str_of(own ? own : "")};
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_trim(names[i]).len)
            strbuf_format(&buf, "%s%.*s", buf.len ? "," : "", STR_ARG(str_trim(names[i])));
    return strbuf_str(&buf);
}

// What shopd and the controller inherit: what says where things are, and the settings of this run.
static bool environment_make(const Settings *settings, const Place *place, Arena *arena, const char *const **out,
                             Error *err)
{
    static const char *const KEPT[] = {"PATH=",   "HOME=",         "LANG=",          "LC_ALL=",  "TZ=",   "PGPASSFILE=",
                                       "TMPDIR=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "SHOPCTL_", "SHOPD_"};
    static const char *const SHOPD[] = {"base_domain", "cache_bytes", "log_level"};
    size_t total = 0, rows = 0;
    while (environ[total])
        total++;
    while (SETTING_ROWS[rows].name)
        rows++;
    Environment environment = {.arena = arena,
                               .rows = arena_array(arena, total + rows + COUNT(SHOPD) + 5, const char *)};
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < total; i++)
        for (size_t j = 0; j < COUNT(KEPT); j++)
            if (strncmp(environ[i], KEPT[j], strlen(KEPT[j])) == 0) {
                environment.rows[environment.count++] = environ[i];
                break;
            }
    for (const SettingRow *row = SETTING_ROWS; row->name; row++) {
        Str value = setting_value(settings, row, arena);
        if (str_has_prefix(setting_source(settings, row->name), S("--")))
            variable_set(&environment, variable_name(arena, "SHOPCTL_", row->name), value);
        for (size_t i = 0; i < COUNT(SHOPD); i++)
            if (strcmp(row->name, SHOPD[i]) == 0)
                variable_set(&environment, variable_name(arena, "SHOPD_", row->name), value);
    }
    variable_set(&environment, S("SHOPD_TRUSTED_PROXIES"), trusted_proxies(settings, arena));
    variable_set(&environment, S("SHOPCTL_DATA"), place->data);
    if (setting_text(settings, "plans").len)
        variable_set(&environment, S("SHOPCTL_PLANS"), real_path(arena, setting_text(settings, "plans")));
    if (settings_config(settings).len)
        variable_set(&environment, S("SHOPCTL_CONFIG"), real_path(arena, settings_config(settings)));
    *out = environment.rows;
    return arena_ok(arena, err);
}

bool launch_place(const Settings *settings, Arena *arena, Place *out, Error *err)
{
    return place_resolve(&(PlaceOptions){.data = setting_text(settings, "data"),
                                         .database_user = setting_text(settings, "database_user"),
                                         .shopd_user = setting_text(settings, "shopd_user"),
                                         .is_embedded = setting_text(settings, "control_dsn").len == 0},
                         arena, out, err);
}

bool launch_make(const Settings *settings, Arena *arena, Launch *out, Error *err)
{
    Launch launch = {.stop_timeout_ms = setting_int(settings, "stop_timeout_s") * 1000,
                     .haproxy = str_copy(arena, setting_text(settings, "haproxy"))};
    if (!launch_place(settings, arena, &launch.place, err) || !own_path(arena, &launch.shopctl, err) ||
        !shopd_path(settings, launch.shopctl, arena, &launch.shopd, err) ||
        !environment_make(settings, &launch.place, arena, &launch.environment, err))
        return false;
    if (launch.place.is_embedded &&
        !cluster_programs(&launch.place, setting_text(settings, "postgres_bin"), arena, &launch.programs, err))
        return false;
    if (setting_int(settings, "threads"))
        launch.threads = str_int(arena, setting_int(settings, "threads"));
    *out = launch;
    return arena_ok(arena, err);
}
