// base/def.h: the words that every file of ours uses, and the functions that none may use.
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>    // these four declare what is poisoned below, so they come first
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define UNUSED __attribute__((unused))
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

// CLEANUP(rows_close) Rows *rows = NULL; calls rows_close(&rows) on every way out of the block.
#define CLEANUP(close) __attribute__((cleanup(close)))

// *out = TAKE(lease): hands a pointer on and leaves NULL behind, so that its CLEANUP does nothing.
#define TAKE(pointer)                                                                                                  \
    ({                                                                                                                 \
        __typeof__(pointer) taken_ = (pointer);                                                                        \
        (pointer) = NULL;                                                                                              \
        taken_;                                                                                                        \
    })

// Each evaluates its arguments once; __COUNTER__ lets one stand inside another.
#define MIN(a, b) DEF_CHOOSE(<, a, b, __COUNTER__)
#define MAX(a, b) DEF_CHOOSE(>, a, b, __COUNTER__)
#define DEF_CHOOSE(better, a, b, number) DEF_CHOOSE_NAMED(better, a, b, number)
#define DEF_CHOOSE_NAMED(better, a, b, number)                                                                         \
    ({                                                                                                                 \
        __typeof__(a) a_##number = (a);                                                                                \
        __typeof__(b) b_##number = (b);                                                                                \
        a_##number better b_##number ? a_##number : b_##number;                                                        \
    })

enum { KIB = 1024, MIB = 1024 * 1024 };

// Unbounded, not thread-safe or blind to errors: str.h and clock.h have what is used instead.
#undef sprintf    // macros, where clang checks buffers
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gmtime localtime
