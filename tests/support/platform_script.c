// tests/support/platform_script.c: sh, kill and ps around a platform.
#include "tests/support/platform_script.h"

#include <signal.h>

#include "base/process.h"
#include "tests/support/more_check.h"

enum { SCRIPT_TIMEOUT_MS = 100000 };

bool script_run(const TestPlatform *platform, const char *text, Arena *arena, Str *out, Error *err)
{
    Str listen = str_format(arena, "127.0.0.1:%u", platform->port);
    const char *argv[] = {"sh",
                          "-c",
                          str_format(arena, "S=$1 D=$2 L=$3; %s", text).data,
                          "sh",
                          platform->shopctl.data,
                          platform->data.data,
                          listen.data,
                          NULL};
    return process_run(&(ProcessSpec){.argv = argv}, SCRIPT_TIMEOUT_MS, arena, out, err);
}

Str script(const TestPlatform *platform, Arena *arena, const char *text)
{
    Error err = {0};
    Str output = S("");
    if (!script_run(platform, text, arena, &output, &err))
        ck_abort_msg("%s\n%s: %s", text, err.what, err.why);
    return str_trim(output);
}

Str script_fails(const TestPlatform *platform, Arena *arena, const char *text)
{
    Str whole = str_format(arena, "( %s ) 2>&1 && echo 'it went well' && exit 0; echo \"exit $?\"", text);
    return script(platform, arena, whole.data);
}

int pid_of(const TestPlatform *platform, const char *name)
{
    Error err = {0};
    Process process;
    char path[512];
    (void)snprintf(path, sizeof(path), "%.*s/run/%s.pid", STR_ARG(platform->data), name);
    ck_assert_ok(process_open(path, &process, &err), &err);
    int pid = process.pid;
    process_close(&process);
    return pid;
}

void kill_hard(const TestPlatform *platform, const char *name)
{
    int pid = pid_of(platform, name);
    ck_assert_msg(pid > 0, "%s doesn't run", name);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

void nothing_is_left(const TestPlatform *platform, Arena *arena)
{
    ck_assert_str(script(platform, arena,
                         "ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F \" $D\"; ps -eo args | "
                         "grep -E '^[^ ]*(shopctl|shopd|postgres|haproxy) ' | grep -F $D | grep -v ' down ' || :"),
                  S(""));
    ck_assert_str(script(platform, arena, "ls $D/run | grep -vE '^(platform.json|(up|supervisor).lock)$' || :"), S(""));
    ck_assert_str(script(platform, arena,
                         "grep -hs '\"sockets\"' $D/run/platform.json | cut -d'\"' -f4 | "
                         "while read d; do ls -d $d $d-shopd 2>/dev/null; done || :"),
                  S(""));
}
