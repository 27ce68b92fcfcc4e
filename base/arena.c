// base/arena.c: memory of one piece of work, in chunks that grow.
#include "base/arena.h"

#include <stdalign.h>

#include "base/error.h"

enum { CHUNK_FIRST = 4 * KIB, CHUNK_MAX = 256 * KIB, ALIGNMENT = alignof(max_align_t) };

typedef struct Chunk {
    struct Chunk *before;
    size_t size;    // of data
    size_t used;
    alignas(max_align_t) char data[];
} Chunk;

struct Arena {
    Chunk *newest;
    size_t budget;
    size_t given;
    bool is_spent;
};

// What arena_open gives when there isn't even memory for an arena: it is spent, and nothing is ever written to it.
static Arena SPENT = {.is_spent = true};

static Chunk *chunk_open(size_t size)
{
    Chunk *chunk = malloc(sizeof(Chunk) + size);
    if (chunk)
        *chunk = (Chunk){.size = size};
    return chunk;
}

Arena *arena_open(size_t budget_bytes)
{
    Arena *arena = malloc(sizeof(Arena));
    if (!arena)
        return &SPENT;
    *arena = (Arena){.budget = budget_bytes};
    return arena;
}

static void chunks_close(Chunk *chunk, const Chunk *kept)
{
    while (chunk != kept) {
        Chunk *before = chunk->before;
        free(chunk);
        chunk = before;
    }
}

void arena_close(Arena **arena)
{
    if (*arena && *arena != &SPENT) {
        chunks_close((*arena)->newest, NULL);
        free(*arena);
    }
    *arena = NULL;
}

void arena_reset(Arena *arena)
{
    if (arena == &SPENT)
        return;
    Chunk *first = arena->newest;
    while (first && first->before)
        first = first->before;
    chunks_close(arena->newest, first);
    if (first)
        first->used = 0;
    *arena = (Arena){.newest = first, .budget = arena->budget};
}

void arena_retry(Arena *arena)
{
    if (arena != &SPENT)
        arena->is_spent = false;
}

static bool chunk_fits(const Chunk *chunk, size_t size) { return chunk && chunk->size - chunk->used >= size; }

void *arena_bytes(Arena *arena, size_t size_bytes)
{
    size_t size = (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->is_spent || size < size_bytes || size > arena->budget - arena->given) {
        if (arena != &SPENT)
            arena->is_spent = true;
        return NULL;
    }
    if (!chunk_fits(arena->newest, size)) {
        size_t wanted = arena->newest ? MIN(arena->newest->size * 2, (size_t)CHUNK_MAX) : (size_t)CHUNK_FIRST;
        Chunk *chunk = chunk_open(MAX(wanted, size));
        if (!chunk) {
            arena->is_spent = true;
            return NULL;
        }
        chunk->before = arena->newest;
        arena->newest = chunk;
    }
    void *bytes = arena->newest->data + arena->newest->used;
    arena->newest->used += size;
    arena->given += size;
    return memset(bytes, 0, size);
}

void *arena_array_bytes(Arena *arena, size_t count, size_t size_bytes)
{
    size_t size = 0;
    if (__builtin_mul_overflow(count, size_bytes, &size))
        size = SIZE_MAX;    // more than any budget: spends the arena
    return arena_bytes(arena, size);
}

size_t arena_used(const Arena *arena) { return arena->given; }

bool arena_ok(const Arena *arena, Error *err)
{
    if (!arena->is_spent)
        return true;
    error_set(err, ERR_NO_MEMORY, "there isn't enough memory for this");
    return error_why(err, "its budget is %zu bytes, of which %zu are used", arena->budget, arena->given);
}
