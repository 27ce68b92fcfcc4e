// tests/test_arena.c: memory within a budget, zeroed, aligned and closed once.
#include "base/arena.h"

#include <stdalign.h>

#include "tests/support/more_check.h"

TEST(what_an_arena_gives_is_zeroed_and_aligned)
{
    CLEANUP(arena_close) Arena *arena = arena_open(2 * MIB);
    for (size_t size = 1; size < 10000; size += 37) {
        unsigned char *bytes = arena_bytes(arena, size);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq((uintptr_t)bytes % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(bytes[i], 0);
        memset(bytes, 0xFF, size);
    }
}

TEST(a_spent_arena_gives_nothing_more_and_says_so)
{
    CLEANUP(arena_close) Arena *arena = arena_open(100);
    Error err = {0};
    ck_assert_ptr_nonnull(arena_bytes(arena, 64));
    ck_assert_ok(arena_ok(arena, &err), &err);
    ck_assert_ptr_null(arena_bytes(arena, 64));
    ck_assert_ptr_null(arena_bytes(arena, 1));
    ck_assert_uint_eq(str_copy(arena, S("x")).len, 0);
    ck_assert(!arena_ok(arena, &err));
    ck_assert_says(&err, ERR_NO_MEMORY, "its budget is 100 bytes");
}

TEST(an_array_whose_size_overflows_spends_the_arena)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    ck_assert_ptr_null(arena_array_bytes(arena, SIZE_MAX / 2, 4));
    Error err = {0};
    ck_assert(!arena_ok(arena, &err));
}

TEST(a_reset_arena_has_its_whole_budget_again)
{
    CLEANUP(arena_close) Arena *arena = arena_open(64 * KIB);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 60; i++)
            ck_assert_ptr_nonnull(arena_bytes(arena, KIB));
        ck_assert_ptr_null(arena_bytes(arena, 8 * KIB));
        arena_reset(arena);
        ck_assert_uint_eq(arena_used(arena), 0);
    }
}

TEST(a_spent_arena_may_try_again)
{
    CLEANUP(arena_close) Arena *arena = arena_open(64);
    Error err = {0};
    ck_assert_ptr_null(arena_bytes(arena, 65));
    ck_assert_ptr_null(arena_bytes(arena, 16));
    arena_retry(arena);
    ck_assert_ptr_nonnull(arena_bytes(arena, 16));
    ck_assert_ok(arena_ok(arena, &err), &err);
}

SUITE(arena, ONCE(what_an_arena_gives_is_zeroed_and_aligned), ONCE(a_spent_arena_gives_nothing_more_and_says_so),
      ONCE(an_array_whose_size_overflows_spends_the_arena), ONCE(a_reset_arena_has_its_whole_budget_again),
      ONCE(a_spent_arena_may_try_again))
