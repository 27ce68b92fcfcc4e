// cli/version.c: `shopctl version`.
#include "cli/command.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static const OutputKey KEYS[] = {
    {.key = "version", .type = "text", .help = "Of shopctl, as `git describe` names it."},
    {0},
};

static bool version_run(CommandCall *call, Error *err)
{
    if (call->format == OUTPUT_TABLE)
        return command_print(call, S("shopctl " VERSION "\n"), err);
    CLEANUP(json_close) Json *answer = json_build("{s:s}", "version", VERSION);
    return json_ok(answer, err) && command_answer(call, answer, err);
}

const Command VERSION_COMMANDS[] = {
    {.summary = "prints the version",
     .examples = (const Example[]){{"shopctl version", "Prints shopctl's version."}, {0}},
     .keys = KEYS,
     .is_standalone = true,
     .run = version_run},
    {0},
};
