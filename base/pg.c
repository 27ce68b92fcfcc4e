// base/pg.c: PostgreSQL by libpq.
#include "base/pg.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/pg_pipe.h"
#include "base/pg_replication.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    STATEMENT_TIMEOUT_MS = 30000,
    WAITING_MS = 2000,
    GRACE_MS = 2000,    // how long we wait beyond the server's own statement_timeout
    PARAMS_MAX = 64,
    SCRATCH_BUDGET = 512 * MIB,
    STATE_LENGTH = 5,    // of a SQLSTATE
};

struct Db {
    PGconn *conn;
    Arena *scratch;    // parameters of the statement under way
    int64_t statement_timeout_ms;
    size_t copied_bytes;    // since the last flush of a COPY
    char *message;          // of a replication stream, the last one
    uint64_t confirmed;     // of a replication stream
    DbWaiting *waiting;     // or NULL
    void *waiting_context;
    bool owes_answer;    // nobody waits for it any more: whatever comes next on the connection belongs to another
                         // question
};

struct Rows {
    PGresult *result;
};

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

// ---- errors
// ---------------------------------------------------------------------------------------------------------------

typedef struct StateRow {
    const char *prefix;    // of the SQLSTATE
    ErrorCode code;
} StateRow;

static const StateRow STATE_ROWS[] = {
    {"08", ERR_UNREACHABLE},  {"57P", ERR_UNREACHABLE}, {"53300", ERR_UNREACHABLE}, {"23505", ERR_EXISTS},
    {"22", ERR_INVALID},      {"23", ERR_INVALID},      {"42501", ERR_FORBIDDEN},   {"28", ERR_FORBIDDEN},
    {"3D000", ERR_NOT_FOUND}, {"40", ERR_BUSY},         {"55P03", ERR_BUSY},        {"57014", ERR_BUSY},
    {"53", ERR_BUSY},         {"58", ERR_UNREACHABLE},  {"42P04", ERR_EXISTS},      {"42P06", ERR_EXISTS},
    {"42710", ERR_EXISTS},
};

static const char *field(const PGresult *result, int code)
{
    const char *text = result ? PQresultErrorField(result, code) : NULL;
    return text ? text : "";
}

static ErrorCode code_of_state(const char *state)
{
    for (size_t i = 0; i < COUNT(STATE_ROWS); i++)
        if (strncmp(state, STATE_ROWS[i].prefix, strlen(STATE_ROWS[i].prefix)) == 0)
            return STATE_ROWS[i].code;
    return ERR_FAILED;
}

// The lines of a message of libpq's or the server's in one, as an error has it: "...: No such file; Is the server up?"
static bool why_of_lines(Error *err, const char *message)
{
    char text[ERROR_TEXT + sizeof("; ")];
    size_t length = 0;
    Str rest = str_of(message), line = S("");
    while (str_cut(&rest, '\n', &line) && length < sizeof(text) - 1) {
        line = str_trim(line);
        if (line.len)
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%.*s", length ? "; " : "",
                                       (int)MIN(line.len, (size_t)ERROR_TEXT), line.data);
    }
    return error_why(err, "%s", length ? text : "");
}

static bool error_from_connection(Error *err, const PGconn *conn)
{
    error_set(err, ERR_UNREACHABLE, "the database '%s' on '%s' can't be reached", PQdb(conn) ? PQdb(conn) : "",
              PQhost(conn) ? PQhost(conn) : "");
    return why_of_lines(err, PQerrorMessage(conn));
}

// The state in an error of the server's as libpq words it when it is to be verbose, "FATAL:  28P01: password ...": of a
// refused connection it keeps no fields.
static const char *state_find(const char *message)
{
    const char *found = NULL;
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
        const char *state = at + 3;
        if (strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == STATE_LENGTH && state[STATE_LENGTH] == ':')
            found = state;
    }
    return found;
}

// Whether the server's socket is there but not for us: its folder or itself belongs to another user.
static bool is_socket_barred(const PGconn *conn)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *host = PQhost(conn), *port = PQport(conn);
    if (!host || host[0] != '/')
        return false;
    int length = snprintf(path, sizeof(path), "%s/.s.PGSQL.%s", host, port && port[0] ? port : "5432");
    return length > 0 && (size_t)length < sizeof(path) && access(path, W_OK) != 0 && errno == EACCES;
}

// Why a connection couldn't be made: the server's own word, without the place in its source.
static bool error_from_connecting(Error *err, const PGconn *conn)
{
    const char *message = PQerrorMessage(conn), *state = state_find(message);
    error_from_connection(err, conn);
    if (PQconnectionNeedsPassword(conn)) {
        err->code = ERR_FORBIDDEN;
        error_why(err, "the server asks for the password of '%s'", PQuser(conn));
        return error_next(err, "put it into ~/.pgpass, or into a file that passfile= in the connection string names");
    }
    if (!state) {
        if (is_socket_barred(conn)) {
            err->code = ERR_FORBIDDEN;
            error_next(err, "run it as the owner of that socket, or as root");
        }
        return false;
    }
    ErrorCode code = code_of_state(state);
    if (code == ERR_FORBIDDEN || code == ERR_NOT_FOUND) {
        error_clear(err);
        error_set(err, code, "the database '%s' on '%s' refuses '%s'", PQdb(conn), PQhost(conn), PQuser(conn));
    }
    const char *said = state + STATE_LENGTH + 2;    // behind ": "
    return error_why(err, "%.*s", (int)strcspn(said, "\n"), said);
}

// Functions of ours raise SQLSTATE SH001 with the error's name as constraint, `where` as column, why as detail, next as
// hint.
static bool error_from_pg(Error *err, const PGconn *conn, const PGresult *result)
{
    const char *state = field(result, PG_DIAG_SQLSTATE);
    if (state[0] == '\0')
        return error_from_connection(err, conn);
    bool is_ours = strcmp(state, "SH001") == 0;
    const char *constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    const char *message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (is_ours)
        error_set(err, error_code_of(constraint), "%s", message);
    else
        error_set(err, code_of_state(state), "%s (SQLSTATE %s)", message, state);
    error_where(err, "%s", field(result, is_ours ? PG_DIAG_COLUMN_NAME : PG_DIAG_CONSTRAINT_NAME));
    why_of_lines(err, field(result, PG_DIAG_MESSAGE_DETAIL));
    return error_next(err, "%s", field(result, PG_DIAG_MESSAGE_HINT));
}

// ---- waiting
// --------------------------------------------------------------------------------------------------------------

// Waits until the connection can be read (or written); false on a timeout.
static bool socket_wait(const PGconn *conn, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_ms();
        if (left <= 0)
            return false;
        struct pollfd socket = {.fd = PQsocket(conn), .events = events};
        int ready = poll(&socket, 1, (int)MIN(left, (int64_t)INT32_MAX));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static bool connect_wait(PGconn *conn, int64_t deadline_ms)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED || PQstatus(conn) == CONNECTION_BAD)
            return false;
        if (!socket_wait(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return false;
        status = PQconnectPoll(conn);
    }
    return true;
}

// A server that has gone without a word is given up after 20 s, over TCP; a connection string's own settings count.
#define WATCH_KEYS "keepalives_idle", "keepalives_interval", "tcp_user_timeout"
#define WATCH_VALUES "10", "5", "20000"

bool db_open(Str dsn, const DbOptions *options, Db **out, Error *err)
{
    static const DbOptions DEFAULTS = {0};
    options = options ? options : &DEFAULTS;
    Db *db = calloc(1, sizeof(*db));
    if (!db)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a database connection");
    db->scratch = arena_open(SCRATCH_BUDGET);
    db->statement_timeout_ms = options->statement_timeout_ms ? options->statement_timeout_ms : STATEMENT_TIMEOUT_MS;
    char timeout[64];
    (void)snprintf(timeout, sizeof(timeout), "-c statement_timeout=%lld", (long long)db->statement_timeout_ms);
    Str name = str_copy(db->scratch, dsn);
    const char *keys[] = {WATCH_KEYS, "dbname", "application_name", "options", "client_encoding", NULL};
    const char *values[] = {WATCH_VALUES, name.data, options->application ? options->application : "shopctl",
                            timeout,      "UTF8",    NULL};
    if (!arena_ok(db->scratch, err)) {    // an empty name is that of libpq's own default
        db_close(&db);
        return false;
    }
    db->conn = PQconnectStartParams(keys, values, 1);
    (void)PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);    // until it is connected
    int64_t connect_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    if (db->conn && connect_wait(db->conn, clock_ms() + connect_ms) && PQsetnonblocking(db->conn, 1) == 0) {
        (void)PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
        (void)PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
        *out = db;
        return true;
    }
    if (!db->conn)
        error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a database connection");
    else if (error_from_connecting(err, db->conn), PQstatus(db->conn) != CONNECTION_BAD)
        error_why(err, "there was no answer within %lld ms", (long long)connect_ms);
    db_close(&db);
    return false;
}

void db_close(Db **db)
{
    if (!*db)
        return;
    PQfreemem((*db)->message);
    PQfinish((*db)->conn);
    arena_close(&(*db)->scratch);
    free(*db);
    *db = NULL;
}

// The server's farewell comes first, the end of the stream after it: so it is read twice.
bool db_is_broken(const Db *db)
{
    return db->owes_answer || PQstatus(db->conn) != CONNECTION_OK || !PQconsumeInput(db->conn) ||
           !PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK;
}

int db_pid(const Db *db) { return PQbackendPID(db->conn); }

void db_cancel(const Db *db)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(db->conn);
    (void)PQcancel(cancel, ignored, sizeof(ignored));
    PQfreeCancel(cancel);
}

static int64_t deadline_of(const Db *db) { return clock_ms() + db->statement_timeout_ms + GRACE_MS; }

static bool error_no_answer(Db *db, Error *err)
{
    db->owes_answer = true;
    error_set(err, ERR_UNREACHABLE, "the database '%s' doesn't answer", PQdb(db->conn));
    return error_why(err, "nothing came within %lld ms", (long long)db->statement_timeout_ms + GRACE_MS);
}

void db_while_waiting(Db *db, DbWaiting *waiting, void *context)
{
    db->waiting = waiting;
    db->waiting_context = context;
}

static bool answer_wait(Db *db, int64_t deadline_ms, Error *err)
{
    for (;;) {
        if (socket_wait(db->conn, POLLIN, db->waiting ? MIN(clock_ms() + WAITING_MS, deadline_ms) : deadline_ms))
            return true;
        if (clock_ms() >= deadline_ms || !db->waiting)
            return error_no_answer(db, err);
        if (!db->waiting(db->waiting_context, err)) {
            db->owes_answer = true;
            db_cancel(db);
            return false;
        }
    }
}

// Flushes what is to be sent and waits for the next result; NULL in *out at the end of the statement.
static bool result_wait(Db *db, int64_t deadline_ms, PGresult **out, Error *err)
{
    while (PQflush(db->conn) == 1)
        if (!socket_wait(db->conn, POLLIN | POLLOUT, deadline_ms) || !PQconsumeInput(db->conn))
            break;
    while (PQisBusy(db->conn)) {
        if (!answer_wait(db, deadline_ms, err))
            return false;
        if (!PQconsumeInput(db->conn))
            return error_from_connection(err, db->conn);
    }
    *out = PQgetResult(db->conn);
    return true;
}

static bool is_success(ExecStatusType status)
{
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN ||
           status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH || status == PGRES_EMPTY_QUERY;
}

// Reads results to the end of the statement, or to the start of a COPY. The last one, or the first error, decides.
static bool results_read(Db *db, PGresult **out, Error *err)
{
    int64_t deadline_ms = deadline_of(db);
    PGresult *last = NULL;
    for (;;) {
        PGresult *result = NULL;
        if (!result_wait(db, deadline_ms, &result, err)) {
            PQclear(last);
            return false;
        }
        if (!result)
            break;
        bool keep_first = last && !is_success(PQresultStatus(last));
        PQclear(keep_first ? result : last);
        last = keep_first ? last : result;
        ExecStatusType status = PQresultStatus(last);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            break;
    }
    if (!last)
        return error_from_connection(err, db->conn);
    if (!is_success(PQresultStatus(last))) {
        error_from_pg(err, db->conn, last);
        PQclear(last);
        return false;
    }
    *out = last;
    return true;
}

bool db_query(Db *db, Str sql, Params params, Rows **out, Error *err)
{
    const char *values[PARAMS_MAX];
    assert(params.count <= PARAMS_MAX);
    arena_reset(db->scratch);
    Str text = str_copy(db->scratch, sql);
    for (size_t i = 0; i < params.count; i++)
        values[i] = params.values[i].data ? str_copy(db->scratch, params.values[i]).data : NULL;
    if (!arena_ok(db->scratch, err))
        return false;
    Rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a database statement");
    if (!PQsendQueryParams(db->conn, text.data, (int)params.count, NULL, values, NULL, NULL, 0))
        error_from_connection(err, db->conn);
    else if (results_read(db, &rows->result, err)) {
        *out = rows;
        return true;
    }
    free(rows);
    return false;
}

bool db_run(Db *db, Str sql, Params params, Error *err)
{
    Rows *rows = NULL;
    if (!db_query(db, sql, params, &rows, err))
        return false;
    rows_close(&rows);
    return true;
}

static bool script_send(Db *db, Str sql, Error *err)
{
    arena_reset(db->scratch);
    Str text = str_copy(db->scratch, sql);
    return arena_ok(db->scratch, err) && (PQsendQuery(db->conn, text.data) || error_from_connection(err, db->conn));
}

bool db_script(Db *db, Str sql, Error *err)
{
    PGresult *result = NULL;
    if (!script_send(db, sql, err) || !results_read(db, &result, err))
        return false;
    PQclear(result);
    return true;
}

bool db_begin(Db *db, Error *err) { return db_script(db, S("begin"), err); }

bool db_commit(Db *db, Error *err)
{
    if (PQtransactionStatus(db->conn) == PQTRANS_INERROR) {
        db_rollback(db);
        return error_set(err, ERR_FAILED, "the transaction failed before it could be committed");
    }
    return db_script(db, S("commit"), err);
}

void db_rollback(Db *db)
{
    Error ignored = {0};
    if (!db_script(db, S("rollback"), &ignored))
        error_clear(&ignored);
}

bool db_copy_in(Db *db, Str sql, Error *err) { return db_script(db, sql, err); }

bool db_copy_put(Db *db, Str bytes, Error *err)
{
    enum { PUT_MAX = 1024 * MIB - 1, UNSENT_MAX = 64 * KIB };
    assert(bytes.len <= PUT_MAX);
    if (PQputCopyData(db->conn, bytes.data, (int)bytes.len) != 1)
        return error_from_connection(err, db->conn);
    db->copied_bytes += bytes.len;
    if (db->copied_bytes < UNSENT_MAX)
        return true;
    db->copied_bytes = 0;
    int64_t deadline_ms = deadline_of(db);
    int left = 0;
    while ((left = PQflush(db->conn)) == 1) {
        if (!socket_wait(db->conn, POLLIN | POLLOUT, deadline_ms))
            return error_no_answer(db, err);
        if (!PQconsumeInput(db->conn))
            break;
    }
    return left == 0 || error_from_connection(err, db->conn);
}

bool db_copy_in_end(Db *db, int64_t *row_count, Error *err)
{
    PGresult *result = NULL;
    if (PQputCopyEnd(db->conn, NULL) != 1)
        return error_from_connection(err, db->conn);
    if (!results_read(db, &result, err))
        return false;
    if (row_count)
        *row_count = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return true;
}

// The next chunk of a COPY; its length is -1 at the end.
static bool chunk_wait(Db *db, char **out, int *length, Error *err)
{
    int64_t deadline_ms = 0;
    while ((*length = PQgetCopyData(db->conn, out, 1)) == 0) {
        deadline_ms = deadline_ms ? deadline_ms : deadline_of(db);
        if (!socket_wait(db->conn, POLLIN, deadline_ms))
            return error_no_answer(db, err);
        if (!PQconsumeInput(db->conn))
            return error_from_connection(err, db->conn);
    }
    return *length != -2 || error_from_connection(err, db->conn);
}

// The rest of a COPY is thrown away with the connection's transaction: the server is told to stop.
static void copy_out_cancel(Db *db)
{
    Error lost = {0};
    db_cancel(db);
    char *chunk = NULL;
    int length = 0;
    while (chunk_wait(db, &chunk, &length, &lost) && length > 0)
        PQfreemem(chunk);
    PGresult *result = NULL;
    if (lost.code == ERR_NONE && results_read(db, &result, &lost))
        PQclear(result);
    error_clear(&lost);
}

bool db_copy_out(Db *db, Str sql, CopyPut *put, void *context, Error *err)
{
    if (!db_script(db, sql, err))
        return false;
    char *chunk = NULL;
    int length = 0;
    for (;;) {
        if (!chunk_wait(db, &chunk, &length, err))
            return false;
        if (length < 0)
            break;
        bool ok = put(context, (Str){chunk, (size_t)length}, err);
        PQfreemem(chunk);
        if (!ok) {
            copy_out_cancel(db);
            return false;
        }
    }
    PGresult *result = NULL;
    if (!results_read(db, &result, err))
        return false;
    PQclear(result);
    return true;
}

bool db_wait_notify(Db *db, int64_t timeout_ms, bool *out_got, Error *err)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    for (;;) {
        if (!PQconsumeInput(db->conn))
            return error_from_connection(err, db->conn);
        PGnotify *notify = PQnotifies(db->conn);
        if (notify) {
            PQfreemem(notify);
            *out_got = true;
            return true;
        }
        if (!socket_wait(db->conn, POLLIN, deadline_ms)) {
            *out_got = false;
            return true;
        }
    }
}

// ---- replication
// ----------------------------------------------------------------------------------------------------------

Str wal_position_text(uint64_t position, char text[WAL_POSITION_TEXT])
{
    int length = snprintf(text, WAL_POSITION_TEXT, "%X/%X", (unsigned)(position >> 32), (unsigned)position);
    return (Str){text, (size_t)length};
}

bool wal_position_read(Str text, uint64_t *out, Error *err)
{
    char copy[WAL_POSITION_TEXT];
    unsigned high = 0, low = 0;
    int end = 0;
    (void)snprintf(copy, sizeof(copy), "%.*s", STR_ARG(text));
    if (sscanf(copy, "%8X/%8X%n", &high, &low, &end) != 2 || (size_t)end != text.len)
        return error_set(err, ERR_MALFORMED, "'%.*s' is no position of a log", STR_ARG(text));
    *out = (uint64_t)high << 32 | low;
    return true;
}

bool db_replication_slot_begin(Db *db, Str slot, bool is_temporary, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str sql = str_format(arena, "CREATE_REPLICATION_SLOT %.*s%s LOGICAL pgoutput (SNAPSHOT 'export')",
                         STR_ARG(db_name(db, arena, slot)), is_temporary ? " TEMPORARY" : "");
    return arena_ok(arena, err) && script_send(db, sql, err);
}

bool db_replication_slot_wait(Db *db, int64_t timeout_ms, Arena *arena, ReplicationSlot *out, bool *out_made,
                              Error *err)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    Rows rows = {0};
    *out_made = false;
    while (PQflush(db->conn) == 1 || PQisBusy(db->conn)) {
        if (!socket_wait(db->conn, PQflush(db->conn) == 1 ? POLLIN | POLLOUT : POLLIN, deadline_ms))
            return true;
        if (!PQconsumeInput(db->conn))
            return error_from_connection(err, db->conn);
    }
    if (!results_read(db, &rows.result, err))
        return false;
    bool ok = wal_position_read(rows_str(&rows, 0, rows_column(&rows, "consistent_point")), &out->position, err);
    out->snapshot = str_copy(arena, rows_str(&rows, 0, rows_column(&rows, "snapshot_name")));
    PQclear(rows.result);
    *out_made = ok && arena_ok(arena, err);
    return *out_made;
}

bool db_replication_start(Db *db, Str slot, Str publication, uint64_t position, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char from[WAL_POSITION_TEXT];
    Str names = db_literal(db, arena, db_name(db, arena, publication));
    Str sql = str_format(arena, "START_REPLICATION SLOT %.*s LOGICAL %.*s (proto_version '1', publication_names %.*s)",
                         STR_ARG(db_name(db, arena, slot)), STR_ARG(wal_position_text(position, from)), STR_ARG(names));
    db->confirmed = position;
    return arena_ok(arena, err) && db_script(db, sql, err);
}

static uint64_t number_read(const char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void number_write(char *bytes, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        bytes[i] = (char)(value & 0xFF);
}

// "r": what was written, flushed and applied, the clock (which the server only shows), and whether an answer is wanted.
static bool status_send(Db *db, bool is_answer_wanted, Error *err)
{
    char message[34] = "r";
    for (int i = 0; i < 3; i++)
        number_write(message + 1 + 8 * i, db->confirmed);
    message[33] = is_answer_wanted ? 1 : 0;
    if (PQputCopyData(db->conn, message, sizeof(message)) != 1 || PQflush(db->conn) < 0)
        return error_from_connection(err, db->conn);
    return true;
}

bool db_replication_confirm(Db *db, uint64_t position, Error *err)
{
    db->confirmed = MAX(db->confirmed, position);
    return status_send(db, true, err);
}

// "w": a piece of the log, behind where it begins, where the log ended and the clock. "k": where the log ended.
static bool message_read(Db *db, size_t length, ReplicationMessage *out, Error *err)
{
    enum { PIECE_HEAD = 25, KEEPALIVE = 18 };
    const char *bytes = db->message;
    if (bytes[0] == 'w' && length > PIECE_HEAD) {
        *out = (ReplicationMessage){.change = {bytes + PIECE_HEAD, length - PIECE_HEAD},
                                    .position = number_read(bytes + 1, 8)};
        return true;
    }
    if (bytes[0] == 'k' && length >= KEEPALIVE) {
        *out = (ReplicationMessage){.position = number_read(bytes + 1, 8)};
        return !bytes[KEEPALIVE - 1] || status_send(db, false, err);
    }
    return error_set(err, ERR_MALFORMED, "the database '%s' sent an unknown message of replication", PQdb(db->conn));
}

bool db_replication_next(Db *db, int64_t timeout_ms, ReplicationMessage *out, Error *err)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    *out = (ReplicationMessage){0};
    PQfreemem(db->message);
    db->message = NULL;
    for (;;) {
        int length = PQgetCopyData(db->conn, &db->message, 1);
        if (length > 0)
            return message_read(db, (size_t)length, out, err);
        PGresult *result = NULL;
        if (length == -1 && results_read(db, &result, err)) {
            PQclear(result);
            return error_set(err, ERR_UNREACHABLE, "the database '%s' ended its replication", PQdb(db->conn));
        }
        if (length < 0)
            return err->code ? false : error_from_connection(err, db->conn);
        if (!socket_wait(db->conn, PQflush(db->conn) == 1 ? POLLIN | POLLOUT : POLLIN, deadline_ms))
            return true;
        if (!PQconsumeInput(db->conn))
            return error_from_connection(err, db->conn);
    }
}

static Str escaped(Arena *arena, char *text)
{
    Str copy = str_copy(arena, str_of(text));
    PQfreemem(text);
    return copy;
}

Str db_name(Db *db, Arena *arena, Str name)
{
    return escaped(arena, PQescapeIdentifier(db->conn, name.data, name.len));
}
Str db_literal(Db *db, Arena *arena, Str text)
{
    return escaped(arena, PQescapeLiteral(db->conn, text.data, text.len));
}

size_t rows_count(const Rows *rows) { return (size_t)PQntuples(rows->result); }

size_t rows_width(const Rows *rows) { return (size_t)PQnfields(rows->result); }
const char *rows_name(const Rows *rows, size_t column) { return PQfname(rows->result, (int)column); }

size_t rows_column(const Rows *rows, const char *name)
{
    int column = PQfnumber(rows->result, name);
    assert(column >= 0);
    return (size_t)column;
}

bool rows_is_null(const Rows *rows, size_t row, size_t column)
{
    return PQgetisnull(rows->result, (int)row, (int)column);
}

Str rows_str(const Rows *rows, size_t row, size_t column)
{
    assert(row < rows_count(rows) && column < (size_t)PQnfields(rows->result));
    const char *text = PQgetvalue(rows->result, (int)row, (int)column);
    return (Str){text, (size_t)PQgetlength(rows->result, (int)row, (int)column)};
}

int64_t rows_int64(const Rows *rows, size_t row, size_t column)
{
    return strtoll(rows_str(rows, row, column).data, NULL, 10);
}

bool rows_bool(const Rows *rows, size_t row, size_t column) { return str_eq(rows_str(rows, row, column), S("t")); }

size_t rows_affected(const Rows *rows) { return (size_t)strtoull(PQcmdTuples(rows->result), NULL, 10); }

void rows_close(Rows **rows)
{
    if (!*rows)
        return;
    PQclear((*rows)->result);
    free(*rows);
    *rows = NULL;
}

// ---- connection strings
// ----------------------------------------------------------------------------------------------------

// libpq quotes what it can't read, which may be a part of a password: only the name of an option is told.
static bool dsn_refuse(const char *message, Error *err)
{
    static const Str UNKNOWN = S("invalid connection option");
    Str said = str_trim(str_of(message ? message : ""));
    error_set(err, ERR_INVALID, "the connection string is refused");
    if (str_has_prefix(said, UNKNOWN))
        error_why(err, "%.*s", STR_ARG(said));
    else
        error_why(err, message ? "libpq can't read it" : "there isn't enough memory");
    return error_next(err, "write it as in 'host=/run/postgresql dbname=shop', or 'postgresql://HOST:PORT/shop'");
}

static bool dsn_read(Str dsn, PQconninfoOption **out, Error *err)
{
    CLEANUP(arena_close) Arena *scratch = arena_open(dsn.len + KIB);
    char *message = NULL;
    const char *text = str_copy(scratch, dsn).data;
    if (!arena_ok(scratch, err))
        return false;
    *out = PQconninfoParse(text, &message);
    if (*out)
        return true;
    (void)dsn_refuse(message, err);
    PQfreemem(message);
    return false;
}

static void options_close(PQconninfoOption **options) { PQconninfoFree(*options); }

static const char *option_value(const PQconninfoOption *options, const char *key)
{
    for (const PQconninfoOption *option = options; option->keyword; option++)
        if (strcmp(option->keyword, key) == 0)
            return option->val ? option->val : "";
    return "";
}

static bool is_secret(const PQconninfoOption *option) { return option->dispchar[0] == '*'; }

static bool is_plain(Str value)
{
    static const Str SPECIAL = S(" \t\n'\\");
    for (size_t i = 0; i < SPECIAL.len; i++)
        if (str_has_char(value, SPECIAL.data[i]))
            return false;
    return value.len > 0;
}

static void add_option(StrBuf *dsn, const char *key, Str value)
{
    const char *quote = is_plain(value) ? "" : "'";
    strbuf_format(dsn, "%s%s=%s", dsn->len ? " " : "", key, quote);
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\'' || value.data[i] == '\\')
            strbuf_add_char(dsn, '\\');
        strbuf_add_char(dsn, value.data[i]);
    }
    strbuf_add(dsn, str_of(quote));
}

bool dsn_value(Str dsn, const char *key, Arena *arena, Str *out, Error *err)
{
    CLEANUP(options_close) PQconninfoOption *options = NULL;
    if (!dsn_read(dsn, &options, err))
        return false;
    *out = str_copy(arena, str_of(option_value(options, key)));
    return arena_ok(arena, err);
}

bool dsn_with(Str dsn, const char *key, Str value, Arena *arena, Str *out, Error *err)
{
    CLEANUP(options_close) PQconninfoOption *options = NULL;
    if (!dsn_read(dsn, &options, err))
        return false;
    StrBuf buf = {.arena = arena};
    for (const PQconninfoOption *option = options; option->keyword; option++)
        if (option->val && strcmp(option->keyword, key) != 0)
            add_option(&buf, option->keyword, str_of(option->val));
    add_option(&buf, key, value);
    *out = strbuf_str(&buf);
    return arena_ok(arena, err);
}

bool dsn_with_database(Str dsn, Str database, Arena *arena, Str *out, Error *err)
{
    return dsn_with(dsn, "dbname", database, arena, out, err);
}

Str dsn_database(Str dsn, Arena *arena)
{
    Error ignored = {0};
    Str name = S("");
    if (!dsn_value(dsn, "dbname", arena, &name, &ignored))
        return S("");
    return name;
}

bool dsn_public(Str dsn, Arena *arena, Str *out, Error *err)
{
    CLEANUP(options_close) PQconninfoOption *options = NULL;
    if (!dsn_read(dsn, &options, err))
        return false;
    StrBuf buf = {.arena = arena};
    for (const PQconninfoOption *option = options; option->keyword; option++)
        if (option->val && !is_secret(option))
            add_option(&buf, option->keyword, str_of(option->val));
    *out = strbuf_str(&buf);
    return arena_ok(arena, err);
}

bool dsn_complete(Str dsn, Str known, Arena *arena, Str *out, Error *err)
{
    static const char *const SAME[] = {"host", "hostaddr", "port", "user"};
    CLEANUP(options_close) PQconninfoOption *options = NULL;
    CLEANUP(options_close) PQconninfoOption *others = NULL;
    if (!dsn_read(dsn, &options, err) || !dsn_read(known, &others, err))
        return false;
    StrBuf buf = {.arena = arena};
    strbuf_add(&buf, dsn);
    bool is_same = option_value(options, "password")[0] == '\0' && option_value(options, "passfile")[0] == '\0';
    for (size_t i = 0; i < COUNT(SAME); i++)
        is_same = is_same && strcmp(option_value(options, SAME[i]), option_value(others, SAME[i])) == 0;
    if (is_same) {
        buf.len = 0;
        for (const PQconninfoOption *option = options; option->keyword; option++)
            if (option->val)
                add_option(&buf, option->keyword, str_of(option->val));
        for (const PQconninfoOption *option = others; option->keyword; option++)
            if (option->val && is_secret(option) && option_value(options, option->keyword)[0] == '\0')
                add_option(&buf, option->keyword, str_of(option->val));
    }
    *out = strbuf_str(&buf);
    return arena_ok(arena, err);
}

bool db_password_hash(Db *db, Str user, Str password, Arena *arena, Str *out, Error *err)
{
    CLEANUP(arena_close) Arena *scratch = arena_open(user.len + password.len + KIB);
    const char *user_text = str_copy(scratch, user).data, *password_text = str_copy(scratch, password).data;
    char *hash =
        user_text && password_text ? PQencryptPasswordConn(db->conn, password_text, user_text, "scram-sha-256") : NULL;
    if (!hash)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a password");
    *out = escaped(arena, hash);
    return arena_ok(arena, err);
}

// ---- pipes
// -----------------------------------------------------------------------------------------------------------------

struct Pipe {
    PGconn *conn;
    PipeState state;
    Arena *scratch;    // parameters of the statement being queued
    PostgresPollingStatusType polling;
    bool is_flushing;     // libpq has bytes that the socket didn't take
    bool is_ended;        // an answer is ready for pipe_answer
    bool is_lost;         // libpq itself failed on what came, as without memory: it may never see the Sync
    bool is_preparing;    // the first result is that of the statement of settings
    bool is_prepared;     // the server has it
    PGresult *result;     // the last good one, or the first bad one
};

bool pipe_open(Str dsn, const char *application, Pipe **out, Error *err)
{
    Pipe *pipe = calloc(1, sizeof(*pipe));
    if (!pipe)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a database connection");
    pipe->scratch = arena_open(SCRATCH_BUDGET);
    pipe->polling = PGRES_POLLING_WRITING;
    Str name = str_copy(pipe->scratch, dsn);
    const char *keys[] = {WATCH_KEYS, "dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {WATCH_VALUES, name.data, application, "UTF8", NULL};
    if (!arena_ok(pipe->scratch, err)) {    // as in db_open
        pipe_close(&pipe);
        return false;
    }
    pipe->conn = PQconnectStartParams(keys, values, 1);
    (void)PQsetErrorVerbosity(pipe->conn, PQERRORS_VERBOSE);    // until it is connected
    if (!pipe->conn)
        error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a database connection");
    else if (PQstatus(pipe->conn) == CONNECTION_BAD)
        error_from_connection(err, pipe->conn);
    else {
        (void)PQsetNoticeReceiver(pipe->conn, ignore_notice, NULL);
        *out = pipe;
        return true;
    }
    pipe_close(&pipe);
    return false;
}

void pipe_close(Pipe **pipe)
{
    if (!*pipe)
        return;
    PQclear((*pipe)->result);
    PQfinish((*pipe)->conn);
    arena_close(&(*pipe)->scratch);
    free(*pipe);
    *pipe = NULL;
}

PipeState pipe_state(const Pipe *pipe) { return pipe->state; }
int pipe_socket(const Pipe *pipe) { return PQsocket(pipe->conn); }

unsigned pipe_wants(const Pipe *pipe)
{
    if (pipe->state == PIPE_CONNECTING)
        return pipe->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    return pipe->is_flushing ? POLLIN | POLLOUT : POLLIN;
}

static bool pipe_break(Pipe *pipe, Error *err)
{
    bool is_connecting = pipe->state == PIPE_CONNECTING;
    pipe->state = PIPE_BROKEN;
    return is_connecting ? error_from_connecting(err, pipe->conn) : error_from_connection(err, pipe->conn);
}

static bool pipe_connect(Pipe *pipe, Error *err)
{
    pipe->polling = PQconnectPoll(pipe->conn);
    if (pipe->polling == PGRES_POLLING_FAILED)
        return pipe_break(pipe, err);
    if (pipe->polling != PGRES_POLLING_OK)
        return true;
    if (PQsetnonblocking(pipe->conn, 1) != 0 || PQenterPipelineMode(pipe->conn) != 1)
        return pipe_break(pipe, err);
    (void)PQsetErrorVerbosity(pipe->conn, PQERRORS_DEFAULT);
    pipe->state = PIPE_IDLE;
    return true;
}

static void pipe_keep(Pipe *pipe, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (pipe->is_preparing) {
        pipe->is_preparing = false;
        pipe->is_prepared = status == PGRES_COMMAND_OK;
    }
    bool is_bad_kept = pipe->result && !is_success(PQresultStatus(pipe->result));
    if (is_bad_kept || status == PGRES_PIPELINE_ABORTED) {
        PQclear(result);
        return;
    }
    PQclear(pipe->result);
    pipe->result = result;
}

// Takes what has come, up to Sync. libpq gives a NULL after each statement's results: two in a row are the end for now.
static void pipe_collect(Pipe *pipe)
{
    int null_count = 0;
    while (null_count < 2 && !PQisBusy(pipe->conn)) {
        PGresult *result = PQgetResult(pipe->conn);
        null_count = result ? 0 : null_count + 1;
        if (!result)
            continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            pipe->is_ended = true;
            pipe->is_lost = false;
            return;
        }
        pipe->is_lost |= PQresultStatus(result) == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
        pipe_keep(pipe, result);
        if (PQstatus(pipe->conn) == CONNECTION_BAD)
            return;
    }
}

bool pipe_go_on(Pipe *pipe, Error *err)
{
    if (pipe->state == PIPE_CONNECTING)
        return pipe_connect(pipe, err);
    int left = PQflush(pipe->conn);
    pipe->is_flushing = left == 1;
    bool is_read = PQconsumeInput(pipe->conn) == 1;
    if (pipe->state == PIPE_BUSY)
        pipe_collect(pipe);
    if (!is_read || left < 0 || pipe->is_lost || PQstatus(pipe->conn) == CONNECTION_BAD)
        return pipe->is_ended || pipe_break(pipe, err);
    return true;
}

static bool pipe_send_settings(Pipe *pipe, const PipeCall *call, const char *search_path)
{
    static const char SETTINGS[] = "select set_config('search_path', $1, true), "
                                   "set_config('statement_timeout', $2, true), set_config('lock_timeout', $3, true)";
    char statement_timeout[32], lock_timeout[32];
    (void)snprintf(statement_timeout, sizeof(statement_timeout), "%lld", (long long)call->statement_timeout_ms);
    (void)snprintf(lock_timeout, sizeof(lock_timeout), "%lld", (long long)call->lock_timeout_ms);
    const char *values[] = {search_path, statement_timeout, lock_timeout};
    pipe->is_preparing = !pipe->is_prepared;
    return (pipe->is_prepared || PQsendPrepare(pipe->conn, "settings", SETTINGS, COUNT(values), NULL) == 1) &&
           PQsendQueryPrepared(pipe->conn, "settings", COUNT(values), values, NULL, NULL, 0) == 1;
}

bool pipe_send(Pipe *pipe, const PipeCall *call, Error *err)
{
    assert(pipe->state == PIPE_IDLE && call->params.count <= PARAMS_MAX);
    arena_reset(pipe->scratch);
    const char *values[PARAMS_MAX];
    for (size_t i = 0; i < call->params.count; i++)
        values[i] = call->params.values[i].data ? str_copy(pipe->scratch, call->params.values[i]).data : NULL;
    Str sql = str_copy(pipe->scratch, call->sql), search_path = str_copy(pipe->scratch, call->search_path);
    if (!arena_ok(pipe->scratch, err))
        return false;
    if ((call->search_path.len > 0 && !pipe_send_settings(pipe, call, search_path.data)) ||
        PQsendQueryParams(pipe->conn, sql.data, (int)call->params.count, NULL, values, NULL, NULL, 0) != 1 ||
        PQpipelineSync(pipe->conn) != 1)
        return pipe_break(pipe, err);
    pipe->state = PIPE_BUSY;
    int left = PQflush(pipe->conn);
    pipe->is_flushing = left == 1;
    return left >= 0 || pipe_break(pipe, err);
}

bool pipe_answer(Pipe *pipe, PipeAnswer *out)
{
    if (!pipe->is_ended)
        return false;
    pipe->is_ended = false;
    pipe->state = PIPE_IDLE;
    *out = (PipeAnswer){0};
    PGresult *result = pipe->result;
    pipe->result = NULL;
    Rows *rows = calloc(1, sizeof(*rows));
    if (!rows || !result)
        error_set(&out->err, ERR_NO_MEMORY, "there isn't enough memory for the database's answer");
    else if (!is_success(PQresultStatus(result)))
        error_from_pg(&out->err, pipe->conn, result);
    else {
        *rows = (Rows){result};
        out->rows = rows;
        return true;
    }
    free(rows);
    PQclear(result);
    return true;
}

bool pipe_notification(Pipe *pipe, Arena *arena, Str *channel, Str *payload)
{
    PGnotify *notify = PQnotifies(pipe->conn);
    if (!notify)
        return false;
    *channel = str_copy(arena, str_of(notify->relname));
    *payload = str_copy(arena, str_of(notify->extra));
    PQfreemem(notify);
    return true;
}
