// tests/support/more_check.h: Check, with suites as tables and comparisons of our own types.
#pragma once
#include <check.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

// TEST(a_name_that_is_a_true_sentence) { ... }    In a test of EACH, _i is the row.
#define TEST(name) START_TEST(name)

typedef struct CheckCase {
    const TTest *test;
    size_t rows;     // 0: once
    bool is_long;    // for `make torture`, which sets TEST_ALL, or when TEST names it
} CheckCase;
#define ONCE(test)                                                                                                     \
    {                                                                                                                  \
        test, 0, false                                                                                                 \
    }
#define LONG(test)                                                                                                     \
    {                                                                                                                  \
        test, 0, true                                                                                                  \
    }
#define LONG_EACH(test, rows)                                                                                          \
    {                                                                                                                  \
        test, COUNT(rows), true                                                                                        \
    }
#define TIMES(test, count)                                                                                             \
    {                                                                                                                  \
        test, count, false                                                                                             \
    }
#define EACH(test, rows)                                                                                               \
    {                                                                                                                  \
        test, COUNT(rows), false                                                                                       \
    }

// The last line of a test file. Environment: TEST runs only what contains it, TEST_ALL also what takes long.
#define SUITE(noun, ...)                                                                                               \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const CheckCase cases[] = {__VA_ARGS__};                                                                       \
        return check_main(#noun, cases, COUNT(cases));                                                                 \
    }
int check_main(const char *noun, const CheckCase *cases, size_t count);
// Runs once after a suite's last test, where its tests share a process.
void check_at_end(void (*end)(void));

// A row of what a parser refuses, and a part of what it says about it.
typedef struct Refused {
    Str text;
    const char *says;
} Refused;

#define ck_assert_str(actual, expected)                                                                                \
    do {                                                                                                               \
        Str actual_ = (actual), expected_ = (expected);                                                                \
        ck_assert_msg(str_eq(actual_, expected_), "'%.*s' isn't '%.*s'", STR_ARG(actual_), STR_ARG(expected_));        \
    } while (0)
#define ck_assert_contains(actual, part)                                                                               \
    do {                                                                                                               \
        Str actual_ = (actual), part_ = (part);                                                                        \
        ck_assert_msg(str_find(actual_, part_) < actual_.len, "'%.*s' doesn't contain '%.*s'", STR_ARG(actual_),       \
                      STR_ARG(part_));                                                                                 \
    } while (0)
#define ck_assert_lacks(actual, part)                                                                                  \
    do {                                                                                                               \
        Str actual_ = (actual), part_ = (part);                                                                        \
        ck_assert_msg(str_find(actual_, part_) == actual_.len, "'%.*s' contains '%.*s'", STR_ARG(actual_),             \
                      STR_ARG(part_));                                                                                 \
    } while (0)

// The error has this code, and one of its texts contains `says`.
#define ck_assert_says(err, code_, says)                                                                               \
    do {                                                                                                               \
        const Error *err_ = (err);                                                                                     \
        ck_assert_msg(err_->code == (code_) && error_says(err_, says), "%s: %s (%s) %s; next: %s",                     \
                      error_name(err_->code), err_->what, err_->where, err_->why, err_->next);                         \
    } while (0)
bool error_says(const Error *err, const char *part);

// ck_assert_ok(db_open(..., &err), &err): fails with what the error says.
#define ck_assert_ok(call, err)                                                                                        \
    do {                                                                                                               \
        bool ok_ = (call);                                                                                             \
        const Error *err_ = (err);                                                                                     \
        ck_assert_msg(ok_, "%s: %s (%s) %s; next: %s", error_name(err_->code), err_->what, err_->where, err_->why,     \
                      err_->next);                                                                                     \
    } while (0)

// Runs `call` with every arena budget from 0 up until it succeeds; until then it must fail with ERR_NO_MEMORY.
void check_every_budget(bool (*call)(Arena *arena, Error *err));
