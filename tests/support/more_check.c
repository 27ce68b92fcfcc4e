// tests/support/more_check.c: runs a table of cases and prints what Check makes of it.
#include "tests/support/more_check.h"

#include <unistd.h>

enum { CASE_TIMEOUT_S = 120, BUDGET_STEP = 16, BUDGET_MAX = 4 * MIB };

static void (*at_end)(void);

void check_at_end(void (*end)(void)) { at_end = end; }

static void end_run(void)
{
    if (at_end)
        at_end();
}

int check_main(const char *noun, const CheckCase *cases, size_t count)
{
    const char *part = getenv("TEST");
    Suite *suite = suite_create(noun);
    TCase *last = NULL;
    for (size_t i = 0; i < count; i++) {
        bool is_asked = part && *part;
        if (is_asked ? !strstr(cases[i].test->name, part) : cases[i].is_long && !getenv("TEST_ALL"))
            continue;
        TCase *tcase = tcase_create(cases[i].test->name);
        tcase_set_timeout(tcase, CASE_TIMEOUT_S);
        if (cases[i].rows)
            tcase_add_loop_test(tcase, cases[i].test, 0, (int)cases[i].rows);
        else
            tcase_add_test(tcase, cases[i].test);
        suite_add_tcase(suite, tcase);
        last = tcase;
    }
    if (last)
        tcase_add_unchecked_fixture(last, NULL, end_run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    printf("%s: %d passed, %d failed\n", noun, srunner_ntests_run(runner) - failed, failed);
    (void)fflush(NULL);
    if (failed)
        _exit(EXIT_FAILURE);    // a failed test jumps over its clean-up: what it leaked would hide what it says
    srunner_free(runner);
    return EXIT_SUCCESS;
}

bool error_says(const Error *err, const char *part)
{
    const char *texts[] = {err->what, err->where, err->why, err->next};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (strstr(texts[i], part))
            return true;
    for (unsigned i = 0; i < err->cause_count; i++)
        if (strstr(err->causes[i], part))
            return true;
    return false;
}

void check_every_budget(bool (*call)(Arena *arena, Error *err))
{
    for (size_t budget = 0; budget <= BUDGET_MAX; budget += BUDGET_STEP) {
        Arena *arena = arena_open(budget);
        Error err = {0};
        bool ok = call(arena, &err);
        arena_close(&arena);
        if (ok)
            return;
        ck_assert_msg(err.code == ERR_NO_MEMORY, "a budget of %zu bytes: %s: %s", budget, error_name(err.code),
                      err.what);
    }
    ck_abort_msg("no budget up to %d bytes was enough", BUDGET_MAX);
}
