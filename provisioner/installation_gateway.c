// provisioner/installation_gateway.c: whether the platform has a gateway, and what must be done before and after.
#include "provisioner/installation_gateway.h"

#include <signal.h>

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/address.h"
#include "provisioner/gateway_files.h"
#include "provisioner/haproxy.h"

enum {
    PORT_FIRST = 18000,    // behind the gateway: below those that the kernel gives to whoever asks for any
    PORTS = 2000,
    RELOAD_STEP_MS = 100,
};

static const Str AUTO = S("auto"), ALWAYS = S("always"), NEVER = S("never");

// The one of this kind that runs, at this address (empty: at any).
static const Service *service_of(const Running *running, ServiceKind kind, Str listen)
{
    for (size_t i = 0; i < running->count; i++) {
        const Service *service = &running->services[i];
        if (service->kind == kind && service->process.pid && (listen.len == 0 || str_eq(service->listen, listen)))
            return service;
    }
    return NULL;
}

// ---- what is wanted

static Str mode_of(const InstallationGateway *gateway, bool is_up, const Json *recorded)
{
    bool is_set = is_up && !str_eq(setting_source(gateway->settings, "gateway"), S("default"));
    Str mode = is_set ? setting_text(gateway->settings, "gateway") : json_str(json_get(recorded, "mode"));
    return str_copy(gateway->arena, mode.len ? mode : AUTO);
}

bool installation_gateway_choose(InstallationGateway *gateway, bool is_up, const Json *record, const Running *running,
                                 Str listen, Error *err)
{
    const Json *recorded = json_get(record, "gateway");
    Str program = S("");
    if (!(is_up ? gateway_options_platform(gateway->settings, listen, gateway->arena, &gateway->options, err)
                : gateway_options_noted(gateway->place, record, gateway->arena, &gateway->options, err)))
        return false;
    gateway->behind = listen;
    if (running->supervisor.pid && record && !recorded)
        return true;
    gateway->mode = mode_of(gateway, is_up, recorded);
    gateway->was_on = json_bool(json_get(recorded, "is_on")) &&
                      (running->supervisor.pid || service_of(running, SERVICE_GATEWAY, S("")));
    if (gateway->was_on && str_eq(gateway->mode, NEVER)) {
        error_set(err, ERR_STATE, "the platform runs already, with the gateway");
        return error_next(err, "run shopctl down first, then up --gateway never");
    }
    if (is_up && !str_eq(gateway->mode, NEVER) &&
        (!gateway_options_check(&gateway->options, gateway->arena, err) ||
         !gateway_certificates_check(&gateway->options, err)))
        return false;
    return !str_eq(gateway->mode, ALWAYS) ||
           launch_haproxy(setting_text(gateway->settings, "haproxy"), gateway->arena, &program, err);
}

// ---- whether there is one

// Cells beside the first one that have an address.
static bool has_more_cells(const InstallationGateway *gateway, const Json *items)
{
    for (size_t i = 0; i < json_count(items); i++) {
        const Json *cell = json_element(items, i);
        if (!str_eq(json_str(json_get(cell, "name")), gateway->first_cell) && json_str(json_get(cell, "url")).len &&
            str_eq(json_str(json_get(cell, "state")), S("open")))
            return true;
    }
    return false;
}

// There is a HAProxy to start, and none that somebody started by hand with our files.
static bool can_start(InstallationGateway *gateway, Error *err)
{
    Arena *arena = gateway->arena;
    Haproxy haproxy;
    Error absence = {0};
    Str program = S(""), socket = str_format(arena, "%.*s/haproxy.sock", STR_ARG(gateway->options.directory));
    if (!launch_haproxy(setting_text(gateway->settings, "haproxy"), arena, &program, err) ||
        !gateway_user_find(&gateway->options, arena, err))
        return false;
    if (!haproxy_open(socket, arena, &haproxy, &absence))
        return arena_ok(arena, err);
    error_set(err, ERR_STATE, "a gateway that shopctl up didn't start is at work");
    error_why(err, "process %lld answers at '%.*s'", (long long)haproxy.pid, STR_ARG(socket));
    return error_next(err, "end it, then run shopctl up again; or say --gateway never");
}

static Str first_url(const InstallationGateway *gateway, const Json *items)
{
    for (size_t i = 0; i < json_count(items); i++)
        if (str_eq(json_str(json_get(json_element(items, i), "name")), gateway->first_cell))
            return json_str(json_get(json_element(items, i), "url"));
    return S("");
}

static int64_t port_of(Str listen)
{
    Error ignored = {0};
    int64_t port = 0;
    size_t colon = listen.len;
    while (colon > 0 && listen.data[colon - 1] != ':')
        colon--;
    return str_int64(str_skip(listen, colon), 0, INT64_MAX, &port, &ignored) ? port : 0;
}

// The address that the first cell's shopd had there before, while it is its own or free, else another one.
static bool behind_choose(InstallationGateway *gateway, const Json *items, const Running *running, Error *err)
{
    Error taken = {0};
    Str listen = gateway->options.listen, known = str_copy(gateway->arena, address_of_url(first_url(gateway, items)));
    if (known.len && !str_eq(known, listen) &&
        (service_of(running, SERVICE_SHOPD, known) || address_check(known, &taken))) {
        gateway->behind = known;
        return true;
    }
    for (int64_t i = 0; i < PORTS; i++) {
        long long port = PORT_FIRST + (port_of(listen) + i) % PORTS;
        gateway->behind = str_format(gateway->arena, "127.0.0.1:%lld", port);
        error_clear(&taken);
        if (!arena_ok(gateway->arena, err))
            return false;
        if (address_check(gateway->behind, &taken))
            return true;
    }
    *err = taken;
    return error_wrap(err, "no port is free for the first cell's shopd behind the gateway");
}

bool installation_gateway_decide(InstallationGateway *gateway, const Json *items, const Running *running, Error *err)
{
    Error hindered = {0};
    bool is_auto = str_eq(gateway->mode, AUTO);
    if (!gateway->was_on && !str_eq(gateway->mode, ALWAYS) && !(is_auto && has_more_cells(gateway, items)))
        return true;
    if (gateway->was_on ? !gateway_user_find(&gateway->options, gateway->arena, err) : !can_start(gateway, &hindered)) {
        if (err->code == ERR_NONE && is_auto)
            gateway->why_not = str_format(gateway->arena, "%s; %s", hindered.what, hindered.next);
        else if (err->code == ERR_NONE)
            *err = hindered;
        return err->code == ERR_NONE;
    }
    gateway->is_on = true;
    return behind_choose(gateway, items, running, err);
}

bool installation_gateway_note(const InstallationGateway *gateway, Json *record)
{
    if (gateway->mode.len == 0)
        return true;
    Json *note = json_build("{s:s%, s:b}", "mode", gateway->mode.data, gateway->mode.len, "is_on", (int)gateway->is_on);
    if (note && !gateway_options_note(&gateway->options, note))
        json_close(&note);
    return json_put(record, "gateway", note);
}

// ---- before

// Where shoppers come: by TLS where there are certificates.
static bool public_url(const InstallationGateway *gateway, Str *out, Error *err)
{
    const GatewayOptions *options = &gateway->options;
    Str url = S("");
    if (!address_url(options->certificates.len ? options->tls_listen : options->listen, gateway->arena, &url, err))
        return false;
    *out = options->certificates.len ? str_format(gateway->arena, "https%.*s", STR_ARG(str_skip(url, strlen("http"))))
                                     : url;
    return arena_ok(gateway->arena, err);
}

bool installation_gateway_prepare(const InstallationGateway *gateway, Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *rendered = NULL;
    Str url = S(""), behind = S("");
    if (!address_url(gateway->behind, gateway->arena, &behind, err) ||
        (gateway->is_on && !public_url(gateway, &url, err)))
        return false;
    return db_run(platform_control(platform), S("select control.gateway_set($1, $2, $3)"),
                  PARAMS(url, gateway->first_cell, behind), err) &&
           (!gateway->is_on || gateway_render(platform, &gateway->options, false, &rendered, err));
}

// ---- after

static bool not_reloaded(const Json *answer, Error *err)
{
    error_set(err, ERR_FAILED, "the gateway can't be reloaded");
    error_why(err, "%.*s", STR_ARG(json_str(json_element(json_get(answer, "why"), 0))));
    return error_next(err, "see its log, gateway.log");
}

bool installation_gateway_finish(const InstallationGateway *gateway, Platform *platform, const Running *running,
                                 int64_t deadline_ms, Error *err)
{
    const Service *service = service_of(running, SERVICE_GATEWAY, S(""));
    for (bool is_told = false; gateway->is_on && service; clock_sleep_ms(RELOAD_STEP_MS)) {
        CLEANUP(json_close) Json *answer = NULL;
        if (!gateway_sync(platform, &gateway->options, false, &answer, err))
            return false;
        if (json_count(json_get(answer, "why")) == 0)
            return true;
        if (clock_ms() >= deadline_ms)
            return not_reloaded(answer, err);
        if (!is_told)
            process_signal(&service->process, SIGUSR2);
        is_told = true;
    }
    return true;
}
