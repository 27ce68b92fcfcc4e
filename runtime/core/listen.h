// runtime/core/listen.h: listening sockets: made, or inherited from a service manager.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { LISTEN_MAX = 8 };

typedef struct Listening {
    int sockets[LISTEN_MAX];
    size_t count;
    bool is_shared;    // with other threads, or other processes
} Listening;

// Opens a socket for each address of "127.0.0.1:8080,[::1]:0", with SO_REUSEPORT, so that each thread has its own.
// Fails with ERR_USAGE (no address), ERR_EXISTS (in use), ERR_FORBIDDEN (a low port), ERR_FAILED; none stays open.
MUST_CHECK bool listen_open(Str addresses, Listening *out, Error *err);
// A further socket for each of `first`'s addresses.
MUST_CHECK bool listen_again(const Listening *first, Listening *out, Error *err);
// Sockets of LISTEN_FDS (sd_listen_fds(3)) when they are meant for this process; out->count is 0 where there are none.
void listen_inherited(Listening *out);
void listen_close(Listening *listening);
unsigned listen_port(const Listening *listening);    // of the first one

// Tells the service manager of NOTIFY_SOCKET (sd_notify(3)) "READY=1" and the like; does nothing without one.
void service_notify(Str state);
