// cli/man.c: the man pages of shopctl, its plans and its settings, printed from their tables. For `make docs`.
#include <ctype.h>

#include "base/arena.h"
#include "base/file.h"
#include "cli/command_table.h"
#include "provisioner/plan.h"

static const char PAGES_DATE[] = "2026-11-25";    // of the pages' form; their words follow from the tables

enum { LINE_WIDTH = 76 };

static size_t line_length(const StrBuf *buf)
{
    size_t length = 0;
    while (length < buf->len && buf->data[buf->len - length - 1] != '\n')
        length++;
    return length;
}

// A text of ours as roff: `code` in bold, and nothing that roff would take for a request.
static void roff_add(StrBuf *buf, Str text)
{
    bool is_code = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        size_t length = line_length(buf);
        if (length == 0 && (c == '.' || c == '\''))
            strbuf_add(buf, S("\\&"));
        if (c == '`') {
            is_code = !is_code;
            strbuf_add(buf, is_code ? S("\\fB") : S("\\fR"));
        } else if (c == '-') {
            strbuf_add(buf, S("\\-"));
        } else if (c == '\\') {
            strbuf_add(buf, S("\\e"));
        } else if (c == '\n' && i + 1 < text.len && text.data[i + 1] == '\n') {
            strbuf_add(buf, S("\n.PP"));
        } else if (c == ' ' && length + str_find_char(str_skip(text, i + 1), ' ') > LINE_WIDTH) {
            strbuf_add_char(buf, '\n');
        } else {
            strbuf_add_char(buf, c);
        }
    }
}

static void line_add(StrBuf *buf, const char *text)
{
    roff_add(buf, str_of(text));
    strbuf_add_char(buf, '\n');
}

static void title_add(StrBuf *buf, const char *name, int section, const char *summary)
{
    strbuf_add(buf, S(".\\\" Printed from shopctl's tables by make docs.\n.TH "));
    for (const char *c = name; *c; c++)
        roff_add(buf, (Str){&(char){(char)toupper((unsigned char)*c)}, 1});
    strbuf_format(buf, " %d %s shopctl \"shopctl manual\"\n.SH NAME\n", section, PAGES_DATE);
    roff_add(buf, str_of(name));
    strbuf_add(buf, S(" \\- "));
    line_add(buf, summary);
}

// .TP with a bold tag, which may hold a name of a value in capitals.
static void tag_add(StrBuf *buf, Str tag)
{
    strbuf_add(buf, S(".TP\n\\fB"));
    roff_add(buf, tag);
    strbuf_add(buf, S("\\fR\n"));
}

static void option_add(StrBuf *buf, const Option *option)
{
    tag_add(buf, option_usage(option, buf->arena));
    line_add(buf, option->help);
    if (option->is_required)
        line_add(buf, "Required.");
    if (option->is_repeated)
        line_add(buf, "May be repeated.");
    if (option->initial)
        line_add(buf, str_format(buf->arena, "Default: %s.", option->initial).data);
}

// The command stands in lines of its own: a tag is one line, and a macro's arguments lose their quotes.
static void example_add(StrBuf *buf, const Example *example)
{
    strbuf_add(buf, S(".PP\n.na\n.nh\n\\fB"));
    roff_add(buf, str_of(example->command));
    strbuf_add(buf, S("\\fR\n.hy\n.ad\n.RS\n"));
    line_add(buf, example->meaning);
    strbuf_add(buf, S(".RE\n"));
}

static void keys_add(StrBuf *buf, const Command *command)
{
    if (!command->keys || !command->keys->key)
        return;
    strbuf_add(buf, S(".PP\n"));
    line_add(buf, command->is_list ? "With `-o json`, one object: `items`, a list of objects with these keys, and "
                                     "`total`, how many there are in all:"
                                   : "With `-o json`, one object with these keys:");
    for (const OutputKey *key = command->keys; key->key; key++) {
        tag_add(buf, str_of(key->key));
        const char *unit = unit_name(key->unit);
        roff_add(buf, str_format(buf->arena, "(%s%s%s) ", key->type, *unit ? ", " : "", unit));
        line_add(buf, key->help);
    }
}

static bool has_same_keys_before(const Noun *noun, const Command *command)
{
    for (const Command *before = noun->commands; before < command; before++)
        if (before->keys == command->keys && !before->is_hidden)
            return true;
    return false;
}

static void command_add(StrBuf *buf, const Noun *noun, const Command *command)
{
    Str path = command_path(noun, command, buf->arena), arguments = arguments_usage(command, buf->arena);
    strbuf_add(buf, S(".SS \""));
    roff_add(buf, str_format(buf->arena, "%.*s%s%.*s", STR_ARG(path), arguments.len ? " " : "", STR_ARG(arguments)));
    strbuf_add(buf, S("\"\n"));
    line_add(buf,
             command->description ? command->description : str_format(buf->arena, "It %s.", command->summary).data);
    for (const Argument *argument = command->arguments; argument && argument->name; argument++) {
        tag_add(buf, str_of(argument->name));
        line_add(buf, argument->help);
    }
    for (OptionIter it = option_iter(command); option_next(&it);)
        if (it.group == OPTION_GROUP_OWN || it.group == OPTION_GROUP_CHANGE)
            option_add(buf, it.option);
    if (command->keys && has_same_keys_before(noun, command))
        strbuf_add(buf, S(".PP\nThe keys of its answer are those above.\n"));
    else
        keys_add(buf, command);
    if (command->examples && command->examples->command)
        strbuf_format(buf, ".PP\n%s:\n", command->examples[1].command ? "Examples" : "Example");
    for (const Example *example = command->examples; example && example->command; example++)
        example_add(buf, example);
}

static void synopsis_add(StrBuf *buf, const Noun *noun)
{
    strbuf_add(buf, S(".SH SYNOPSIS\n"));
    for (const Command *command = noun->commands; command->run; command++) {
        if (command->is_hidden)
            continue;
        Str arguments = arguments_usage(command, buf->arena);
        if (command != noun->commands)
            strbuf_add(buf, S(".br\n"));
        strbuf_add(buf, S("\\fB"));
        roff_add(buf, command_path(noun, command, buf->arena));
        strbuf_add(buf, S("\\fR "));
        roff_add(buf, arguments);
        strbuf_format(buf, "%s[\\fIOPTIONS\\fR]\n", arguments.len ? " " : "");
    }
}

static void noun_page(StrBuf *buf, const Noun *noun)
{
    title_add(buf, str_format(buf->arena, "shopctl-%s", noun->name).data, 1, noun->summary);
    synopsis_add(buf, noun);
    strbuf_add(buf, S(".SH DESCRIPTION\nThe options of every command, exit statuses and files are in\n"
                      ".BR shopctl (1).\n"));
    for (const Command *command = noun->commands; command->run; command++)
        if (!command->is_hidden)
            command_add(buf, noun, command);
    strbuf_add(buf, S(".SH SEE ALSO\n.BR shopctl (1),\n.BR shopctl\\-config (5),\n.BR plan (5)\n"));
}

static void program_page(StrBuf *buf, const Noun *nouns)
{
    title_add(buf, "shopctl", 1, "runs a platform of web shops");
    strbuf_add(buf, S(".SH SYNOPSIS\n.B shopctl\n.I COMMAND\n[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n"
                      ".SH DESCRIPTION\n"));
    line_add(buf,
             "`shopctl` starts a platform of web shops, and makes, changes and removes the shops on it. Options may "
             "stand anywhere, names are never abbreviated, and `--` ends the options. A mistyped word is answered "
             "with the nearest right one.");
    strbuf_add(buf, S(".SH COMMANDS\n"));
    for (const Noun *noun = nouns; noun->name; noun++) {
        if (noun_is_hidden(noun))
            continue;
        strbuf_add(buf, S(".TP\n.BR "));
        roff_add(buf, str_format(buf->arena, "shopctl-%s", noun->name));
        strbuf_add(buf, S(" (1)\n"));
        line_add(buf, noun->summary);
    }
    strbuf_add(buf, S(".SH OPTIONS\n"));
    for (OptionIter it = option_iter(NULL); option_next(&it);)
        option_add(buf, it.option);
    strbuf_add(buf, S(".PP\n"));
    line_add(buf, "`--dry-run` and `--yes` belong to every command that changes something.");
    strbuf_add(buf, S(".SH OUTPUT\n"));
    line_add(buf,
             "A table is for people and may change. `-o json` prints one document, whose keys each command's page "
             "lists; keys may be added, but keep their meaning. `-o yaml` prints the same as YAML, `-o name` only "
             "names, one a line. A list is an object with `items` and `total`. Money is an object with `amount`, in "
             "minor units, and `currency`; a time is a text as in 2026-11-25T03:25:24Z. Progress goes to stderr, and "
             "only on a terminal.\n\n"
             "An error goes to stderr: what happened, where, why, and what to do next. With `-o json` it is one "
             "line of JSON with the keys `code`, `what`, `where`, `why` and `next`.");
    strbuf_add(buf, S(".SH EXIT STATUS\n"));
    for (const ExitRow *row = EXIT_ROWS; row->meaning; row++) {
        tag_add(buf, str_format(buf->arena, "%d", row->code));
        line_add(buf, row->meaning);
    }
    strbuf_add(buf, S(".SH ENVIRONMENT\n"));
    tag_add(buf, S("SHOPCTL_NAME"));
    line_add(buf, "Each setting NAME, in capitals; see shopctl-config(5).");
    tag_add(buf, S("SHOPCTL_CONFIG"));
    line_add(buf, "The settings file.");
    tag_add(buf, S("NO_COLOR"));
    line_add(buf, "Where it isn't empty, nothing is coloured.");
    strbuf_add(buf, S(".SH FILES\n"));
    tag_add(buf, S("/etc/shopctl/config.yaml"));
    line_add(buf, "The settings file, unless another one is named.");
    strbuf_add(buf, S(".SH SEE ALSO\n.BR shopctl\\-config (5),\n.BR plan (5),\n.BR shopd (8)\n"));
}

static void choices_add(StrBuf *buf, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        strbuf_format(buf, "%s%s", i == 0 ? "One of " : choices[i + 1] ? ", " : " or ", choices[i]);
    strbuf_add(buf, S(".\n"));
}

static void bounds_add(StrBuf *buf, UnitKind unit, int64_t min, int64_t max)
{
    Str low = unit_text(unit, min, buf->arena), high = unit_text(unit, max, buf->arena);
    roff_add(buf, str_format(buf->arena, "From %.*s to %.*s.\n", STR_ARG(low), STR_ARG(high)));
}

static void plan_page(StrBuf *buf)
{
    title_add(buf, "plan", 5, "what a shop gets and pays");
    strbuf_add(buf, S(".SH DESCRIPTION\n"));
    line_add(buf, "A plan is a YAML file named NAME.yaml. `shopctl plan validate FILE` checks one; the setting `plans` "
                  "names a folder of plans that takes the place of those that are part of shopctl. Anchors, aliases, "
                  "tags, duplicate and unknown keys are refused, with their place and the nearest known key.\n\n"
                  "Amounts have units, as in 512MiB: sizes B, KiB, MiB, GiB or TiB; times s, min, h, d or w; CPU 250m "
                  "or whole cores; parts of a hundred %. In JSON they are whole numbers in the unit that is named "
                  "below.");
    strbuf_add(buf, S(".SH KEYS\n"));
    line_add(buf, "A key with a point stands in the mapping before the point.");
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        static const char *const NEEDS[] = {[PLAN_OPTIONAL] = "",
                                            [PLAN_REQUIRED] = "Required.",
                                            [PLAN_DEDICATED] = "Required in tiers container and server, only there."};
        tag_add(buf, str_format(buf->arena, "%s: %s", field->key, field->example));
        line_add(buf, field->help);
        if (field->choices)
            choices_add(buf, field->choices);
        if (field->type == PLAN_INT)
            bounds_add(buf, field->unit, field->min, field->max);
        if (field->unit != UNIT_NONE)
            line_add(buf, str_format(buf->arena, "In JSON: %s.", unit_name(field->unit)).data);
        if (*NEEDS[field->need])
            line_add(buf, NEEDS[field->need]);
        else
            line_add(buf, str_format(buf->arena, "Default: %s.", *field->initial ? field->initial : "empty").data);
        if (strcmp(field->enforcer, "nobody") != 0)
            line_add(buf, str_format(buf->arena, "Enforced by: %s.", field->enforcer).data);
    }
    strbuf_add(buf, S(".SH SEE ALSO\n.BR shopctl\\-plan (1)\n"));
}

static void config_page(StrBuf *buf)
{
    title_add(buf, "shopctl-config", 5, "settings of shopctl");
    strbuf_add(buf, S(".SH DESCRIPTION\n"));
    line_add(buf,
             "Each setting comes from the first of these that has it: the command line (an option of its own, or "
             "`--setting NAME=VALUE`), the environment (`SHOPCTL_` and the name in capitals), the settings file, "
             "the default. The file is the one that `--config` names, else SHOPCTL_CONFIG, else "
             "/etc/shopctl/config.yaml. It is YAML, a line `NAME: VALUE` for each setting; unknown names and wrong "
             "values are refused, with their place and the nearest known name.\n\n"
             "Sizes and times have units, as in 32MiB or 90s; where a name ends in its unit (_s, _bytes) a plain "
             "number is in that unit.");
    strbuf_add(buf, S(".SH SETTINGS\n"));
    for (const SettingRow *row = SETTING_ROWS; row->name; row++) {
        tag_add(buf, str_of(row->name));
        line_add(buf, row->help);
        if (row->choices)
            choices_add(buf, row->choices);
        if (row->type == SETTING_INT)
            bounds_add(buf, row->unit, row->min, row->max);
        if (row->type == SETTING_BOOL)
            line_add(buf, "True or false.");
        line_add(buf, str_format(buf->arena, "Default: %s.", *row->initial ? row->initial : "empty").data);
    }
    strbuf_add(buf, S(".SH EXAMPLES\n"
                      "The same commands on a PostgreSQL that is there already:\n"
                      ".PP\n.nf\n"
                      "control_dsn: host=db.internal dbname=shop_control user=shopops passfile=/etc/shopctl/pgpass\n"
                      "base_domain: shops.example\n"
                      "listen: 0.0.0.0:8080\n"
                      ".fi\n"
                      ".SH SEE ALSO\n.BR shopctl (1)\n"));
}

// ---- the command ----

static bool page_write(const CommandCall *call, const char *name, StrBuf *buf, Error *err)
{
    Str path = str_format(call->arena, "%.*s/%s", STR_ARG(command_argument(call, 0)), name);
    return arena_ok(call->arena, err) && file_write(path, strbuf_str(buf), 0644, err);
}

static bool man_run(CommandCall *call, Error *err)
{
    StrBuf program = {.arena = call->arena}, plan = program, config = program;
    program_page(&program, call->nouns);
    plan_page(&plan);
    config_page(&config);
    if (!directory_make(command_argument(call, 0), 0755, err) || !page_write(call, "shopctl.1", &program, err) ||
        !page_write(call, "plan.5", &plan, err) || !page_write(call, "shopctl-config.5", &config, err))
        return false;
    for (const Noun *noun = call->nouns; noun->name; noun++) {
        if (noun_is_hidden(noun))
            continue;
        StrBuf page = {.arena = call->arena};
        noun_page(&page, noun);
        if (!page_write(call, str_format(call->arena, "shopctl-%s.1", noun->name).data, &page, err))
            return false;
    }
    return true;
}

const Command MAN_COMMANDS[] = {
    {.summary = "writes the man pages",
     .arguments = (const Argument[]){{.name = "DIR", .is_required = true, .help = "Where to."}, {0}},
     .examples = (const Example[]){{"shopctl man man", "Writes the pages into man/."}, {0}},
     .is_standalone = true,
     .is_hidden = true,
     .run = man_run},
    {0},
};
