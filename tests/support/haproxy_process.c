// tests/support/haproxy_process.c: HAProxy around a test.
#include "tests/support/haproxy_process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/haproxy_socket.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"

enum { ARENA_BUDGET = 64 * MIB, START_MS = 20000, STOP_MS = 10000, CHECK_MS = 30000 };

void haproxy_process_open(HaproxyProcess *haproxy)
{
    char directory[] = "/tmp/shop-gateway.XXXXXX";
    *haproxy = (HaproxyProcess){.arena = arena_open(ARENA_BUDGET)};
    ck_assert_ptr_nonnull(mkdtemp(directory));
    haproxy->directory = str_copy(haproxy->arena, str_of(directory));
    guard_start(haproxy->directory, "kill -9 $(pgrep -f \"haproxy.*$2/\") 2>/dev/null");
}

static Str path_of(const HaproxyProcess *haproxy, const char *name)
{
    return str_format(haproxy->arena, "%.*s/%s", STR_ARG(haproxy->directory), name);
}

Str haproxy_process_ask(HaproxyProcess *haproxy, const char *command)
{
    Error err = {0};
    Str answer = S("");
    ck_assert_ok(haproxy_socket_ask(path_of(haproxy, "haproxy.sock"), str_of(command), haproxy->arena, &answer, &err),
                 &err);
    return answer;
}

void haproxy_process_start(HaproxyProcess *haproxy)
{
    Error err = {0};
    Str log = path_of(haproxy, "log"), answer = S("");
    const char *argv[] = {"haproxy", "-db", "-f", path_of(haproxy, "haproxy.cfg").data, NULL};
    CLEANUP(fd_close) int output = open(log.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_ok(
        process_start(&(ProcessSpec){.argv = argv, .output = output, .is_session = true}, &haproxy->process, &err),
        &err);
    for (int64_t deadline_ms = clock_ms() + START_MS;; clock_sleep_ms(10)) {
        Error ignored = {0};
        if (haproxy_socket_ask(path_of(haproxy, "haproxy.sock"), S("show info"), haproxy->arena, &answer, &ignored))
            return;
        if (clock_ms() < deadline_ms && is_process_alive(&haproxy->process))
            continue;
        Str text = S("");
        (void)!file_read(log, MIB, haproxy->arena, &text, &ignored);
        ck_abort_msg("HAProxy doesn't answer: %.*s", STR_ARG(text));
    }
}

void haproxy_process_stop(HaproxyProcess *haproxy)
{
    if (haproxy->process.pid)
        (void)process_stop(&haproxy->process, SIGTERM, STOP_MS);
}

bool haproxy_process_accepts(HaproxyProcess *haproxy, Str directory, Str *out)
{
    Error err = {0};
    Str path = str_format(haproxy->arena, "%.*s/haproxy.cfg", STR_ARG(directory));
    const char *argv[] = {"haproxy", "-c", "-f", path.data, NULL};
    if (process_run(&(ProcessSpec){.argv = argv}, CHECK_MS, haproxy->arena, out, &err))
        return str_find(*out, S("[WARNING]")) == out->len;
    *out = str_format(haproxy->arena, "%s", err.why);
    return false;
}

void haproxy_process_close(HaproxyProcess *haproxy)
{
    Error err = {0};
    Str output;
    const char *argv[] = {"rm", "-rf", haproxy->directory.data, NULL};
    haproxy_process_stop(haproxy);
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, STOP_MS, haproxy->arena, &output, &err), &err);
    arena_close(&haproxy->arena);
}
