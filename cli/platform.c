// cli/platform.c: `shopctl up`, `down` and `status`: a platform on this machine.
#include <unistd.h>

#include "cli/answer.h"
#include "provisioner/installation.h"

#define STATUS_KEYS                                                                                                    \
    {.key = "state", .type = "text", .help = "running, partly or stopped."},                                           \
        {.key = "data", .type = "text", .help = "The platform's folder."},                                             \
        {.key = "url", .type = "text", .help = "Where shoppers reach it."},                                            \
        {.key = "control.dsn", .type = "text", .help = "Connection string of the control database."},                  \
        {.key = "cells", .type = "list", .help = "Its cells; with the database gone, as they were last known."},       \
        {.key = "cells[].name", .type = "text", .help = "The cell's name."},                                           \
        {.key = "cells[].dsn", .type = "text", .help = "Connection string of its database."},                          \
        {.key = "cells[].tenants", .type = "integer", .help = "Shops that it holds."},                                 \
        {.key = "cells[].capacity", .type = "integer", .help = "Shops that it may hold."},                             \
        {.key = "cells[].url", .type = "text", .help = "Where its shopd answers."},                                    \
        {.key = "cells[].state", .type = "text", .help = "open, or opening."},                                         \
        {.key = "cells[].spares", .type = "integer", .help = "Spare schemas that are kept ready."},                    \
        {.key = "cells[].created_at", .type = "time", .help = "When it was opened."},                                  \
        {.key = "cells[].version", .type = "text", .help = "Of its tables and functions."},                            \
        {.key = "shopd", .type = "list", .help = "Every shopd process of the platform on this machine."},              \
        {.key = "shopd[].pid", .type = "integer", .help = "Its process id."},                                          \
        {.key = "shopd[].listen", .type = "text", .help = "Where it listens."},                                        \
        {.key = "shopd[].modules", .type = "list", .help = "The modules that it runs, or all."},                       \
        {.key = "shopd[].cell", .type = "text", .help = "The cell that it serves."},                                   \
        {.key = "processes", .type = "list", .help = "What the supervisor keeps running, and itself."},                \
        {.key = "processes[].name",                                                                                    \
         .type = "text",                                                                                               \
         .help = "postgres, shopd-CELL, gateway, controller or supervisor."},                                          \
        {.key = "missing", .type = "list", .help = "Which of them don't run, where others do."},                       \
    {                                                                                                                  \
        .key = "processes[].pid", .type = "integer", .help = "Its process id."                                         \
    }

static const char *const GATEWAYS[] = {"auto", "always", "never", NULL};

static const OutputKey UP_KEYS[] = {
    {.key = "changed", .type = "bool", .help = "Whether anything had to be started."},
    {.key = "started", .type = "list", .help = "What was."},
    {.key = "would_make", .type = "list", .help = "With --dry-run: cluster, databases and cells that aren't there."},
    {.key = "would_migrate", .type = "list", .help = "With --dry-run: databases that aren't at this version."},
    {.key = "would_migrate[].name", .type = "text", .help = "control, or cell NAME."},
    {.key = "would_migrate[].files", .type = "integer", .help = "Files of tables and functions to be applied."},
    {.key = "would_migrate[].shops", .type = "integer", .help = "Shops and spare ones to be brought along."},
    {.key = "would_start", .type = "list", .help = "With --dry-run: what doesn't run."},
    STATUS_KEYS,
    {0},
};

static const OutputKey DOWN_KEYS[] = {
    {.key = "changed", .type = "bool", .help = "Whether anything ran."},
    {.key = "stopped", .type = "list", .help = "What did."},
    {.key = "would_stop", .type = "list", .help = "With --dry-run: what runs."},
    {0},
};

static const OutputKey STATUS_ROWS[] = {STATUS_KEYS, {0}};

// What is under way is for a person who waits; warnings and the last lines of a failed program's log are for everybody.
static void say(void *context, const char *text)
{
    if (isatty(STDERR_FILENO) || str_has_prefix(str_of(text), S("log: ")) ||
        str_has_prefix(str_of(text), S("warning: ")))
        command_note(context, "%s", text);
}

// "postgres, shopd-main" of a list of texts.
static Str names_text(const Json *names, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < json_count(names); i++)
        strbuf_format(&buf, "%s%.*s", i ? ", " : "", STR_ARG(json_str(json_element(names, i))));
    return strbuf_str(&buf);
}

// "would make database shop_control, cell main", a line for each of what there is to do.
static void names_say(StrBuf *buf, const char *verb, const Json *names)
{
    if (json_count(names) > 0)
        strbuf_format(buf, "would %s %.*s\n", verb, STR_ARG(names_text(names, buf->arena)));
}

static void migrations_say(StrBuf *buf, const Json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const Json *item = json_element(list, i);
        strbuf_format(buf, "would bring %.*s to this version: files %lld, shops %lld\n",
                      STR_ARG(json_str(json_get(item, "name"))), (long long)json_int64(json_get(item, "files")),
                      (long long)json_int64(json_get(item, "shops")));
    }
}

static bool preview(CommandCall *call, const InstallationOptions *options, bool is_up, Error *err)
{
    CLEANUP(json_close) Json *json = NULL;
    StrBuf buf = {.arena = call->arena};
    if (!installation_preview(options, is_up, &json, err))
        return false;
    names_say(&buf, "make", json_get(json, "would_make"));
    migrations_say(&buf, json_get(json, "would_migrate"));
    names_say(&buf, "start", json_get(json, "would_start"));
    names_say(&buf, "stop", json_get(json, "would_stop"));
    if (buf.len == 0)
        strbuf_format(&buf, "nothing to %s\n", is_up ? "start" : "stop");
    return answer_say(call, json, strbuf_str(&buf), err);
}

static bool up_run(CommandCall *call, Error *err)
{
    InstallationOptions options = {
        .settings = call->settings, .is_foreground = command_flag(call, "foreground"), .say = say, .context = call};
    if (call->is_dry_run)
        return preview(call, &options, true, err);
    InstallationUp up;
    if (!installation_up(&options, &up, err))
        return false;
    CLEANUP(json_close) Json *json = up.answer;
    if (!json) {    // it was the supervisor, in the foreground
        call->exit_code = up.exit_code;
        return true;
    }
    Str url = json_str(json_get(json, "url")), started = names_text(json_get(json, "started"), call->arena);
    Str text = started.len
                   ? str_format(call->arena, "started %.*s\nthe platform runs: %.*s/\n", STR_ARG(started), STR_ARG(url))
                   : str_format(call->arena, "nothing to start: the platform runs already: %.*s/\n", STR_ARG(url));
    return answer_say(call, json, text, err);
}

static bool down_run(CommandCall *call, Error *err)
{
    InstallationOptions options = {.settings = call->settings, .say = say, .context = call};
    if (call->is_dry_run)
        return preview(call, &options, false, err);
    CLEANUP(json_close) Json *json = NULL;
    if (!installation_down(&options, &json, err))
        return false;
    Str stopped = names_text(json_get(json, "stopped"), call->arena);
    Str text = stopped.len ? str_format(call->arena, "stopped %.*s\n", STR_ARG(stopped))
                           : S("nothing to stop: nothing of the platform runs\n");
    return answer_say(call, json, text, err);
}

static void processes_text(StrBuf *buf, const Json *json)
{
    const Json *processes = json_get(json, "processes"), *shopd = json_get(json, "shopd"),
               *cells = json_get(json, "cells");
    for (size_t i = 0; i < json_count(processes); i++) {
        const Json *process = json_element(processes, i);
        Str name = json_str(json_get(process, "name"));
        strbuf_format(buf, "  %-16.*s pid %lld\n", STR_ARG(name), (long long)json_int64(json_get(process, "pid")));
    }
    for (size_t i = 0; i < json_count(cells); i++) {
        const Json *cell = json_element(cells, i);
        strbuf_format(buf, "cell %.*s: %lld of %lld shops\n  %.*s\n", STR_ARG(json_str(json_get(cell, "name"))),
                      (long long)json_int64(json_get(cell, "tenants")),
                      (long long)json_int64(json_get(cell, "capacity")), STR_ARG(json_str(json_get(cell, "dsn"))));
    }
    for (size_t i = 0; i < json_count(shopd); i++) {
        const Json *item = json_element(shopd, i);
        strbuf_format(buf, "shopd %lld: cell %.*s on %.*s\n", (long long)json_int64(json_get(item, "pid")),
                      STR_ARG(json_str(json_get(item, "cell"))), STR_ARG(json_str(json_get(item, "listen"))));
    }
}

static bool status_run(CommandCall *call, Error *err)
{
    CLEANUP(json_close) Json *json = NULL;
    if (!installation_status(&(InstallationOptions){.settings = call->settings}, &json, err))
        return false;
    StrBuf buf = {.arena = call->arena};
    strbuf_format(&buf, "the platform in %.*s: %.*s\n", STR_ARG(json_str(json_get(json, "data"))),
                  STR_ARG(json_str(json_get(json, "state"))));
    processes_text(&buf, json);
    Str missing = names_text(json_get(json, "missing"), call->arena);
    if (missing.len)
        strbuf_format(&buf, "not running: %.*s; 'shopctl up' starts what is missing\n", STR_ARG(missing));
    Str control = json_str(json_get(json_get(json, "control"), "dsn"));
    if (control.len)
        strbuf_format(&buf, "control database\n  %.*s\n", STR_ARG(control));
    return answer_say(call, json, strbuf_str(&buf), err);
}

const Command UP_COMMANDS[] = {
    {.summary = "starts the platform on this machine, or what of it is missing",
     .description =
         "Starts a private PostgreSQL in the platform's folder, brings its databases to this version, starts shopd and "
         "the controller, and a supervisor that restarts whichever of them ends. It returns when all of it answers; "
         "what it leaves running holds none of its caller's streams. Where everything runs already it changes nothing. "
         "With the setting control_dsn it runs shopd and the controller for an existing PostgreSQL. From the second "
         "cell on "
         "HAProxy answers at the platform's address, in front of all of them; run again, `up` has it read renewed "
         "certificates.\n\n"
         "Started by root, PostgreSQL runs as the user of the setting database_user, who must be able to reach the "
         "folder, and shopd as that of shopd_user.",
     .options = (const Option[]){{.name = "listen",
                                  .letter = 'l',
                                  .type = OPTION_TEXT,
                                  .value = "ADDR:PORT",
                                  .setting = "listen",
                                  .help = "Where shopd answers; else where it did the last time."},
                                 {.name = "gateway",
                                  .type = OPTION_CHOICE,
                                  .choices = GATEWAYS,
                                  .value = "WHEN",
                                  .setting = "gateway",
                                  .help = "Whether HAProxy answers there, in front of all cells: auto, from the second "
                                          "cell on; always; never. Else as the last time."},
                                 {.name = "foreground",
                                  .help = "Stays as the supervisor, for systemd and containers: SIGTERM stops "
                                          "everything."},
                                 {0}},
     .examples = (const Example[]){{"shopctl up", "Starts a platform in .shop/ below the current folder."},
                                   {"shopctl up --data /var/lib/shopctl --listen 0.0.0.0:80",
                                    "Starts it in a folder of the system's, for everyone."},
                                   {"shopctl up --foreground --data /var/lib/shopctl",
                                    "Stays and supervises, as a service of systemd does."},
                                   {0}},
     .keys = UP_KEYS,
     .changes = true,
     .run = up_run},
    {0},
};

const Command DOWN_COMMANDS[] = {
    {.summary = "stops the platform on this machine",
     .description = "Stops shopd (which first answers what is under way), the controller, PostgreSQL and the "
                    "supervisor, whatever of them crashed before. All data stays.",
     .examples = (const Example[]){{"shopctl down", "Stops the platform in .shop/."}, {0}},
     .keys = DOWN_KEYS,
     .changes = true,
     .run = down_run},
    {0},
};

const Command STATUS_COMMANDS[] = {
    {.summary = "says what of the platform runs on this machine",
     .description = "The exit code is 0 whatever runs: scripts look at `state`. The connection strings work with psql "
                    "for root and for the platform's owner; those of an existing "
                    "PostgreSQL hold no password, which psql takes from ~/.pgpass.",
     .examples =
         (const Example[]){{"shopctl status", "Says what runs."},
                           {"psql \"$(shopctl status -o json | jq -r .control.dsn)\"", "Opens the control database."},
                           {0}},
     .keys = STATUS_ROWS,
     .run = status_run},
    {0},
};
