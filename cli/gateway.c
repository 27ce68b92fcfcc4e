// cli/gateway.c: `shopctl gateway`: the load balancer in front of all cells.
#include "provisioner/gateway.h"

#include "base/arena.h"
#include "cli/answer.h"

enum { LINES_MAX = 20 };    // of a list that a person reads

#define PROBLEM_KEYS                                                                                                   \
    {.key = "problems", .type = "list", .help = "What is left out."},                                                  \
        {.key = "problems[].what", .type = "text", .help = "What it is, and why."},                                    \
    {                                                                                                                  \
        .key = "problems[].next", .type = "text", .help = "What to do about it."                                       \
    }

static const OutputKey RENDER_KEYS[] = {
    {.key = "directory", .type = "text", .help = "Where the files are.", .is_name = true},
    {.key = "files", .type = "list", .help = "Every file."},
    {.key = "files[].file", .type = "text", .help = "Its name there."},
    {.key = "files[].changed", .type = "bool", .help = "Whether it is written, or with --dry-run would be."},
    {.key = "hosts", .type = "integer", .help = "Host names that lead to a cell."},
    {.key = "cells", .type = "integer", .help = "Cells that have a backend."},
    PROBLEM_KEYS,
    {0},
};

static const OutputKey SYNC_KEYS[] = {
    {.key = "address", .type = "text", .help = "Where it answers HTTP.", .is_name = true},
    {.key = "changes", .type = "list", .help = "What was changed, or with --dry-run would be; a text each."},
    {.key = "reload", .type = "text", .help = "The command to run where a reload is needed; else null."},
    {.key = "why", .type = "list", .help = "Why it is needed; a text each."},
    PROBLEM_KEYS,
    {0},
};

static const OutputKey STATUS_KEYS[] = {
    {.key = "state", .type = "text", .help = "running or stopped."},
    {.key = "address", .type = "text", .help = "Where it answers HTTP.", .is_name = true},
    {.key = "tls_address", .type = "text", .help = "Where it answers TLS, or null."},
    {.key = "backends", .type = "list", .help = "The backend of each cell."},
    {.key = "backends[].cell", .type = "text", .help = "The cell."},
    {.key = "backends[].backend", .type = "text", .help = "HAProxy's name for it."},
    {.key = "backends[].servers", .type = "list", .help = "The cell's shopd processes."},
    {.key = "backends[].servers[].address", .type = "text", .help = "Where it answers."},
    {.key = "backends[].servers[].state", .type = "text", .help = "As HAProxy's health check sees it: UP, DOWN ..."},
    {.key = "backends[].servers[].sessions", .type = "integer", .help = "Requests that it has at the moment."},
    {.key = "hosts", .type = "integer", .help = "Host names that lead to a cell."},
    {.key = "spares", .type = "integer", .help = "Backends that are free for new cells until a reload."},
    {.key = "in_sync", .type = "bool", .help = "Whether it does what the control database says."},
    {.key = "differences", .type = "list", .help = "What differs; a text each."},
    PROBLEM_KEYS,
    {0},
};

static bool opened(CommandCall *call, Platform **out, GatewayOptions *out_options, Error *err)
{
    return gateway_options_read(call->settings, command_text(call, "directory"), call->arena, out_options, err) &&
           platform_open(call->settings, out, err);
}

static void problems_note(const CommandCall *call, const Json *answer)
{
    const Json *problems = json_get(answer, "problems");
    for (size_t i = 0; i < json_count(problems); i++) {
        const Json *problem = json_element(problems, i);
        command_note(call, "warning: %.*s (%.*s)", STR_ARG(json_str(json_get(problem, "what"))),
                     STR_ARG(json_str(json_get(problem, "next"))));
    }
}

static void lines_add(StrBuf *out, const Json *texts)
{
    size_t count = json_count(texts);
    for (size_t i = 0; i < MIN(count, (size_t)LINES_MAX); i++)
        strbuf_format(out, "%.*s\n", STR_ARG(json_str(json_element(texts, i))));
    if (count > LINES_MAX)
        strbuf_format(out, "and %zu more\n", count - LINES_MAX);
}

static bool render_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    GatewayOptions options;
    if (!opened(call, &platform, &options, err) || !gateway_render(platform, &options, call->is_dry_run, &answer, err))
        return false;
    StrBuf lines = {.arena = call->arena};
    const Json *files = json_get(answer, "files");
    for (size_t i = 0; i < json_count(files); i++)
        if (json_kind(json_get(json_element(files, i), "changed")) == JSON_KIND_TRUE)
            strbuf_format(&lines, "%s %.*s/%.*s\n", call->is_dry_run ? "would write" : "wrote",
                          STR_ARG(options.directory), STR_ARG(json_str(json_get(json_element(files, i), "file"))));
    problems_note(call, answer);
    return arena_ok(call->arena, err) &&
           answer_say(call, answer, lines.len ? strbuf_str(&lines) : S("nothing has changed\n"), err);
}

static bool sync_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    GatewayOptions options;
    if (!opened(call, &platform, &options, err) || !gateway_sync(platform, &options, call->is_dry_run, &answer, err))
        return false;
    StrBuf lines = {.arena = call->arena};
    lines_add(&lines, json_get(answer, "changes"));
    problems_note(call, answer);
    Str reload = json_str(json_get(answer, "reload"));
    if (reload.len) {
        call->exit_code = COMMAND_DIFFERS;
        StrBuf why = {.arena = call->arena};
        lines_add(&why, json_get(answer, "why"));
        command_note(call, "a reload is needed: %.*s", STR_ARG(str_trim(strbuf_str(&why))));
        command_note(call, "run %.*s", STR_ARG(reload));
    }
    return arena_ok(call->arena, err) &&
           answer_say(call, answer, lines.len ? strbuf_str(&lines) : S("nothing has changed\n"), err);
}

static void servers_add(StrBuf *out, const Json *backend)
{
    const Json *servers = json_get(backend, "servers");
    strbuf_format(out, "cell %.*s:", STR_ARG(json_str(json_get(backend, "cell"))));
    for (size_t i = 0; i < json_count(servers); i++) {
        const Json *server = json_element(servers, i);
        strbuf_format(out, "%s %.*s %.*s, %lld sessions", i ? ";" : "", STR_ARG(json_str(json_get(server, "address"))),
                      STR_ARG(json_str(json_get(server, "state"))),
                      (long long)json_int64(json_get(server, "sessions")));
    }
    strbuf_add(out, json_count(servers) ? S("\n") : S(" no server\n"));
}

static bool status_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    GatewayOptions options;
    if (!opened(call, &platform, &options, err) || !gateway_status(platform, &options, &answer, err))
        return false;
    bool is_in_sync = json_kind(json_get(answer, "in_sync")) == JSON_KIND_TRUE;
    if (!is_in_sync)
        call->exit_code = COMMAND_DIFFERS;
    StrBuf lines = {.arena = call->arena};
    const Json *backends = json_get(answer, "backends");
    strbuf_format(&lines, "%.*s, %.*s: %lld hosts, %zu cells, %lld spare backends, %s\n",
                  STR_ARG(json_str(json_get(answer, "state"))), STR_ARG(options.listen),
                  (long long)json_int64(json_get(answer, "hosts")), json_count(backends),
                  (long long)json_int64(json_get(answer, "spares")), is_in_sync ? "in sync" : "not in sync");
    for (size_t i = 0; i < json_count(backends); i++)
        servers_add(&lines, json_element(backends, i));
    lines_add(&lines, json_get(answer, "differences"));
    problems_note(call, answer);
    return arena_ok(call->arena, err) && answer_say(call, answer, strbuf_str(&lines), err);
}

static const Option OPTIONS[] = {
    {.name = "directory",
     .type = OPTION_TEXT,
     .value = "DIR",
     .help = "Where its files and its socket are; else gateway/ below the platform's directory."},
    {0},
};

const Command GATEWAY_COMMANDS[] = {
    {.verb = "render",
     .summary = "writes the gateway's files",
     .description =
         "Writes what HAProxy (2.6) reads when it starts: haproxy.cfg, the maps from a host to its cell, from a cell "
         "to its backend and from a host to its limit, and the pages that the gateway shows itself. A file that is as "
         "it should be isn't touched. A cell keeps the backend that it has. With --dry-run it says which files it "
         "would write.\n\n"
         "Start it with haproxy -W -D -f DIR/haproxy.cfg.",
     .options = OPTIONS,
     .examples = (const Example[]){{"shopctl gateway render", "Writes the files below the platform's directory."},
                                   {"shopctl gateway render --directory /etc/haproxy/shop", "Writes them there."},
                                   {0}},
     .keys = RENDER_KEYS,
     .changes = true,
     .run = render_run},
    {.verb = "sync",
     .summary = "brings the running gateway to what the control database says",
     .description =
         "Tells the running HAProxy through its socket which hosts, limits, cells and servers there are, without a "
         "reload and without losing a request, and writes the files as well, so that a restart comes up the same. "
         "Where a reload is needed (another address, certificates, or no free backend for a new cell) it does all "
         "the rest, says so with the command to run, and ends with 2. With --dry-run it says what it would change.",
     .options = OPTIONS,
     .examples = (const Example[]){{"shopctl gateway sync", "Makes new shops and domains known to the gateway."}, {0}},
     .keys = SYNC_KEYS,
     .changes = true,
     .run = sync_run},
    {.verb = "status",
     .summary = "says what the gateway does, and what of it should be otherwise",
     .description = "Ends with 2 where the gateway or its files differ from the control database.",
     .options = OPTIONS,
     .examples =
         (const Example[]){{"shopctl gateway status -o json", "Shows every cell's servers and their health."}, {0}},
     .keys = STATUS_KEYS,
     .run = status_run},
    {0},
};
