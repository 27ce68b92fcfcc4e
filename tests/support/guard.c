// tests/support/guard.c: a shell that outlives the test.
#include "tests/support/guard.h"

#include <unistd.h>

#include "base/process.h"
#include "tests/support/more_check.h"

void guard_start(Str directory, const char *end)
{
    CLEANUP(arena_close) Arena *arena = arena_open(64 * KIB);
    Str script = str_format(arena,
                            "while kill -0 \"$1\" 2>/dev/null; do [ -d \"$2\" ] || exit 0; sleep 0.5; done; %s; "
                            "rm -rf \"$2\"",
                            end);
    Str pid = str_format(arena, "%d", (int)getpid());
    const char *argv[] = {"sh", "-c", script.data, "sh", pid.data, str_copy(arena, directory).data, NULL};
    Error err = {0};
    Process guard;
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .is_session = true}, &guard, &err), &err);
    process_close(&guard);
}
