// runtime/core/access.c: the access log: JSON lines in a buffer of the thread.
#include "runtime/core/access.h"

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

enum { BUFFER = 64 * KIB, LINE_MAX_BYTES = 2 * KIB, VALUE_MAX = 200 };

struct AccessLog {
    Deferred flush;
    Loop *loop;
    Metrics *metrics;
    int fd;
    bool is_file;    // never full
    size_t len;
    char buffer[BUFFER];
};

static void flush_run(Deferred *deferred) { access_flush(container_of(deferred, AccessLog, flush)); }

bool access_open(Loop *loop, int fd, Metrics *metrics, Arena *arena, AccessLog **out, Error *err)
{
    AccessLog *log = arena_new(arena, AccessLog);
    if (!arena_ok(arena, err))
        return false;
    struct stat about;
    log->flush.run = flush_run;
    log->loop = loop;
    log->metrics = metrics;
    log->fd = fd;
    log->is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    *out = log;
    return true;
}

// ---- writing ----

// The length of the whole lines at the start of `text` that fit into `room`.
static size_t whole_lines(Str text, size_t room)
{
    if (text.len <= room)
        return text.len;
    const char *end = memrchr(text.data, '\n', room);
    return end ? (size_t)(end - text.data) + 1 : 0;
}

static size_t lines_in(Str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == '\n';
    return count;
}

// A pipe that poll calls writable takes PIPE_BUF bytes at once, whole and unmixed (pipe(7)), without our having to
// change the flags of a descriptor that others share.
static bool has_room(const AccessLog *log)
{
    struct pollfd fd = {.fd = log->fd, .events = POLLOUT};
    return log->is_file || (poll(&fd, 1, 0) == 1 && (fd.revents & (POLLOUT | POLLERR)) == POLLOUT);
}

void access_flush(AccessLog *log)
{
    Str rest = {log->buffer, log->len};
    while (rest.len > 0) {
        size_t count = log->is_file ? rest.len : whole_lines(rest, PIPE_BUF);
        if (count == 0 || !has_room(log))
            break;
        ssize_t written = write(log->fd, rest.data, count);
        if (written <= 0)
            break;
        rest = str_skip(rest, (size_t)written);
    }
    metrics_add(log->metrics, COUNTER_LOG_DROPPED, (int64_t)lines_in(rest));
    log->len = 0;
}

// ---- a line ----

// All values are of our own making or checked (tokens, hex, patterns); what isn't plain is replaced, in case.
static char *value_put(char *at, Str key, Str value)
{
    if (value.len == 0)
        return at;
    at = put_str(at, key);
    for (size_t i = 0; i < MIN(value.len, (size_t)VALUE_MAX); i++) {
        char c = value.data[i];
        *at++ = c == '"' || c == '\\' || c < 0x20 || c > 0x7E ? '?' : c;
    }
    *at++ = '"';
    return at;
}

void access_add(AccessLog *log, const AccessLine *line, const Stamp *now)
{
    if (!log_is_on(LOG_INFO))
        return;
    if (log->len + LINE_MAX_BYTES > BUFFER)
        access_flush(log);
    char *at = log->buffer + log->len;
    at = put_str(at, S("{\"time\":\""));
    at = put_str(at, stamp_rfc3339(now));
    at = put_str(at, S("\",\"level\":\"info\",\"event\":\"request\""));
    at = value_put(at, S(",\"request_id\":\""), line->request_id);
    at = value_put(at, S(",\"client\":\""), line->client);
    at = value_put(at, S(",\"tenant\":\""), line->tenant);
    at = value_put(at, S(",\"route\":\""), line->route);
    at = value_put(at, S(",\"method\":\""), line->method);
    at = put_str(at, S(",\"status\":"));
    at = put_uint(at, (uint64_t)line->status);
    at = put_str(at, S(",\"duration_us\":"));
    at = put_uint(at, (uint64_t)MAX(line->duration_us, (int64_t)0));
    at = put_str(at, S(",\"bytes\":"));
    at = put_uint(at, line->bytes);
    at = value_put(at, S(",\"trace_id\":\""), line->trace_id);
    at = value_put(at, S(",\"error\":\""), line->error);
    at = put_str(at, S("}\n"));
    log->len = (size_t)(at - log->buffer);
    loop_defer(log->loop, &log->flush);
}
