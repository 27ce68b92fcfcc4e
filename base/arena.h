// base/arena.h: memory of one piece of work: opened with a budget, passed down, closed once.
#pragma once
#include "base/str.h"

// All that it gives is zeroed, aligned for any type and ends with the arena. A spent arena (budget used up, or the
// system out of memory) gives NULL and empty texts from then on. An arena belongs to one thread at a time.
typedef struct Arena Arena;

// Opens an arena that hands out at most `budget_bytes`. Never NULL: without memory it is an arena that is spent
// already.
Arena *arena_open(size_t budget_bytes);
void arena_close(Arena **arena);

// Forgets all that was given, keeps its first chunk, and is unspent again: for loops, and for one request after the
// other.
void arena_reset(Arena *arena);

// Lets a spent arena try again: for one that lives long, and whose allocations are each asked for being there.
void arena_retry(Arena *arena);

void *arena_bytes(Arena *arena, size_t size_bytes);                        // NULL when spent
void *arena_array_bytes(Arena *arena, size_t count, size_t size_bytes);    // NULL when spent, also on overflow
size_t arena_used(const Arena *arena);                                     // bytes given since it was opened or reset

// True unless the arena is spent; then fails with ERR_NO_MEMORY. Ask right after the first allocation that is written
// to, and once before a result leaves the function.
MUST_CHECK bool arena_ok(const Arena *arena, Error *err);

#define arena_new(arena, Type) ((Type *)arena_bytes(arena, sizeof(Type)))
#define arena_array(arena, count, Type) ((Type *)arena_array_bytes(arena, count, sizeof(Type)))
