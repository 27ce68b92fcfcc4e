// bench/spares.c: makes spare tenants in the cell 'main', and prints the seconds that it took.
// spares CONTROL_DSN make COUNT: as the provisioner does. spares CONTROL_DSN batch COUNT: the same statements as one
// text that libpq sends at once.
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "provisioner/spare.h"

enum { BUDGET = 256 * MIB, COUNT_MAX = 1000 };

static bool batch_run(Platform *platform, int64_t count, Arena *arena, int64_t *out_us, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *cell = NULL;
    Str role = S("");
    if (!platform_cell(platform, S("main"), &cell, err) || !cell_shopd_role(cell, arena, &role, err) ||
        !db_query(platform_control(platform),
                  S("select nextval('control.tenant_numbers') from generate_series(1, $1::bigint)"),
                  PARAMS(str_format(arena, "%lld", (long long)count)), &rows, err))
        return false;
    StrBuf sql = {.arena = arena};
    for (size_t i = 0; i < rows_count(rows); i++)
        spare_script(&sql, rows_int64(rows, i, 0), role);
    int64_t start_us = clock_us();
    if (!arena_ok(arena, err) || !db_script(cell, strbuf_str(&sql), err))
        return false;
    *out_us = clock_us() - start_us;
    return true;
}

static bool run(const char *dsn, bool is_batch, Str count_text, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(platform_close) Platform *platform = NULL;
    int64_t count = 0, took_us = 0;
    if (!str_int64(count_text, 1, COUNT_MAX, &count, err) ||
        !platform_open_with(&(PlatformOptions){.control_dsn = str_of(dsn)}, &platform, err))
        return false;
    if (is_batch) {
        if (!batch_run(platform, count, arena, &took_us, err))
            return false;
    } else {
        int64_t start_us = clock_us();
        if (!spares_make(platform, S("main"), (size_t)count, err))
            return false;
        took_us = clock_us() - start_us;
    }
    printf("%.3f\n", (double)took_us / 1e6);
    return true;
}

int main(int argc, char **argv)
{
    Error err = {0};
    if (argc != 4) {
        (void)fprintf(stderr, "usage: spares CONTROL_DSN make|batch COUNT\n");
        return 64;
    }
    if (run(argv[1], strcmp(argv[2], "batch") == 0, str_of(argv[3]), &err))
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "spares: %s: %s\n", err.what, err.why);
    return EXIT_FAILURE;
}
