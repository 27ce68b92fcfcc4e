// tests/support/failing_memory.h: an allocator that fails. Whoever includes it (one file of a program) makes this the
// program's malloc, and so that of every library in it.
#pragma once
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(DEF_SANITIZE)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *bytes, size_t size);
extern const char __executable_start, etext;    // this program's own code, as the linker knows it

static atomic_long left = 0;        // until the one that fails, counted down in threads that aren't exempt
static atomic_bool goes_on;         // and all after it fail too
static atomic_bool is_ours;         // what libraries ask for neither counts nor fails
static atomic_bool is_of_others;    // not malloc fails but what a test asks for by has_failed(NULL)
static atomic_bool is_armed;
static atomic_long failed_count;
static _Thread_local bool is_exempt;    // a test's own thread

static bool has_failed(const void *caller)
{
    if (!atomic_load_explicit(&is_armed, memory_order_relaxed) || is_exempt)
        return false;
    if (caller && atomic_load(&is_of_others))
        return false;
    bool is_of_program = (const char *)caller >= &__executable_start && (const char *)caller < &etext;
    if (!is_of_program && atomic_load(&is_ours))
        return false;
    long number = atomic_fetch_sub(&left, 1);
    if (number > 1 || (number < 1 && !atomic_load(&goes_on)))
        return false;
    atomic_fetch_add(&failed_count, 1);
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)
void *malloc(size_t size) { return has_failed(CALLER) ? NULL : REAL(malloc)(size); }
void *calloc(size_t count, size_t size) { return has_failed(CALLER) ? NULL : REAL(calloc)(count, size); }
void *realloc(void *bytes, size_t size) { return has_failed(CALLER) ? NULL : REAL(realloc)(bytes, size); }

static void arm(long number, bool is_lasting)
{
    atomic_store(&left, number);
    atomic_store(&goes_on, is_lasting);
    atomic_store(&failed_count, 0);
    atomic_store(&is_armed, true);
}

// Whether any allocation has failed since arm.
static bool disarm(void)
{
    atomic_store(&is_armed, false);
    return atomic_load(&failed_count) > 0;
}

// How many of all points of failure are tried, spread over them: TEST_POINTS, or so many.
static inline long points_wanted(long usual)
{
    const char *wanted = getenv("TEST_POINTS");
    return wanted ? strtol(wanted, NULL, 10) : usual;
}
