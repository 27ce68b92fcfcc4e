// bench/ceiling.c: what a server could make at most: a loop of receive and send that looks at nothing, and answers
// each read with the same file: ceiling PORT FILE CONTENT_TYPE.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { EVENTS = 256, READ_STEP = 8 * KIB, FILE_MAX = MIB, BUDGET = 4 * MIB };

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "ceiling: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl", strerror(errno));
}

static int listener_open(uint16_t port)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, SOMAXCONN) != 0)
        die("listen", strerror(errno));
    return fd;
}

// An answer fits into the socket's buffer: what doesn't would have to wait, and is an error of the measurement.
static void answer(int fd, Str text)
{
    char request[READ_STEP];
    if (recv(fd, request, sizeof(request), 0) <= 0)
        (void)close(fd);
    else if (send(fd, text.data, text.len, MSG_NOSIGNAL) != (ssize_t)text.len)
        die("send", "the answer doesn't fit");
}

int main(int argc, char **argv)
{
    Error err = {0};
    int64_t port = 0;
    Str body;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    if (argc != 4 || !str_int64(str_of(argv[1]), 1, UINT16_MAX, &port, &err) ||
        !file_read(str_of(argv[2]), FILE_MAX, arena, &body, &err))
        die("ceiling PORT FILE CONTENT_TYPE", err.what);
    Str text = str_format(arena, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%.*s", argv[3],
                          body.len, STR_ARG(body));
    int listener = listener_open((uint16_t)port), epoll = epoll_create1(EPOLL_CLOEXEC), on = 1;
    if (!arena_ok(arena, &err) || epoll < 0)
        die("start", err.what);
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                answer(fd, text);
                continue;
            }
            int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (client >= 0 && setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
                watch(epoll, client);
        }
    }
}
