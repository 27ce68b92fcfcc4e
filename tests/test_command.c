// tests/test_command.c: command lines by a table of their own, then what must hold for every command of shopctl.
#include "cli/command.h"

#include <locale.h>
#include <pty.h>
#include <unistd.h>

#include "cli/command_table.h"
#include "provisioner/setting.h"
#include "tests/support/more_check.h"

enum { BUDGET = 4 * MIB, WORDS_MAX = 32 };

static bool nothing_run(CommandCall *call UNUSED, Error *err UNUSED) { return true; }

static const char *const COLOURS[] = {"red", "green", NULL};
static const OutputKey BOX_KEYS[] = {
    {.key = "name", .type = "text", .help = "The name.", .heading = "NAME", .is_name = true},
    {.key = "size", .type = "integer", .unit = UNIT_BYTES, .help = "The size.", .heading = "SIZE", .is_right = true},
    {.key = "price", .type = "money", .help = "The price.", .heading = "PRICE", .is_right = true},
    {.key = "inner.note", .type = "text", .help = "A note.", .heading = "NOTE"},
    {0},
};

static const Command BOX_COMMANDS[] = {
    {.verb = "make",
     .summary = "makes a box",
     .arguments = (const Argument[]){{.name = "NAME", .is_required = true, .help = "The name."},
                                     {.name = "FILE", .is_repeated = true, .help = "Files."},
                                     {0}},
     .options =
         (const Option[]){
             {.name = "colour",
              .type = OPTION_CHOICE,
              .value = "COLOUR",
              .choices = COLOURS,
              .initial = "red",
              .help = "C."},
             {.name = "size", .letter = 's', .type = OPTION_INT, .min = 1, .max = 9, .value = "N", .help = "S."},
             {.name = "label", .type = OPTION_PAIR, .is_repeated = true, .value = "KEY=VALUE", .help = "L."},
             {.name = "lid", .letter = 'l', .help = "With a lid."},
             {.name = "listen", .type = OPTION_TEXT, .value = "ADDRESS", .setting = "listen", .help = "A."},
             {0}},
     .keys = BOX_KEYS,
     .changes = true,
     .run = nothing_run},
    {.verb = "list", .summary = "lists boxes", .keys = BOX_KEYS, .is_list = true, .run = nothing_run},
    {.verb = "paint",
     .summary = "paints a box",
     .options =
         (const Option[]){{.name = "data", .type = OPTION_TEXT, .is_required = true, .value = "FILE", .help = "D."},
                          {0}},
     .is_standalone = true,
     .run = nothing_run},
    {0},
};
static const Command START_COMMANDS[] = {{.summary = "starts", .run = nothing_run}, {0}};
static const Noun TOYS[] = {{"box", "boxes", BOX_COMMANDS}, {"start", "starts", START_COMMANDS}, {0}};

static const char *const NO_ENVIRONMENT[] = {NULL};

// Cuts a command line at its blanks and parses it.
static bool parse(Arena *arena, const char *line, CommandCall **out, Error *err)
{
    const char **words = arena_array(arena, WORDS_MAX, const char *);
    if (!arena_ok(arena, err))
        return false;
    Str rest = str_of(line), word = S("");
    for (size_t i = 0; rest.len && str_cut(&rest, ' ', &word); i++)
        words[i] = str_copy(arena, word).data;
    return arena_ok(arena, err) && command_parse(TOYS, words, NO_ENVIRONMENT, arena, out, err);
}

static const char *const SAME[] = {
    "box make a --colour green --size 3 --lid f g",
    "box make a --colour=green --size=3 --lid f g",
    "box --colour green make -s 3 -l a f g",
    "--data /x box make -ls3 a f --colour green g",
    "box make --colour red --size 1 -l --size 3 --colour green -- a f g",
    "-o table box -s3 make a f g --lid --colour=green",
};

TEST(options_may_stand_anywhere_in_every_form)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert_ok(parse(arena, SAME[_i], &call, &err), &err);
    ck_assert_str(str_of(call->command->verb), S("make"));
    ck_assert_uint_eq(command_argument_count(call), 3);
    ck_assert_str(command_argument(call, 0), S("a"));
    ck_assert_str(command_argument(call, 2), S("g"));
    ck_assert_str(command_argument(call, 3), S(""));
    ck_assert_str(command_text(call, "colour"), S("green"));
    ck_assert_int_eq(command_int(call, "size"), 3);
    ck_assert(command_flag(call, "lid"));
}

TEST(what_is_not_given_has_its_default)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert_ok(parse(arena, "box make a", &call, &err), &err);
    ck_assert(!command_has(call, "colour"));
    ck_assert_str(command_text(call, "colour"), S("red"));
    ck_assert_int_eq(command_int(call, "size"), 0);
    ck_assert(!command_flag(call, "lid"));
    ck_assert_uint_eq(command_count(call, "label"), 0);
    ck_assert_int_eq(call->format, OUTPUT_TABLE);
    ck_assert(!call->is_dry_run && !call->is_yes && !call->is_quiet && !call->is_help);
    ck_assert_str(setting_text(call->settings, "listen"), S("127.0.0.1:8080"));
}

TEST(common_options_are_read)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert_ok(parse(arena, "box make -nyqv a -o yaml --label a=b --label c=d=e", &call, &err), &err);
    ck_assert(call->is_dry_run && call->is_yes && call->is_quiet && call->is_verbose);
    ck_assert_int_eq(call->format, OUTPUT_YAML);
    Str key = S(""), value = S("");
    ck_assert_uint_eq(command_count(call, "label"), 2);
    command_pair_at(call, "label", 1, &key, &value);
    ck_assert_str(key, S("c"));
    ck_assert_str(value, S("d=e"));
}

TEST(options_set_settings_and_the_last_one_holds)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    const char *line =
        "box make a --setting spares=3 --listen [::1]:1 --data /d --setting spares=4 --setting listen=[::1]:2";
    ck_assert_ok(parse(arena, line, &call, &err), &err);
    ck_assert_int_eq(setting_int(call->settings, "spares"), 4);
    ck_assert_str(setting_text(call->settings, "listen"), S("[::1]:2"));
    ck_assert_str(setting_text(call->settings, "data"), S("/d"));
}

TEST(a_standalone_command_reads_no_settings_and_may_use_their_names)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert_ok(parse(arena, "--data /x --config /nowhere box paint --data f.json", &call, &err), &err);
    ck_assert_ptr_null(call->settings);
    ck_assert_str(command_text(call, "data"), S("f.json"));
}

static const struct {
    const char *line;
    const char *says;
} WRONG[] = {
    {"bxo make a", "did you mean 'shopctl box'?"},
    {"paint", "did you mean 'shopctl box paint'?"},
    {"zebra", "there is no command 'zebra'"},
    {"box mkae a", "did you mean 'shopctl box make'?"},
    {"box", "use one of make, list, paint"},
    {"box make a --colur red", "did you mean '--colour'?"},
    {"box make a --col red", "has no option '--col'"},
    {"box list --lid", "has no option '--lid'"},
    {"box make a -x", "has no option '-x'"},
    {"box make a --colour gren", "did you mean 'green'?"},
    {"box make a --colour", "--colour needs a value"},
    {"box make a -s", "--size needs a value"},
    {"box make a --size 10", "from 1 to 9"},
    {"box make a --size=three", "--size can't be 'three'"},
    {"box make a --lid=yes", "--lid takes no value"},
    {"box make a --label ab", "write KEY=VALUE"},
    {"box make a --label =b", "write KEY=VALUE"},
    {"box make", "needs NAME"},
    {"box list a", "takes no argument 'a'"},
    {"box list --dry-run", "has no option '--dry-run'"},
    {"box paint", "needs --data"},
    {"box paint --data x -o json", "has no option '-o'"},
    {"box list -o jsn", "did you mean 'json'?"},
    {"box list --setting sprae=1", "did you mean 'spares'?"},
    {"box make \xff", "isn't UTF-8"},
    {"box make a --listen \xff", "isn't UTF-8"},
    {"--zebra", "has no option '--zebra'"},
};

TEST(a_wrong_command_line_is_a_usage_error_with_advice)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert(!parse(arena, WRONG[_i].line, &call, &err));
    ck_assert_says(&err, ERR_USAGE, WRONG[_i].says);
    ck_assert_ptr_null(call);
    ck_assert_int_eq(error_exit_code(err.code), 64);
}

static const struct {
    const char *line;
    const char *has;
} HELPS[] = {
    {"", "Usage: shopctl COMMAND"},
    {"--help", "  box "},
    {"box --help", "box make"},
    {"box -h", "boxes"},
    {"box make --help", "--label KEY=VALUE"},
    {"box make -h", "Default: red."},
    {"--help box make", "NAME [FILE...]"},
    {"start --help", "shopctl start: starts"},
};

TEST(help_is_given_at_every_level)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CommandCall *call = NULL;
    ck_assert_ok(parse(arena, HELPS[_i].line, &call, &err), &err);
    ck_assert(call->is_help);
    ck_assert_contains(help_text(TOYS, call->noun, call->command, arena), str_of(HELPS[_i].has));
}

// ---- answers ----

static Str printed(Arena *arena, const char *json_text, OutputFormat format)
{
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    char *data = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&data, &size);
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));    // as command_main does
    ck_assert_ok(json_parse(str_of(json_text), &json, &err), &err);
    ck_assert_ok(output_print(json, BOX_KEYS, format, file, arena, &err), &err);
    (void)fclose(file);
    Str text = str_copy(arena, (Str){data, size});
    free(data);
    return text;
}

static const OutputKey TERMINAL_KEYS[] = {
    {.key = "slug", .type = "text", .help = "The slug.", .heading = "SLUG", .is_name = true},
    {.key = "name", .type = "text", .help = "The name.", .heading = "NAME", .is_cut = true},
    {.key = "url", .type = "text", .help = "The address.", .heading = "URL"},
    {0},
};

static const char LIST[] =
    "{\"items\":[{\"name\":\"a\",\"size\":1048576,\"price\":{\"amount\":1990,\"currency\":\"EUR\"}},"
    "{\"name\":\"caña\",\"size\":5,\"inner\":{\"note\":\"x\"}}],\"total\":2}";

TEST(a_list_is_a_table_of_the_columns_with_headings)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    ck_assert_str(printed(arena, LIST, OUTPUT_TABLE), S("NAME SIZE     PRICE NOTE\n"
                                                        "a    1MiB 19.90 EUR \n"
                                                        "caña   5B           x\n"));
}

TEST(one_object_is_a_line_per_key)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const char *json =
        "{\"name\":\"a\",\"size\":1024,\"inner\":{\"note\":\"n\",\"deep\":{\"x\":1}},\"is\":true,\"none\":null,"
        "\"list\":[1,2],\"steps\":[{\"name\":\"one\",\"state\":\"done\"},{\"name\":\"tw\u00f3fold\",\"state\":\"-\","
        "\"at\":null}]}";
    ck_assert_str(printed(arena, json, OUTPUT_TABLE), S("name         a\n"
                                                        "size         1KiB\n"
                                                        "inner.note   n\n"
                                                        "inner.deep.x 1\n"
                                                        "is           yes\n"
                                                        "none         \n"
                                                        "list         1, 2\n"
                                                        "steps        one      done\n"
                                                        "             twófold  -\n"));
}

TEST(json_and_yaml_are_one_document_and_names_are_lines)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    Str text = printed(arena, LIST, OUTPUT_JSON);
    ck_assert(str_has_suffix(text, S("}\n")));
    ck_assert_ok(json_parse(text, &json, &err), &err);
    ck_assert_int_eq(json_int64(json_get(json, "total")), 2);
    ck_assert_contains(printed(arena, LIST, OUTPUT_YAML), S("- name: a\n  size: 1048576\n"));
    ck_assert_str(printed(arena, LIST, OUTPUT_NAME), S("a\ncaña\n"));
    ck_assert_str(printed(arena, "{\"name\":\"b\"}", OUTPUT_NAME), S("b\n"));
    ck_assert_str(printed(arena, "{\"steps\":[]}", OUTPUT_NAME), S(""));
}

TEST(a_text_of_several_lines_is_shown_in_lines)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    ck_assert_str(printed(arena, "{\"name\":\"Bank\\n\\nIBAN\\n\",\"size\":1024}", OUTPUT_TABLE), S("name Bank\n"
                                                                                                    "     \n"
                                                                                                    "     IBAN\n"
                                                                                                    "size 1KiB\n"));
}

// What `list` prints on a terminal of so many columns.
static Str shown_on(Arena *arena, unsigned short columns, const char *list)
{
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    int master = -1, slave = -1;
    char text[4 * KIB];
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &(struct winsize){.ws_row = 24, .ws_col = columns}), 0);
    FILE *terminal = fdopen(slave, "w");
    ck_assert_ok(json_parse(str_of(list), &json, &err), &err);
    ck_assert_ok(output_print(json, TERMINAL_KEYS, OUTPUT_TABLE, terminal, arena, &err), &err);
    (void)fclose(terminal);
    StrBuf shown_by = {.arena = arena};
    for (ssize_t length; (length = read(master, text, sizeof(text))) > 0;)    // a terminal gives what it has by now
        strbuf_add(&shown_by, (Str){text, (size_t)length});
    (void)close(master);
    Str shown = strbuf_str(&shown_by);
    return str_replace(arena, shown, '\r', ' ');
}

static const char LONG_LIST[] =
    "{\"items\":[{\"slug\":\"a-very-long-slug-of-forty-characters-123\",\"name\":\"Ñandú y compañía del sur "
    "y del norte\",\"url\":\"http://a-very-long-slug-of-forty-characters-123.localhost\"}],\"total\":1}";

TEST(a_narrow_terminal_cuts_prose_alone_and_says_so)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    static const unsigned short WIDTHS[] = {1, 40, 80, 130};
    (void)unsetenv("TERM");
    for (size_t i = 0; i < COUNT(WIDTHS); i++) {
        Str shown = shown_on(arena, WIDTHS[i], LONG_LIST);
        ck_assert_contains(shown, S("a-very-long-slug-of-forty-characters-123 "));
        ck_assert_contains(shown, S(" http://a-very-long-slug-of-forty-characters-123.localhost"));
        ck_assert_contains(shown, i == 3 ? S("Ñandú y compañía del sur y del… ") : S("Ñandú y compañía del su… "));
    }
    ck_assert_contains(shown_on(arena, 200, LONG_LIST), S("Ñandú y compañía del sur y del norte "));
}

TEST(a_text_can_do_nothing_to_a_terminal)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const char *json = "{\"items\":[{\"name\":\"a\\u001b[31m\\u0007\\nb\"}]}";
    ck_assert_contains(printed(arena, json, OUTPUT_TABLE), S("a\\x1b[31m\\x07 b"));
    ck_assert_str(printed(arena, json, OUTPUT_NAME), S("a\\x1b[31m\\x07\\x0ab\n"));
}

TEST(an_answer_that_cannot_be_written_is_an_error)
{
    Error err = {0};
    FILE *full = fopen("/dev/full", "w");
    ck_assert(!output_text(S("text"), full, &err));
    ck_assert_says(&err, ERR_FAILED, "the answer can't be written");
    (void)fclose(full);
}

static Str error_text(Arena *arena, const Error *err, bool is_json)
{
    char *data = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&data, &size);
    error_print(err, NULL, is_json, file);
    (void)fclose(file);
    Str text = str_copy(arena, (Str){data, size});
    free(data);
    return text;
}

TEST(an_error_is_printed_as_lines_or_as_one_line_of_json)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    error_set(&err, ERR_NOT_FOUND, "there is no box '\033'");
    error_where(&err, "f.yaml:1:2");
    error_why(&err, "it was eaten");
    error_next(&err, "bake one");
    ck_assert_str(error_text(arena, &err, false), S("shopctl: there is no box '\\x1b'\n"
                                                    "  where: f.yaml:1:2\n"
                                                    "  why:   it was eaten\n"
                                                    "  next:  bake one\n"));
    ck_assert_str(error_text(arena, &err, true),
                  S("{\"code\": \"not-found\", \"what\": \"there is no box '\\\\x1b'\", \"where\": \"f.yaml:1:2\", "
                    "\"why\": \"it was eaten\", \"next\": \"bake one\", \"causes\": []}\n"));
}

// ---- every command of shopctl ----

static bool has_stop(const char *text) { return *text && text[strlen(text) - 1] == '.'; }
static bool is_sentence(const char *text) { return text[0] >= 'A' && text[0] <= 'Z' && has_stop(text); }

static void options_check(const Command *command, const char *path)
{
    char letters[256] = "";
    Str names[64];
    size_t count = 0;
    for (OptionIter it = option_iter(command); option_next(&it);) {
        const Option *option = it.option;
        for (size_t i = 0; i < count; i++)
            ck_assert_msg(!str_eq(names[i], str_of(option->name)), "%s has two --%s", path, option->name);
        ck_assert_uint_lt(count, COUNT(names));
        names[count++] = str_of(option->name);
        if (option->letter) {
            ck_assert_msg(!strchr(letters, option->letter), "%s has two -%c", path, option->letter);
            letters[strlen(letters)] = option->letter;
        }
        ck_assert_msg(option->help && has_stop(option->help), "%s --%s: the help has no full stop", path, option->name);
        ck_assert_msg((option->type == OPTION_FLAG) == (option->value == NULL), "%s --%s: a value has a name", path,
                      option->name);
        ck_assert_msg((option->type == OPTION_CHOICE) == (option->choices != NULL), "%s --%s: choices", path,
                      option->name);
    }
}

static void keys_check(const Command *command, const char *path)
{
    bool has_heading = false;
    for (const OutputKey *key = command->keys; key && key->key; key++) {
        ck_assert_msg(key->type && key->help && has_stop(key->help), "%s: the key '%s' isn't explained", path,
                      key->key);
        has_heading |= key->heading != NULL;
    }
    ck_assert_msg(!command->is_list || has_heading, "%s: its table has no column", path);
}

TEST(every_command_is_explained_in_full)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    for (const Noun *noun = NOUNS; noun->name; noun++) {
        ck_assert_msg(!is_sentence(noun->summary), "%s: a summary is no sentence", noun->name);
        for (const Command *command = noun->commands; command->run; command++) {
            const char *path = command_path(noun, command, arena).data;
            ck_assert_msg(noun_is_verbless(noun) == (command->verb == NULL), "%s: verbs", path);
            ck_assert_msg(command->summary && !is_sentence(command->summary), "%s: the summary", path);
            ck_assert_msg(!command->description || is_sentence(command->description), "%s: the description", path);
            ck_assert_msg(command->examples && command->examples->command, "%s has no example", path);
            for (const Example *example = command->examples; example->command; example++)
                ck_assert_msg(is_sentence(example->meaning) && strstr(example->command, path), "%s: the example '%s'",
                              path, example->command);
            for (const Argument *argument = command->arguments; argument && argument->name; argument++)
                ck_assert_msg(has_stop(argument->help), "%s: the argument %s", path, argument->name);
            options_check(command, path);
            keys_check(command, path);
        }
    }
}

TEST(every_setting_that_an_option_sets_is_in_the_table)
{
    for (const Noun *noun = NOUNS; noun->name; noun++)
        for (const Command *command = noun->commands; command->run; command++)
            for (OptionIter it = option_iter(command); option_next(&it);) {
                const SettingRow *row = SETTING_ROWS;
                while (it.option->setting && row->name && strcmp(row->name, it.option->setting) != 0)
                    row++;
                ck_assert_msg(row->name != NULL, "--%s sets '%s'", it.option->name, it.option->setting);
            }
}

TEST(every_exit_code_of_an_error_is_in_the_table)
{
    for (ErrorCode code = ERR_NONE; code < ERR_COUNT; code++) {
        const ExitRow *row = EXIT_ROWS;
        while (row->meaning && row->code != error_exit_code(code))
            row++;
        ck_assert_msg(row->meaning != NULL, "%s: %d", error_name(code), error_exit_code(code));
    }
}

static bool parsed_and_printed(Arena *arena, Error *err)
{
    CommandCall *call = NULL;
    if (!parse(arena, "box make a --colour green -o json --label a=b f", &call, err))
        return false;
    ck_assert_str(command_argument(call, 1), S("f"));
    return true;
}

TEST(a_command_line_is_read_whole_or_memory_ran_out)
{
    check_every_budget(parsed_and_printed);
}

SUITE(command, EACH(options_may_stand_anywhere_in_every_form, SAME), ONCE(what_is_not_given_has_its_default),
      ONCE(common_options_are_read), ONCE(options_set_settings_and_the_last_one_holds),
      ONCE(a_standalone_command_reads_no_settings_and_may_use_their_names),
      EACH(a_wrong_command_line_is_a_usage_error_with_advice, WRONG), EACH(help_is_given_at_every_level, HELPS),
      ONCE(a_list_is_a_table_of_the_columns_with_headings), ONCE(one_object_is_a_line_per_key),
      ONCE(json_and_yaml_are_one_document_and_names_are_lines), ONCE(a_text_of_several_lines_is_shown_in_lines),
      ONCE(a_narrow_terminal_cuts_prose_alone_and_says_so), ONCE(a_text_can_do_nothing_to_a_terminal),
      ONCE(an_answer_that_cannot_be_written_is_an_error), ONCE(an_error_is_printed_as_lines_or_as_one_line_of_json),
      ONCE(every_command_is_explained_in_full), ONCE(every_setting_that_an_option_sets_is_in_the_table),
      ONCE(every_exit_code_of_an_error_is_in_the_table), ONCE(a_command_line_is_read_whole_or_memory_ran_out))
