// provisioner/haproxy.c: what is asked of a running HAProxy, and how its answers are read.
#include "provisioner/haproxy.h"

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/haproxy_socket.h"

enum {
    CHUNK = 8 * KIB,    // of a payload: a command has to fit into HAProxy's buffer of 16 KiB
    STATUS_MAX = 4 * KIB,
    COLUMNS_MAX = 160,
};

static bool malformed(const Haproxy *haproxy, Error *err, const char *command)
{
    error_set(err, ERR_MALFORMED, "HAProxy at '%.*s' can't be understood", STR_ARG(haproxy->socket));
    error_why(err, "its answer to '%s' has another form", command);
    return error_next(err, "use HAProxy 2.6, as Debian 12 has it");
}

static Str first_line(Str text) { return str_slice(text, 0, str_find_char(text, '\n')); }

// ---- what runs

// The text after "NAME: " of `show info`, unquoted.
static Str info_value(Str info, Str name)
{
    Str line;
    while (str_cut(&info, '\n', &line))
        if (str_has_prefix(line, name) && line.len > name.len && line.data[name.len] == ':')
            return str_trim(str_skip(line, name.len + 1));
    return S("");
}

typedef struct StatColumns {
    size_t backend, server, sessions, status, address;
} StatColumns;

static bool columns_find(Str head, StatColumns *out)
{
    const struct {
        Str name;
        size_t *place;
    } wanted[] = {{S("# pxname"), &out->backend},
                  {S("svname"), &out->server},
                  {S("scur"), &out->sessions},
                  {S("status"), &out->status},
                  {S("addr"), &out->address}};
    size_t found = 0, position = 0;
    Str name;
    for (; str_cut(&head, ',', &name); position++)
        for (size_t i = 0; i < COUNT(wanted); i++)
            if (str_eq(name, wanted[i].name)) {
                *wanted[i].place = position;
                found++;
            }
    return found == COUNT(wanted) && position <= COLUMNS_MAX;
}

static bool server_read(Str line, const StatColumns *columns, HaproxyServer *out)
{
    Str values[COLUMNS_MAX] = {0};
    Error ignored = {0};
    size_t count = 0;
    while (count < COLUMNS_MAX && str_cut(&line, ',', &values[count]))
        count++;
    *out = (HaproxyServer){.backend = values[columns->backend],
                           .name = values[columns->server],
                           .address = values[columns->address],
                           .state = values[columns->status]};
    return str_int64(values[columns->sessions], 0, INT64_MAX, &out->sessions, &ignored) && out->name.len;
}

static bool servers_read(Haproxy *haproxy, Str text, Arena *arena, Error *err)
{
    StatColumns columns = {0};
    Str line;
    size_t line_max = 0;
    for (size_t i = 0; i < text.len; i++)
        line_max += text.data[i] == '\n';
    haproxy->servers = arena_array(arena, line_max + 1, HaproxyServer);
    if (!arena_ok(arena, err))
        return false;
    if (!str_cut(&text, '\n', &line) || !columns_find(line, &columns))
        return malformed(haproxy, err, "show stat");
    while (str_cut(&text, '\n', &line)) {
        if (str_trim(line).len == 0)
            continue;
        if (!server_read(line, &columns, &haproxy->servers[haproxy->server_count++]))
            return malformed(haproxy, err, "show stat");
    }
    return true;
}

bool haproxy_open(Str socket, Arena *arena, Haproxy *out, Error *err)
{
    Str info, servers;
    Error ignored = {0};
    *out = (Haproxy){.socket = socket};
    if (!haproxy_socket_ask(socket, S("show info"), arena, &info, err) ||
        !haproxy_socket_ask(socket, S("show stat -1 4 -1"), arena, &servers, err))
        return false;
    out->description = info_value(info, S("description"));
    if (!str_int64(info_value(info, S("Pid")), 1, INT32_MAX, &out->pid, &ignored))
        return malformed(out, err, "show info");
    return servers_read(out, servers, arena, err);
}

// ---- maps

bool haproxy_map(const Haproxy *haproxy, const char *name, Arena *arena, GatewayMap *out, Error *err)
{
    Str text, command = str_format(arena, "show map %s", name);
    if (!arena_ok(arena, err) || !haproxy_socket_ask(haproxy->socket, command, arena, &text, err))
        return false;
    if (str_has_prefix(text, S("0x")) || str_trim(text).len == 0)
        return gateway_map_read(text, true, arena, out, err);
    error_set(err, ERR_NOT_FOUND, "HAProxy at '%.*s' has no map '%s'", STR_ARG(haproxy->socket), name);
    error_why(err, "it says: %.*s", STR_ARG(first_line(text)));
    return error_next(err, "start it with the configuration of shopctl gateway render");
}

// A command that is answered with nothing, or with one of the texts that say that it is done.
static bool ask(const Haproxy *haproxy, Str command, const Str *good, size_t good_count, Arena *arena, Error *err)
{
    Str answer;
    if (!haproxy_socket_ask(haproxy->socket, command, arena, &answer, err))
        return false;
    answer = str_trim(answer);
    for (size_t i = 0; i < good_count; i++)
        if (str_find(answer, good[i]) < answer.len)
            return true;
    if (answer.len == 0)
        return true;
    error_set(err, ERR_FAILED, "HAProxy refuses '%.*s'", STR_ARG(first_line(command)));
    return error_why(err, "it says: %.*s", STR_ARG(first_line(answer)));
}

static bool map_begin(const Haproxy *haproxy, const char *name, Arena *arena, int64_t *out_version, Error *err)
{
    static const Str MADE = S("New version created:");
    Str answer, command = str_format(arena, "prepare map %s", name);
    Error ignored = {0};
    if (!arena_ok(arena, err) || !haproxy_socket_ask(haproxy->socket, command, arena, &answer, err))
        return false;
    answer = str_trim(answer);
    if (str_has_prefix(answer, MADE) &&
        str_int64(str_trim(str_skip(answer, MADE.len)), 0, INT64_MAX, out_version, &ignored))
        return true;
    error_set(err, ERR_FAILED, "HAProxy refuses '%.*s'", STR_ARG(command));
    return error_why(err, "it says: %.*s", STR_ARG(first_line(answer)));
}

bool haproxy_map_replace(const Haproxy *haproxy, const char *name, const GatewayMap *lines, Arena *arena, Error *err)
{
    int64_t version = 0;
    if (!map_begin(haproxy, name, arena, &version, err))
        return false;
    for (size_t i = 0; i < lines->count;) {
        StrBuf chunk = {.arena = arena};
        strbuf_format(&chunk, "add map @%lld %s <<\n", (long long)version, name);
        for (; i < lines->count && chunk.len < CHUNK; i++)
            strbuf_format(&chunk, "%.*s %.*s\n", STR_ARG(lines->lines[i].key), STR_ARG(lines->lines[i].value));
        if (!arena_ok(arena, err) || !ask(haproxy, strbuf_str(&chunk), NULL, 0, arena, err))
            return false;
    }
    Str command = str_format(arena, "commit map @%lld %s", (long long)version, name);
    return arena_ok(arena, err) && ask(haproxy, command, NULL, 0, arena, err);
}

// ---- servers

bool haproxy_server_is_used(const HaproxyServer *server) { return !str_has_prefix(server->state, S("MAINT")); }

static bool state_set(const Haproxy *haproxy, const HaproxyServer *server, const char *state, Arena *arena, Error *err)
{
    Str command =
        str_format(arena, "set server %.*s/%.*s state %s", STR_ARG(server->backend), STR_ARG(server->name), state);
    return arena_ok(arena, err) && ask(haproxy, command, NULL, 0, arena, err);
}

bool haproxy_server_use(const Haproxy *haproxy, const HaproxyServer *server, Str address, Arena *arena, Error *err)
{
    static const Str DONE[] = {S("changed from"), S("no need to change")};
    size_t colon = address.len;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    Str host = str_slice(address, 0, colon ? colon - 1 : 0), port = str_skip(address, colon);
    if (str_has_prefix(host, S("[")))
        host = str_slice(host, 1, host.len - 1);
    Str command = str_format(arena, "set server %.*s/%.*s addr %.*s port %.*s", STR_ARG(server->backend),
                             STR_ARG(server->name), STR_ARG(host), STR_ARG(port));
    return arena_ok(arena, err) && ask(haproxy, command, DONE, COUNT(DONE), arena, err) &&
           state_set(haproxy, server, "ready", arena, err);
}

bool haproxy_server_stop(const Haproxy *haproxy, const HaproxyServer *server, Arena *arena, Error *err)
{
    return state_set(haproxy, server, "maint", arena, err);
}

// ---- reloading

// Its parent, where that is HAProxy's master process; else 0.
static int64_t master_of(int64_t pid, Arena *arena)
{
    Error ignored = {0};
    int64_t parent = 0;
    Str status = S(""), name = S("");
    if (!file_read(str_format(arena, "/proc/%lld/status", (long long)pid), STATUS_MAX, arena, &status, &ignored) ||
        !str_int64(info_value(status, S("PPid")), 2, INT32_MAX, &parent, &ignored) ||
        !file_read(str_format(arena, "/proc/%lld/comm", (long long)parent), STATUS_MAX, arena, &name, &ignored))
        return 0;
    return str_eq(str_trim(name), S("haproxy")) ? parent : 0;
}

Str haproxy_reload_command(const Haproxy *haproxy, Str configuration, Arena *arena)
{
    int64_t master = master_of(haproxy->pid, arena);
    if (master)
        return str_format(arena, "kill -USR2 %lld", (long long)master);
    return str_format(arena, "haproxy -D -f '%.*s' -x '%.*s' -sf %lld", STR_ARG(configuration),
                      STR_ARG(haproxy->socket), (long long)haproxy->pid);
}
