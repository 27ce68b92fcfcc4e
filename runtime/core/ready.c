// runtime/core/ready.c: one request to a shopd.
#include "runtime/core/ready.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

enum { ADDRESS_TEXT = 256, PORT_TEXT = 8, ANSWER_BYTES = 32 };

static void infos_close(struct addrinfo **infos)
{
    if (*infos)
        freeaddrinfo(*infos);
}

static struct addrinfo *address_find(Str listen)
{
    char host[ADDRESS_TEXT], port[PORT_TEXT];
    Str first = str_trim(str_slice(listen, 0, str_find_char(listen, ',')));
    const char *colon = first.len ? memrchr(first.data, ':', first.len) : NULL;
    if (!colon)
        return NULL;
    Str address = str_slice(first, 0, (size_t)(colon - first.data)), number = str_skip(first, address.len + 1);
    if (str_has_prefix(address, S("[")))
        address = str_slice(address, 1, address.len - 1);
    if (str_eq(address, S("0.0.0.0")) || address.len == 0)
        address = S("127.0.0.1");
    else if (str_eq(address, S("::")))
        address = S("::1");
    (void)snprintf(host, sizeof(host), "%.*s", STR_ARG(address));
    (void)snprintf(port, sizeof(port), "%.*s", STR_ARG(number));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = NULL;
    return getaddrinfo(host, port, &hints, &found) == 0 ? found : NULL;
}

bool is_ready_at(Str listen, int64_t timeout_ms)
{
    static const char REQUEST[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const Str GOOD = S("HTTP/1.1 200 ");
    CLEANUP(infos_close) struct addrinfo *info = address_find(listen);
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    char answer[ANSWER_BYTES];
    CLEANUP(fd_close) int fd = info ? socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
           connect(fd, info->ai_addr, info->ai_addrlen) == 0 &&
           send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) == (ssize_t)strlen(REQUEST) &&
           recv(fd, answer, GOOD.len, MSG_WAITALL) == (ssize_t)GOOD.len &&
           str_has_prefix((Str){answer, GOOD.len}, GOOD);
}
