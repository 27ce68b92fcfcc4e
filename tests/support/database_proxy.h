// tests/support/database_proxy.h: a network between a program and the run's PostgreSQL that can be slow, hang or break.
#pragma once
#include "base/arena.h"

typedef enum ProxyMode {
    PROXY_FLOWS,
    PROXY_SLOW,        // each piece of an answer takes 30 ms
    PROXY_HOLDS,       // what is asked arrives, its answer doesn't until it flows again
    PROXY_DEAD,        // half-open: nothing arrives, no end is seen; connections of this time never come to life again
    PROXY_CUT,         // connections are reset, as are new ones
    PROXY_FULL,        // new connections hear that there are too many clients
    PROXY_STARTING,    // connections are reset; new ones hear that the database system is starting up
} ProxyMode;

typedef struct DatabaseProxy DatabaseProxy;

// A port of the loopback address that leads to the server of `dsn`, a socket's directory; fails the test when it can't.
// The DSN that leads through it lives in `arena`.
DatabaseProxy *database_proxy_open(Str dsn, Arena *arena, Str *out_dsn);
void database_proxy_set(DatabaseProxy *proxy, ProxyMode mode);    // holds when it returns
void database_proxy_close(DatabaseProxy **proxy);
