// cli/doctor.c: `shopctl doctor`: what doesn't fit together.
#include "provisioner/doctor.h"

#include "base/arena.h"
#include "cli/answer.h"

static const OutputKey KEYS[] = {
    {.key = "problems", .type = "list", .help = "What doesn't fit together, or belongs to nobody."},
    {.key = "problems[].where", .type = "text", .help = "The host or cell."},
    {.key = "problems[].what", .type = "text", .help = "What it is."},
    {.key = "problems[].next", .type = "text", .help = "What to do about it."},
    {.key = "hosts", .type = "integer", .help = "Hosts that were looked at."},
    {.key = "cells", .type = "integer", .help = "Cells that there are."},
    {0},
};

static bool text_make(const CommandCall *call, const Json *answer, Str *out, Error *err)
{
    const Json *problems = json_get(answer, "problems");
    StrBuf text = {.arena = call->arena};
    for (size_t i = 0; i < json_count(problems); i++) {
        const Json *problem = json_element(problems, i);
        strbuf_format(&text, "%.*s: %.*s\n  next: %.*s\n",
                      STR_ARG(str_visible(call->arena, json_str(json_get(problem, "where")))),
                      STR_ARG(str_visible(call->arena, json_str(json_get(problem, "what")))),
                      STR_ARG(str_visible(call->arena, json_str(json_get(problem, "next")))));
    }
    strbuf_format(&text, "%zu problems, %lld hosts, %lld cells\n", json_count(problems),
                  (long long)json_int64(json_get(answer, "hosts")), (long long)json_int64(json_get(answer, "cells")));
    *out = strbuf_str(&text);
    return arena_ok(call->arena, err);
}

static bool doctor_command(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    Str text;
    if (!platform_open(call->settings, &platform, err) || !doctor_run(platform, &answer, err) ||
        !text_make(call, answer, &text, err))
        return false;
    if (json_count(json_get(answer, "problems")) > 0)
        call->exit_code = COMMAND_DIFFERS;
    return answer_say(call, answer, text, err);
}

const Command DOCTOR_COMMANDS[] = {
    {.summary = "names what doesn't fit together, and what belongs to nobody",
     .description =
         "Compares the record with hosts and cells: containers, networks and volumes of cells that are gone, schemas, "
         "roles and rows of unknown tenants, tenants that aren't where or what the record says. What an operation is "
         "working on is passed over. Changes nothing; ends with 2 where there are problems.",
     .examples = (const Example[]){{"shopctl doctor", "Looks at everything."}, {0}},
     .keys = KEYS,
     .run = doctor_command},
    {0},
};
