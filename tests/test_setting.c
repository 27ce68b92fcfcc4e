// tests/test_setting.c: where a setting's value comes from, and what is refused with its place.
#include "provisioner/setting.h"

#include "base/arena.h"
#include "base/file.h"
#include "tests/support/more_check.h"

enum { BUDGET = 4 * MIB };

static const char *const NO_ENVIRONMENT[] = {NULL};

// A settings file in a folder of its own; the path lives in `arena`.
static Str config_file(Arena *arena, const char *content)
{
    char folder[] = "/tmp/setting-XXXXXX";
    Error err = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    Str path = str_format(arena, "%s/config.yaml", folder);
    ck_assert_ok(file_write(path, str_of(content), 0600, &err), &err);
    return path;
}

static void config_remove(Str path)
{
    char folder[64];
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(path.len - strlen("/config.yaml")), path.data);
    ck_assert_int_eq(remove(path.data) | remove(folder), 0);
}

TEST(every_setting_has_a_default_that_it_takes)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    SettingSources sources = {.environment = NO_ENVIRONMENT};
    ck_assert_ok(settings_gather(&sources, arena, &settings, &err), &err);
    for (const SettingRow *row = SETTING_ROWS; row->name; row++) {
        ck_assert_str(setting_source(settings, row->name), S("default"));
        if (row->type == SETTING_INT)
            ck_assert_msg(setting_int(settings, row->name) >= row->min && setting_int(settings, row->name) <= row->max,
                          "%s", row->name);
    }
    ck_assert_int_eq(setting_int(settings, "controller_takeover_s"), 60);
    ck_assert_int_eq(setting_int(settings, "cache_bytes"), INT64_C(32) * MIB);
    ck_assert_int_eq(setting_int(settings, "cell_capacity"), 1000);
    ck_assert_str(setting_text(settings, "base_domain"), S("localhost"));
}

TEST(the_command_line_wins_over_the_environment_the_file_and_the_default)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    Str path = config_file(arena, "data: /file\nlisten: '[::1]:1'\nspares: 3\nlog_level: error\n");
    const SettingGiven given[] = {{S("data"), S("/option"), S("--data")}};
    const char *const environment[] = {"SHOPCTL_DATA=/variable", "SHOPCTL_LISTEN=127.0.0.1:2",
                                       "SHOPCTL_SPARES=", "HOME=/", NULL};
    SettingSources sources = {.given = given, .given_count = 1, .environment = environment, .config = path};
    ck_assert_ok(settings_gather(&sources, arena, &settings, &err), &err);
    ck_assert_str(setting_text(settings, "data"), S("/option"));
    ck_assert_str(setting_source(settings, "data"), S("--data"));
    ck_assert_str(setting_text(settings, "listen"), S("127.0.0.1:2"));
    ck_assert_str(setting_source(settings, "listen"), S("SHOPCTL_LISTEN"));
    ck_assert_int_eq(setting_int(settings, "spares"), 3);
    ck_assert(str_has_suffix(setting_source(settings, "spares"), S("config.yaml:3")));
    ck_assert_str(setting_text(settings, "log_level"), S("error"));
    ck_assert_str(setting_source(settings, "threads"), S("default"));
    ck_assert_str(settings_config(settings), path);
    config_remove(path);
}

TEST(a_variable_names_the_file_where_no_option_does)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    Str path = config_file(arena, "cell_capacity: 5\n");
    const char *const environment[] = {str_format(arena, "SHOPCTL_CONFIG=%.*s", STR_ARG(path)).data, NULL};
    SettingSources sources = {.environment = environment};
    ck_assert_ok(settings_gather(&sources, arena, &settings, &err), &err);
    ck_assert_int_eq(setting_int(settings, "cell_capacity"), 5);
    config_remove(path);
}

TEST(a_named_file_that_is_missing_is_an_error)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    SettingSources sources = {.config = S("/nowhere/config.yaml")};
    ck_assert(!settings_gather(&sources, arena, &settings, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/nowhere/config.yaml");
}

static const struct {
    const char *content;
    const char *where, *why, *next;
} WRONG_FILES[] = {
    {"data: x\nlistne: y\n", "config.yaml:2:1", "there is no setting 'listne'", "did you mean 'listen'?"},
    {"cache_bytes: 5MB\n", "config.yaml:1:14", "the unit 'MB'", "write '5MiB'"},
    {"cell_capacity: 0\n", "config.yaml:1:16", "it isn't from 1 to 100000", "1000"},
    {"cell_capacity: many\n", "config.yaml:1:16", "doesn't begin with a digit", ""},
    {"spares: '3'\n", "config.yaml:1:9", "quoted", "quotes"},
    {"log_level: loud\n", "config.yaml:1:12", "isn't a value of 'log_level'", "debug, info, warning or error"},
    {"data: [a]\n", "config.yaml:1:7", "is a list", "data: .shop"},
    {"data:\n", "config.yaml:1:6", "is nothing", "data: .shop"},
    {"- data\n", "config.yaml:1:1", "no mapping", "NAME: VALUE"},
    {"data: x\ndata: y\n", "config.yaml:2:1", "stands in line 1 already", ""},
    {"data: [x\n", "config.yaml:2:1", "from line 1, column 7", ""},
};

TEST(a_wrong_file_is_refused_with_line_and_column)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    Str path = config_file(arena, WRONG_FILES[_i].content);
    SettingSources sources = {.config = path};
    ck_assert(!settings_gather(&sources, arena, &settings, &err));
    ck_assert_says(&err, ERR_INVALID, WRONG_FILES[_i].where);
    ck_assert_says(&err, ERR_INVALID, WRONG_FILES[_i].why);
    ck_assert_says(&err, ERR_INVALID, WRONG_FILES[_i].next);
    config_remove(path);
}

TEST(all_faults_of_a_file_are_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    Str path = config_file(arena, "lisen: x\nspares: few\ncell_capacity: 0\n");
    ck_assert(!settings_gather(&(SettingSources){.config = path}, arena, &settings, &err));
    ck_assert_says(&err, ERR_INVALID, "3 faults");
    ck_assert_says(&err, ERR_INVALID, "1:1: there is no setting 'lisen'; 2:9: the value of 'spares': it doesn't begin");
    ck_assert_says(&err, ERR_INVALID, "; 3:16: the value of 'cell_capacity': it isn't from 1 to 100000");
    config_remove(path);
}

static const struct {
    const char *entry;
    ErrorCode code;
    const char *says;
} VARIABLES[] = {
    {"SHOPCTL_SPARES=few", ERR_INVALID, "SHOPCTL_SPARES"},
    {"SHOPCTL_DTAA=/x", ERR_INVALID, "did you mean 'data'?"},
    {"SHOPCTL_LOG_LEVEL=loud", ERR_INVALID, "SHOPCTL_LOG_LEVEL"},
    {"SHOPCTL_DATA=\xff", ERR_INVALID, "UTF-8"},
};

TEST(a_wrong_variable_is_refused_by_its_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    const char *const environment[] = {VARIABLES[_i].entry, NULL};
    SettingSources sources = {.environment = environment};
    ck_assert(!settings_gather(&sources, arena, &settings, &err));
    ck_assert_says(&err, VARIABLES[_i].code, VARIABLES[_i].says);
}

TEST(variables_of_others_are_passed_over)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    const char *const environment[] = {"SHOPCTL_PORT_8080_TCP=tcp://10.0.0.1:8080", "SHOPCTL_SERVICE_HOST=10.0.0.1",
                                       NULL};
    SettingSources sources = {.environment = environment};
    ck_assert_ok(settings_gather(&sources, arena, &settings, &err), &err);
}

TEST(an_unknown_name_on_the_command_line_is_a_usage_error)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    const SettingGiven given[] = {{S("spare"), S("1"), S("--setting")}};
    SettingSources sources = {.given = given, .given_count = 1};
    ck_assert(!settings_gather(&sources, arena, &settings, &err));
    ck_assert_says(&err, ERR_USAGE, "did you mean 'spares'?");
}

static const struct {
    const char *name;
    Str text;
    int64_t value;
} AMOUNTS[] = {
    {"controller_takeover_s", S("90"), 90},
    {"controller_takeover_s", S("2min"), 120},
    {"cache_bytes", S("1048576"), MIB},
    {"cache_bytes", S("64 MiB"), INT64_C(64) * MIB},
};

TEST(a_plain_number_is_in_the_unit_that_the_name_ends_in)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    const Settings *settings = NULL;
    const SettingGiven given[] = {{str_of(AMOUNTS[_i].name), AMOUNTS[_i].text, S("--setting")}};
    SettingSources sources = {.given = given, .given_count = 1};
    ck_assert_ok(settings_gather(&sources, arena, &settings, &err), &err);
    ck_assert_int_eq(setting_int(settings, AMOUNTS[_i].name), AMOUNTS[_i].value);
}

static bool settings_of_defaults(Arena *arena, Error *err)
{
    const Settings *settings = NULL;
    const char *const environment[] = {"SHOPCTL_SPARES=4", NULL};
    SettingSources sources = {.environment = environment};
    if (!settings_gather(&sources, arena, &settings, err))
        return false;
    ck_assert_int_eq(setting_int(settings, "spares"), 4);
    return true;
}

TEST(settings_are_read_whole_or_memory_ran_out)
{
    check_every_budget(settings_of_defaults);
}

SUITE(setting, ONCE(every_setting_has_a_default_that_it_takes),
      ONCE(the_command_line_wins_over_the_environment_the_file_and_the_default),
      ONCE(a_variable_names_the_file_where_no_option_does), ONCE(a_named_file_that_is_missing_is_an_error),
      EACH(a_wrong_file_is_refused_with_line_and_column, WRONG_FILES), ONCE(all_faults_of_a_file_are_named),
      EACH(a_wrong_variable_is_refused_by_its_name, VARIABLES), ONCE(variables_of_others_are_passed_over),
      ONCE(an_unknown_name_on_the_command_line_is_a_usage_error),
      EACH(a_plain_number_is_in_the_unit_that_the_name_ends_in, AMOUNTS),
      ONCE(settings_are_read_whole_or_memory_ran_out))
