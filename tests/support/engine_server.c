// tests/support/engine_server.c: dockerd or podman around a test.
#include "tests/support/engine_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/http_client.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"

enum { ARENA_BUDGET = 8 * MIB, START_MS = 60000, STOP_MS = 30000, SCRIPT_MS = 60000 };

static void run(const EngineServer *server, const char *script)
{
    Error err = {0};
    Str output;
    const char *argv[] = {"sh", "-c", script, "sh", server->directory.data, NULL};
    if (!process_run(&(ProcessSpec){.argv = argv}, SCRIPT_MS, server->arena, &output, &err))
        ck_abort_msg("%s\n%s: %s", script, err.what, err.why);
}

bool is_engine_server_ready(const EngineServer *server)
{
    CLEANUP(http_close) HttpClient *client = NULL;
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    HttpAnswer answer = {0};
    Error ignored = {0};
    const HttpServer engine = {.name = S("dockerd"), .url = S("http://engine"), .socket = server->socket};
    return http_open(&engine, &client, &ignored) &&
           http_call(client, &(HttpCall){.method = "GET", .path = S("/_ping"), .timeout_ms = 2000}, arena, &answer,
                     &ignored) &&
           answer.status == 200;
}

// What sh is told to run, in the namespace $2 with the directory $1.
static const char DOCKERD[] = "exec nsenter --net=\"$2\" dockerd --data-root \"$1/data\" --exec-root \"$1/exec\" "
                              "-p \"$1/pid\" -H \"unix://$1/engine.sock\"";
// A service gets no more open files and processes than this program may have.
static const char PODMAN_SERVICE[] =
    "printf '[containers]\\ndefault_ulimits = [\"nofile=4096:4096\", "
    "\"nproc=4096:4096\"]\\n[network]\\nnetwork_backend "
    "= \"netavark\"\\nnetwork_config_dir = \"%s/networks\"\\n' \"$1\" >\"$1/containers.conf\"; "
    "export CONTAINERS_CONF=\"$1/containers.conf\"; exec nsenter --net=\"$2\" podman --root \"$1/data\" --runroot "
    "\"$1/exec\" --tmpdir \"$1/tmp\" --cgroup-manager cgroupfs system service --time 0 \"unix://$1/engine.sock\"";

// What is in a container of Podman's is nobody's child.
#define PODMAN_EMPTY(directory)                                                                                        \
    "[ ! -f " directory "/containers.conf ] || CONTAINERS_CONF=" directory "/containers.conf podman --root " directory \
    "/data --runroot " directory "/exec --tmpdir " directory "/tmp --cgroup-manager cgroupfs rm -fa -t 0 >/dev/null "  \
    "2>&1; "

static const char *tls_options(const EngineServer *server)
{
    const char *directory = server->directory.data;
    return server->tls_port ? str_format(server->arena,
                                         " -H tcp://%s:%u --tlsverify --tlscacert=%s/right/ca.pem "
                                         "--tlscert=%s/right/server.pem --tlskey=%s/right/server-key.pem",
                                         server->address.data, server->tls_port, directory, directory, directory)
                                  .data
                            : "";
}

void engine_server_restart(EngineServer *server)
{
    Error err = {0};
    Arena *arena = server->arena;
    Str log = str_format(arena, "%.*s/log", STR_ARG(server->directory));
    const char *argv[] = {
        "sh",
        "-c",
        server->is_podman ? PODMAN_SERVICE : str_format(arena, "%s%s", DOCKERD, tls_options(server)).data,
        "sh",
        server->directory.data,
        server->network.data,
        NULL,
    };
    CLEANUP(fd_close) int output = open(log.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_ok(
        process_start(&(ProcessSpec){.argv = argv, .output = output, .is_session = true}, &server->process, &err),
        &err);
    for (int64_t deadline_ms = clock_ms() + START_MS; !is_engine_server_ready(server); clock_sleep_ms(50))
        if (clock_ms() > deadline_ms || !is_process_alive(&server->process)) {
            Str text = S("");
            if (!file_read(log, MIB, arena, &text, &err))
                text = S("and it has no log");
            ck_abort_msg("the engine doesn't answer: %.*s",
                         STR_ARG(str_skip(text, text.len - MIN(text.len, (size_t)(2 * KIB)))));
        }
}

// A namespace that is called like the directory, with a pair of addresses that follows from our number and how many
// came before.
static void network_make(EngineServer *server)
{
    static unsigned count = 0;    // of this process
    unsigned number = ((unsigned)getpid() * 4 + count++ % 4) & 0x3fff;
    const char *name = memrchr(server->directory.data, '/', server->directory.len);
    assert(name);
    server->network = str_format(server->arena, "/run/netns%s", name);
    server->address = str_format(server->arena, "10.214.%u.%u", number >> 6, (number & 63) * 4 + 2);
    server->near = str_format(server->arena, "10.214.%u.%u", number >> 6, (number & 63) * 4 + 1);
    Str script = str_format(
        server->arena,
        "set -e; n=%s; ip netns del $n 2>/dev/null || true; ip link del shop%u 2>/dev/null || true; ip netns add $n; "
        "ip link add shop%u type veth peer name eth0 netns $n; ip addr add %s/30 dev shop%u; "
        "ip link set shop%u up; ip -n $n addr add %s/30 dev eth0; ip -n $n link set lo up; "
        "ip -n $n link set eth0 up; ip -n $n route add default via %s",
        name + 1, number, number, server->near.data, number, number, server->address.data, server->near.data);
    run(server, script.data);
}

void engine_server_start(EngineServer *server)
{
    // In memory: a cluster that is made waits for the disk a hundred times.
    char directory[] = "/dev/shm/shop-engine.XXXXXX";
    ck_assert_msg(geteuid() == 0, "an engine has to be started by root");
    server->arena = arena_open(ARENA_BUDGET);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    server->directory = str_copy(server->arena, str_of(directory));
    server->socket = str_format(server->arena, "%s/engine.sock", directory);
    server->url = str_format(server->arena, "unix://%s", server->socket.data);
    network_make(server);
    guard_start(server->directory,
                PODMAN_EMPTY("\"$2\"") "kill \"$(cat \"$2/pid\")\" 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do [ -f "
                                       "\"$2/pid\" ] || break; sleep "
                                       "1; "
                                       "done; kill -9 $(pgrep -f \"$2/exec\") 2>/dev/null; for i in $(grep -o \"$2[^ "
                                       "]*\" /proc/mounts); do umount "
                                       "-l \"$i\"; done; ip netns del \"$(basename \"$2\")\" 2>/dev/null");
    if (server->tls_port)
        (void)engine_server_certify(server, "right");
    engine_server_restart(server);
}

static const struct {
    const char *list, *member, *id, *path, *query;
} THINGS[] = {
    {"/containers/json?all=true", NULL, "Id", "/containers", "?force=true&v=true"},
    {"/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D", NULL, "Id", "/networks", ""},
    {"/volumes", "Volumes", "Name", "/volumes", "?force=true"},
};

static void things_remove(Engine *engine, size_t kind)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    CLEANUP(json_close) Json *answer = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(engine, &(EngineCall){.method = "GET", .path = str_of(THINGS[kind].list)}, &answer, &err),
                 &err);
    const Json *list = THINGS[kind].member ? json_get(answer, THINGS[kind].member) : answer;
    for (size_t i = 0; i < json_count(list); i++) {
        Str id = json_str(json_get(json_element(list, i), THINGS[kind].id));
        Str path = str_format(arena, "%s/%.*s%s", THINGS[kind].path, STR_ARG(id), THINGS[kind].query);
        ck_assert_ok(engine_call(engine, &(EngineCall){.method = "DELETE", .path = path}, NULL, &err), &err);
    }
}

Engine *engine_server_connect(const EngineServer *server)
{
    Engine *engine = NULL;
    Error err = {0};
    const HttpServer place = {.name = S("the engine"), .url = S("http://engine"), .socket = server->socket};
    ck_assert_ok(engine_open(&place, &engine, &err), &err);
    return engine;
}

void engine_server_empty(const EngineServer *server)
{
    CLEANUP(engine_close) Engine *engine = engine_server_connect(server);
    for (size_t kind = 0; kind < COUNT(THINGS); kind++)
        things_remove(engine, kind);
}

void engine_server_kill(EngineServer *server)
{
    ProcessEnd end;
    process_signal(&server->process, SIGKILL);
    ck_assert(has_process_ended(&server->process, STOP_MS, &end));
    // Its containerd dies with it; where nobody takes in orphans, the next dockerd would take the dead one for alive.
    run(server,
        "while grep -qs containerd /proc/$(cat \"$1/exec/containerd/containerd.pid\")/cmdline; do sleep 0.05; done; "
        "rm -f \"$1/exec/containerd/containerd.pid\"");
}

void engine_server_cut(const EngineServer *server) { run(server, "ip -n \"$(basename \"$1\")\" link set eth0 down"); }

// Who was told that there is no such neighbour believes it for some seconds more.
static bool is_reachable(const EngineServer *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct timeval timeout = {.tv_sec = 1};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(inet_pton(AF_INET, server->address.data, &to.sin_addr), 1);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)), 0);
    return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == ECONNREFUSED;
}

void engine_server_join(const EngineServer *server)
{
    run(server,
        str_format(server->arena,
                   "n=$(basename \"$1\") && ip -n $n link set eth0 up && ip -n $n route replace default via %.*s",
                   STR_ARG(server->near))
            .data);
    for (int64_t deadline_ms = clock_ms() + START_MS; !is_reachable(server); clock_sleep_ms(50))
        ck_assert_msg(clock_ms() < deadline_ms, "the engine's network isn't reached again");
}

void engine_server_remove(EngineServer *server)
{
    if (server->process.pid)
        (void)process_stop(&server->process, SIGTERM, STOP_MS);
    run(server, PODMAN_EMPTY("\"$1\"") "kill -9 $(pgrep -f \"$1/exec\") 2>/dev/null; "
                                       "for i in $(grep -o \"$1[^ ]*\" /proc/mounts); do umount -l \"$i\" 2>/dev/null; "
                                       "done; rm -rf \"$1\"; "
                                       "ip netns del \"$(basename \"$1\")\"");
    arena_close(&server->arena);
}

Str engine_server_certify(EngineServer *server, const char *ca)
{
    static const char SCRIPT[] =
        "set -e; umask 077; mkdir -p %s/%s; cd %s/%s; exec 2>openssl.log\n"
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s -keyout ca-key.pem "
        "-out ca.pem\n"
        "issue() { # issue NAME KEY EXTENSIONS\n"
        "    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$1 -keyout $2 -out $1.csr\n"
        "    printf '%%s\\n' \"$3\" >$1.ext\n"
        "    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $1.ext -out "
        "$1.pem\n"
        "}\n"
        "issue server server-key.pem 'subjectAltName=IP:%s\nextendedKeyUsage=serverAuth'\n"
        "issue cert key.pem extendedKeyUsage=clientAuth\n";
    const char *directory = server->directory.data;
    run(server, str_format(server->arena, SCRIPT, directory, ca, directory, ca, ca, server->address.data).data);
    return str_format(server->arena, "%s/%s", directory, ca);
}
