// base/pg_pipe.h: a connection to PostgreSQL for an event loop: nothing here waits. One transaction at a time.
#pragma once
#include "base/pg.h"

// A connection in libpq's pipeline mode. Its messages are those of one transaction, never of two: everything up to
// Sync is one implicit transaction, and it has ended when pipe_answer says so.
typedef struct Pipe Pipe;

typedef enum PipeState { PIPE_CONNECTING, PIPE_IDLE, PIPE_BUSY, PIPE_BROKEN } PipeState;

// Starts connecting; call pipe_go_on when the socket is ready. Fails with ERR_NO_MEMORY or ERR_UNREACHABLE.
MUST_CHECK bool pipe_open(Str dsn, const char *application, Pipe **out, Error *err);
void pipe_close(Pipe **pipe);
PipeState pipe_state(const Pipe *pipe);

// The descriptor to watch, -1 when there is none; while connecting, it may be another one after each pipe_go_on.
int pipe_socket(const Pipe *pipe);
// What to watch it for now, as poll and epoll have it: POLLIN, POLLOUT.
unsigned pipe_wants(const Pipe *pipe);
// Goes on with connecting, sending and receiving, as far as it gets without waiting. Fails with ERR_UNREACHABLE or
// ERR_FORBIDDEN: the connection is broken from then on.
MUST_CHECK bool pipe_go_on(Pipe *pipe, Error *err);

typedef struct PipeCall {
    Str search_path;    // empty: the connection's, and no timeouts
    int64_t statement_timeout_ms;
    int64_t lock_timeout_ms;
    Str sql;    // one statement, of which no part comes from outside
    Params params;
} PipeCall;
// Sends the settings, the statement and Sync, on a connection that is idle; what the socket doesn't take now goes by
// pipe_go_on. Reads nothing. Fails with ERR_UNREACHABLE (broken) or ERR_NO_MEMORY.
MUST_CHECK bool pipe_send(Pipe *pipe, const PipeCall *call, Error *err);

typedef struct PipeAnswer {
    Rows *rows;    // the caller's to close; NULL when it failed
    Error err;     // as db_query gives it
} PipeAnswer;
// True once, when the transaction has ended: PostgreSQL has answered Sync. A connection that breaks before has no
// answer.
bool pipe_answer(Pipe *pipe, PipeAnswer *out);

// The next notification that has come, copied into `arena`; false when there is none.
bool pipe_notification(Pipe *pipe, Arena *arena, Str *channel, Str *payload);
