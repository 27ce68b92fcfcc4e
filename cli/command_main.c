// cli/command_main.c: from main to the exit code: parses, runs, prints what went wrong.
#include <locale.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/command_table.h"

enum { COMMAND_BUDGET = 1024 * MIB, ERROR_BUDGET = MIB };

// Texts in UTF-8 also where nobody has chosen a language, as in a container. Numbers stay with their point.
static void locale_set(void)
{
    const char *name = setlocale(LC_CTYPE, "");
    if (!name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

// Whether -o json was asked for, also on a command line that can't be read.
static bool wants_json(const char *const *words)
{
    for (; *words; words++) {
        Str word = str_of(*words), next = str_of(words[1]);
        bool is_output = str_eq(word, S("-o")) || str_eq(word, S("--output"));
        if ((is_output && str_eq(next, S("json"))) || str_eq(word, S("-ojson")) || str_eq(word, S("--output=json")))
            return true;
    }
    return false;
}

static void error_json_print(const Error *err, const char *next, Arena *arena, FILE *file)
{
    const struct {
        const char *key;
        const char *text;
    } members[] = {
        {"code", error_name(err->code)}, {"what", err->what}, {"where", err->where}, {"why", err->why}, {"next", next}};
    CLEANUP(json_close) Json *json = json_build("{}");
    for (size_t i = 0; i < COUNT(members); i++)
        if (!json_put(json, members[i].key, json_from_str(str_visible(arena, str_of(members[i].text)))))
            return;
    Json *causes = json_build("[]");
    for (unsigned i = err->cause_count; i-- > 0;)
        (void)json_append(causes, json_from_str(str_visible(arena, str_of(err->causes[i]))));
    if (!json_put(json, "causes", causes))
        return;
    Str text = S("");
    Error unprinted = {0};
    if (json_print_line(json, arena, &text, &unprinted))
        (void)fprintf(file, "%.*s\n", STR_ARG(text));
}

static void line_print(const char *name, const char *text, Arena *arena, FILE *file)
{
    if (*text)
        (void)fprintf(file, "  %-6s %.*s\n", name, STR_ARG(str_visible(arena, str_of(text))));
}

void error_print(const Error *err, const CommandCall *call, bool is_json, FILE *file)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ERROR_BUDGET);
    const char *next = err->next[0] ? err->next : error_advice(err->code);
    if (is_json) {
        error_json_print(err, next, arena, file);
        return;
    }
    bool is_coloured = output_is_coloured(file);
    (void)fprintf(file, "%sshopctl:%s %.*s\n", is_coloured ? "\033[1;31m" : "", is_coloured ? "\033[0m" : "",
                  STR_ARG(str_visible(arena, str_of(err->what))));
    line_print("where:", err->where, arena, file);
    line_print("why:", err->why, arena, file);
    if (call && call->is_verbose)
        for (unsigned i = err->cause_count; i-- > 0;)
            line_print("cause:", err->causes[i], arena, file);
    line_print("next:", next, arena, file);
}

static bool call_run(CommandCall *call, Error *err)
{
    if (!call->is_help)
        return call->command->run(call, err);
    Str text = help_text(call->nouns, call->noun, call->command, call->arena);
    return arena_ok(call->arena, err) && output_text(text, stdout, err);
}

int command_main(const Noun *nouns, int argc, char **argv)
{
    static const char *const VERSION_WORDS[] = {"version", NULL}, *const NO_WORDS[] = {NULL};
    CLEANUP(arena_close) Arena *arena = arena_open(COMMAND_BUDGET);
    const char *const *words = argc > 0 ? (const char *const *)argv + 1 : NO_WORDS;
    locale_set();
    for (size_t i = 0; words[i] && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--no-color") == 0)
            (void)setenv("NO_COLOR", "1", 1);
        if (strcmp(words[i], "--version") == 0) {
            words = VERSION_WORDS;
            break;
        }
    }
    Error err = {0};
    CommandCall *call = NULL;
    if (!command_parse(nouns, words, (const char *const *)environ, arena, &call, &err) || !call_run(call, &err)) {
        error_print(&err, call, wants_json(words), stderr);
        return error_exit_code(err.code);
    }
    return call->exit_code;
}
