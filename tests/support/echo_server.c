// tests/support/echo_server.c: an HTTP server of one thread, one request for each connection.
#include "tests/support/echo_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/more_check.h"

enum { HEAD_MAX = 32 * KIB };

struct EchoServer {
    const char *name;
    int listener, bell;
    unsigned port;
    pthread_t thread;
};

static void answer(const EchoServer *server, int fd)
{
    char head[HEAD_MAX], text[HEAD_MAX + KIB];
    size_t length = 0;
    struct timeval timeout = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    while (length < sizeof(head) && !memmem(head, length, "\r\n\r\n", 4)) {
        ssize_t count = recv(fd, head + length, sizeof(head) - length, 0);
        if (count <= 0)
            return;
        length += (size_t)count;
    }
    bool is_busy = strncmp(head, "GET /busy ", strlen("GET /busy ")) == 0;
    int size = snprintf(text, sizeof(text),
                        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: "
                        "close\r\n\r\n%s\r\n%.*s",
                        is_busy ? "429 Too Many Requests" : "200 OK", strlen(server->name) + 2 + length, server->name,
                        (int)length, head);
    (void)!send(fd, text, (size_t)size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    (void)!recv(fd, head, sizeof(head), 0);
}

static void *serve(void *context)
{
    const EchoServer *server = context;
    struct pollfd both[] = {{.fd = server->listener, .events = POLLIN}, {.fd = server->bell, .events = POLLIN}};
    while (poll(both, COUNT(both), -1) > 0 && !both[1].revents) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            answer(server, fd);
        fd_close(&fd);
    }
    return NULL;
}

EchoServer *echo_server_open(const char *name, unsigned port)
{
    EchoServer *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int on = 1;
    ck_assert_ptr_nonnull(server);
    server->name = name;
    server->bell = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(server->listener, SOMAXCONN), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

unsigned echo_server_port(const EchoServer *server) { return server->port; }

void echo_server_close(EchoServer **server)
{
    if (!*server)
        return;
    ck_assert_int_eq(eventfd_write((*server)->bell, 1), 0);
    ck_assert_int_eq(pthread_join((*server)->thread, NULL), 0);
    fd_close(&(*server)->listener);
    fd_close(&(*server)->bell);
    free(*server);
    *server = NULL;
}
