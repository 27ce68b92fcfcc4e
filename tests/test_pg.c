// tests/test_pg.c: PostgreSQL in place: parameters, errors with code and field, COPY, transactions, timeouts.
#include "base/pg.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/process.h"
#include "tests/support/database_proxy.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

TEST(parameters_go_and_rows_come_back)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    Error err = {0};
    CLEANUP(rows_close) Rows *rows = NULL;
    ck_assert_ok(db_query(db, S("select $1::text a, $2::text b, $3::bigint * 2 c, true d"),
                          PARAMS(S("it's \xc3\xb1"), SQL_NULL, S("21")), &rows, &err),
                 &err);
    ck_assert_uint_eq(rows_count(rows), 1);
    ck_assert_str(rows_str(rows, 0, 0), S("it's \xc3\xb1"));
    ck_assert(rows_is_null(rows, 0, 1));
    ck_assert_int_eq(rows_int64(rows, 0, rows_column(rows, "c")), 42);
    ck_assert(rows_bool(rows, 0, 3));
}

static const struct {
    const char *sql;
    ErrorCode code;
    const char *says;
} FAILING[] = {
    {"select 1/0", ERR_INVALID, "division"},
    {"insert into t values (1)", ERR_EXISTS, "t_pkey"},
    {"insert into t values (-1)", ERR_INVALID, "t_id_check"},
    {"select nothing", ERR_FAILED, "nothing\" does not exist (SQLSTATE 42703)"},
    {"set role nobody_at_all", ERR_INVALID, "nobody_at_all"},
    {"create database postgres", ERR_EXISTS, "postgres"},
    {"create role postgres", ERR_EXISTS, "postgres"},
    {"create schema public", ERR_EXISTS, "public"},
    {"do $$ begin raise exception using errcode = 'SH001', constraint = 'out-of-stock', message = 'm', detail = 'why', "
     "hint = 'h', "
     "column = 'lines.3'; end $$",
     ERR_OUT_OF_STOCK, "lines.3"},
};

TEST(a_failing_statement_says_code_and_field)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    Error err = {0};
    ck_assert_ok(db_script(db, S("create table t (id int primary key check (id > 0)); insert into t values (1)"), &err),
                 &err);
    ck_assert(!db_run(db, str_of(FAILING[_i].sql), NO_PARAMS, &err));
    ck_assert_says(&err, FAILING[_i].code, FAILING[_i].says);
    error_clear(&err);
    ck_assert_ok(db_run(db, S("select 1"), NO_PARAMS, &err), &err);    // the connection goes on
}

TEST(a_script_with_a_failing_statement_leaves_nothing)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert(!db_script(db, S("create table t (id int); select 1/0"), &err));
    ck_assert_str(test_value(db, arena, "select count(*) from pg_class where relname = 't'"), S("0"));
}

TEST(a_transaction_that_failed_can_not_be_committed)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    Error err = {0};
    ck_assert_ok(db_begin(db, &err), &err);
    ck_assert(!db_run(db, S("select 1/0"), NO_PARAMS, &err));
    error_clear(&err);
    ck_assert(!db_commit(db, &err));
    ck_assert_says(&err, ERR_FAILED, "before it could be committed");
}

static bool put_text(void *context, Str bytes, Error *err)
{
    (void)err;
    strbuf_add(context, bytes);
    return true;
}

static bool put_nothing(void *context, Str bytes, Error *err)
{
    (void)context;
    (void)bytes;
    return error_set(err, ERR_FAILED, "the disk is full");
}

TEST(rows_are_copied_in_and_out)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    int64_t count = 0;
    StrBuf out = {.arena = arena};
    ck_assert_ok(db_script(db, S("create table t (id int, name text)"), &err), &err);
    ck_assert_ok(db_copy_in(db, S("copy t from stdin"), &err), &err);
    ck_assert_ok(db_copy_put(db, S("1\tone\n2\t\\N\n"), &err), &err);
    ck_assert_ok(db_copy_in_end(db, &count, &err), &err);
    ck_assert_int_eq(count, 2);
    ck_assert_ok(db_copy_out(db, S("copy t to stdout"), put_text, &out, &err), &err);
    ck_assert_str(strbuf_str(&out), S("1\tone\n2\t\\N\n"));
    ck_assert(!db_copy_out(db, S("copy t to stdout"), put_nothing, NULL, &err));
    ck_assert_says(&err, ERR_FAILED, "the disk is full");
    error_clear(&err);
    ck_assert_ok(db_run(db, S("select 1"), NO_PARAMS, &err), &err);
}

TEST(a_broken_copy_fails_and_copies_nothing)
{
    CLEANUP(db_close) Db *db = test_db_open(test_database("pg"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert_ok(db_script(db, S("create table t (id int)"), &err), &err);
    ck_assert_ok(db_copy_in(db, S("copy t from stdin"), &err), &err);
    ck_assert_ok(db_copy_put(db, S("1\nnot a number\n"), &err), &err);
    ck_assert(!db_copy_in_end(db, NULL, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
    ck_assert_str(test_value(db, arena, "select count(*) from t"), S("0"));
}

TEST(a_slow_statement_ends_in_busy)
{
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    ck_assert_ok(db_open(test_database("pg"), &(DbOptions){.statement_timeout_ms = 100}, &db, &err), &err);
    int64_t start_ms = clock_ms();
    ck_assert(!db_run(db, S("select pg_sleep(20)"), NO_PARAMS, &err));
    ck_assert_int_eq(err.code, ERR_BUSY);
    ck_assert_int_lt(clock_ms() - start_ms, 10000);
}

static const struct {
    const char *dsn;
    const char *says;
} UNREACHABLE[] = {
    {"host=/nowhere dbname=x", "/nowhere"},
    {"host=127.0.0.1 port=1 dbname=x password=secret", "127.0.0.1"},
};

TEST(a_server_that_is_not_there_is_unreachable_and_no_password_is_told)
{
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    ck_assert(!db_open(str_of(UNREACHABLE[_i].dsn), &(DbOptions){.connect_timeout_ms = 1000}, &db, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, UNREACHABLE[_i].says);
    ck_assert(!error_says(&err, "secret"));
}

static const struct {
    const char *changed, *to;    // of the run's connection string
    ErrorCode code;
    const char *says;
} REFUSED[] = {
    {"dbname", "no_such_database", ERR_NOT_FOUND, "no_such_database"},
    {"user", "no_such_user", ERR_FORBIDDEN, "no_such_user"},
};

TEST(what_is_said_in_lines_is_an_error_in_one)
{
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    ck_assert(!db_open(S("host=/nonexistent dbname=d"), NULL, &db, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "No such file or directory; Is the server running");
    error_clear(&err);
    db = test_db_open(test_database("pg"));
    ck_assert(
        !db_script(db, S("do $$ begin raise exception using message = 'm', detail = E'one\n\ttwo\n'; end $$"), &err));
    ck_assert_str(str_of(err.why), S("one; two"));
}

// As another user, in a child: root may enter every folder.
static int barred_try(void *folder)
{
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = NULL;
    Str dsn = str_format(arena, "host=%s dbname=d", (const char *)folder);
    return db_open(dsn, NULL, &db, &err) ? 0 : (int)err.code;
}

TEST(a_socket_of_another_users_is_forbidden)
{
    Error err = {0};
    int code = 0;
    char folder[] = "/tmp/shop-barred.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0), 0);
    bool is_called = process_call_as(geteuid() == 0 ? "nobody" : NULL, barred_try, folder, &code, &err);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_ok(is_called, &err);
    ck_assert_int_eq(code, ERR_FORBIDDEN);
}

TEST(a_refused_login_says_by_its_code_what_is_wrong)
{
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = NULL;
    Str dsn;
    ck_assert_ok(dsn_with(test_database("pg"), REFUSED[_i].changed, str_of(REFUSED[_i].to), arena, &dsn, &err), &err);
    ck_assert(!db_open(dsn, NULL, &db, &err));
    ck_assert_says(&err, REFUSED[_i].code, REFUSED[_i].says);
    ck_assert(!error_says(&err, ".c:"));    // the place in the server's source
}

static const struct {
    const char *dsn;
    const char *shown;    // without passwords
    bool is_completed;
} STRINGS[] = {
    {"host=h user=u dbname=d password=x", "user=u dbname=d host=h", false},
    {"postgresql://u:x@h:5433/d?sslpassword=y", "user=u dbname=d host=h port=5433", false},
    {"host=h user=u dbname=d", "user=u dbname=d host=h", true},
    {"host=h user=u dbname=d passfile=/p", "user=u passfile=/p dbname=d host=h", false},
    {"host=other user=u dbname=d", "user=u dbname=d host=other", false},
    {"host=h user=other dbname=d", "user=other dbname=d host=h", false},
};

TEST(a_connection_string_is_kept_without_its_password_and_gets_it_back)
{
    static const Str KNOWN = S("host=h user=u dbname=control password='it\\'s'");
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str dsn = str_of(STRINGS[_i].dsn), shown, whole, password;
    ck_assert_ok(dsn_public(dsn, arena, &shown, &err), &err);
    ck_assert_str(shown, str_of(STRINGS[_i].shown));
    ck_assert_ok(dsn_complete(dsn, KNOWN, arena, &whole, &err), &err);
    ck_assert_ok(dsn_value(whole, "password", arena, &password, &err), &err);
    if (STRINGS[_i].is_completed)
        ck_assert_str(password, S("it's"));
    else
        ck_assert_str(whole, dsn);
}

TEST(a_connection_string_that_is_refused_does_not_tell_its_password)
{
    static const char *const WRONG[] = {"host=h password=my secret", "postgresql://u:secret@[h/d", "secret"};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        Error err = {0};
        Str shown;
        ck_assert(!dsn_public(str_of(WRONG[i]), arena, &shown, &err));
        ck_assert_int_eq(err.code, ERR_INVALID);
        ck_assert(!error_says(&err, "secret"));
    }
}

TEST(a_notice_of_another_connection_arrives)
{
    Str dsn = test_database("pg");
    CLEANUP(db_close) Db *listener = test_db_open(dsn);
    CLEANUP(db_close) Db *speaker = test_db_open(dsn);
    Error err = {0};
    bool got = true;
    ck_assert_ok(db_run(listener, S("listen bell"), NO_PARAMS, &err), &err);
    ck_assert_ok(db_wait_notify(listener, 20, &got, &err), &err);
    ck_assert(!got);
    ck_assert_ok(db_run(speaker, S("notify bell"), NO_PARAMS, &err), &err);
    ck_assert_ok(db_wait_notify(listener, 5000, &got, &err), &err);
    ck_assert(got);
}

static bool waited(void *context, Error *err)
{
    int *left = context;
    return --*left > 0 || error_set(err, ERR_BUSY, "somebody else has it now");
}

TEST(who_waits_long_for_an_answer_is_asked_meanwhile)
{
    Db *db = test_db_open(str_of(getenv("TEST_PG")));
    Error err = {0};
    int left = 2;
    db_while_waiting(db, waited, &left);
    ck_assert_ok(db_run(db, S("select pg_sleep(2.5)"), NO_PARAMS, &err), &err);
    ck_assert_int_eq(left, 1);
    ck_assert(!db_run(db, S("select pg_sleep(20)"), NO_PARAMS, &err));
    ck_assert_says(&err, ERR_BUSY, "somebody else has it now");
    ck_assert(db_is_broken(db));
    db_close(&db);
}

// Its late answer would be taken for that of the next question.
TEST(a_connection_that_owes_an_answer_is_broken)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = NULL;
    Error err = {0};
    Str dsn = S("");
    DatabaseProxy *proxy = database_proxy_open(test_database("pg"), arena, &dsn);
    ck_assert_ok(db_open(dsn, &(DbOptions){.statement_timeout_ms = 100}, &db, &err), &err);
    database_proxy_set(proxy, PROXY_HOLDS);
    ck_assert(!db_run(db, S("select 1"), NO_PARAMS, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "nothing came within");
    database_proxy_set(proxy, PROXY_FLOWS);
    ck_assert(db_is_broken(db));
    database_proxy_close(&proxy);
}

SUITE(pg, ONCE(parameters_go_and_rows_come_back), EACH(a_failing_statement_says_code_and_field, FAILING),
      ONCE(a_script_with_a_failing_statement_leaves_nothing), ONCE(a_transaction_that_failed_can_not_be_committed),
      ONCE(rows_are_copied_in_and_out), ONCE(a_broken_copy_fails_and_copies_nothing),
      ONCE(a_slow_statement_ends_in_busy),
      EACH(a_server_that_is_not_there_is_unreachable_and_no_password_is_told, UNREACHABLE),
      ONCE(what_is_said_in_lines_is_an_error_in_one), ONCE(a_socket_of_another_users_is_forbidden),
      EACH(a_refused_login_says_by_its_code_what_is_wrong, REFUSED),
      EACH(a_connection_string_is_kept_without_its_password_and_gets_it_back, STRINGS),
      ONCE(a_connection_string_that_is_refused_does_not_tell_its_password),
      ONCE(a_notice_of_another_connection_arrives), ONCE(who_waits_long_for_an_answer_is_asked_meanwhile),
      ONCE(a_connection_that_owes_an_answer_is_broken))
