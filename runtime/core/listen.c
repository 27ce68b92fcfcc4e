// runtime/core/listen.c: sockets to accept from.
#include "runtime/core/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

enum { BACKLOG = 4096, TEXT = 128, INHERITED_FIRST = 3 };

void listen_close(Listening *listening)
{
    for (size_t i = 0; i < listening->count; i++)
        fd_close(&listening->sockets[i]);
    listening->count = 0;
}

static bool not_an_address(Str address, Error *err)
{
    error_set(err, ERR_USAGE, "'%.*s' isn't an address to listen on", STR_ARG(address));
    return error_next(err, "write ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080");
}

static bool address_split(Str address, char host[TEXT], char port[TEXT], Error *err)
{
    size_t colon = address.len;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    int64_t number;
    Error ignored = {0};
    if (colon == 0 || address.len >= TEXT || !str_int64(str_skip(address, colon), 0, UINT16_MAX, &number, &ignored))
        return not_an_address(address, err);
    Str name = str_slice(address, 0, colon - 1);
    if (str_has_prefix(name, S("[")) && str_has_suffix(name, S("]")))
        name = str_slice(name, 1, name.len - 1);
    else if (str_has_char(name, ':'))
        return not_an_address(address, err);
    (void)snprintf(host, TEXT, "%.*s", STR_ARG(name));
    (void)snprintf(port, TEXT, "%lld", (long long)number);
    return true;
}

static bool bind_failed(Str address, int number, Error *err)
{
    if (number == EADDRINUSE) {
        error_set(err, ERR_EXISTS, "another program listens on %.*s", STR_ARG(address));
        return error_next(err, "stop it, or choose another port with --listen");
    }
    error_from_errno(err, number, "shopd can't listen on %.*s", STR_ARG(address));
    if (number == EACCES)
        return error_next(err, "ports below 1024 need root, or a port above with --listen");
    return false;
}

static bool socket_open(const struct sockaddr *at, socklen_t size, Str address, int *out, Error *err)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(err, errno, "a socket can't be made");
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 || bind(fd, at, size) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int number = errno;
        fd_close(&fd);
        return bind_failed(address, number, err);
    }
    *out = fd;
    return true;
}

// With SO_REUSEPORT, two servers of one user could share an address without a word: a socket without it tells.
static bool is_free(const struct sockaddr *at, socklen_t size)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    bool in_use = fd >= 0 && bind(fd, at, size) != 0 && errno == EADDRINUSE;
    fd_close(&fd);
    return !in_use;
}

static bool address_open(Str address, int *out, Error *err)
{
    char host[TEXT] = "", port[TEXT] = "";
    if (!address_split(address, host, port, err))
        return false;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    int failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (failed != 0) {
        (void)not_an_address(address, err);
        return error_why(err, "%s", gai_strerror(failed));
    }
    bool ok = is_free(found->ai_addr, found->ai_addrlen)
                  ? socket_open(found->ai_addr, found->ai_addrlen, address, out, err)
                  : bind_failed(address, EADDRINUSE, err);
    freeaddrinfo(found);
    return ok;
}

bool listen_open(Str addresses, Listening *out, Error *err)
{
    Listening opened = {0};
    Str address;
    while (str_cut(&addresses, ',', &address)) {
        if (opened.count == LISTEN_MAX) {
            listen_close(&opened);
            return error_set(err, ERR_USAGE, "there are more than %d addresses to listen on", LISTEN_MAX);
        }
        if (!address_open(str_trim(address), &opened.sockets[opened.count], err)) {
            listen_close(&opened);
            return false;
        }
        opened.count++;
    }
    *out = opened;
    return true;
}

bool listen_again(const Listening *first, Listening *out, Error *err)
{
    Listening opened = {0};
    for (size_t i = 0; i < first->count; i++) {
        struct sockaddr_storage at = {0};
        socklen_t size = sizeof(at);
        if (getsockname(first->sockets[i], (struct sockaddr *)&at, &size) != 0 ||
            !socket_open((struct sockaddr *)&at, size, S("a further thread's address"), &opened.sockets[i], err)) {
            listen_close(&opened);
            return err->code != ERR_NONE ? false : error_from_errno(err, errno, "a socket's address can't be read");
        }
        opened.count++;
    }
    *out = opened;
    return true;
}

static int64_t environment_number(const char *name)
{
    int64_t number = 0;
    Error ignored = {0};
    return str_int64(str_of(getenv(name)), 0, INT32_MAX, &number, &ignored) ? number : 0;
}

void listen_inherited(Listening *out)
{
    *out = (Listening){0};
    if (environment_number("LISTEN_PID") != getpid())
        return;
    int64_t count = MIN(environment_number("LISTEN_FDS"), (int64_t)LISTEN_MAX);
    for (int i = 0; i < count; i++) {
        int fd = INHERITED_FIRST + i;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        out->sockets[out->count++] = fd;
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
}

unsigned listen_port(const Listening *listening)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {.v6 = {0}};
    socklen_t size = sizeof(at);
    if (listening->count == 0 || getsockname(listening->sockets[0], &at.any, &size) != 0)
        return 0;
    return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

void service_notify(Str state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof(at.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    size_t len = strlen(path);
    memcpy(at.sun_path, path, len);
    if (path[0] == '@')
        at.sun_path[0] = '\0';    // the abstract name space
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)sendto(fd, state.data, state.len, MSG_NOSIGNAL, (const struct sockaddr *)&at,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    fd_close(&fd);
}
