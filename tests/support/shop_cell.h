// tests/support/shop_cell.h: a cell with two shops, and shopd in this process that serves it: for the runtime's tests.
#pragma once
#include "base/pg.h"
#include "runtime/core/server.h"
#include "tests/support/shop_client.h"

typedef struct TestCell {
    Arena *arena;
    Str dsn;    // of the database's owner
    Db *db;
    Server *server;
    unsigned port;
    int64_t cache_bytes;    // what the server gets, where it is set before test_cell_serve
    int64_t database_timeout_ms;
    size_t request_budget;
} TestCell;

// Makes a database with a cell's schema and the tenants 1 "acme" (acme.localhost, Spanish, EUR) and 2 "beta"
// (beta.localhost, English, GBP), each with the small catalogue of shop_schema.h.
void test_cell_open(TestCell *cell, const char *noun);
// Starts the server with `threads` threads on a free port; `dsn` empty: the cell's own.
void test_cell_serve(TestCell *cell, unsigned threads, Str dsn);
// Waits until it hears of changes: the pages that it keeps before are forgotten then.
void test_cell_await_news(TestCell *cell);
void test_cell_stop(TestCell *cell);    // the server alone: it may be served again
void test_cell_close(TestCell *cell);

// Runs SQL as the database's owner; fails the test on an error.
void test_cell_sql(TestCell *cell, const char *sql);
