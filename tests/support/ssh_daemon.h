// tests/support/ssh_daemon.h: an sshd of a test's own, with keys for both sides.
#pragma once
#include "base/arena.h"
#include "base/process.h"

typedef struct SshDaemon {
    Arena *arena;
    Str directory;
    unsigned port;
    Str key;                  // of a user whom it lets in
    Str locked_key;           // the same, with a passphrase
    Str passphrase;           // a file with it
    Str stranger_key;         // of nobody
    Str known_hosts;          // a file that isn't there yet
    const char *more;         // lines for its configuration, set before it starts; NULL: none
    Str network, address;     // the path of its namespace, and where it listens; empty: ours, and the loopback address
    const char *host_keys;    // types, with blanks between; NULL: "ed25519 ecdsa"
    Process process;
} SshDaemon;

// Makes keys, starts it and waits until it listens. A guard ends and removes it when this process is gone.
void ssh_daemon_start(SshDaemon *daemon);
void ssh_daemon_remove(SshDaemon *daemon);
void ssh_daemon_kill(SshDaemon *daemon);      // with all its connections
void ssh_daemon_freeze(SshDaemon *daemon);    // its connections are there and say nothing any more; it takes new ones
void ssh_daemon_restart(SshDaemon *daemon);
// Gives it other host keys from the next start on.
void ssh_daemon_rekey(SshDaemon *daemon);
