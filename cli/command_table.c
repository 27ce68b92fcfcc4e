// cli/command_table.c: what every command has beside its own row.
#include "cli/command_table.h"

#include "base/arena.h"

static const char *const FORMATS[] = {"table", "json", "yaml", "name", NULL};    // as OutputFormat

static const Option CHANGE_OPTIONS[] = {
    {.name = "dry-run", .letter = 'n', .help = "Checks all and says what would be done, but changes nothing."},
    {.name = "yes", .letter = 'y', .help = "Asks no questions."},
    {0},
};

static const Option ANSWER_OPTIONS[] = {
    {.name = "output",
     .letter = 'o',
     .type = OPTION_CHOICE,
     .value = "FORMAT",
     .choices = FORMATS,
     .initial = "table",
     .help = "How the answer is printed: table, json, yaml or name."},
    {0},
};

static const Option SETTINGS_OPTIONS[] = {
    {.name = "config",
     .type = OPTION_TEXT,
     .value = "FILE",
     .help = "Settings file; else SHOPCTL_CONFIG, else /etc/shopctl/config.yaml where there is one."},
    {.name = "data", .type = OPTION_TEXT, .value = "DIR", .setting = "data", .help = "Folder of the platform."},
    {.name = "setting",
     .type = OPTION_PAIR,
     .value = "NAME=VALUE",
     .is_repeated = true,
     .help = "Any setting of shopctl-config(5), for this run."},
    {0},
};

static const Option COMMON_OPTIONS[] = {
    {.name = "quiet", .letter = 'q', .help = "No progress and no notes on stderr."},
    {.name = "verbose", .letter = 'v', .help = "An error also says what caused it."},
    {.name = "no-color", .help = "No colours, as NO_COLOR=1 does."},
    {.name = "help", .letter = 'h', .help = "Prints help."},
    {.name = "version", .help = "Prints the version."},
    {0},
};

const ExitRow EXIT_ROWS[] = {
    {0, "done"},
    {1, "failed"},
    {2, "differences or problems were found"},
    {64, "the command line is wrong"},
    {65, "the input (a file, a value) is wrong"},
    {66, "something named is not there"},
    {69, "a server that is needed can't be reached"},
    {73, "it is there already"},
    {75, "not now: try again"},
    {77, "forbidden: to this user, in the shop's status, or beyond the plan's limits"},
    {0, NULL},
};

static const Option *group_options(const Command *command, OptionGroup group)
{
    static const Option NONE[] = {{0}};
    switch (group) {
    case OPTION_GROUP_OWN: return command && command->options ? command->options : NONE;
    case OPTION_GROUP_CHANGE: return command && command->changes ? CHANGE_OPTIONS : NONE;
    case OPTION_GROUP_ANSWER: return !command || command->keys ? ANSWER_OPTIONS : NONE;
    case OPTION_GROUP_SETTINGS: return !command || !command->is_standalone ? SETTINGS_OPTIONS : NONE;
    case OPTION_GROUP_COMMON: return COMMON_OPTIONS;
    case OPTION_GROUP_COUNT: break;
    }
    return NONE;
}

OptionIter option_iter(const Command *command) { return (OptionIter){.command = command}; }

bool option_next(OptionIter *it)
{
    it->option = it->option ? it->option + 1 : group_options(it->command, it->group);
    while (!it->option->name) {
        if (++it->group == OPTION_GROUP_COUNT)
            return false;
        it->option = group_options(it->command, it->group);
    }
    return true;
}

const Noun *noun_find(const Noun *nouns, Str name)
{
    for (; nouns->name; nouns++)
        if (str_eq(str_of(nouns->name), name))
            return nouns;
    return NULL;
}

const Command *verb_find(const Noun *noun, Str verb)
{
    for (const Command *command = noun->commands; command->run; command++)
        if (command->verb && str_eq(str_of(command->verb), verb))
            return command;
    return NULL;
}

bool noun_is_hidden(const Noun *noun)
{
    for (const Command *command = noun->commands; command->run; command++)
        if (!command->is_hidden)
            return false;
    return true;
}

Str option_usage(const Option *option, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    if (option->letter)
        strbuf_format(&buf, "-%c, ", option->letter);
    strbuf_format(&buf, "--%s", option->name);
    if (option->type != OPTION_FLAG)
        strbuf_format(&buf, " %s", option->value);
    return strbuf_str(&buf);
}

Str arguments_usage(const Command *command, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (const Argument *argument = command->arguments; argument && argument->name; argument++)
        strbuf_format(&buf, "%s%s%s%s%s", argument == command->arguments ? "" : " ", argument->is_required ? "" : "[",
                      argument->name, argument->is_repeated ? "..." : "", argument->is_required ? "" : "]");
    return strbuf_str(&buf);
}

Str command_path(const Noun *noun, const Command *command, Arena *arena)
{
    if (!noun)
        return S("shopctl");
    if (!command || !command->verb)
        return str_format(arena, "shopctl %s", noun->name);
    return str_format(arena, "shopctl %s %s", noun->name, command->verb);
}
