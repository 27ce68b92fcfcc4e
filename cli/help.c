// cli/help.c: help on the terminal, printed from the command table.
#include "base/arena.h"
#include "cli/answer.h"
#include "cli/command_table.h"

enum { WIDTH = 100, NAME_WIDTH = 24 };

// Adds a text from the column `at` on, its further lines indented by `indent`. A blank line in it parts paragraphs.
static void wrapped_add(StrBuf *buf, Str text, size_t at, size_t indent)
{
    for (Str line = S(""); str_cut(&text, '\n', &line);) {
        bool is_first = true;
        for (Str word = S(""); str_cut(&line, ' ', &word);) {
            if (word.len == 0)
                continue;
            if (!is_first && at + 1 + word.len > WIDTH) {
                strbuf_format(buf, "\n%*s", (int)indent, "");
                at = indent;
                is_first = true;
            }
            strbuf_format(buf, "%s%.*s", is_first ? "" : " ", STR_ARG(word));
            at += word.len + !is_first;
            is_first = false;
        }
        if (text.data)
            strbuf_format(buf, "\n%*s", (int)indent, "");
        at = indent;
    }
    strbuf_add_char(buf, '\n');
}

// "  NAME      what it is"
static void row_add(StrBuf *buf, Str name, Str help)
{
    strbuf_format(buf, "  %-*.*s", NAME_WIDTH, STR_ARG(name));
    if (name.len >= NAME_WIDTH)
        strbuf_format(buf, "\n  %*s", NAME_WIDTH, "");
    wrapped_add(buf, help, NAME_WIDTH + 2, NAME_WIDTH + 2);
}

static void program_help(StrBuf *buf, const Noun *nouns)
{
    strbuf_add(buf, S("shopctl runs a platform of web shops.\n\nUsage: shopctl COMMAND [ARGUMENTS] [OPTIONS]\n\n"
                      "Commands:\n"));
    for (const Noun *noun = nouns; noun->name; noun++)
        if (!noun_is_hidden(noun))
            row_add(buf, str_of(noun->name), str_of(noun->summary));
    strbuf_add(buf, S("\nOptions of every command:\n"));
    for (OptionIter it = option_iter(NULL); option_next(&it);)
        row_add(buf, option_usage(it.option, buf->arena), str_of(it.option->help));
    strbuf_add(buf, S("\n`shopctl COMMAND --help` says more about each; `man shopctl` says all.\n"));
}

static void noun_help(StrBuf *buf, const Noun *noun)
{
    strbuf_format(buf, "shopctl %s: %s\n\nCommands:\n", noun->name, noun->summary);
    for (const Command *command = noun->commands; command->run; command++)
        if (!command->is_hidden)
            row_add(buf, str_format(buf->arena, "%s %s", noun->name, command->verb), str_of(command->summary));
    strbuf_format(buf, "\n`shopctl %s COMMAND --help` says more about each.\n", noun->name);
}

static const char *const GROUP_TITLES[OPTION_GROUP_COUNT] = {[OPTION_GROUP_OWN] = "Options",
                                                             [OPTION_GROUP_CHANGE] = "Options",
                                                             [OPTION_GROUP_ANSWER] = "Options",
                                                             [OPTION_GROUP_SETTINGS] = "Options of every command",
                                                             [OPTION_GROUP_COMMON] = "Options of every command"};

static void option_row_add(StrBuf *buf, const Option *option)
{
    StrBuf help = {.arena = buf->arena};
    strbuf_add(&help, str_of(option->help));
    if (option->is_required)
        strbuf_add(&help, S(" Required."));
    if (option->is_repeated)
        strbuf_add(&help, S(" May be repeated."));
    if (option->initial)
        strbuf_format(&help, " Default: %s.", option->initial);
    row_add(buf, option_usage(option, buf->arena), strbuf_str(&help));
}

static void command_help(StrBuf *buf, const Noun *noun, const Command *command)
{
    Str path = command_path(noun, command, buf->arena), arguments = arguments_usage(command, buf->arena);
    strbuf_format(buf, "%.*s: %s\n\nUsage: %.*s%s%.*s [OPTIONS]\n", STR_ARG(path), command->summary, STR_ARG(path),
                  arguments.len ? " " : "", STR_ARG(arguments));
    if (command->description) {
        strbuf_add_char(buf, '\n');
        wrapped_add(buf, str_of(command->description), 0, 0);
    }
    if (command->arguments && command->arguments->name)
        strbuf_add(buf, S("\nArguments:\n"));
    for (const Argument *argument = command->arguments; argument && argument->name; argument++)
        row_add(buf, str_of(argument->name), str_of(argument->help));
    const char *title = "";
    for (OptionIter it = option_iter(command); option_next(&it);) {
        if (strcmp(title, GROUP_TITLES[it.group]) != 0)
            strbuf_format(buf, "\n%s:\n", title = GROUP_TITLES[it.group]);
        option_row_add(buf, it.option);
    }
    if (command->examples && command->examples->command)
        strbuf_add(buf, S("\nExamples:\n"));
    for (const Example *example = command->examples; example && example->command; example++) {
        strbuf_format(buf, "  %s\n      ", example->command);
        wrapped_add(buf, str_of(example->meaning), 6, 6);
    }
}

Str help_text(const Noun *nouns, const Noun *noun, const Command *command, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    if (!noun)
        program_help(&buf, nouns);
    else if (command)
        command_help(&buf, noun, command);
    else if (noun_is_verbless(noun))
        command_help(&buf, noun, noun->commands);
    else
        noun_help(&buf, noun);
    return strbuf_str(&buf);
}

static const OutputKey KEYS[] = {
    {.key = "command", .type = "text", .help = "What is explained.", .is_name = true},
    {.key = "text", .type = "text", .help = "What `-o table` prints as it is."},
    {0},
};

// `shopctl help tenant create` is `shopctl tenant create --help`.
static bool help_run(CommandCall *call, Error *err)
{
    const char *words[] = {command_argument(call, 0).data, command_argument(call, 1).data, "--help", NULL};
    const char *const *first = words;
    if (command_argument_count(call) == 1)
        words[1] = words[0];
    first += 2 - command_argument_count(call);
    CommandCall *asked = NULL;
    if (!command_parse(call->nouns, first, NULL, call->arena, &asked, err))
        return false;
    Str text = help_text(call->nouns, asked->noun, asked->command, call->arena);
    Str path = command_path(asked->noun, asked->command, call->arena);
    return arena_ok(call->arena, err) && answer_text(call, "command", path, "text", text, err);
}

const Command HELP_COMMANDS[] = {
    {.summary = "explains a command",
     .arguments = (const Argument[]){{.name = "COMMAND", .help = "The command's first word."},
                                     {.name = "VERB", .help = "Its second word."},
                                     {0}},
     .examples = (const Example[]){{"shopctl help", "Lists the commands."},
                                   {"shopctl help tenant create", "Explains how a shop is made."},
                                   {0}},
     .keys = KEYS,
     .is_standalone = true,
     .run = help_run},
    {0},
};
