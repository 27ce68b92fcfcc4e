// tests/support/raw_client.h: a client that sends bytes as they are, for tests of what HTTP's grammar forbids.
#pragma once
#include "base/arena.h"
#include "base/str.h"

enum { RAW_WAIT_MS = 5000, RAW_ANSWERS_MAX = 16 };

// A connection to the loopback address; fails the test when there is none. The caller closes it by fd_close.
int raw_open(unsigned port);
bool raw_send(int fd, Str bytes);    // false: the other side has closed

// All that comes until the server closes, or `quiet_ms` pass without a byte. *out_closed (or NULL) tells which.
Str raw_read(int fd, Arena *arena, int quiet_ms, bool *out_closed);
// The same, but the first byte may take up to RAW_WAIT_MS.
Str raw_await(int fd, Arena *arena, int quiet_ms);

int raw_status(Str answer);    // of the first answer; 0: it is none
size_t raw_count(Str text, Str part);

// The statuses of all answers to requests that have bodies (none is to HEAD), 100 left out. False: the bytes aren't
// whole answers one after the other, or are over RAW_ANSWERS_MAX.
bool raw_statuses(Str answers, int out[RAW_ANSWERS_MAX], size_t *count);
