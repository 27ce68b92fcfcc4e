// runtime/core/access.h: a line per answered request on standard error, written once a turn and never waited for.
#pragma once
#include "runtime/core/loop.h"
#include "runtime/core/metrics.h"
#include "runtime/core/stamp.h"

typedef struct AccessLine {
    Str request_id;
    Str client;    // the address, through trusted proxies
    Str tenant;    // slug, or empty
    Str route;     // the pattern, or empty where none matched
    Str method;
    Str trace_id;    // of traceparent, or empty
    Str error;       // the error's name, or empty
    int status;      // 499: the client went before the answer
    int64_t duration_us;
    size_t bytes;
} AccessLine;

typedef struct AccessLog AccessLog;

// A thread's log, in `arena`, to the descriptor `fd`. Fails with ERR_NO_MEMORY.
MUST_CHECK bool access_open(Loop *loop, int fd, Metrics *metrics, Arena *arena, AccessLog **out, Error *err);
// Adds {"time","level":"info","event":"request",...}; it is written at the end of the turn. Lines that the reader has
// no room for are dropped and counted (COUNTER_LOG_DROPPED); a slow reader never holds up a request.
void access_add(AccessLog *log, const AccessLine *line, const Stamp *now);
void access_flush(AccessLog *log);
