// provisioner/host_watch.c: a round over hosts and the cells on them, again and again.
#include "provisioner/host_watch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "provisioner/cell.h"
#include "provisioner/dedicated_mend.h"
#include "provisioner/host.h"

enum { ROUND_MS = 2000, GONE_MS = 30000, PING_MS = 5000, LINE_BUDGET = 16 * KIB };

static void line(LogLevel level, const char *event, const char *key, Str value)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LINE_BUDGET);
    StrBuf fields = {.arena = arena};
    log_field_str(&fields, key, value);
    log_line(level, event, strbuf_str(&fields));
}

static bool is_answering(Platform *platform, Str name, Error *why)
{
    Host *host = NULL;
    const EngineCall ping = {.method = "GET", .path = S("/_ping"), .put = http_drop, .timeout_ms = PING_MS};
    return platform_host(platform, name, &host, why) && engine_call(host_engine(host), &ping, NULL, why);
}

// *out tells whether its cells can be looked at.
static bool host_look(Platform *platform, Str name, bool *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Error why = {0};
    char gone_ms[24];
    (void)snprintf(gone_ms, sizeof(gone_ms), "%d", GONE_MS);
    *out = is_answering(platform, name, &why);
    if (!*out)
        platform_host_forget(platform, name);
    if (*out)
        return db_run(platform_control(platform), S("select control.host_answered($1)"), PARAMS(name), err);
    if (!db_query(platform_control(platform), S("select control.host_silent($1, $2::bigint)"),
                  PARAMS(name, str_of(gone_ms)), &rows, err))
        return false;
    if (rows_bool(rows, 0, 0))
        log_error("host_gone", &why);
    return true;
}

static void cell_look(Platform *platform, Str name)
{
    CLEANUP(json_close) Json *did = json_build("[]");
    Error err = {0};
    if (did && !dedicated_mend(platform, name, did, &err))
        log_error("cell_not_mended", &err);
    for (size_t i = 0; i < json_count(did); i++)
        line(LOG_WARNING, "cell_mended", "did", json_str(json_element(did, i)));
}

static bool round_run(Platform *platform, const atomic_bool *is_stopping, Error *err)
{
    CLEANUP(json_close) Json *hosts = NULL;
    CLEANUP(json_close) Json *cells = NULL;
    if (!platform_reconnect(platform, err) || !host_list(platform, &hosts, err) || !cell_list(platform, &cells, err))
        return false;
    const Json *items = json_get(hosts, "items"), *all = json_get(cells, "items");
    for (size_t i = 0; i < json_count(items) && !*is_stopping; i++) {
        Str name = json_str(json_get(json_element(items, i), "name"));
        bool is_there = false;
        if (!host_look(platform, name, &is_there, err))
            return false;
        for (size_t at = 0; at < json_count(all) && is_there && !*is_stopping; at++)
            if (str_eq(json_str(json_get(json_element(all, at), "host")), name))
                cell_look(platform, json_str(json_get(json_element(all, at), "name")));
    }
    return true;
}

void host_watch(const Settings *settings, const atomic_bool *is_stopping)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    while (!*is_stopping) {
        Error err = {0};
        if ((!platform && !platform_open(settings, &platform, &err)) || !round_run(platform, is_stopping, &err))
            platform_close(&platform);    // the controller's own thread tells of it
        clock_sleep_unless(is_stopping, ROUND_MS);
    }
}
