// tests/support/own_server.c: initdb and pg_ctl around a test.
#include "tests/support/own_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/support/free_port.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum { TIMEOUT_MS = 120000, ARENA_BUDGET = 16 * MIB };

static const char *server_user(void) { return geteuid() == 0 ? "postgres" : NULL; }

// A script in which $D is the server's directory and $P its port, as the user that runs it.
static void run(const OwnServer *server, const char *script)
{
    Error err = {0};
    Str output, port = str_format(server->arena, "%u", server->port);
    Str text = str_format(server->arena, "B=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1); %s", script);
    const char *argv[] = {"sh", "-c", text.data, "sh", server->directory.data, port.data, NULL};
    if (!process_run(&(ProcessSpec){.argv = argv, .user = server_user()}, TIMEOUT_MS, server->arena, &output, &err))
        ck_abort_msg("%s\n%s: %s", script, err.what, err.why);
}

void own_server_restart(OwnServer *server)
{
    run(server, "$B/pg_ctl -D $1/data -l $1/log -w start -o \"-k $1 -p $2 -c listen_addresses=127.0.0.1 "
                "-c fsync=off -c log_statement=all\" >/dev/null 2>&1 </dev/null");
}

void own_server_start(OwnServer *server)
{
    *server = (OwnServer){.arena = arena_open(ARENA_BUDGET), .port = test_free_port()};
    char directory[] = "/tmp/shop-server.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0);
    User user = {.uid = geteuid(), .gid = getegid()};
    Error err = {0};
    if (server_user())
        ck_assert_ok(user_find(server_user(), &user, &err), &err);
    ck_assert_int_eq(chown(directory, user.uid, user.gid), 0);
    server->directory = str_copy(server->arena, str_of(directory));
    server->admin_dsn =
        str_format(server->arena, "host=%s port=%u user=postgres dbname=postgres", directory, server->port);
    guard_start(server->directory, "kill -QUIT \"$(head -n 1 \"$2/data/postmaster.pid\")\" 2>/dev/null");
    run(server, "$B/initdb -D $1/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null && "
                "printf '%s\\n' 'local all postgres trust' 'local all all scram-sha-256' "
                "'host all all 127.0.0.1/32 scram-sha-256' >$1/data/pg_hba.conf");
    own_server_restart(server);
}

void own_server_kill(OwnServer *server) { run(server, "$B/pg_ctl -D $1/data -m immediate -w stop >/dev/null"); }

void own_server_remove(OwnServer *server)
{
    own_server_kill(server);
    run(server, "rm -rf $1/* ");
    (void)rmdir(server->directory.data);
    arena_close(&server->arena);
}

void own_server_run(const OwnServer *server, const char *sql)
{
    CLEANUP(db_close) Db *db = test_db_open(server->admin_dsn);
    Error err = {0};
    ck_assert_ok(db_run(db, str_of(sql), NO_PARAMS, &err), &err);
}
