// tests/support/engine_server.h: a container engine of a test's own: Debian's dockerd, or its podman, which root alone
// can start, in a network namespace of its own, since several in one take each other's packet filters away.
#pragma once
#include "base/arena.h"
#include "base/process.h"
#include "provisioner/engine.h"

typedef struct EngineServer {
    Arena *arena;
    Str directory;
    Str socket;
    Str url;        // "unix:///..."
    Str network;    // the path of its namespace
    Str address;    // of the namespace, reached from here
    Str near;       // ours, by which it reaches us
    Process process;
    bool is_podman;       // set before
    unsigned tls_port;    // of that address: it also listens there, by mutual TLS; 0: it doesn't
} EngineServer;

// Starts it and waits until it answers; fails the test where it doesn't. A guard ends and removes it when this process
// is gone. With `tls_port` set before, it listens there with the certificates of engine_server_certify.
void engine_server_start(EngineServer *server);
void engine_server_remove(EngineServer *server);

Engine *engine_server_connect(const EngineServer *server);    // the caller closes it
bool is_engine_server_ready(const EngineServer *server);
void engine_server_empty(const EngineServer *server);    // no container, network or volume stays; images do

void engine_server_kill(EngineServer *server);    // SIGKILL
void engine_server_restart(EngineServer *server);

void engine_server_cut(
    const EngineServer *server);    // its network's interface goes down: nothing arrives, nothing leaves
void engine_server_join(const EngineServer *server);    // and up again, until it is reached

// Makes a directory with ca.pem, cert.pem and key.pem of a client below the server's directory; `ca` tells one
// authority from another.
Str engine_server_certify(EngineServer *server, const char *ca);
