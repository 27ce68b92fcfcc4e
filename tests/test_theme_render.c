// tests/test_theme_render.c: a template file, a data file and a directory of partials make a text.
#include "provisioner/theme_render.h"

#include "base/file.h"
#include "tests/support/more_check.h"

enum { BUDGET = 16 * MIB };

typedef struct Case {
    const char *template;
    const char *data;
    const char *expected;    // NULL: it fails
    ErrorCode code;
    const char *says;
} Case;

static const Case CASES[] = {
    {"{{>card}}|{{>product/row}}|{{>missing}}|{{>blank}}|{{>card}}", "{\"x\":\"<\"}", "card &lt;|row||\n|card &lt;", 0,
     NULL},
    {"{{.}}", "1.5", "1.5", 0, NULL},
    {"{{{x}}}", "{\"x\":\"<b>\"}", "<b>", 0, NULL},
    {"{{>../secret}}", "{}", NULL, ERR_INVALID, "could lead out"},
    {"{{>product/../../secret}}", "{}", NULL, ERR_INVALID, "could lead out"},
    {"{{>/etc/secret}}", "{}", NULL, ERR_INVALID, "could lead out"},
    {"{{>broken}}", "{}", NULL, ERR_MALFORMED, "broken.mustache:2"},
    {"{{x", "{}", NULL, ERR_MALFORMED, "page.mustache:1:1"},
    {"x", "{\"a\":1,}", NULL, ERR_MALFORMED, "data.json"},
};

static void write_files(Str dir, const Case *row, Arena *arena)
{
    const char *files[][2] = {{"partials/card.mustache", "card {{x}}"},
                              {"partials/product/row.mustache", "row"},
                              {"partials/blank.mustache", "\n"},
                              {"partials/broken.mustache", "\n{{#a}}"},
                              {"secret.mustache", "secret"},
                              {"page.mustache", row->template},
                              {"data.json", row->data}};
    Error err = {0};
    ck_assert_ok(directory_make(str_format(arena, "%.*s/partials/product", STR_ARG(dir)), 0700, &err), &err);
    for (size_t i = 0; i < COUNT(files); i++)
        ck_assert_ok(
            file_write(str_format(arena, "%.*s/%s", STR_ARG(dir), files[i][0]), str_of(files[i][1]), 0600, &err), &err);
}

TEST(files_make_a_page_or_the_error_names_one)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const Case *row = &CASES[_i];
    const char *work = getenv("TEST_WORK");
    Str dir = str_format(arena, "%s/theme", work ? work : "/tmp");
    write_files(dir, row, arena);
    Error err = {0};
    Str out = {0};
    bool ok = theme_render_files(str_format(arena, "%.*s/page.mustache", STR_ARG(dir)),
                                 str_format(arena, "%.*s/data.json", STR_ARG(dir)),
                                 str_format(arena, "%.*s/partials", STR_ARG(dir)), arena, &out, &err);
    if (row->expected) {
        ck_assert_ok(ok, &err);
        ck_assert_str(out, str_of(row->expected));
    } else {
        ck_assert(!ok);
        ck_assert_says(&err, row->code, row->says);
    }
}

TEST(a_missing_file_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = {0};
    ck_assert(!theme_render_files(S("/nonexistent/page.mustache"), S("/dev/null"), S(""), arena, &out, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/nonexistent/page.mustache");
}

SUITE(theme_render, EACH(files_make_a_page_or_the_error_names_one, CASES), ONCE(a_missing_file_is_named))
