// tests/support/pg_server.h: databases in the PostgreSQL that tests/run.sh starts for the run.
#pragma once
#include "base/pg.h"

// Makes an empty database whose name begins with `noun` in the run's server and gives a superuser's DSN for it, as a
// text that lives until the process ends. Fails the test when there is no server (TEST_PG is unset).
Str test_database(const char *noun);

// Opens a connection with this DSN, or fails the test.
Db *test_db_open(Str dsn);
// The first column of the first row, as a copy in `arena`; fails the test on an error.
Str test_value(Db *db, Arena *arena, const char *sql);
