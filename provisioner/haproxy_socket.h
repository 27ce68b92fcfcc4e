// provisioner/haproxy_socket.h: one command to HAProxy's stats socket, and its answer.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { HAPROXY_SOCKET_MAX = 86 };    // bytes of its path: HAProxy adds ".PID.tmp" while it starts

// Sends the command (a line, or a line and its payload) on a connection of its own and waits up to 10 s for the whole
// answer, which lives in `arena`. Fails with ERR_UNREACHABLE where nobody listens or the answer doesn't come,
// ERR_FORBIDDEN, or ERR_NO_MEMORY.
MUST_CHECK bool haproxy_socket_ask(Str socket, Str command, Arena *arena, Str *out, Error *err);
