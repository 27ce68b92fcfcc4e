// provisioner/address.c: addresses to listen on.
#include "provisioner/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

enum { NAME_MAX_BYTES = 256, PORT_MAX = 65535, ANSWER_MAX = 512 };

typedef struct Address {
    char host[NAME_MAX_BYTES];    // empty: all of this machine's
    char port[8];
} Address;

static Str first_of(Str listen) { return str_trim(str_slice(listen, 0, str_find_char(listen, ','))); }

static bool address_parse(Str text, Address *out, Error *err)
{
    Error ignored = {0};
    const char *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    Str host = colon ? str_slice(text, 0, (size_t)(colon - text.data)) : S("");
    Str port = colon ? str_skip(text, host.len + 1) : S("");
    bool is_bracketed = str_has_prefix(host, S("[")) && str_has_suffix(host, S("]"));
    int64_t number = 0;
    if (!colon || host.len >= NAME_MAX_BYTES || (str_has_char(host, ':') && !is_bracketed) ||
        str_has_char(host, '\0') || !str_int64(port, 1, PORT_MAX, &number, &ignored)) {
        error_set(err, ERR_INVALID, "the address '%.*s' is refused", STR_ARG(text));
        error_why(err, "it isn't ADDRESS:PORT with a port from 1 to %d", PORT_MAX);
        return error_next(err, "write it as in 127.0.0.1:8080 or [::1]:8080");
    }
    if (is_bracketed)
        host = str_slice(host, 1, host.len - 1);
    (void)snprintf(out->host, sizeof(out->host), "%.*s", STR_ARG(host));
    (void)snprintf(out->port, sizeof(out->port), "%d", (int)number);
    return true;
}

static void infos_close(struct addrinfo **infos)
{
    if (*infos)
        freeaddrinfo(*infos);
}

static bool bind_failed(Str text, int number, Error *err)
{
    error_from_errno(err, number, "shopd can't listen on '%.*s'", STR_ARG(text));
    if (number == EADDRINUSE) {
        err->code = ERR_EXISTS;
        error_why(err, "another process listens there");
    }
    return error_next(err, "choose another one by --listen ADDRESS:PORT");
}

// A socket that is bound; with `is_shared` others of this user's may be bound to the same address. It is the caller's
// to close, also after a failure.
static bool bind_to(Str text, bool is_shared, int *out, Error *err)
{
    Address address = {0};
    CLEANUP(infos_close) struct addrinfo *infos = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    *out = -1;
    if (!address_parse(text, &address, err))
        return false;
    int failure = getaddrinfo(address.host[0] ? address.host : NULL, address.port, &hints, &infos);
    if (failure) {
        error_set(err, ERR_INVALID, "the address '%.*s' is refused", STR_ARG(text));
        return error_why(err, "%s", gai_strerror(failure));
    }
    *out = socket(infos->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    bool is_v6 = infos->ai_family == AF_INET6;
    if (*out < 0 || setsockopt(*out, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (is_v6 && setsockopt(*out, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        (is_shared && setsockopt(*out, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0))
        return error_from_errno(err, errno, "the address '%.*s' can't be tried", STR_ARG(text));
    return bind(*out, infos->ai_addr, infos->ai_addrlen) == 0 || bind_failed(text, errno, err);
}

// Not shared: else another shopd there would share its visitors with ours.
static bool can_bind(Str text, Error *err)
{
    CLEANUP(fd_close) int fd = -1;
    return bind_to(text, false, &fd, err);
}

void listeners_close(Listeners *listeners)
{
    while (listeners->count > 0)
        fd_close(&listeners->sockets[--listeners->count]);
}

bool listeners_open(Str listen, Listeners *out, Error *err)
{
    Listeners opened = {0};
    Str part;
    bool ok = true;
    while (ok && str_cut(&listen, ',', &part)) {
        if (opened.count == LISTENERS_MAX)
            ok = error_set(err, ERR_INVALID, "there are more than %d addresses to listen on", LISTENERS_MAX);
        else
            ok = bind_to(str_trim(part), true, &opened.sockets[opened.count++], err);
    }
    if (!ok)
        listeners_close(&opened);
    else
        *out = opened;
    return ok;
}

bool listeners_listen(const Listeners *listeners, Error *err)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listen(listeners->sockets[i], LISTENERS_BACKLOG) != 0)
            return error_from_errno(err, errno, "the platform's address can't be listened on");
    return true;
}

bool address_check(Str listen, Error *err)
{
    Str rest = listen, part;
    while (str_cut(&rest, ',', &part))
        if (!can_bind(str_trim(part), err))
            return false;
    return true;
}

bool address_list_check(Str listen, Error *err)
{
    Address address = {0};
    Str rest = listen, part;
    size_t count = 0;
    for (; str_cut(&rest, ',', &part); count++)
        if (!address_parse(str_trim(part), &address, err))
            return false;
    return count > 0 || address_parse(S(""), &address, err);
}

static bool is_any(const Address *address)
{
    static const char *const ANY[] = {"", "*", "0.0.0.0", "::"};
    bool is_one = false;
    for (size_t i = 0; i < COUNT(ANY); i++)
        is_one = is_one || strcmp(address->host, ANY[i]) == 0;
    return is_one;
}

static bool is_same_place(const Address *a, const Address *b)
{
    return strcmp(a->port, b->port) == 0 && (is_any(a) || is_any(b) || strcmp(a->host, b->host) == 0);
}

bool address_lists_differ(Str listen, Str other, Error *err)
{
    Address a = {0}, b = {0};
    Str part;
    while (str_cut(&listen, ',', &part)) {
        if (!address_parse(str_trim(part), &a, err))
            return false;
        Str rest = other, with;
        while (str_cut(&rest, ',', &with)) {
            if (!address_parse(str_trim(with), &b, err))
                return false;
            if (!is_same_place(&a, &b))
                continue;
            error_set(err, ERR_INVALID, "the address '%.*s' is refused", STR_ARG(str_trim(with)));
            error_why(err, "'%.*s' is for something else", STR_ARG(str_trim(part)));
            return error_next(err, "choose another port");
        }
    }
    return true;
}

static const char *reachable_host(const Address *address)
{
    if (strcmp(address->host, "::") == 0)
        return "::1";
    return is_any(address) ? "127.0.0.1" : address->host;
}

bool address_url(Str listen, Arena *arena, Str *out, Error *err)
{
    Address address = {0};
    if (!address_parse(first_of(listen), &address, err))
        return false;
    const char *host = reachable_host(&address);
    bool is_v6 = strchr(host, ':') != NULL;
    *out = str_format(arena, "http://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", address.port);
    return arena_ok(arena, err);
}

Str address_of_url(Str url)
{
    static const Str OURS[] = {S("127."), S("localhost:"), S("[::1]:")};
    if (!str_has_prefix(url, S("http://")))
        return S("");
    Str address = str_skip(url, strlen("http://"));
    address = str_slice(address, 0, str_find_char(address, '/'));
    for (size_t i = 0; i < COUNT(OURS); i++)
        if (str_has_prefix(address, OURS[i]))
            return address;
    return S("");
}

static bool is_host_byte(char c, bool is_v6)
{
    bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_hex || (is_v6 ? c == ':' || c == '.' : is_letter || c == '-' || c == '.' || c == '_');
}

static bool is_host(Str host)
{
    bool is_v6 = str_has_prefix(host, S("[")) && str_has_suffix(host, S("]"));
    Str inner = is_v6 ? str_slice(host, 1, host.len - 1) : host;
    bool is_right = inner.len > 0 && inner.len < NAME_MAX_BYTES;
    for (size_t i = 0; i < inner.len; i++)
        is_right = is_right && is_host_byte(inner.data[i], is_v6);
    return is_right;
}

bool address_url_check(Str url, Error *err)
{
    static const Str SCHEMES[] = {S("http://"), S("https://")};
    Error ignored = {0};
    for (size_t i = 0; i < COUNT(SCHEMES); i++) {
        if (!str_has_prefix(url, SCHEMES[i]))
            continue;
        Str rest = str_skip(url, SCHEMES[i].len);
        if (str_has_suffix(rest, S("/")))
            rest = str_slice(rest, 0, rest.len - 1);
        const char *colon = rest.len ? memrchr(rest.data, ':', rest.len) : NULL;
        bool has_port = colon && !str_has_suffix(rest, S("]"));
        size_t length = has_port ? (size_t)(colon - rest.data) : rest.len;
        int64_t port = 0;
        if (is_host(str_slice(rest, 0, length)) &&
            (!has_port || str_int64(str_skip(rest, length + 1), 1, PORT_MAX, &port, &ignored)))
            return true;
    }
    error_set(err, ERR_INVALID, "the URL '%.*s' is refused", STR_ARG(str_slice(url, 0, NAME_MAX_BYTES)));
    error_where(err, "url");
    error_why(err, "it isn't http://HOST[:PORT] or https://HOST[:PORT], without a path");
    return error_next(err, "write it as in http://127.0.0.1:8081");
}

bool address_of_server(Str url, Arena *arena, Str *out, Error *err)
{
    static const Str PLAIN = S("http://");
    Address address = {0};
    CLEANUP(infos_close) struct addrinfo *infos = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char host[NI_MAXHOST];
    if (!address_url_check(url, err))
        return false;
    if (!str_has_prefix(url, PLAIN)) {
        error_set(err, ERR_INVALID, "the URL '%.*s' is refused", STR_ARG(url));
        error_why(err, "it isn't http://");
        return error_next(err, "give it as http://HOST:PORT, as the gateway reaches it");
    }
    Str authority = str_skip(url, PLAIN.len);
    authority = str_slice(authority, 0, str_find_char(authority, '/'));
    const char *colon = memrchr(authority.data, ':', authority.len);
    if (!colon || str_has_suffix(authority, S("]")))
        authority = str_format(arena, "%.*s:80", STR_ARG(authority));
    if (!arena_ok(arena, err) || !address_parse(authority, &address, err))
        return false;
    int failure = getaddrinfo(address.host, address.port, &hints, &infos);
    if (failure == 0)
        failure = getnameinfo(infos->ai_addr, infos->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
    if (failure) {
        error_set(err, ERR_UNREACHABLE, "the server of '%.*s' can't be found", STR_ARG(url));
        error_why(err, "%s", gai_strerror(failure));
        return error_next(err, "give its address as a number");
    }
    *out = str_format(arena, infos->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, address.port);
    return arena_ok(arena, err);
}

bool is_address_loopback(Str host)
{
    return str_has_prefix(host, S("127.")) || str_eq(host, S("::1")) || str_eq(host, S("localhost"));
}

bool address_towards(Str text, Arena *arena, Str *out, Error *err)
{
    Address address = {0};
    CLEANUP(infos_close) struct addrinfo *infos = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof(own);
    char host[NI_MAXHOST];
    if (!address_parse(text, &address, err))
        return false;
    int failure = getaddrinfo(address.host, address.port, &hints, &infos);
    CLEANUP(fd_close) int fd = failure ? -1 : socket(infos->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, infos->ai_addr, infos->ai_addrlen) != 0 ||    // sends nothing
        getsockname(fd, (struct sockaddr *)&own, &size) != 0 ||
        getnameinfo((struct sockaddr *)&own, size, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0) {
        error_set(err, ERR_UNREACHABLE, "no way leads to '%.*s'", STR_ARG(text));
        return failure ? error_why(err, "%s", gai_strerror(failure)) : false;
    }
    *out = str_copy(arena, str_of(host));
    return arena_ok(arena, err);
}

static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, (int)MAX(deadline_ms - clock_ms(), (int64_t)0)) > 0;
}

static int connect_to(const Address *address, int64_t deadline_ms)
{
    CLEANUP(infos_close) struct addrinfo *infos = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    if (getaddrinfo(reachable_host(address), address->port, &hints, &infos) != 0)
        return -1;
    int fd = socket(infos->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && (connect(fd, infos->ai_addr, infos->ai_addrlen) == 0 ||
                          (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline_ms)));
    if (!ok)
        fd_close(&fd);
    return fd;
}

bool is_address_ready(Str listen, int64_t timeout_ms)
{
    static const char REQUEST[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const Str GOOD = S("HTTP/1.1 200 ");
    int64_t deadline_ms = clock_ms() + timeout_ms;
    Error ignored = {0};
    Address address = {0};
    if (!address_parse(first_of(listen), &address, &ignored))
        return false;
    CLEANUP(fd_close) int fd = connect_to(&address, deadline_ms);
    if (fd < 0 || send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) != (ssize_t)strlen(REQUEST))
        return false;
    char answer[ANSWER_MAX];
    size_t length = 0;
    while (length < GOOD.len && wait_for(fd, POLLIN, deadline_ms)) {
        ssize_t count = recv(fd, answer + length, sizeof(answer) - length, 0);
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    return str_has_prefix((Str){answer, length}, GOOD);
}
