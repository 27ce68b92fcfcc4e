// provisioner/haproxy.h: a running HAProxy (2.6), asked and changed through its stats socket.
#pragma once
#include "provisioner/gateway_map.h"

typedef struct HaproxyServer {
    Str backend, name;
    Str address;    // ADDRESS:PORT, an IPv6 address in brackets
    Str state;      // as HAProxy calls it: "UP", "DOWN", "MAINT"
    int64_t sessions;
} HaproxyServer;

typedef struct Haproxy {
    Str socket;
    Str description;    // of its configuration
    int64_t pid;
    HaproxyServer *servers;    // of every backend, in the configuration's order
    size_t server_count;
} Haproxy;

// Asks what runs there; texts in `arena`. Fails with ERR_UNREACHABLE where no HAProxy answers, ERR_FORBIDDEN where the
// socket is another user's, or ERR_MALFORMED.
MUST_CHECK bool haproxy_open(Str socket, Arena *arena, Haproxy *out, Error *err);

// The lines of a map that it has, by the name in its configuration; they live in `arena`. Fails with ERR_NOT_FOUND.
MUST_CHECK bool haproxy_map(const Haproxy *haproxy, const char *name, Arena *arena, GatewayMap *out, Error *err);
// Puts these lines in place of all that are there, at once. Fails with ERR_FAILED; then the map is as it was.
MUST_CHECK bool haproxy_map_replace(const Haproxy *haproxy, const char *name, const GatewayMap *lines, Arena *arena,
                                    Error *err);

// Sends requests to this address from now on, or no new ones. Fails with ERR_FAILED.
MUST_CHECK bool haproxy_server_use(const Haproxy *haproxy, const HaproxyServer *server, Str address, Arena *arena,
                                   Error *err);
MUST_CHECK bool haproxy_server_stop(const Haproxy *haproxy, const HaproxyServer *server, Arena *arena, Error *err);
bool haproxy_server_is_used(const HaproxyServer *server);    // it isn't stopped

// The command by which it reads its configuration again without losing a connection: through its master process where
// it has one, else by a successor.
Str haproxy_reload_command(const Haproxy *haproxy, Str configuration, Arena *arena);
