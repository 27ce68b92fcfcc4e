// cli/command.c: reads a command line by the command table.
#include "cli/command.h"

#include <stdarg.h>

#include "base/arena.h"
#include "cli/command_table.h"

enum { NAMES_MAX = 128 };

typedef struct Given {
    const Option *option;
    Str value;
} Given;

typedef struct CommandInput {
    Given *given;
    size_t given_count;
    Str *arguments;
    size_t argument_count;
} CommandInput;

// ---- what was given ----

size_t command_argument_count(const CommandCall *call) { return call->input->argument_count; }

Str command_argument(const CommandCall *call, size_t i)
{
    return i < call->input->argument_count ? call->input->arguments[i] : S("");
}

static const Option *option_get(const CommandCall *call, const char *name)
{
    for (OptionIter it = option_iter(call->command); option_next(&it);)
        if (strcmp(it.option->name, name) == 0)
            return it.option;
    return NULL;
}

// The i-th time that the option was given, or NULL.
static const Given *given_get(const CommandCall *call, const char *name, size_t i)
{
    const Option *option = option_get(call, name);
    assert(option);
    for (size_t at = 0; at < call->input->given_count; at++)
        if (call->input->given[at].option == option && i-- == 0)
            return &call->input->given[at];
    return NULL;
}

size_t command_count(const CommandCall *call, const char *option)
{
    size_t count = 0;
    while (given_get(call, option, count))
        count++;
    return count;
}

bool command_has(const CommandCall *call, const char *option) { return given_get(call, option, 0) != NULL; }
bool command_flag(const CommandCall *call, const char *option) { return command_has(call, option); }

Str command_text(const CommandCall *call, const char *option)
{
    size_t count = command_count(call, option);
    return count ? given_get(call, option, count - 1)->value : str_of(option_get(call, option)->initial);
}

int64_t command_int(const CommandCall *call, const char *option)
{
    Error checked_before = {0};
    int64_t value = 0;
    Str text = command_text(call, option);
    bool is_read = text.len == 0 || str_int64(text, INT64_MIN, INT64_MAX, &value, &checked_before);
    assert(is_read);
    return value;
}

Str command_text_at(const CommandCall *call, const char *option, size_t i)
{
    const Given *given = given_get(call, option, i);
    assert(given);
    return given->value;
}

void command_pair_at(const CommandCall *call, const char *option, size_t i, Str *out_key, Str *out_value)
{
    Str pair = command_text_at(call, option, i);
    size_t end = str_find_char(pair, '=');
    *out_key = str_slice(pair, 0, end);
    *out_value = str_skip(pair, end + 1);
}

bool command_answer(const CommandCall *call, const Json *answer, Error *err)
{
    assert(call->command->keys);
    if (!output_print(answer, call->command->keys, call->format, stdout, call->arena, err))
        return false;
    if (call->format == OUTPUT_TABLE && call->command->is_list && json_count(json_get(answer, "items")) == 0)
        command_note(call, "there are none");
    return true;
}

bool command_print(const CommandCall *call UNUSED, Str text, Error *err) { return output_text(text, stdout, err); }

void command_note(const CommandCall *call, const char *format, ...)
{
    if (call->is_quiet)
        return;
    va_list list;
    va_start(list, format);
    (void)vfprintf(stderr, format, list);
    va_end(list);
    (void)fputc('\n', stderr);
}

// ---- what is wrong ----

static bool refuse(const CommandCall *call, Error *err, Str what, Str nearest, const char *prefix)
{
    error_set(err, ERR_USAGE, "%.*s", STR_ARG(what));
    if (nearest.len)
        return error_next(err, "did you mean '%s%.*s'?", prefix, STR_ARG(nearest));
    Str path = command_path(call->noun, call->command, call->arena);
    return error_next(err, "see `%.*s --help`", STR_ARG(path));
}

static bool unknown_noun(const CommandCall *call, Str word, Error *err)
{
    Str names[NAMES_MAX];
    size_t count = 0;
    for (const Noun *noun = call->nouns; noun->name && count < NAMES_MAX; noun++)
        if (!noun_is_hidden(noun))
            names[count++] = str_of(noun->name);
    Str nearest = str_nearest(word, names, count);
    const Noun *owner = NULL;    // "shopctl create" means a verb
    for (const Noun *noun = call->nouns; noun->name && !owner; noun++)
        if (verb_find(noun, word))
            owner = noun;
    if (owner && !nearest.len)
        nearest = str_format(call->arena, "%s %.*s", owner->name, STR_ARG(word));
    return refuse(call, err, str_format(call->arena, "there is no command '%.*s'", STR_ARG(word)), nearest, "shopctl ");
}

static bool unknown_verb(const CommandCall *call, Str word, Error *err)
{
    Str names[NAMES_MAX];
    size_t count = 0;
    for (const Command *command = call->noun->commands; command->run && count < NAMES_MAX; command++)
        if (!command->is_hidden)
            names[count++] = str_of(command->verb);
    if (word.len == 0) {
        error_set(err, ERR_USAGE, "'shopctl %s' needs to know what to do", call->noun->name);
        return error_next(err, "use one of %.*s", STR_ARG(str_join(call->arena, names, count, S(", "))));
    }
    Str prefix = str_format(call->arena, "shopctl %s ", call->noun->name);
    Str what = str_format(call->arena, "there is no command 'shopctl %s %.*s'", call->noun->name, STR_ARG(word));
    return refuse(call, err, what, str_nearest(word, names, count), prefix.data);
}

static bool unknown_option(const CommandCall *call, Str name, Error *err)
{
    Str names[NAMES_MAX];
    size_t count = 0;
    for (OptionIter it = option_iter(call->command); option_next(&it) && count < NAMES_MAX;)
        names[count++] = str_of(it.option->name);
    Str path = command_path(call->noun, call->command, call->arena);
    Str what = str_format(call->arena, "'%.*s' has no option '--%.*s'", STR_ARG(path), STR_ARG(name));
    return refuse(call, err, what, str_nearest(name, names, count), "--");
}

// `place` is the option or argument, for the message.
static bool choice_check(const CommandCall *call, Str place, const Str *names, size_t count, Str value, Error *err)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(names[i], value))
            return true;
    Str known = str_join(call->arena, names, count, S(", ")), nearest = str_nearest(value, names, count);
    error_set(err, ERR_USAGE, "%.*s can't be '%.*s'", STR_ARG(place), STR_ARG(value));
    error_why(err, "it is one of %.*s", STR_ARG(known));
    if (nearest.len)
        return error_next(err, "did you mean '%.*s'?", STR_ARG(nearest));
    return false;
}

static bool option_choice_check(const CommandCall *call, const Option *option, Str value, Error *err)
{
    Str names[NAMES_MAX], place = str_format(call->arena, "--%s", option->name);
    size_t count = 0;
    for (; count < NAMES_MAX && option->choices[count]; count++)
        names[count] = str_of(option->choices[count]);
    return choice_check(call, place, names, count, value, err);
}

static bool argument_choice_check(const CommandCall *call, const Argument *argument, Str value, Error *err)
{
    Str names[NAMES_MAX], rest = str_of(argument->choices);
    size_t count = 0;
    while (count < NAMES_MAX && str_cut(&rest, ' ', &names[count]))
        count++;
    return choice_check(call, str_of(argument->name), names, count, value, err);
}

static bool value_check(const CommandCall *call, const Option *option, Str value, Error *err)
{
    int64_t number = 0;
    bool has_bounds = option->min != 0 || option->max != 0;
    switch (option->type) {
    case OPTION_FLAG:
    case OPTION_TEXT: break;
    case OPTION_INT:
        if (str_int64(value, option->min, has_bounds ? option->max : INT64_MAX, &number, err))
            break;
        err->code = ERR_USAGE;
        error_wrap(err, "--%s can't be '%.*s'", option->name, STR_ARG(value));
        return error_next(err, "write it as in '--%s %s'", option->name, option->initial ? option->initial : "10");
    case OPTION_CHOICE: return option_choice_check(call, option, value, err);
    case OPTION_PAIR:
        if (str_find_char(value, '=') > 0 && str_has_char(value, '='))
            break;
        error_set(err, ERR_USAGE, "--%s can't be '%.*s'", option->name, STR_ARG(value));
        return error_next(err, "write %s", option->value);
    }
    if (str_is_utf8(value))
        return true;
    error_set(err, ERR_USAGE, "the value of --%s is refused", option->name);
    return error_why(err, "it isn't UTF-8");
}

// ---- reading ----

typedef struct Words {
    const char *const *words;
    size_t count;
    size_t noun_at;    // SIZE_MAX: not there
    size_t verb_at;
} Words;

static bool option_is(const Option *option, Str name, char letter)
{
    return letter ? option->letter == letter : str_eq(str_of(option->name), name);
}

static const Option *option_find(const Command *command, Str name, char letter)
{
    for (OptionIter it = option_iter(command); option_next(&it);)
        if (option_is(it.option, name, letter))
            return it.option;
    if (!command || !command->is_standalone)
        return NULL;
    for (OptionIter it = option_iter(NULL); option_next(&it);)    // means nothing here, but an alias may hold it
        if (it.group == OPTION_GROUP_SETTINGS && option_is(it.option, name, letter))
            return it.option;
    return NULL;
}

// Whether the word is an option whose value is the next word, as far as can be told before the command is known.
static bool takes_next_word(const Noun *noun, Str word)
{
    bool is_long = str_has_prefix(word, S("--"));
    Str name = is_long ? str_skip(word, 2) : S("");
    char letter = is_long ? 0 : word.data[word.len - 1];    // of -qo, the o
    const Option *option = option_find(NULL, name, letter);
    for (const Command *command = noun ? noun->commands : NULL; !option && command && command->run; command++)
        option = option_find(command, name, letter);
    return option && option->type != OPTION_FLAG && (is_long || word.len == 2 || !str_has_char(name, '='));
}

static bool is_option(Str word) { return word.len > 1 && word.data[0] == '-'; }

// Finds which words are the noun and the verb; options may stand before and between them.
static void command_find(CommandCall *call, Words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        Str word = str_of(words->words[i]);
        if (str_eq(word, S("--")))
            return;
        if (is_option(word)) {
            i += takes_next_word(call->noun, word);
        } else if (!call->noun) {
            words->noun_at = i;
            call->noun = noun_find(call->nouns, word);
            if (!call->noun)
                return;
            if (noun_is_verbless(call->noun)) {
                call->command = call->noun->commands;
                return;
            }
        } else {
            words->verb_at = i;
            call->command = verb_find(call->noun, word);
            return;
        }
    }
}

static bool option_take(CommandCall *call, CommandInput *input, const Option *option, Str value, Error *err)
{
    if (option->type != OPTION_FLAG && !value_check(call, option, value, err))
        return false;
    input->given[input->given_count++] = (Given){option, value};
    return true;
}

// The value is in the next word; *at goes on to it.
static bool next_value(const Words *words, size_t *at, const Option *option, Str *out, Error *err)
{
    if (*at + 1 >= words->count) {
        error_set(err, ERR_USAGE, "--%s needs a value", option->name);
        return error_next(err, "write --%s %s", option->name, option->value);
    }
    *out = str_of(words->words[++*at]);
    return true;
}

static bool long_option_read(CommandCall *call, CommandInput *input, const Words *words, size_t *at, Error *err)
{
    Str word = str_skip(str_of(words->words[*at]), 2);
    size_t end = str_find_char(word, '=');
    Str name = str_slice(word, 0, end), value = S("");
    const Option *option = option_find(call->command, name, 0);
    if (!option)
        return unknown_option(call, name, err);
    if (end < word.len) {
        if (option->type == OPTION_FLAG) {
            error_set(err, ERR_USAGE, "--%s takes no value", option->name);
            return error_next(err, "write --%s alone", option->name);
        }
        value = str_skip(word, end + 1);
    } else if (option->type != OPTION_FLAG && !next_value(words, at, option, &value, err)) {
        return false;
    }
    return option_take(call, input, option, value, err);
}

// -q, -qv, -o json, -ojson
static bool letters_read(CommandCall *call, CommandInput *input, const Words *words, size_t *at, Error *err)
{
    Str letters = str_skip(str_of(words->words[*at]), 1);
    while (letters.len > 0) {
        const Option *option = option_find(call->command, S(""), letters.data[0]);
        if (!option) {
            Str path = command_path(call->noun, call->command, call->arena);
            Str what = str_format(call->arena, "'%.*s' has no option '-%c'", STR_ARG(path), letters.data[0]);
            return refuse(call, err, what, S(""), "");
        }
        letters = str_skip(letters, 1);
        Str value = S("");
        if (option->type != OPTION_FLAG) {
            if (letters.len > 0)
                value = letters;
            else if (!next_value(words, at, option, &value, err))
                return false;
            letters = S("");
        }
        if (!option_take(call, input, option, value, err))
            return false;
    }
    return true;
}

static bool words_read(CommandCall *call, CommandInput *input, const Words *words, Error *err)
{
    bool has_ended = false;
    for (size_t i = 0; i < words->count; i++) {
        Str word = str_of(words->words[i]);
        if (i == words->noun_at || i == words->verb_at)
            continue;
        if (!has_ended && str_eq(word, S("--"))) {
            has_ended = true;
        } else if (!has_ended && str_has_prefix(word, S("--"))) {
            if (!long_option_read(call, input, words, &i, err))
                return false;
        } else if (!has_ended && is_option(word)) {
            if (!letters_read(call, input, words, &i, err))
                return false;
        } else if (!str_is_utf8(word)) {
            error_set(err, ERR_USAGE, "argument %zu is refused", input->argument_count + 1);
            return error_why(err, "it isn't UTF-8");
        } else {
            input->arguments[input->argument_count++] = word;
        }
    }
    return true;
}

static bool input_check(const CommandCall *call, const CommandInput *input, Error *err)
{
    Str path = command_path(call->noun, call->command, call->arena),
        usage = arguments_usage(call->command, call->arena);
    size_t count = 0;
    bool is_open = false;
    for (const Argument *argument = call->command->arguments; argument && argument->name; argument++, count++) {
        is_open = argument->is_repeated;
        if (argument->choices && count < input->argument_count &&
            !argument_choice_check(call, argument, input->arguments[count], err))
            return false;
        if (argument->is_required && count >= input->argument_count) {
            error_set(err, ERR_USAGE, "'%.*s' needs %s", STR_ARG(path), argument->name);
            return error_next(err, "write %.*s %.*s", STR_ARG(path), STR_ARG(usage));
        }
    }
    if (input->argument_count > count && !is_open) {
        error_set(err, ERR_USAGE, "'%.*s' takes no argument '%.*s'", STR_ARG(path), STR_ARG(input->arguments[count]));
        return error_next(err, "write %.*s%s%.*s", STR_ARG(path), usage.len ? " " : "", STR_ARG(usage));
    }
    for (OptionIter it = option_iter(call->command); option_next(&it);) {
        if (it.option->is_required && !command_has(call, it.option->name)) {
            error_set(err, ERR_USAGE, "'%.*s' needs --%s", STR_ARG(path), it.option->name);
            return error_next(err, "add --%s %s", it.option->name, it.option->value);
        }
    }
    return true;
}

static bool call_settings(CommandCall *call, const char *const *environment, Error *err)
{
    const CommandInput *input = call->input;
    SettingGiven *given = arena_array(call->arena, input->given_count + 1, SettingGiven);
    if (!arena_ok(call->arena, err))
        return false;
    size_t count = 0;
    for (size_t i = 0; i < input->given_count; i++) {
        const Option *option = input->given[i].option;
        Str value = input->given[i].value, option_text = str_format(call->arena, "--%s", option->name);
        if (option->setting)
            given[count++] = (SettingGiven){str_of(option->setting), value, option_text};
        else if (option == option_find(call->command, S("setting"), 0))
            given[count++] = (SettingGiven){str_slice(value, 0, str_find_char(value, '=')),
                                            str_skip(value, str_find_char(value, '=') + 1), option_text};
    }
    SettingSources sources = {
        .given = given, .given_count = count, .environment = environment, .config = command_text(call, "config")};
    return settings_gather(&sources, call->arena, &call->settings, err);
}

static OutputFormat format_of(const CommandCall *call)
{
    Str text = command_text(call, "output");
    const Option *option = option_get(call, "output");
    OutputFormat format = OUTPUT_TABLE;
    while (!str_eq(str_of(option->choices[format]), text))
        format++;
    return format;
}

bool command_parse(const Noun *nouns, const char *const *words, const char *const *environment, Arena *arena,
                   CommandCall **out, Error *err)
{
    Words all = {.words = words, .noun_at = SIZE_MAX, .verb_at = SIZE_MAX};
    size_t option_max = 0;    // a word of letters holds one option each
    for (; words[all.count]; all.count++)
        option_max += strlen(words[all.count]);
    CommandCall *call = arena_new(arena, CommandCall);
    CommandInput *input = arena_new(arena, CommandInput);
    if (!arena_ok(arena, err))
        return false;
    *call = (CommandCall){.nouns = nouns, .arena = arena, .input = input};
    input->given = arena_array(arena, option_max + 1, Given);
    input->arguments = arena_array(arena, all.count + 1, Str);
    if (!arena_ok(arena, err))
        return false;
    command_find(call, &all);
    if (all.noun_at != SIZE_MAX && !call->noun)
        return unknown_noun(call, str_of(words[all.noun_at]), err);
    if (all.verb_at != SIZE_MAX && !call->command)
        return unknown_verb(call, str_of(words[all.verb_at]), err);
    if (!words_read(call, input, &all, err))
        return false;
    call->is_help = !call->noun || command_has(call, "help");
    call->is_verbose = command_has(call, "verbose");
    call->is_quiet = command_has(call, "quiet");
    if (!call->is_help) {
        if (!call->command)
            return unknown_verb(call, S(""), err);
        if (!input_check(call, input, err))
            return false;
        call->is_dry_run = call->command->changes && command_has(call, "dry-run");
        call->is_yes = call->command->changes && command_has(call, "yes");
        call->format = call->command->keys ? format_of(call) : OUTPUT_TABLE;
        if (!call->command->is_standalone && !call_settings(call, environment, err))
            return false;
    }
    if (!arena_ok(arena, err))
        return false;
    *out = call;
    return true;
}
