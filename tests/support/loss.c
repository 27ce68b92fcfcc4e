// tests/support/loss.c: stands between a program and what it calls.
#include "tests/support/loss.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "provisioner/engine.h"
#include "tests/support/more_check.h"

const char *const LOSSES[LOSS_COUNT] = {"call", "the answer of call", "part of an arena", "part of JSON",
                                        "call to the file system"};

enum { DSN_MAX = 512, CONNECTIONS_KEPT = 64 };

static struct {
    atomic_long left;    // until the call (or the part) that is lost; 0: none is
    Loss loss;
    const Arena *own;    // the test's, which isn't spent
    char copy[KIB];      // the COPY under way
} armed;

// Where the latest connections lead, to end a backend that takes no statement.
static struct {
    const Db *db;
    char dsn[DSN_MAX];
} opened[CONNECTIONS_KEPT];
static atomic_size_t opened_count;

long loss_step(const LossStep *steps, Loss loss)
{
    return getenv("TEST_POINTS") ? steps[loss].points : steps[loss].usual;
}

void loss_arm(Loss loss, long number, const Arena *own)
{
    armed.own = own;
    armed.loss = loss;
    armed.left = number;
}

bool loss_disarm(void) { return atomic_exchange(&armed.left, 0) == 0; }

bool loss_is_why(const Error *err)
{
    if (armed.loss == OF_FILE)
        return error_says(err, strerror(EIO));
    return err->code == (armed.loss <= OF_ANSWER ? ERR_UNREACHABLE : ERR_NO_MEMORY);
}

static bool is_turn(void) { return armed.left > 0 && --armed.left == 0; }
static bool is_call_turn(void) { return armed.loss <= OF_ANSWER && is_turn(); }

// ---- calls. The linker gives these to who calls db_query and the like (--wrap)

bool __real_db_open(Str dsn, const DbOptions *options, Db **out, Error *err);
bool __real_db_query(Db *db, Str sql, Params params, Rows **out, Error *err);
bool __real_db_run(Db *db, Str sql, Params params, Error *err);
bool __real_db_script(Db *db, Str sql, Error *err);
bool __real_db_begin(Db *db, Error *err);
bool __real_db_commit(Db *db, Error *err);
bool __real_db_copy_in(Db *db, Str sql, Error *err);
bool __real_db_copy_put(Db *db, Str bytes, Error *err);
bool __real_db_copy_in_end(Db *db, int64_t *row_count, Error *err);
bool __wrap_db_open(Str dsn, const DbOptions *options, Db **out, Error *err);
bool __wrap_db_query(Db *db, Str sql, Params params, Rows **out, Error *err);
bool __wrap_db_run(Db *db, Str sql, Params params, Error *err);
bool __wrap_db_script(Db *db, Str sql, Error *err);
bool __wrap_db_begin(Db *db, Error *err);
bool __wrap_db_commit(Db *db, Error *err);
bool __wrap_db_copy_in(Db *db, Str sql, Error *err);
bool __wrap_db_copy_put(Db *db, Str bytes, Error *err);
bool __wrap_db_copy_in_end(Db *db, int64_t *row_count, Error *err);

static Str dsn_of(const Db *db)
{
    for (size_t i = opened_count; i > 0 && opened_count - i < CONNECTIONS_KEPT; i--)
        if (opened[(i - 1) % CONNECTIONS_KEPT].db == db)
            return str_of(opened[(i - 1) % CONNECTIONS_KEPT].dsn);
    ck_abort_msg("nobody knows where the connection leads");
}

// By a connection of its own: this one may have another role, or take no statement.
static void backend_end(const Db *db, Str sql, Str which)
{
    Error err = {0};
    Db *killer = NULL;
    ck_assert_ok(__real_db_open(dsn_of(db), NULL, &killer, &err) && __real_db_run(killer, sql, PARAMS(which), &err),
                 &err);
    db_close(&killer);
}

// What libpq says of a connection whose backend was ended is the caller's error.
static bool lose(Db *db, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!__real_db_query(db, S("select pg_backend_pid()::text"), NO_PARAMS, &rows, err))
        return false;
    backend_end(db, S("select pg_terminate_backend($1::integer, 5000)"), rows_str(rows, 0, 0));
    ck_assert(!__real_db_run(db, S("select 1"), NO_PARAMS, err));
    return false;
}

static void lose_copy(const Db *db)
{
    backend_end(db, S("select pg_terminate_backend(pid, 5000) from pg_stat_activity where query = $1"),
                str_of(armed.copy));
}

bool __wrap_db_open(Str dsn, const DbOptions *options, Db **out, Error *err)
{
    if (is_call_turn())
        return error_set(err, ERR_UNREACHABLE, "there is no connection");
    if (!__real_db_open(dsn, options, out, err))
        return false;
    size_t at = atomic_fetch_add(&opened_count, 1) % CONNECTIONS_KEPT;
    opened[at].db = *out;
    (void)snprintf(opened[at].dsn, DSN_MAX, "%.*s", STR_ARG(dsn));
    return true;
}

bool __wrap_db_query(Db *db, Str sql, Params params, Rows **out, Error *err)
{
    if (!is_call_turn())
        return __real_db_query(db, sql, params, out, err);
    if (armed.loss == OF_ANSWER) {
        if (!__real_db_query(db, sql, params, out, err))
            return false;
        rows_close(out);
    }
    return lose(db, err);
}

bool __wrap_db_run(Db *db, Str sql, Params params, Error *err)
{
    if (!is_call_turn())
        return __real_db_run(db, sql, params, err);
    if (armed.loss == OF_ANSWER && !__real_db_run(db, sql, params, err))
        return false;
    return lose(db, err);
}

bool __wrap_db_script(Db *db, Str sql, Error *err)
{
    if (!is_call_turn())
        return __real_db_script(db, sql, err);
    if (armed.loss == OF_ANSWER && !__real_db_script(db, sql, err))
        return false;
    return lose(db, err);
}

bool __wrap_db_begin(Db *db, Error *err) { return is_call_turn() ? lose(db, err) : __real_db_begin(db, err); }

bool __wrap_db_commit(Db *db, Error *err)
{
    if (!is_call_turn())
        return __real_db_commit(db, err);
    if (armed.loss == OF_ANSWER && !__real_db_commit(db, err))
        return false;
    return lose(db, err);
}

bool __wrap_db_copy_in(Db *db, Str sql, Error *err)
{
    (void)snprintf(armed.copy, sizeof(armed.copy), "%.*s", STR_ARG(sql));
    return is_call_turn() ? lose(db, err) : __real_db_copy_in(db, sql, err);
}

bool __wrap_db_copy_put(Db *db, Str bytes, Error *err)
{
    if (is_call_turn()) {
        lose_copy(db);
        while (__real_db_copy_put(db, bytes, err))
            ;    // until the end of the stream is heard of
        return false;
    }
    return __real_db_copy_put(db, bytes, err);
}

bool __wrap_db_copy_in_end(Db *db, int64_t *row_count, Error *err)
{
    if (is_call_turn())
        lose_copy(db);
    return __real_db_copy_in_end(db, row_count, err);
}

// ---- calls to an engine

bool __real_engine_call(Engine *engine, const EngineCall *call, Json **out, Error *err);
bool __real_engine_exec(Engine *engine, const EngineExecSpec *spec, EngineExec **out, Error *err);
bool __wrap_engine_call(Engine *engine, const EngineCall *call, Json **out, Error *err);
bool __wrap_engine_exec(Engine *engine, const EngineExecSpec *spec, EngineExec **out, Error *err);

static bool lose_engine(Error *err)
{
    error_clear(err);
    return error_set(err, ERR_UNREACHABLE, "the engine is gone");
}

bool __wrap_engine_call(Engine *engine, const EngineCall *call, Json **out, Error *err)
{
    if (!is_call_turn())
        return __real_engine_call(engine, call, out, err);
    if (armed.loss == OF_ANSWER && __real_engine_call(engine, call, out, err) && out)
        json_close(out);
    return lose_engine(err);
}

bool __wrap_engine_exec(Engine *engine, const EngineExecSpec *spec, EngineExec **out, Error *err)
{
    if (!is_call_turn())
        return __real_engine_exec(engine, spec, out, err);
    if (armed.loss == OF_ANSWER && __real_engine_exec(engine, spec, out, err))
        engine_exec_close(out);
    return lose_engine(err);
}

// ---- memory. A part that is refused spends its arena, as one beyond its budget does

void *__real_arena_bytes(Arena *arena, size_t size_bytes);
void *__real_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes);
bool __real_json_append(Json *array, Json *value);
bool __real_json_put(Json *object, const char *key, Json *value);
bool __real_json_parse(Str text, Json **out, Error *err);
void *__wrap_arena_bytes(Arena *arena, size_t size_bytes);
void *__wrap_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes);
bool __wrap_json_append(Json *array, Json *value);
bool __wrap_json_put(Json *object, const char *key, Json *value);
bool __wrap_json_parse(Str text, Json **out, Error *err);

static bool is_arena_turn(const Arena *arena) { return armed.loss == OF_ARENA && arena != armed.own && is_turn(); }
static bool is_json_turn(void) { return armed.loss == OF_JSON && is_turn(); }

void *__wrap_arena_bytes(Arena *arena, size_t size_bytes)
{
    return __real_arena_bytes(arena, is_arena_turn(arena) ? (size_t)INT_MAX : size_bytes);
}

void *__wrap_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes)
{
    return __real_arena_array_bytes(arena, is_arena_turn(arena) ? (size_t)INT_MAX : count, size_bytes);
}

bool __wrap_json_append(Json *array, Json *value) { return __real_json_append(is_json_turn() ? NULL : array, value); }

bool __wrap_json_put(Json *object, const char *key, Json *value)
{
    return __real_json_put(is_json_turn() ? NULL : object, key, value);
}

bool __wrap_json_parse(Str text, Json **out, Error *err)
{
    return is_json_turn() ? json_ok(NULL, err) : __real_json_parse(text, out, err);
}

// ---- files

int __real_open(const char *path, int flags, mode_t mode);
ssize_t __real_write(int fd, const void *bytes, size_t count);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __real_unlinkat(int directory, const char *path, int flags);
int __real_rmdir(const char *path);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_unlinkat(int directory, const char *path, int flags);
int __wrap_rmdir(const char *path);

static bool is_file_turn(void)
{
    if (armed.loss != OF_FILE || !is_turn())
        return false;
    errno = EIO;
    return true;
}

// Logs and what wakes threads are no files of the product's.
static bool is_file(int fd)
{
    struct stat about;
    return fd > STDERR_FILENO && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return is_file_turn() ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    return is_file(fd) && is_file_turn() ? -1 : __real_write(fd, bytes, count);
}

int __wrap_fsync(int fd) { return is_file_turn() ? -1 : __real_fsync(fd); }

int __wrap_rename(const char *from, const char *to) { return is_file_turn() ? -1 : __real_rename(from, to); }

int __wrap_mkdir(const char *path, mode_t mode) { return is_file_turn() ? -1 : __real_mkdir(path, mode); }

int __wrap_unlinkat(int directory, const char *path, int flags)
{
    return is_file_turn() ? -1 : __real_unlinkat(directory, path, flags);
}

int __wrap_rmdir(const char *path) { return is_file_turn() ? -1 : __real_rmdir(path); }
