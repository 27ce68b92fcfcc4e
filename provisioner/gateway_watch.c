// provisioner/gateway_watch.c: syncs the gateway when what it needs to know has changed.
#include "provisioner/gateway_watch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "provisioner/gateway.h"

enum { LOOK_MS = 300, RETRY_MS = 5000, BUDGET = MIB, SIGNATURE_TEXT = 128 };

static void reload_log(const Json *answer)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf fields = {.arena = arena};
    Str command = json_str(json_get(answer, "reload"));
    if (command.len == 0)
        return;
    log_field_str(&fields, "command", command);
    log_line(LOG_WARNING, "gateway_needs_reload", strbuf_str(&fields));
}

// Does nothing where `known` is what the record says.
static bool look(Platform *platform, const GatewayOptions *options, char known[SIGNATURE_TEXT], Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    if (!platform_reconnect(platform, err) ||
        !db_query(platform_control(platform), S("select control.gateway_signature()"), NO_PARAMS, &rows, err))
        return false;
    Str now = rows_str(rows, 0, 0);
    if (str_eq(now, str_of(known)))
        return true;
    if (!gateway_sync(platform, options, false, &answer, err))
        return false;
    (void)snprintf(known, SIGNATURE_TEXT, "%.*s", STR_ARG(now));
    reload_log(answer);
    return true;
}

void gateway_watch(const Settings *settings, const atomic_bool *is_stopping)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(platform_close) Platform *platform = NULL;
    GatewayOptions options;
    char known[SIGNATURE_TEXT] = "";
    Error err = {0};
    bool is_set = gateway_options_read(settings, S(""), arena, &options, &err);
    Str socket = is_set ? str_format(arena, "%.*s/haproxy.sock", STR_ARG(options.directory)) : S("");
    while (!*is_stopping && socket.len) {
        int64_t wait_ms = LOOK_MS;
        if (!file_exists(socket)) {
            known[0] = '\0';    // another one may come, which knows what its files say
        } else if ((!platform && !platform_open(settings, &platform, &err)) || !look(platform, &options, known, &err)) {
            if (err.code != ERR_UNREACHABLE)    // none runs, or the controller's own thread tells of the database
                log_error("gateway_not_synced", &err);
            error_clear(&err);
            wait_ms = RETRY_MS;
        }
        clock_sleep_unless(is_stopping, wait_ms);
    }
}
