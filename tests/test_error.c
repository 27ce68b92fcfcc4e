// tests/test_error.c: an error keeps what each layer said, and its table is whole.
#include "base/error.h"

#include <errno.h>

#include "base/arena.h"
#include "base/faults.h"
#include "tests/support/more_check.h"

TEST(an_error_keeps_what_each_layer_said)
{
    Error err = {0};
    ck_assert(!error_set(&err, ERR_EXISTS, "the slug '%s' is taken", "acme"));
    ck_assert(!error_next(&err, "choose another"));
    ck_assert(!error_wrap(&err, "the tenant can't be made"));
    ck_assert_int_eq(err.code, ERR_EXISTS);
    ck_assert_str_eq(err.what, "the tenant can't be made");
    ck_assert_str_eq(err.causes[0], "the slug 'acme' is taken");
    ck_assert_str_eq(err.next, "choose another");
    ck_assert_uint_eq(err.cause_count, 1);
    ck_assert_str_eq(err.why, "the slug 'acme' is taken");
    error_why(&err, "there is one");
    ck_assert(!error_wrap(&err, "nothing was made"));
    ck_assert_str_eq(err.why, "there is one");
}

TEST(a_long_text_is_cut_at_a_character)
{
    Error err = {0};
    char text[2 * ERROR_TEXT];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xb1", 2);
    for (int blanks = 0; blanks < 2; blanks++) {
        error_set(&err, ERR_FAILED, "%*s%.*s", blanks, "", (int)sizeof(text) - 2, text);
        ck_assert(str_is_utf8(str_of(err.what)));
        ck_assert(str_has_suffix(str_of(err.what), S("...")));
        error_clear(&err);
    }
}

static const struct {
    int number;
    ErrorCode code;
} ERRNO_ROWS[] = {{ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_FORBIDDEN}, {ENOMEM, ERR_NO_MEMORY}, {EEXIST, ERR_EXISTS},
                  {EISDIR, ERR_INVALID},   {ENOTDIR, ERR_INVALID},  {EIO, ERR_FAILED}};

TEST(an_errno_becomes_a_code)
{
    Error err = {0};
    ck_assert(!error_from_errno(&err, ERRNO_ROWS[_i].number, "the file '%s' can't be read", "x"));
    ck_assert_int_eq(err.code, ERRNO_ROWS[_i].code);
    ck_assert_uint_gt(strlen(err.why), 0);
}

TEST(each_code_has_a_name_that_leads_back_to_it)
{
    for (ErrorCode code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        ck_assert_int_eq(error_code_of(error_name(code)), code);
        ck_assert_int_ge(error_http_status(code), 400);
        ck_assert_int_ge(error_exit_code(code), 1);
    }
    ck_assert_int_eq(error_code_of("no such name"), ERR_FAILED);
}

TEST(faults_are_kept_in_order_and_counted_beyond_what_is_kept)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Faults faults = {.arena = arena, .kept_max = 2};
    Error err = {0};
    ck_assert_ok(faults_none(&faults, S("plan.yaml"), &err), &err);
    for (unsigned line = 1; line <= 3; line++)
        faults_add(&faults, &(Fault){.line = line, .column = 4, .where = S("price"), .why = S("it is no number")});
    ck_assert_uint_eq(faults.count, 3);
    ck_assert_uint_eq(faults.first->line, 1);
    ck_assert_uint_eq(faults.last->line, 2);
    ck_assert(!faults_none(&faults, S("plan.yaml"), &err));
    ck_assert_says(&err, ERR_INVALID, "3 faults");
    ck_assert_str_eq(err.where, "plan.yaml:1:4");
    ck_assert_str_eq(err.why, "price: it is no number");
    error_clear(&err);
    Faults bare = {.arena = arena};
    faults_add(&bare, &(Fault){.line = 1, .column = 1, .where = S("plan"), .what = S("there is no plan 'x'")});
    ck_assert(!faults_none(&bare, S("shops.yaml"), &err));
    ck_assert_str_eq(err.why, "plan: there is no plan 'x'");
}

SUITE(error, ONCE(an_error_keeps_what_each_layer_said), ONCE(a_long_text_is_cut_at_a_character),
      EACH(an_errno_becomes_a_code, ERRNO_ROWS), ONCE(each_code_has_a_name_that_leads_back_to_it),
      ONCE(faults_are_kept_in_order_and_counted_beyond_what_is_kept))
