// cli/cell.c: `shopctl cell`: the databases that hold shops.
#include "provisioner/cell.h"

#include "cli/answer.h"
#include "provisioner/installation.h"

static const OutputKey KEYS[] = {
    {.key = "name", .type = "text", .help = "Its name.", .heading = "NAME", .is_name = true},
    {.key = "state", .type = "text", .help = "open, or opening.", .heading = "STATE"},
    {.key = "tenants", .type = "integer", .help = "Shops that it holds.", .heading = "SHOPS", .is_right = true},
    {.key = "capacity", .type = "integer", .help = "Shops that it may hold.", .heading = "CAPACITY", .is_right = true},
    {.key = "spares",
     .type = "integer",
     .help = "Spare schemas that are kept ready.",
     .heading = "SPARES",
     .is_right = true},
    {.key = "version", .type = "text", .help = "Of its tables and functions.", .heading = "VERSION"},
    {.key = "url", .type = "text", .help = "Where its shopd answers.", .heading = "URL"},
    {.key = "dsn", .type = "text", .help = "Connection string of its database."},
    {.key = "host",
     .type = "text",
     .help = "Of a cell that one shop has alone: its host; else null.",
     .heading = "HOST"},
    {.key = "created_at", .type = "time", .help = "When it was opened."},
    {.key = "changes", .type = "list", .help = "With --dry-run: what would change; a database that is made, too."},
    {0},
};

// The last lines of a failed program's log, and what an operator should know.
static void say(void *context, const char *text)
{
    if (str_has_prefix(str_of(text), S("log: ")) || str_has_prefix(str_of(text), S("warning: ")))
        command_note(context, "%s", text);
}

static bool add_run(CommandCall *call, Error *err)
{
    const CellSpec spec = {
        .name = command_argument(call, 0),
        .dsn = command_text(call, "dsn"),
        .url = command_text(call, "url"),
        .capacity = command_int(call, "capacity"),
        .spares = command_int(call, "spares"),
    };
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    const InstallationOptions options = {.settings = call->settings, .say = say, .context = call};
    if (!platform_open(call->settings, &platform, err) || !installation_cell_check(&options, spec.name, spec.url, err))
        return false;
    if (call->is_dry_run)
        return cell_preview(platform, &spec, &answer, err) && answer_changes(call, answer, err);
    platform_warned(platform, answer_warned, call);
    if (!cell_add(platform, &spec, err))
        return false;
    if (!installation_follow(&options, err))
        return error_wrap(err, "the cell '%.*s' is open, but its shopd doesn't serve it", STR_ARG(spec.name));
    return cell_show(platform, spec.name, &answer, err) && command_answer(call, answer, err);
}

static bool list_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) && cell_list(platform, &answer, err) &&
           command_answer(call, answer, err);
}

static bool show_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) &&
           cell_show(platform, command_argument(call, 0), &answer, err) && command_answer(call, answer, err);
}

const Command CELL_COMMANDS[] = {
    {.verb = "add",
     .summary = "opens a cell",
     .description = "Makes the cell's database where it is missing, its roles and tables, and records it; of one that "
                    "can't be opened nothing is left. For a cell that is open it changes what is given. With a URL of "
                    "the machine where the platform runs, the platform starts the cell's shopd there; another one must "
                    "be started by hand. With the second cell the platform brings in the gateway (see shopctl up). "
                    "With --dry-run it makes all its checks and prints what would change, a line "
                    "each: KEY: OLD -> NEW.",
     .arguments =
         (const Argument[]){{.name = "NAME", .is_required = true, .help = "Its name: a-z, 0-9 and inner hyphens."},
                            {0}},
     .options =
         (const Option[]){{.name = "dsn",
                           .type = OPTION_TEXT,
                           .value = "DSN",
                           .help = "Its database; else cell_NAME beside the control database."},
                          {.name = "url",
                           .type = OPTION_TEXT,
                           .value = "URL",
                           .help = "Where its shopd answers, http(s)://HOST[:PORT], as http://127.0.0.1:8081."},
                          {.name = "capacity",
                           .type = OPTION_INT,
                           .value = "N",
                           .max = 100000,
                           .initial = "0",
                           .help = "Shops that it may hold; 0: 1,000 in a new cell, else as many as before."},
                          {.name = "spares",
                           .type = OPTION_INT,
                           .value = "N",
                           .max = 1000,
                           .initial = "0",
                           .help = "Spare schemas that are kept ready; 0: 4 in a new cell, else as many as before."},
                          {0}},
     .examples =
         (const Example[]){
             {"shopctl cell add second --url http://127.0.0.1:8081", "Opens a cell beside the first one."}, {0}},
     .keys = KEYS,
     .changes = true,
     .run = add_run},
    {.verb = "list",
     .summary = "lists the cells",
     .examples = (const Example[]){{"shopctl cell list", "Shows how full each cell is."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows one cell",
     .arguments =
         (const Argument[]){{.name = "NAME", .is_required = true, .names = "cell list", .help = "The cell's name."},
                            {0}},
     .examples = (const Example[]){{"shopctl cell show main", "Shows everything about the cell 'main'."}, {0}},
     .keys = KEYS,
     .run = show_run},
    {0},
};
