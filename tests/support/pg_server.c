// tests/support/pg_server.c: databases for tests.
#include "tests/support/pg_server.h"

#include <unistd.h>

#include "tests/support/more_check.h"

Db *test_db_open(Str dsn)
{
    Error err = {0};
    Db *db = NULL;
    ck_assert_ok(db_open(dsn, NULL, &db, &err), &err);
    return db;
}

Str test_database(const char *noun)
{
    static char dsns[64][512];    // of this process
    static unsigned count = 0;
    const char *server = getenv("TEST_PG");
    ck_assert_msg(server != NULL, "there is no server: run this by `make check SUITE=%s`", noun);
    CLEANUP(db_close) Db *db = test_db_open(str_of(server));
    Error err = {0};
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "create database %s_%d_%u", noun, (int)getpid(), count);
    ck_assert_ok(db_run(db, str_of(sql), NO_PARAMS, &err), &err);
    char *dsn = dsns[count % COUNT(dsns)];
    (void)snprintf(dsn, sizeof(dsns[0]), "%s dbname=%s_%d_%u", server, noun, (int)getpid(), count);
    count++;
    return str_of(dsn);
}

Str test_value(Db *db, Arena *arena, const char *sql)
{
    Error err = {0};
    CLEANUP(rows_close) Rows *rows = NULL;
    ck_assert_ok(db_query(db, str_of(sql), NO_PARAMS, &rows, &err), &err);
    ck_assert_msg(rows_count(rows) > 0, "no row: %s", sql);
    return str_copy(arena, rows_str(rows, 0, 0));
}
