// cli/completion.c: `shopctl completion`: scripts for the shells, printed from the command table.
#include "base/arena.h"
#include "cli/answer.h"
#include "cli/command_table.h"

// What may stand in a place of the command line.
typedef enum PlaceKind { PLACE_ANY, PLACE_WORDS, PLACE_NAMES, PLACE_FILE, PLACE_DIR } PlaceKind;
typedef struct Place {
    PlaceKind kind;
    Str text;    // of PLACE_WORDS: words with blanks between; of PLACE_NAMES: a command
} Place;

static Place option_place(const Option *option, Arena *arena)
{
    StrBuf words = {.arena = arena};
    if (option->names)
        return (Place){PLACE_NAMES, str_of(option->names)};
    for (size_t i = 0; option->choices && option->choices[i]; i++)
        strbuf_format(&words, "%s%s", i ? " " : "", option->choices[i]);
    if (words.len)
        return (Place){PLACE_WORDS, strbuf_str(&words)};
    if (strcmp(option->value, "FILE") == 0)
        return (Place){.kind = PLACE_FILE};
    if (strcmp(option->value, "DIR") == 0)
        return (Place){.kind = PLACE_DIR};
    return (Place){.kind = PLACE_ANY};
}

static Place argument_place(const Argument *argument)
{
    if (argument->names)
        return (Place){PLACE_NAMES, str_of(argument->names)};
    if (argument->choices)
        return (Place){PLACE_WORDS, str_of(argument->choices)};
    return (Place){.kind = argument->is_file ? PLACE_FILE : PLACE_ANY};
}

// "tenant list", or "up"
static Str words_of(const Noun *noun, const Command *command, Arena *arena)
{
    return str_skip(command_path(noun, command, arena), strlen("shopctl "));
}

// Calls `each` for every command that is shown.
typedef void CommandEach(StrBuf *buf, const Noun *noun, const Command *command);
static void commands_each(StrBuf *buf, const Noun *nouns, CommandEach *each)
{
    for (const Noun *noun = nouns; noun->name; noun++)
        for (const Command *command = noun->commands; command->run; command++)
            if (!command->is_hidden)
                each(buf, noun, command);
}

// In single quotes of a shell, with a backslash before each of `special`. Fish wants \' where the others want '\''.
static void quoted_add(StrBuf *buf, Str text, const char *special, bool is_fish)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\'')
            strbuf_add(buf, is_fish ? S("\\'") : S("'\\''"));
        else if (c == '\\' || strchr(special, c))
            strbuf_format(buf, "\\%c", c);
        else
            strbuf_add_char(buf, c);
    }
}

// ---- the values that options take, by every name: what must be skipped in search of the noun ----

static void value_option_add(StrBuf *buf, const Option *option, const char *separator)
{
    Str name = str_format(buf->arena, "%s--%s%s", separator, option->name, separator);
    Str all = str_format(buf->arena, "%s%.*s%s", separator, STR_ARG(strbuf_str(buf)), separator);
    if (option->type == OPTION_FLAG || str_find(all, name) < all.len)
        return;
    strbuf_format(buf, "%s--%s", buf->len ? separator : "", option->name);
    if (option->letter)
        strbuf_format(buf, "%s-%c", separator, option->letter);
}

static Str value_options(const Noun *nouns, const char *separator, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (OptionIter it = option_iter(NULL); option_next(&it);)
        value_option_add(&buf, it.option, separator);
    for (const Noun *noun = nouns; noun->name; noun++)
        for (const Command *command = noun->commands; command->run; command++)
            for (OptionIter it = option_iter(command); option_next(&it);)
                value_option_add(&buf, it.option, separator);
    return strbuf_str(&buf);
}

static void option_names_add(StrBuf *buf, const Command *command)
{
    for (OptionIter it = option_iter(command); option_next(&it);)
        strbuf_format(buf, " --%s", it.option->name);
}

static void verb_names_add(StrBuf *buf, const Noun *noun)
{
    for (const Command *command = noun->commands; command->run; command++)
        if (!command->is_hidden)
            strbuf_format(buf, " %s", command->verb);
}

// ---- bash ----

static void bash_place_add(StrBuf *buf, Place place)
{
    switch (place.kind) {
    case PLACE_ANY: return;
    case PLACE_WORDS: strbuf_format(buf, "words='%.*s' ;;\n", STR_ARG(place.text)); return;
    case PLACE_NAMES: strbuf_format(buf, "words=$(shopctl %.*s -o name 2>/dev/null) ;;\n", STR_ARG(place.text)); return;
    case PLACE_FILE: strbuf_add(buf, S("kind=-f ;;\n")); return;
    case PLACE_DIR: strbuf_add(buf, S("kind=-d ;;\n")); return;
    }
}

// `at` is a pattern of what stands before the option.
static void bash_values_at(StrBuf *buf, Str at, const Command *command)
{
    for (OptionIter it = option_iter(command); option_next(&it);) {
        Place place = it.option->type == OPTION_FLAG ? (Place){0} : option_place(it.option, buf->arena);
        if (place.kind == PLACE_ANY)
            continue;
        strbuf_format(buf, "        %.*s' --%s'", STR_ARG(at), it.option->name);
        if (it.option->letter)
            strbuf_format(buf, " | %.*s' -%c'", STR_ARG(at), it.option->letter);
        strbuf_add(buf, S(") "));
        bash_place_add(buf, place);
    }
}

static void bash_values(StrBuf *buf, const Noun *noun, const Command *command)
{
    bash_values_at(buf, str_format(buf->arena, "'%.*s'", STR_ARG(words_of(noun, command, buf->arena))), command);
}

static void bash_options(StrBuf *buf, const Noun *noun, const Command *command)
{
    strbuf_format(buf, "        '%.*s') words='", STR_ARG(words_of(noun, command, buf->arena)));
    option_names_add(buf, command);
    strbuf_add(buf, S("' ;;\n"));
}

static void bash_arguments(StrBuf *buf, const Noun *noun, const Command *command)
{
    Str words = words_of(noun, command, buf->arena);
    int i = 0;
    for (const Argument *argument = command->arguments; argument && argument->name; argument++, i++) {
        Place place = argument_place(argument);
        if (place.kind == PLACE_ANY)
            continue;
        if (argument->is_repeated)
            strbuf_format(buf, "        '%.*s '*) ", STR_ARG(words));
        else
            strbuf_format(buf, "        '%.*s %d') ", STR_ARG(words), i);
        bash_place_add(buf, place);
    }
}

static void bash_nouns(StrBuf *buf, const Noun *nouns)
{
    strbuf_add(buf, S("        '') words='"));
    for (const Noun *noun = nouns; noun->name; noun++)
        if (!noun_is_hidden(noun))
            strbuf_format(buf, " %s", noun->name);
    strbuf_add(buf, S("' ;;\n"));
    for (const Noun *noun = nouns; noun->name; noun++) {
        if (noun_is_hidden(noun) || noun_is_verbless(noun))
            continue;
        strbuf_format(buf, "        %s) words='", noun->name);
        verb_names_add(buf, noun);
        strbuf_add(buf, S("' ;;\n"));
    }
}

static Str verbless_nouns(const Noun *nouns, const char *separator, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (const Noun *noun = nouns; noun->name; noun++)
        if (noun_is_verbless(noun))
            strbuf_format(&buf, "%s%s", buf.len ? separator : "", noun->name);
    return strbuf_str(&buf);
}

static void bash_script(StrBuf *buf, const Noun *nouns)
{
    strbuf_add(buf, S("# bash completion of shopctl: . <(shopctl completion bash)\n"
                      "_shopctl() {\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                      "    local noun= verb= at= value= kind= words= word i count=0\n"
                      "    [[ $cur == = ]] && cur=\n"
                      "    [[ $prev == = && COMP_CWORD -gt 1 ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                      "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                      "        word=${COMP_WORDS[i]}\n"
                      "        if [[ $word == = ]]; then continue; fi\n"
                      "        if [[ $value ]]; then value=; continue; fi\n"
                      "        case $word in\n"));
    strbuf_format(buf, "        %.*s) value=1 ;;\n", STR_ARG(value_options(nouns, " | ", buf->arena)));
    strbuf_add(buf, S("        -*) ;;\n"
                      "        *)\n"
                      "            if [[ ! $noun ]]; then noun=$word at=$word\n"));
    strbuf_format(
        buf, "            elif [[ ! $verb && ! \" %.*s \" == *\" $noun \"* ]]; then verb=$word at=\"$noun $word\"\n",
        STR_ARG(verbless_nouns(nouns, " ", buf->arena)));
    strbuf_add(buf, S("            else ((count++)); fi ;;\n"
                      "        esac\n"
                      "    done\n"
                      "    if [[ $value ]]; then\n"
                      "        case \"$at $prev\" in\n"));
    commands_each(buf, nouns, bash_values);
    bash_values_at(buf, S("*"), NULL);    // before the command is known
    strbuf_add(buf, S("        esac\n"
                      "    elif [[ $cur == -* ]]; then\n"
                      "        case $at in\n"));
    commands_each(buf, nouns, bash_options);
    strbuf_add(buf, S("        *) words='"));
    option_names_add(buf, NULL);
    strbuf_add(buf, S("' ;;\n"
                      "        esac\n"
                      "    else\n"
                      "        case $at in\n"));
    bash_nouns(buf, nouns);
    strbuf_add(buf, S("        esac\n"
                      "        case \"$at $count\" in\n"));
    commands_each(buf, nouns, bash_arguments);
    strbuf_add(buf, S("        esac\n"
                      "    fi\n"
                      "    local IFS=$'\\n'\n"
                      "    if [[ $kind ]]; then\n"
                      "        compopt -o filenames 2>/dev/null\n"
                      "        COMPREPLY=($(compgen $kind -- \"$cur\"))\n"
                      "    else\n"
                      "        words=${words// /$'\\n'}\n"
                      "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                      "    fi\n"
                      "}\n"
                      "complete -F _shopctl shopctl\n"));
}

// ---- zsh ----

static void zsh_place_add(StrBuf *buf, Place place)
{
    switch (place.kind) {
    case PLACE_ANY: strbuf_add(buf, S(" ")); return;
    case PLACE_WORDS: strbuf_format(buf, "(%.*s)", STR_ARG(place.text)); return;
    case PLACE_NAMES:
        strbuf_format(buf, "{compadd -- ${(f)\"$(shopctl %.*s -o name 2>/dev/null)\"}}", STR_ARG(place.text));
        return;
    case PLACE_FILE: strbuf_add(buf, S("_files")); return;
    case PLACE_DIR: strbuf_add(buf, S("_files -/")); return;
    }
}

static void zsh_option_add(StrBuf *buf, const Option *option)
{
    bool has_value = option->type != OPTION_FLAG;
    const char *star = option->is_repeated ? "*" : "";
    if (option->letter && !option->is_repeated)
        strbuf_format(buf, " '(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name, option->letter,
                      has_value ? "+" : "", option->name, has_value ? "=" : "");
    else
        strbuf_format(buf, " '%s--%s%s[", star, option->name, has_value ? "=" : "");
    quoted_add(buf, str_of(option->help), "[]:", false);
    strbuf_add_char(buf, ']');
    if (has_value) {
        strbuf_format(buf, ":%s:", option->value);
        zsh_place_add(buf, option_place(option, buf->arena));
    }
    strbuf_add_char(buf, '\'');
}

static void zsh_command_add(StrBuf *buf, const Command *command)
{
    strbuf_add(buf, S("_arguments -s -S"));
    for (OptionIter it = option_iter(command); option_next(&it);)
        zsh_option_add(buf, it.option);
    for (const Argument *argument = command->arguments; argument && argument->name; argument++) {
        strbuf_format(buf, " '%s%s:%s:", argument->is_repeated ? "*" : "", argument->is_repeated ? "" : ":",
                      argument->name);
        zsh_place_add(buf, argument_place(argument));
        strbuf_add_char(buf, '\'');
    }
    strbuf_add(buf, S(" ;;\n"));
}

static void zsh_pair_add(StrBuf *buf, const char *name, const char *summary)
{
    strbuf_format(buf, " '%s:", name);
    quoted_add(buf, str_of(summary), "", false);
    strbuf_add_char(buf, '\'');
}

static void zsh_noun_add(StrBuf *buf, const Noun *noun)
{
    strbuf_format(buf, "        %s)\n", noun->name);
    if (noun_is_verbless(noun)) {
        strbuf_add(buf, S("            "));
        zsh_command_add(buf, noun->commands);
        return;
    }
    strbuf_add(buf, S("            _arguments -C '1: :->verb' '*:: :->rest'\n"
                      "            case $state in\n"
                      "            verb) list=("));
    for (const Command *command = noun->commands; command->run; command++)
        if (!command->is_hidden)
            zsh_pair_add(buf, command->verb, command->summary);
    strbuf_add(buf, S("); _describe command list ;;\n"
                      "            rest)\n"
                      "                case $words[1] in\n"));
    for (const Command *command = noun->commands; command->run; command++) {
        if (command->is_hidden)
            continue;
        strbuf_format(buf, "                %s) ", command->verb);
        zsh_command_add(buf, command);
    }
    strbuf_add(buf, S("                esac ;;\n"
                      "            esac ;;\n"));
}

static void zsh_script(StrBuf *buf, const Noun *nouns)
{
    strbuf_add(buf, S("#compdef shopctl\n"
                      "# zsh completion of shopctl: source <(shopctl completion zsh)\n"
                      "_shopctl() {\n"
                      "    local curcontext=$curcontext state line\n"
                      "    typeset -A opt_args\n"
                      "    local -a list\n"
                      "    _arguments -C -s"));
    for (OptionIter it = option_iter(NULL); option_next(&it);)
        zsh_option_add(buf, it.option);
    strbuf_add(buf, S(" '1: :->noun' '*:: :->rest'\n"
                      "    case $state in\n"
                      "    noun) list=("));
    for (const Noun *noun = nouns; noun->name; noun++)
        if (!noun_is_hidden(noun))
            zsh_pair_add(buf, noun->name, noun->summary);
    strbuf_add(buf, S("); _describe command list ;;\n"
                      "    rest)\n"
                      "        case $words[1] in\n"));
    for (const Noun *noun = nouns; noun->name; noun++)
        if (!noun_is_hidden(noun))
            zsh_noun_add(buf, noun);
    strbuf_add(buf,
               S("        esac ;;\n"
                 "    esac\n"
                 "}\n"
                 "if [ \"$funcstack[1]\" = _shopctl ]; then _shopctl \"$@\"; else compdef _shopctl shopctl; fi\n"));
}

// ---- fish ----

static void fish_help_add(StrBuf *buf, const char *help)
{
    strbuf_add(buf, S(" -d '"));
    quoted_add(buf, str_of(help), "", true);
    strbuf_add(buf, S("'\n"));
}

static void fish_place_add(StrBuf *buf, Place place)
{
    switch (place.kind) {
    case PLACE_ANY: strbuf_add(buf, S(" -x")); return;
    case PLACE_WORDS: strbuf_format(buf, " -x -a '%.*s'", STR_ARG(place.text)); return;
    case PLACE_NAMES: strbuf_format(buf, " -x -a '(shopctl %.*s -o name 2>/dev/null)'", STR_ARG(place.text)); return;
    case PLACE_FILE: strbuf_add(buf, S(" -r -F")); return;
    case PLACE_DIR: strbuf_add(buf, S(" -x -a '(__fish_complete_directories)'")); return;
    }
}

static void fish_option_add(StrBuf *buf, Str at, const Option *option)
{
    strbuf_format(buf, "complete -c shopctl -n '__shopctl_at %.*s' -l %s", STR_ARG(at), option->name);
    if (option->letter)
        strbuf_format(buf, " -s %c", option->letter);
    if (option->type != OPTION_FLAG)
        fish_place_add(buf, option_place(option, buf->arena));
    fish_help_add(buf, option->help);
}

static void fish_command(StrBuf *buf, const Noun *noun, const Command *command)
{
    Str words = words_of(noun, command, buf->arena);
    for (OptionIter it = option_iter(command); option_next(&it);)
        fish_option_add(buf, words, it.option);
    int i = 0;
    for (const Argument *argument = command->arguments; argument && argument->name; argument++, i++) {
        Place place = argument_place(argument);
        if (place.kind == PLACE_ANY)
            continue;
        strbuf_format(buf, "complete -c shopctl -n '__shopctl_at %.*s; and __shopctl_argument %s %d'", STR_ARG(words),
                      argument->is_repeated ? "-ge" : "-eq", i);
        if (place.kind == PLACE_FILE)
            strbuf_add(buf, S(" -F"));
        else
            fish_place_add(buf, place);
        fish_help_add(buf, argument->name);
    }
}

static void fish_script(StrBuf *buf, const Noun *nouns)
{
    strbuf_add(buf, S("# fish completion of shopctl: shopctl completion fish | source\n"
                      "function __shopctl_words\n"
                      "    set -l value\n"
                      "    for word in (commandline -opc)[2..]\n"
                      "        if test -n \"$value\"\n"
                      "            set value\n"
                      "            continue\n"
                      "        end\n"
                      "        switch $word\n"));
    strbuf_format(buf, "            case %.*s\n", STR_ARG(value_options(nouns, " ", buf->arena)));
    strbuf_add(buf, S("                set value 1\n"
                      "            case '-*'\n"
                      "            case '*'\n"
                      "                echo $word\n"
                      "        end\n"
                      "    end\n"
                      "end\n"
                      "function __shopctl_verbless\n"));
    strbuf_format(buf, "    contains -- \"$argv[1]\" %.*s\n", STR_ARG(verbless_nouns(nouns, " ", buf->arena)));
    strbuf_add(buf, S("end\n"
                      "# Whether the words so far are these: none, a noun, or a noun and a verb.\n"
                      "function __shopctl_at\n"
                      "    set -l words (__shopctl_words)\n"
                      "    if test (count $argv) -eq 0\n"
                      "        test (count $words) -eq 0\n"
                      "    else if test (count $argv) -eq 1; and not __shopctl_verbless $argv\n"
                      "        test \"$words\" = \"$argv\"\n"
                      "    else\n"
                      "        set -l last (count $argv)\n"
                      "        test \"$words[1..$last]\" = \"$argv\"\n"
                      "    end\n"
                      "end\n"
                      "# Whether as many arguments were given as `test` is asked.\n"
                      "function __shopctl_argument\n"
                      "    set -l words (__shopctl_words)\n"
                      "    set -l before 2\n"
                      "    __shopctl_verbless $words[1]; and set before 1\n"
                      "    test (math (count $words) - $before) $argv\n"
                      "end\n"
                      "complete -c shopctl -f\n"));
    for (OptionIter it = option_iter(NULL); option_next(&it);)
        fish_option_add(buf, S(""), it.option);
    for (const Noun *noun = nouns; noun->name; noun++) {
        if (noun_is_hidden(noun))
            continue;
        strbuf_format(buf, "complete -c shopctl -n __shopctl_at -a %s", noun->name);
        fish_help_add(buf, noun->summary);
        for (const Command *command = noun->commands; command->run && command->verb; command++) {
            if (command->is_hidden)
                continue;
            strbuf_format(buf, "complete -c shopctl -n '__shopctl_at %s' -a %s", noun->name, command->verb);
            fish_help_add(buf, command->summary);
        }
    }
    commands_each(buf, nouns, fish_command);
}

// ---- the command ----

typedef void ShellScript(StrBuf *buf, const Noun *nouns);
static const struct {
    Str shell;
    ShellScript *script;
} SHELLS[] = {{S("bash"), bash_script}, {S("zsh"), zsh_script}, {S("fish"), fish_script}};

static const OutputKey KEYS[] = {
    {.key = "shell", .type = "text", .help = "bash, zsh or fish.", .is_name = true},
    {.key = "script", .type = "text", .help = "What `-o table` prints as it is."},
    {0},
};

static bool completion_run(CommandCall *call, Error *err)
{
    Str shell = command_argument(call, 0);
    StrBuf buf = {.arena = call->arena};
    for (size_t i = 0; i < COUNT(SHELLS); i++)
        if (str_eq(SHELLS[i].shell, shell))
            SHELLS[i].script(&buf, call->nouns);
    return arena_ok(call->arena, err) && answer_text(call, "shell", shell, "script", strbuf_str(&buf), err);
}

const Command COMPLETION_COMMANDS[] = {
    {.summary = "prints a script that completes shopctl's commands in a shell",
     .description = "Prints the script as it is; with `-o json` and `-o yaml` it is a text of the document.",
     .arguments =
         (const Argument[]){
             {.name = "SHELL", .is_required = true, .choices = "bash zsh fish", .help = "bash, zsh or fish."}, {0}},
     .examples =
         (const Example[]){{". <(shopctl completion bash)", "Completes in this bash; put it into ~/.bashrc."},
                           {"source <(shopctl completion zsh)", "Completes in this zsh; put it into ~/.zshrc."},
                           {"shopctl completion fish | source", "Completes in this fish; put it into config.fish."},
                           {0}},
     .keys = KEYS,
     .is_standalone = true,
     .run = completion_run},
    {0},
};
