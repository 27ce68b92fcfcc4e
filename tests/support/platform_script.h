// tests/support/platform_script.h: what a test does to a platform of its own from outside: by the shell, and by
// signals.
#pragma once
#include "base/arena.h"
#include "tests/support/test_platform.h"

// Runs a script in which $S is shopctl, $D the platform's directory and $L its address. Fails as process_run.
MUST_CHECK bool script_run(const TestPlatform *platform, const char *text, Arena *arena, Str *out, Error *err);
// The same, and gives what it said, without blanks around; fails the test where it fails.
Str script(const TestPlatform *platform, Arena *arena, const char *text);
// The script must fail; gives what it said on both streams, and "exit N".
Str script_fails(const TestPlatform *platform, Arena *arena, const char *text);

int pid_of(const TestPlatform *platform, const char *name);        // of a service by its pid file; 0: it doesn't run
void kill_hard(const TestPlatform *platform, const char *name);    // SIGKILL
// No process, no socket, no pid file.
void nothing_is_left(const TestPlatform *platform, Arena *arena);
