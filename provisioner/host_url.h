// provisioner/host_url.h: how a host's engine is reached, as an operator writes it.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum HostTransport { HOST_UNIX, HOST_TCP, HOST_SSH } HostTransport;

#define ENGINE_SOCKET "/var/run/docker.sock"    // where an engine listens unless it is told otherwise

// A value; its texts are views into the URL, or live in the arena of host_url_parse.
typedef struct HostUrl {
    HostTransport transport;
    Str socket;    // of unix and ssh: the engine's, on its own machine
    Str user;      // of ssh; empty: that of this process
    Str host;      // of tcp and ssh, an IPv6 address without brackets
    int64_t port;
} HostUrl;

// Reads unix:///PATH, tcp://HOST[:2376] or ssh://[USER@]HOST[:22][/PATH]. Fails with ERR_INVALID.
MUST_CHECK bool host_url_parse(Str url, Arena *arena, HostUrl *out, Error *err);
