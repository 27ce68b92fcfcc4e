// provisioner/haproxy_socket.c: the stats socket of HAProxy.
#include "provisioner/haproxy_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

enum { ANSWER_MS = 10000, STEP = 16 * KIB };

static bool silent(Str socket_path, Error *err, const char *why)
{
    error_set(err, ERR_UNREACHABLE, "no HAProxy answers at '%.*s'", STR_ARG(socket_path));
    return error_why(err, "%s", why);
}

// *out_fd is the caller's to close, also after a failure.
static bool connected(Str path, int *out_fd, Error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path.len >= sizeof(address.sun_path)) {
        error_set(err, ERR_INVALID, "the socket '%.*s' can't be used", STR_ARG(path));
        return error_why(err, "its path is too long");
    }
    memcpy(address.sun_path, path.data, path.len);
    *out_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*out_fd >= 0 && connect(*out_fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    int number = errno;
    if (number == ENOENT || number == ECONNREFUSED)
        return silent(path, err, number == ENOENT ? "there is no such socket" : "nobody listens there");
    return error_from_errno(err, number, "HAProxy's socket '%.*s' can't be used", STR_ARG(path));
}

static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    int ready = 0;
    do
        ready = poll(&one, 1, (int)MAX(deadline_ms - clock_ms(), (int64_t)0));
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static bool send_all(int fd, Str bytes, int64_t deadline_ms)
{
    while (bytes.len) {
        ssize_t count = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (count < 0 && !wait_for(fd, POLLOUT, deadline_ms))
            return false;
        bytes = str_skip(bytes, count < 0 ? 0 : (size_t)count);
    }
    return true;
}

bool haproxy_socket_ask(Str socket_path, Str command, Arena *arena, Str *out, Error *err)
{
    CLEANUP(fd_close) int fd = -1;
    int64_t deadline_ms = clock_ms() + ANSWER_MS;
    if (!connected(socket_path, &fd, err))
        return false;
    if (!send_all(fd, command, deadline_ms) || !send_all(fd, S("\n"), deadline_ms) || shutdown(fd, SHUT_WR) != 0)
        return silent(socket_path, err, "it took no command");
    StrBuf answer = {.arena = arena};
    char step[STEP];
    for (;;) {
        if (!wait_for(fd, POLLIN, deadline_ms))
            return silent(socket_path, err, "its answer didn't come in time");
        ssize_t count = recv(fd, step, sizeof(step), 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return silent(socket_path, err, "it closed the connection");
        if (count == 0)
            break;
        strbuf_add(&answer, (Str){step, (size_t)count});
    }
    *out = strbuf_str(&answer);
    return arena_ok(arena, err);
}
