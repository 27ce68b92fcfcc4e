// cli/controller.c: `shopctl controller`: the process that goes on with what others left.
#include "provisioner/controller.h"
#include "cli/command.h"

static const OutputKey NO_KEYS[] = {{0}};

static bool run(CommandCall *call, Error *err) { return controller_run(call->settings, err); }

const Command CONTROLLER_COMMANDS[] = {
    {.summary = "goes on with abandoned operations, keeps spares, removes expired dumps",
     .description = "Runs until it is stopped by SIGTERM; `shopctl up` starts it. Its log lines are JSON on stderr. An "
                    "operation that has said nothing for the setting controller_takeover_s is taken up. It has no "
                    "answer that -o could print in another form: its errors alone follow `-o json`.",
     .examples = (const Example[]){{"shopctl controller", "Runs it in the foreground, as a supervisor does."}, {0}},
     .keys = NO_KEYS,
     .run = run},
    {0},
};
