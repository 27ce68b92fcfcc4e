// provisioner/relay.h: brings PostgreSQL's socket in a container here, as processes of the engine's own.
#pragma once
#include "provisioner/engine.h"

typedef struct Relay Relay;

// What connects to the socket of *out's directory talks to PostgreSQL in the container, by a process there that carries
// the bytes (nc). Nothing of the container has to be reachable, and the engine's own access control holds. A thread
// takes connections, and each has one more. Fails as engine_open, or as private_socket_listen.
MUST_CHECK bool relay_open(const Engine *engine, Str container, Relay **out, Error *err);
void relay_close(Relay **relay);    // cuts connections that are open

Str relay_directory(const Relay *relay);    // libpq's "host"; lives as long as the relay
// After libpq could not connect: what the relay knows of it, written over the error. Returns false.
bool relay_explain(Relay *relay, Error *err);
