// provisioner/gateway_options.c: where the gateway answers, and as whom: by the settings, or by the platform's record.
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/gateway.h"
#include "provisioner/launch.h"

bool gateway_user_find(GatewayOptions *options, Arena *arena, Error *err)
{
    User user = {0};
    if (options->user.len && !user_find(str_copy(arena, options->user).data, &user, err))
        return error_where(err, "gateway_user") ||
               error_next(err, "install HAProxy, which makes its user, or set gateway_user");
    options->group = user.gid;
    return true;
}

static bool paths_make_absolute(GatewayOptions *options, Arena *arena, Error *err)
{
    return path_absolute(options->directory, arena, &options->directory, err) &&
           path_absolute(options->certificates, arena, &options->certificates, err);
}

static Str directory_of(const Place *place, Arena *arena)
{
    return str_format(arena, "%.*s/gateway", STR_ARG(place->data));
}

static bool settings_read(const Settings *settings, Str directory, Arena *arena, GatewayOptions *out, Error *err)
{
    *out = (GatewayOptions){.directory = directory,
                            .listen = setting_text(settings, "gateway_listen"),
                            .certificates = setting_text(settings, "gateway_certificates"),
                            .tls_listen = setting_text(settings, "gateway_tls_listen"),
                            .user = geteuid() == 0 ? setting_text(settings, "gateway_user") : S("")};
    return paths_make_absolute(out, arena, err);
}

// The address is one whose sockets `shopctl up` holds.
static void hold(GatewayOptions *options, Str listen)
{
    options->listen = listen;
    options->held = 1;
    for (size_t i = 0; i < listen.len; i++)
        options->held += listen.data[i] == ',';
}

bool gateway_options_platform(const Settings *settings, Str listen, Arena *arena, GatewayOptions *out, Error *err)
{
    Place place = {0};
    if (!launch_place(settings, arena, &place, err) ||
        !settings_read(settings, directory_of(&place, arena), arena, out, err))
        return false;
    hold(out, listen);
    return true;
}

bool gateway_options_noted(const Place *place, const Json *record, Arena *arena, GatewayOptions *out, Error *err)
{
    const Json *gateway = json_get(record, "gateway");
    *out = (GatewayOptions){.directory = directory_of(place, arena),
                            .certificates = str_copy(arena, json_str(json_get(gateway, "certificates"))),
                            .tls_listen = str_copy(arena, json_str(json_get(gateway, "tls_listen"))),
                            .user = str_copy(arena, json_str(json_get(gateway, "user")))};
    hold(out, str_copy(arena, json_str(json_get(record, "listen"))));
    return arena_ok(arena, err);
}

bool gateway_options_note(const GatewayOptions *options, Json *gateway)
{
    return json_put(gateway, "certificates", json_from_str(options->certificates)) &&
           json_put(gateway, "tls_listen", json_from_str(options->tls_listen)) &&
           json_put(gateway, "user", json_from_str(options->user));
}

bool gateway_options_renew(GatewayOptions *options, Str data, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *record = NULL;
    const Place place = {.data = data, .run = str_format(arena, "%.*s/run", STR_ARG(data))};
    return arena_ok(arena, err) && place_record_read(&place, &record, err) &&
           (!json_bool(json_get(json_get(record, "gateway"), "is_on")) ||
            (gateway_options_noted(&place, record, arena, options, err) && gateway_user_find(options, arena, err)));
}

bool gateway_options_read(const Settings *settings, Str directory, Arena *arena, GatewayOptions *out, Error *err)
{
    Place place = {0};
    if (directory.len)
        return settings_read(settings, directory, arena, out, err) && gateway_user_find(out, arena, err);
    return launch_place(settings, arena, &place, err) &&
           settings_read(settings, directory_of(&place, arena), arena, out, err) &&
           gateway_user_find(out, arena, err) && gateway_options_renew(out, place.data, arena, err);
}
