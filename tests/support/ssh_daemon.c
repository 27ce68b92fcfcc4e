// tests/support/ssh_daemon.c: sshd around a test.
#include "tests/support/ssh_daemon.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/free_port.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"
#include "tests/support/raw_client.h"

enum { ARENA_BUDGET = MIB, START_MS = 20000, STOP_MS = 10000, SCRIPT_MS = 60000 };

static void run(const SshDaemon *daemon, const char *script, const char *more)
{
    Error err = {0};
    Str output;
    const char *argv[] = {"sh", "-c", script, "sh", daemon->directory.data, more, NULL};
    if (!process_run(&(ProcessSpec){.argv = argv}, SCRIPT_MS, daemon->arena, &output, &err))
        ck_abort_msg("%s\n%s: %s", script, err.what, err.why);
}

static bool is_listening(const SshDaemon *daemon)
{
    Error ignored = {0};
    Str output;
    Str script = str_format(daemon->arena, "exec 3<>/dev/tcp/%.*s/%u", STR_ARG(daemon->address), daemon->port);
    const char *argv[] = {"bash", "-c", script.data, NULL};
    return process_run(&(ProcessSpec){.argv = argv}, SCRIPT_MS, daemon->arena, &output, &ignored);
}

void ssh_daemon_restart(SshDaemon *daemon)
{
    Error err = {0};
    Str configuration = str_format(daemon->arena, "%.*s/sshd_config", STR_ARG(daemon->directory));
    Str log = str_format(daemon->arena, "%.*s/log", STR_ARG(daemon->directory));
    Str network = str_format(daemon->arena, "--net=%.*s", STR_ARG(daemon->network));
    const char *argv[] = {"nsenter",          network.data, "/usr/sbin/sshd", "-D", "-f",
                          configuration.data, "-E",         log.data,         NULL};
    const char *const *command = argv + (daemon->network.len ? 0 : 2);
    ck_assert_ok(process_start(&(ProcessSpec){.argv = command, .is_session = true}, &daemon->process, &err), &err);
    for (int64_t deadline_ms = clock_ms() + START_MS; !is_listening(daemon); clock_sleep_ms(20))
        ck_assert_msg(clock_ms() < deadline_ms && is_process_alive(&daemon->process), "sshd doesn't listen: see %s",
                      log.data);
}

void ssh_daemon_rekey(SshDaemon *daemon)
{
    run(daemon, "cd \"$1\" && rm -f host_* && for t in $2; do ssh-keygen -q -t $t -f host_$t -N ''; done",
        daemon->host_keys ? daemon->host_keys : "ed25519 ecdsa");
}

void ssh_daemon_start(SshDaemon *daemon)
{
    char directory[] = "/tmp/shop-sshd.XXXXXX";
    Error err = {0};
    daemon->arena = arena_open(ARENA_BUDGET);
    daemon->port = test_free_port();
    if (daemon->address.len == 0)
        daemon->address = S("127.0.0.1");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    daemon->directory = str_copy(daemon->arena, str_of(directory));
    guard_start(daemon->directory, "kill $(pgrep -f \"sshd.*$2/\") 2>/dev/null");
    daemon->key = str_format(daemon->arena, "%s/user", directory);
    daemon->locked_key = str_format(daemon->arena, "%s/locked", directory);
    daemon->stranger_key = str_format(daemon->arena, "%s/stranger", directory);
    daemon->passphrase = str_format(daemon->arena, "%s/passphrase", directory);
    daemon->known_hosts = str_format(daemon->arena, "%s/known_hosts", directory);
    run(daemon,
        "mkdir -p /run/sshd; cd \"$1\" && umask 077 && for k in user stranger; do ssh-keygen -q -t ed25519 -f $k -N "
        "''; done && "
        "ssh-keygen -q -t ed25519 -f locked -N \"$2\" && echo \"$2\" >passphrase && cat user.pub locked.pub "
        ">authorized",
        "open sesame");
    ssh_daemon_rekey(daemon);
    StrBuf text = {.arena = daemon->arena};
    strbuf_format(&text,
                  "Port %u\nListenAddress %.*s\nPidFile none\nAuthorizedKeysFile %s/authorized\nStrictModes no\n"
                  "UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n%s",
                  daemon->port, STR_ARG(daemon->address), directory, daemon->more ? daemon->more : "");
    Str types = str_of(daemon->host_keys ? daemon->host_keys : "ed25519 ecdsa"), type;
    while (str_cut(&types, ' ', &type))
        strbuf_format(&text, "\nHostKey %s/host_%.*s\n", directory, STR_ARG(type));
    Str configuration = str_format(daemon->arena, "%s/sshd_config", directory);
    ck_assert_ok(file_write(configuration, strbuf_str(&text), 0600, &err), &err);
    ssh_daemon_restart(daemon);
}

// Its connections are processes of their own that outlive it.
void ssh_daemon_kill(SshDaemon *daemon)
{
    ProcessEnd end;
    run(daemon, "for child in $(pgrep -P \"$2\"); do kill -9 $(pgrep -P $child) $child 2>/dev/null; done; true",
        str_format(daemon->arena, "%d", daemon->process.pid).data);
    process_signal(&daemon->process, SIGKILL);
    ck_assert(has_process_ended(&daemon->process, STOP_MS, &end));
}

void ssh_daemon_freeze(SshDaemon *daemon)
{
    run(daemon, "for child in $(pgrep -P \"$2\"); do kill -STOP $(pgrep -P $child) $child 2>/dev/null; done; true",
        str_format(daemon->arena, "%d", daemon->process.pid).data);
}

void ssh_daemon_remove(SshDaemon *daemon)
{
    if (daemon->process.pid)
        ssh_daemon_kill(daemon);
    run(daemon, "rm -rf \"$1\"", "");
    arena_close(&daemon->arena);
}
