// tests/support/guard.h: ends what a test has started, also when the test itself is killed.
#pragma once
#include "base/str.h"

// Starts a process that waits until this one is gone or `directory` is, then runs the shell script `end`, in which $2
// is the directory, and removes it.
void guard_start(Str directory, const char *end);
