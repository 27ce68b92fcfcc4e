// runtime/core/target.c: request targets and host names.
#include "runtime/core/target.h"

static const bool HOST_BYTE[256] = {
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1};
static const bool IPV6_BYTE[256] = {['a' ... 'f'] = 1, ['A' ... 'F'] = 1, ['0' ... '9'] = 1, [':'] = 1, ['.'] = 1};

static bool refused(Error *err, const char *where, const char *why)
{
    error_set(err, ERR_MALFORMED, "the request can't be read");
    error_where(err, "%s", where);
    return error_why(err, "%s", why);
}

static bool all_of(Str text, const bool table[256])
{
    for (size_t i = 0; i < text.len; i++)
        if (!table[(unsigned char)text.data[i]])
            return false;
    return text.len > 0;
}

// The part before the port; false where the port isn't one.
static bool port_cut(Str authority, Str *host)
{
    size_t at = authority.len;
    while (at > 0 && authority.data[at - 1] >= '0' && authority.data[at - 1] <= '9')
        at--;
    if (at == 0 || authority.data[at - 1] != ':') {
        *host = authority;
        return true;
    }
    enum { PORT_MAX = 65535 };
    uint32_t port = 0;
    *host = str_slice(authority, 0, at - 1);
    for (; at < authority.len && port <= PORT_MAX; at++)
        port = port * 10 + (uint32_t)(authority.data[at] - '0');
    return port <= PORT_MAX;
}

static bool has_capital(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= 'A' && text.data[i] <= 'Z')
            return true;
    return false;
}

bool host_normal(Str authority, Arena *arena, Str *out, Error *err)
{
    Str host;
    if (authority.len > HOST_MAX || !port_cut(authority, &host))
        return refused(err, "Host", "it is too long, or its port isn't a port");
    if (str_has_prefix(host, S("["))) {
        if (!str_has_suffix(host, S("]")) || !all_of(str_slice(host, 1, host.len - 1), IPV6_BYTE))
            return refused(err, "Host", "it isn't an IPv6 address in brackets");
    } else {
        if (str_has_suffix(host, S(".")))
            host.len--;
        if (!all_of(host, HOST_BYTE) || host.data[0] == '.' || str_has_suffix(host, S(".")) ||
            str_find(host, S("..")) < host.len)
            return refused(err, "Host", "a part of it is empty, or it has a byte that no host's name has");
    }
    *out = has_capital(host) ? str_lower(arena, host) : host;
    return arena_ok(arena, err);
}

static bool absolute_target(Request *r, Str rest, Error *err)
{
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    Str host = S("");
    if (!host_normal(str_slice(rest, 0, end), r->arena, &host, err))
        return false;
    if (r->host.len > 0 && !str_eq(host, r->host))
        return refused(err, "Host", "the target names another host");
    r->host = host;
    r->authority = str_slice(rest, 0, end);
    r->path = str_skip(rest, end);
    return true;
}

bool target_read(Request *r, Str host_header, Error *err)
{
    if (host_header.data && !host_normal(host_header, r->arena, &r->host, err))
        return false;
    r->authority = host_header;
    r->path = r->target;
    if (str_eq(r->target, S("*")) && r->method == METHOD_OPTIONS)
        return true;
    if (r->target.data[0] != '/') {
        bool is_http = str_has_prefix(r->target, S("http://"));
        if (!is_http && !str_has_prefix(r->target, S("https://")))
            return refused(err, "target", "it is neither a path nor a URL");
        if (!absolute_target(r, str_skip(r->target, is_http ? 7 : 8), err))
            return false;
    }
    size_t mark = str_find_char(r->path, '?');
    if (mark < r->path.len) {
        r->query = str_skip(r->path, mark + 1);
        r->path.len = mark;
    }
    if (r->path.len == 0)
        r->path = S("/");
    return true;
}
