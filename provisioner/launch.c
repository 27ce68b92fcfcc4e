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

static bool shopd_path(const Settings *settings, Str shopctl, Arena *arena, Str *out, Error *err)
{
    Str set = setting_text(settings, "shopd");
    const char *slash = memrchr(shopctl.data, '/', shopctl.len);
    Str path =
        set.len ? str_copy(arena, set) : str_format(arena, "%.*s/shopd", (int)(slash - shopctl.data), shopctl.data);
    if (!arena_ok(arena, err))
        return false;
    if (access(path.data, X_OK) != 0) {
        error_from_errno(err, errno, "the program '%s' can't be run", path.data);
        return error_next(err, "set shopd to its path");
    }
    *out = path;
    return true;
}

// What shopd and the controller inherit: what says where things are, and the settings of this run.
static bool environment_make(const Settings *settings, const Place *place, Arena *arena, const char *const **out,
                             Error *err)
{
    static const char *const KEPT[] = {
        "PATH=", "HOME=", "LANG=", "LC_ALL=", "TZ=", "PGPASSFILE=", "TMPDIR=", "ASAN_OPTIONS=", "UBSAN_OPTIONS="};
    static const char *const FROM_SETTINGS[] = {
        "SHOPCTL_DATA=", "SHOPCTL_CONFIG=", "SHOPCTL_CONTROL_DSN=", "SHOPCTL_LISTEN=", "SHOPCTL_BASE_DOMAIN="};
    size_t total = 0, count = 0;
    while (environ[total])
        total++;
    const char **environment = arena_array(arena, total + 16, const char *);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < total; i++) {
        Str entry = str_of(environ[i]);
        bool keep = str_has_prefix(entry, S("SHOPCTL_")) || str_has_prefix(entry, S("SHOPD_"));
        for (size_t j = 0; j < COUNT(KEPT) && !keep; j++)
            keep = str_has_prefix(entry, str_of(KEPT[j]));
        for (size_t j = 0; j < COUNT(FROM_SETTINGS) && keep; j++)
            keep = !str_has_prefix(entry, str_of(FROM_SETTINGS[j]));
        if (keep)
            environment[count++] = environ[i];
    }
    char config[PATH_MAX] = "";
    Str named = settings_config(settings);
    if (named.len && !realpath(str_copy(arena, named).data, config))
        config[0] = '\0';
    environment[count++] = str_format(arena, "SHOPCTL_DATA=%.*s", STR_ARG(place->data)).data;
    if (config[0])
        environment[count++] = str_format(arena, "SHOPCTL_CONFIG=%s", config).data;
    static const struct {
        const char *setting, *variable;
    } PASSED[] = {{"control_dsn", "SHOPCTL_CONTROL_DSN"}, {"listen", "SHOPCTL_LISTEN"},
                  {"base_domain", "SHOPCTL_BASE_DOMAIN"}, {"base_domain", "SHOPD_BASE_DOMAIN"},
                  {"cache_bytes", "SHOPD_CACHE_BYTES"},   {"log_level", "SHOPD_LOG_LEVEL"}};
    for (size_t i = 0; i < COUNT(PASSED); i++) {
        Str value = strcmp(PASSED[i].setting, "cache_bytes") == 0
                        ? str_format(arena, "%lld", (long long)setting_int(settings, "cache_bytes"))
                        : setting_text(settings, PASSED[i].setting);
        if (value.len)
            environment[count++] = str_format(arena, "%s=%.*s", PASSED[i].variable, STR_ARG(value)).data;
    }
    environment[count] = NULL;
    *out = environment;
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
    Launch launch = {.stop_timeout_ms = setting_int(settings, "stop_timeout_s") * 1000};
    if (!launch_place(settings, arena, &launch.place, err) || !own_path(arena, &launch.shopctl, err) ||
        !shopd_path(settings, launch.shopctl, arena, &launch.shopd, err) ||
        !environment_make(settings, &launch.place, arena, &launch.environment, err))
        return false;
    if (launch.place.is_embedded &&
        !cluster_programs(&launch.place, setting_text(settings, "postgres_bin"), arena, &launch.programs, err))
        return false;
    if (setting_int(settings, "threads"))
        launch.threads = str_format(arena, "%lld", (long long)setting_int(settings, "threads"));
    *out = launch;
    return arena_ok(arena, err);
}
