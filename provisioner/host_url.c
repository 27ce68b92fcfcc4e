// provisioner/host_url.c: URLs of hosts.
#include "provisioner/host_url.h"

#include "base/arena.h"

enum { TLS_PORT = 2376, SSH_PORT = 22, PORT_MAX = 65535, HOST_MAX = 253, PATH_BYTES_MAX = 100 };

static bool url_refused(Str url, const char *why, Error *err)
{
    error_set(err, ERR_INVALID, "the URL '%.*s' of the host is refused", STR_ARG(url));
    error_where(err, "url");
    error_why(err, "%s", why);
    return error_next(err,
                      "write unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST[:PORT][/run/docker.sock]");
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == ':' || c == '%' || c == '_';
}

static bool is_of(Str text, bool (*is_right)(char c))
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_right(text.data[i]))
            return false;
    return true;
}

static bool is_user_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}

static bool is_path_char(char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '"' && c != '\\'; }

// HOST[:PORT], an IPv6 address in brackets.
static bool authority_parse(Str url, Str text, int64_t port, HostUrl *out, Error *err)
{
    Error ignored = {0};
    Str after;
    out->port = port;
    if (str_has_prefix(text, S("["))) {
        size_t end = str_find_char(text, ']');
        if (end == text.len)
            return url_refused(url, "a bracket isn't closed", err);
        out->host = str_slice(text, 1, end);
        after = str_skip(text, end + 1);
    } else {
        size_t end = str_find_char(text, ':');
        out->host = str_slice(text, 0, end);
        after = str_skip(text, end);
        if (str_has_char(str_skip(after, 1), ':'))
            return url_refused(url, "an IPv6 address stands in brackets", err);
    }
    if (out->host.len == 0 || out->host.len > HOST_MAX || !is_of(out->host, is_host_char) || out->host.data[0] == '-')
        return url_refused(url, "it names no host", err);
    if (after.len && (after.data[0] != ':' || !str_int64(str_skip(after, 1), 1, PORT_MAX, &out->port, &ignored)))
        return url_refused(url, "its port isn't from 1 to 65535", err);
    return true;
}

static bool socket_check(Str url, Str path, Error *err)
{
    if (path.len <= 1 || path.data[0] != '/')
        return url_refused(url, "the path of the engine's socket is missing", err);
    if (path.len > PATH_BYTES_MAX)
        return url_refused(url, "the path is longer than a socket's can be", err);
    return is_of(path, is_path_char) || url_refused(url, "the path has a character that no socket's should have", err);
}

static bool unix_parse(Str url, Str rest, HostUrl *out, Error *err)
{
    out->transport = HOST_UNIX;
    out->socket = rest;
    return socket_check(url, rest, err);
}

static bool tcp_parse(Str url, Str rest, HostUrl *out, Error *err)
{
    out->transport = HOST_TCP;
    if (str_has_suffix(rest, S("/")))
        rest = str_slice(rest, 0, rest.len - 1);
    if (str_has_char(rest, '/'))
        return url_refused(url, "tcp:// takes no path", err);
    if (str_has_char(rest, '@'))
        return url_refused(url, "tcp:// takes no user: certificates say who we are (--tls-dir)", err);
    return authority_parse(url, rest, TLS_PORT, out, err);
}

static bool ssh_parse(Str url, Str rest, HostUrl *out, Error *err)
{
    size_t slash = str_find_char(rest, '/');
    Str authority = str_slice(rest, 0, slash), path = str_skip(rest, slash);
    size_t at = str_find_char(authority, '@');
    out->transport = HOST_SSH;
    if (at < authority.len) {
        out->user = str_slice(authority, 0, at);
        authority = str_skip(authority, at + 1);
        if (str_has_char(out->user, ':'))
            return url_refused(url, "it holds a password: use a key", err);
        if (out->user.len == 0 || !is_of(out->user, is_user_char))
            return url_refused(url, "the user's name is refused", err);
    }
    out->socket = path.len > 1 ? path : S(ENGINE_SOCKET);
    return socket_check(url, out->socket, err) && authority_parse(url, authority, SSH_PORT, out, err);
}

bool host_url_parse(Str url, Arena *arena, HostUrl *out, Error *err)
{
    static const struct {
        Str scheme;
        bool (*parse)(Str url, Str rest, HostUrl *out, Error *err);
    } SCHEMES[] = {{S("unix://"), unix_parse}, {S("tcp://"), tcp_parse}, {S("ssh://"), ssh_parse}};
    for (size_t i = 0; i < COUNT(SCHEMES); i++) {
        HostUrl parsed = {0};
        if (!str_has_prefix(url, SCHEMES[i].scheme))
            continue;
        if (!SCHEMES[i].parse(url, str_skip(url, SCHEMES[i].scheme.len), &parsed, err))
            return false;
        parsed.socket = str_copy(arena, parsed.socket);
        parsed.user = str_copy(arena, parsed.user);
        parsed.host = str_copy(arena, parsed.host);
        if (!arena_ok(arena, err))
            return false;
        *out = parsed;
        return true;
    }
    return url_refused(url, "it begins with none of unix://, tcp:// and ssh://", err);
}
