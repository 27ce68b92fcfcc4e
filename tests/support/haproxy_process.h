// tests/support/haproxy_process.h: a HAProxy of a test's own, with a directory that shopctl gateway writes to.
#pragma once
#include "base/arena.h"
#include "base/process.h"

typedef struct HaproxyProcess {
    Arena *arena;
    Str directory;
    Process process;
} HaproxyProcess;

// Makes the directory. A guard ends what runs there, and removes it, when this process is gone.
void haproxy_process_open(HaproxyProcess *haproxy);
void haproxy_process_close(HaproxyProcess *haproxy);

// Starts it on haproxy.cfg there, and waits until its socket answers; fails the test where it doesn't.
void haproxy_process_start(HaproxyProcess *haproxy);
void haproxy_process_stop(HaproxyProcess *haproxy);
// Whether `haproxy -c` takes the file haproxy.cfg of a directory without a word; else *out says what it has against it.
bool haproxy_process_accepts(HaproxyProcess *haproxy, Str directory, Str *out);
Str haproxy_process_ask(HaproxyProcess *haproxy, const char *command);    // of its socket
