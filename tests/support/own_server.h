// tests/support/own_server.h: a PostgreSQL of a test's own, as an operator's might be: passwords over TCP and socket.
#pragma once
#include "base/pg.h"

typedef struct OwnServer {
    Arena *arena;
    Str directory;    // with its data and its socket
    unsigned port;
    Str admin_dsn;    // of its superuser, for the test alone
} OwnServer;

// Makes it, with PostgreSQL's own defaults, and starts it. A guard ends and removes it when this process is gone.
void own_server_start(OwnServer *server);
// Kills it (immediate shutdown), and brings it back.
void own_server_kill(OwnServer *server);
void own_server_restart(OwnServer *server);
void own_server_remove(OwnServer *server);

// Runs a statement as its superuser.
void own_server_run(const OwnServer *server, const char *sql);
