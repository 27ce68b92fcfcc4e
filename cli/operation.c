// cli/operation.c: `shopctl operation`: changes to the platform, under way and ended.
#include "provisioner/operation.h"
#include "base/arena.h"
#include "cli/answer.h"

static const OutputKey KEYS[] = {
    {.key = "id", .type = "integer", .help = "Its number.", .heading = "ID", .is_right = true, .is_name = true},
    {.key = "kind",
     .type = "text",
     .help = "create, set, suspend, resume, archive, delete, restore, move, move-back, finalize, resize or upgrade; "
             "of a shop of its own also with -dedicated.",
     .heading = "KIND"},
    {.key = "tenant", .type = "text", .help = "The shop's slug.", .heading = "SHOP"},
    {.key = "state", .type = "text", .help = "pending, running, failed, done or reverted.", .heading = "STATE"},
    {.key = "steps", .type = "list", .help = "Its steps, in order."},
    {.key = "steps[].name", .type = "text", .help = "The step's name."},
    {.key = "steps[].state", .type = "text", .help = "pending, running, failed, done or reverted."},
    {.key = "steps[].begun_at", .type = "time", .help = "When it was last begun, or null."},
    {.key = "steps[].ended_at", .type = "time", .help = "When it was done, or null."},
    {.key = "is_revert", .type = "bool", .help = "Whether it is being, or was, taken back."},
    {.key = "attempts", .type = "integer", .help = "How often it was taken up."},
    {.key = "operator", .type = "text", .help = "The user who asked for it."},
    {.key = "error", .type = "text", .help = "Why it failed."},
    {.key = "created_at", .type = "time", .help = "When it was asked for.", .heading = "BEGUN"},
    {.key = "ended_at", .type = "time", .help = "When it ended."},
    {.key = "would_do", .type = "list", .help = "With --dry-run: the steps that aren't done, in order."},
    {.key = "would_revert", .type = "list", .help = "With --dry-run: the steps that were begun, the last one first."},
    {0},
};

static const Argument ID[] = {
    {.name = "ID", .is_required = true, .names = "operation list", .help = "The operation's number."}, {0}};

static bool list_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) &&
           operation_list(platform, command_text(call, "tenant"), command_text(call, "state"),
                          command_int(call, "limit"), &answer, err) &&
           command_answer(call, answer, err);
}

static bool show(const CommandCall *call, Platform *platform, int64_t id, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return operation_show(platform, id, &answer, err) && command_answer(call, answer, err);
}

static bool id_read(const CommandCall *call, int64_t *out, Error *err)
{
    return str_int64(command_argument(call, 0), 1, INT64_MAX, out, err) ||
           error_next(err, "take an id from shopctl operation list");
}

static bool show_run(CommandCall *call, Error *err)
{
    int64_t id = 0;
    CLEANUP(platform_close) Platform *platform = NULL;
    return id_read(call, &id, err) && platform_open(call->settings, &platform, err) && show(call, platform, id, err);
}

static bool preview(const CommandCall *call, Platform *platform, int64_t id, bool is_revert, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return operation_preview(platform, id, is_revert, &answer, err) && answer_operation(call, answer, err);
}

// Goes on with the operation, then shows what became of it.
static bool act_run(CommandCall *call, bool is_revert, Error *err)
{
    int64_t id = 0;
    CLEANUP(platform_close) Platform *platform = NULL;
    if (!id_read(call, &id, err) || !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return preview(call, platform, id, is_revert, err);
    platform_warned(platform, answer_warned, call);
    return (is_revert ? operation_revert(platform, id, err) : operation_resume(platform, id, err)) &&
           show(call, platform, id, err);
}

static bool resume_run(CommandCall *call, Error *err) { return act_run(call, false, err); }
static bool revert_run(CommandCall *call, Error *err) { return act_run(call, true, err); }

const Command OPERATION_COMMANDS[] = {
    {.verb = "list",
     .summary = "lists operations, the newest first",
     .options =
         (const Option[]){{.name = "tenant", .type = OPTION_TEXT, .value = "SLUG", .help = "Of this shop alone."},
                          {.name = "state",
                           .type = OPTION_CHOICE,
                           .value = "STATE",
                           .choices = (const char *const[]){"pending", "running", "failed", "done", "reverted", NULL},
                           .help = "In this state alone."},
                          {.name = "limit",
                           .type = OPTION_INT,
                           .value = "N",
                           .max = INT32_MAX,
                           .initial = "0",
                           .help = "At most so many; 0: all."},
                          {0}},
     .examples = (const Example[]){{"shopctl operation list --state failed", "Shows what waits for somebody."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows one operation with its steps",
     .arguments = ID,
     .examples = (const Example[]){{"shopctl operation show 17", "Shows how far it came."}, {0}},
     .keys = KEYS,
     .run = show_run},
    {.verb = "resume",
     .summary = "goes on with an operation",
     .description = "Goes on from the first step that isn't done. A process that still works on it is refused its next "
                    "write. With --dry-run it asks the world which steps are done, and prints the others.",
     .arguments = ID,
     .examples = (const Example[]){{"shopctl operation resume 17", "Finishes what a crash left."}, {0}},
     .keys = KEYS,
     .changes = true,
     .run = resume_run},
    {.verb = "revert",
     .summary = "takes an operation back",
     .description = "Takes back what was done, the last step first. A step that can't be taken back refuses it. With "
                    "--dry-run it says so too, and prints the steps that would be taken back.",
     .arguments = ID,
     .examples = (const Example[]){{"shopctl operation revert 17", "Leaves nothing of it but its record."}, {0}},
     .keys = KEYS,
     .changes = true,
     .run = revert_run},
    {0},
};
