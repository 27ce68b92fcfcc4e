// provisioner/dedicated_ready.c: asks shopd, and PostgreSQL for shopd.
#include "provisioner/dedicated_ready.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/http_client.h"

enum { BUDGET = 64 * KIB, PAUSE_MS = 20, REQUEST_MS = 2000, SETTLED_MS = 2000 };

static bool not_answering(Str slug, Error *err)
{
    error_wrap(err, "the shop '%.*s' doesn't answer", STR_ARG(slug));
    return error_next(err, "see shopctl tenant logs %.*s", STR_ARG(slug));
}

bool dedicated_ready_wait(Platform *platform, Operation *op, Str url, Str slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str ready = str_format(arena, "%.*s/readyz", STR_ARG(url));
    if (!arena_ok(arena, err))
        return false;
    for (int64_t deadline_ms = clock_ms() + platform_options(platform)->ready_ms;; clock_sleep_ms(PAUSE_MS)) {
        int status = 0;
        bool is_answered = http_get_status(ready, S("localhost"), REQUEST_MS, &status, err);
        if (is_answered && status == 200)
            return true;
        if (clock_ms() > deadline_ms) {
            if (is_answered)
                error_set(err, ERR_UNREACHABLE, "it answers with status %d", status);
            return not_answering(slug, err);
        }
        error_clear(err);
        if (op && !operation_beat(op, err))
            return false;
    }
}

bool dedicated_connections(Platform *platform, Str cell, int64_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *db = NULL;
    if (!platform_cell(platform, cell, &db, err) ||
        !db_query(db, S("select count(*) from pg_stat_activity where usename = 'cell_shopd'"), NO_PARAMS, &rows, err))
        return false;
    *out = rows_int64(rows, 0, 0);
    return true;
}

bool dedicated_database_wait(Platform *platform, Operation *op, Str cell, Str slug, int64_t connections, Error *err)
{
    int64_t since_ms = clock_ms(), had = 0;
    for (int64_t deadline_ms = since_ms + platform_options(platform)->ready_ms;; clock_sleep_ms(PAUSE_MS)) {
        int64_t there = 0;
        bool is_answered = dedicated_connections(platform, cell, &there, err);
        if (there != had)
            since_ms = clock_ms();
        had = there;
        if (is_answered && (there >= connections || (there > 0 && clock_ms() - since_ms > SETTLED_MS)))
            return true;
        if (!is_answered && err->code != ERR_UNREACHABLE)
            return false;
        if (clock_ms() > deadline_ms) {
            if (is_answered)
                error_set(err, ERR_UNREACHABLE, "its shopd has %lld connections to its database, not %lld",
                          (long long)there, (long long)connections);
            return not_answering(slug, err);
        }
        error_clear(err);
        if (op && !operation_beat(op, err))
            return false;
    }
}
