// base/pg.h: PostgreSQL for those who wait in place: shopctl, the controller, tests. Every call has a timeout.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Db Db;        // one connection, one thread at a time
typedef struct Rows Rows;    // the answer to one statement

typedef struct DbOptions {
    int64_t connect_timeout_ms;      // 0: 5,000
    int64_t statement_timeout_ms;    // 0: 30,000; the server's and our own wait for its answer
    const char *application;         // as pg_stat_activity shows it; NULL: "shopctl"
} DbOptions;

// Connects. `dsn` is a libpq connection string or URI. Fails with ERR_UNREACHABLE, ERR_FORBIDDEN for a login that is
// refused, or ERR_NOT_FOUND for a database that isn't there, naming host and database, never a password.
MUST_CHECK bool db_open(Str dsn, const DbOptions *options, Db **out, Error *err);
void db_close(Db **db);

// Called every two seconds while the answer of a statement is awaited; false cancels it, and its error is the caller's.
typedef bool DbWaiting(void *context, Error *err);
void db_while_waiting(Db *db, DbWaiting *waiting, void *context);

// The same DSN (string or URI) for another database of its server, as a connection string in `arena`. Fails with
// ERR_INVALID when `dsn` is none.
MUST_CHECK bool dsn_with_database(Str dsn, Str database, Arena *arena, Str *out, Error *err);
// The database that a DSN names, in `arena`; empty where it names none or is no DSN.
Str dsn_database(Str dsn, Arena *arena);

// Whether the connection is lost, as far as its socket knows by now, or owes an answer that wasn't waited for: every
// further call fails.
bool db_is_broken(const Db *db);

// The server's process for this connection, as pg_stat_activity names it.
int db_pid(const Db *db);
// Asks the server to end the statement that is under way, and doesn't wait for that.
void db_cancel(const Db *db);

// One value of a connection string ("host", "dbname", "user"), empty when it names none; and the same connection string
// with one value replaced. Fail with ERR_INVALID, saying what libpq can't read.
MUST_CHECK bool dsn_value(Str dsn, const char *key, Arena *arena, Str *out, Error *err);
MUST_CHECK bool dsn_with(Str dsn, const char *key, Str value, Arena *arena, Str *out, Error *err);
// The same connection string without passwords, fit to be kept and shown.
MUST_CHECK bool dsn_public(Str dsn, Arena *arena, Str *out, Error *err);
// The way back: with the passwords of `known`, where both mean the same server and user and `dsn` has none of its own.
MUST_CHECK bool dsn_complete(Str dsn, Str known, Arena *arena, Str *out, Error *err);
// What the server may be given as `user`'s password, so that it never sees the password itself (SCRAM, RFC 7677).
MUST_CHECK bool db_password_hash(Db *db, Str user, Str password, Arena *arena, Str *out, Error *err);

// Parameters are texts, $1 first; a Str whose data is NULL is SQL's null.
typedef struct Params {
    const Str *values;
    size_t count;
} Params;
#define PARAMS(...)                                                                                                    \
    ((Params){.values = (const Str[]){__VA_ARGS__}, .count = sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})
#define NO_PARAMS ((Params){0})
#define SQL_NULL ((Str){0})

// Runs one statement of constant text. A failing one fails with the code that error_from_pg gives. *out is the caller's
// to close.
MUST_CHECK bool db_query(Db *db, Str sql, Params params, Rows **out, Error *err);
// The same where no rows are wanted.
MUST_CHECK bool db_run(Db *db, Str sql, Params params, Error *err);
// Several statements in one text, as a migration has them, in one transaction unless the text says otherwise.
MUST_CHECK bool db_script(Db *db, Str sql, Error *err);

// A transaction: begin, then commit or rollback. Closing the connection rolls back.
MUST_CHECK bool db_begin(Db *db, Error *err);
MUST_CHECK bool db_commit(Db *db, Error *err);
void db_rollback(Db *db);    // never fails: a connection that can't roll back is broken and the next call says so

// COPY ... FROM STDIN: start with the statement, put bytes of its format, end (or the connection is closed: nothing is
// copied).
MUST_CHECK bool db_copy_in(Db *db, Str sql, Error *err);
MUST_CHECK bool db_copy_put(Db *db, Str bytes, Error *err);
MUST_CHECK bool db_copy_in_end(Db *db, int64_t *row_count, Error *err);    // row_count may be NULL
// COPY ... TO STDOUT: calls `put` with each chunk (a whole row in text format); false from it ends the copy with its
// error.
typedef bool CopyPut(void *context, Str bytes, Error *err);
MUST_CHECK bool db_copy_out(Db *db, Str sql, CopyPut *put, void *context, Error *err);

// Waits up to `timeout_ms` for a NOTIFY of a channel that this connection LISTENs to. *out_got tells whether one came.
MUST_CHECK bool db_wait_notify(Db *db, int64_t timeout_ms, bool *out_got, Error *err);

// A name as SQL writes it, quoted: for the few statements that can't take a parameter.
Str db_name(Db *db, Arena *arena, Str name);
// A text as an SQL literal.
Str db_literal(Db *db, Arena *arena, Str text);

size_t rows_count(const Rows *rows);
size_t rows_width(const Rows *rows);                       // columns
const char *rows_name(const Rows *rows, size_t column);    // lives as long as the rows
size_t rows_column(const Rows *rows, const char *name);    // asserts that it is there
bool rows_is_null(const Rows *rows, size_t row, size_t column);
Str rows_str(const Rows *rows, size_t row, size_t column);          // a view as long as the rows live; null gives ""
int64_t rows_int64(const Rows *rows, size_t row, size_t column);    // null gives 0
bool rows_bool(const Rows *rows, size_t row, size_t column);
size_t rows_affected(const Rows *rows);    // of insert, update, delete
void rows_close(Rows **rows);
