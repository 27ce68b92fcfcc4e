// tests/support/echo_server.h: a shopd's stand-in that answers every request with its name and the request's head, and
// /busy with 429.
#pragma once
#include "base/def.h"

typedef struct EchoServer EchoServer;

// Listens at this port of the loopback address (0: a free one); /readyz says 200.
EchoServer *echo_server_open(const char *name, unsigned port);
unsigned echo_server_port(const EchoServer *server);
void echo_server_close(EchoServer **server);    // waits for its thread
