// provisioner/gateway_watch.c: brings the gateway in when it is needed, and syncs it when what it needs to know
// changed.
#include "provisioner/gateway_watch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "provisioner/gateway.h"
#include "provisioner/installation.h"

enum {
    LOOK_MS = 300,
    RETRY_MS = 5000,
    FOLLOW_RETRY_MS = 60000,    // where the gateway is wanted and can't be had
    BUDGET = MIB,
    LOOK_BUDGET = 16 * MIB,
    SIGNATURE_TEXT = 128,
};

typedef struct GatewayWatch {
    const Settings *settings;
    Str socket;
    Platform *platform;
    char known[SIGNATURE_TEXT];    // what the record said when it was synced
    int64_t cells;                 // how many there were when it was last brought in, or couldn't be
    int64_t follow_ms;             // not tried before, unless there are more
} GatewayWatch;

static void line(const char *event, const char *key, Str value)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf fields = {.arena = arena};
    log_field_str(&fields, key, value);
    log_line(LOG_WARNING, event, strbuf_str(&fields));
}

static void follow_say(void *context, const char *text)
{
    (void)context;
    line("gateway", "said", str_of(text));
}

// Has the platform on this machine run what its record now asks for: a gateway, or another configuration of it.
static bool follow(const GatewayWatch *watch, Error *err)
{
    return installation_follow(
        &(InstallationOptions){.settings = watch->settings, .say = follow_say, .is_impatient = true}, err);
}

// ---- without one: whether it is time

static bool is_wanted(const GatewayWatch *watch, bool *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LOOK_BUDGET);
    CLEANUP(json_close) Json *record = NULL;
    Place place;
    if (!launch_place(watch->settings, arena, &place, err) || !place_record_read(&place, &record, err))
        return false;
    const Json *gateway = json_get(record, "gateway");
    *out = str_eq(json_str(json_get(gateway, "mode")), S("auto")) && !json_bool(json_get(gateway, "is_on"));
    return true;
}

static bool look_for_cells(GatewayWatch *watch, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    bool is_due = false;
    if (!db_query(platform_control(watch->platform), S("select count(*) from control.gateway_cells()"), NO_PARAMS,
                  &rows, err))
        return false;
    int64_t cells = rows_int64(rows, 0, 0);
    if (cells < 2 || (cells == watch->cells && clock_ms() < watch->follow_ms))
        return true;
    if (!is_wanted(watch, &is_due, err) || (is_due && !follow(watch, err)))
        return false;
    watch->cells = cells;
    watch->follow_ms = clock_ms() + FOLLOW_RETRY_MS;
    return true;
}

// ---- with one: what it doesn't know yet

static bool sync(const GatewayWatch *watch, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LOOK_BUDGET);
    CLEANUP(json_close) Json *answer = NULL;
    GatewayOptions options;
    if (!gateway_options_read(watch->settings, S(""), arena, &options, err) ||
        !gateway_sync(watch->platform, &options, false, &answer, err))
        return false;
    Str reload = json_str(json_get(answer, "reload"));
    if (reload.len == 0)
        return true;
    if (options.held)
        return follow(watch, err);
    line("gateway_needs_reload", "command", reload);
    return true;
}

static bool look_for_changes(GatewayWatch *watch, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(watch->platform), S("select control.gateway_signature()"), NO_PARAMS, &rows, err))
        return false;
    Str now = rows_str(rows, 0, 0);
    if (str_eq(now, str_of(watch->known)))
        return true;
    if (!sync(watch, err))
        return false;
    (void)snprintf(watch->known, SIGNATURE_TEXT, "%.*s", STR_ARG(now));
    return true;
}

static bool look(GatewayWatch *watch, Error *err)
{
    if (!watch->platform ? !platform_open(watch->settings, &watch->platform, err)
                         : !platform_reconnect(watch->platform, err))
        return false;
    if (file_exists(watch->socket))
        return look_for_changes(watch, err);
    watch->known[0] = '\0';    // one that comes knows what its files say
    return look_for_cells(watch, err);
}

void gateway_watch(const Settings *settings, const atomic_bool *is_stopping)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    GatewayWatch watch = {.settings = settings};
    Place place = {0};
    Error err = {0};
    if (launch_place(settings, arena, &place, &err))
        watch.socket = str_format(arena, "%.*s/gateway/haproxy.sock", STR_ARG(place.data));
    while (!*is_stopping && watch.socket.len) {
        int64_t wait_ms = LOOK_MS;
        if (!look(&watch, &err)) {
            // None runs, another shopctl is at work, or the controller's own thread tells of the database.
            if (err.code != ERR_UNREACHABLE && err.code != ERR_BUSY)
                log_error("gateway_not_synced", &err);
            wait_ms = err.code == ERR_BUSY ? LOOK_MS : RETRY_MS;
            error_clear(&err);
        }
        clock_sleep_unless(is_stopping, wait_ms);
    }
    platform_close(&watch.platform);
}
