// tests/test_ssh.c: SSH against a real sshd: who is let in, whose key is believed, and what becomes of a lost
// connection.
#include "provisioner/ssh.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"
#include "tests/support/ssh_daemon.h"

enum { TIMEOUT_MS = 30000, BIG_BYTES = 3 * MIB, KEEPALIVE_MS = 200, VISITORS = 12, ROUNDS = 3000 };

static SshServer server_of(const SshDaemon *daemon)
{
    return (SshServer){.name = S("the host 'eu1'"),
                       .host = S("127.0.0.1"),
                       .port = daemon->port,
                       .user = S("root"),
                       .known_hosts = daemon->known_hosts,
                       .key_file = daemon->key,
                       .trust_command = S("shopctl host trust eu1"),
                       .timeout_ms = TIMEOUT_MS,
                       .keepalive_ms = KEEPALIVE_MS};
}

static void trust(const SshServer *server)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshHostKey key;
    Error err = {0};
    ck_assert_ok(ssh_host_key(server, arena, &key, &err), &err);
    ck_assert_ok(ssh_trust(server, &key, &err), &err);
}

static void refuses(const SshServer *server, ErrorCode code, const char *says)
{
    Ssh *ssh = NULL;
    Error err = {0};
    ck_assert(!ssh_open(server, &ssh, &err));
    ck_assert_says(&err, code, says);
    ck_assert_ptr_null(ssh);
}

static bool says_sesame(void *context, const char *key_file, char *out, size_t size, Error *err)
{
    (void)err;
    *(Str *)context = str_of(key_file);
    (void)snprintf(out, size, "open sesame");
    return true;
}

TEST(a_host_is_believed_by_its_key_alone)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshDaemon daemon = {0};
    Ssh *ssh = NULL;
    SshHostKey first, second;
    Str output = S("");
    Error err = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    refuses(&server, ERR_FORBIDDEN, "known is none");
    refuses(&server, ERR_FORBIDDEN, "shopctl host trust eu1");
    ck_assert_ok(ssh_host_key(&server, arena, &first, &err), &err);
    ck_assert_str(first.type, S("ssh-ed25519"));
    ck_assert(!first.is_known && first.before.len == 0);
    const char *argv[] = {"ssh-keygen", "-lf", str_format(arena, "%s/host_ed25519.pub", daemon.directory.data).data,
                          NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, TIMEOUT_MS, arena, &output, &err), &err);
    ck_assert_contains(output, first.fingerprint);
    trust(&server);
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ssh_close(&ssh);

    ssh_daemon_kill(&daemon);
    ssh_daemon_rekey(&daemon);
    ssh_daemon_restart(&daemon);
    refuses(&server, ERR_FORBIDDEN, "shows another key than before");
    refuses(&server, ERR_FORBIDDEN, str_copy(arena, first.fingerprint).data);
    ck_assert_ok(ssh_host_key(&server, arena, &second, &err), &err);
    ck_assert_str(second.before, first.fingerprint);
    refuses(&server, ERR_FORBIDDEN, str_copy(arena, second.fingerprint).data);
    trust(&server);
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ssh_close(&ssh);
    ssh_daemon_remove(&daemon);
}

TEST(the_kind_of_key_that_is_known_is_asked_for)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshDaemon daemon = {.host_keys = "ecdsa"};
    SshHostKey key;
    Error err = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    trust(&server);
    ssh_daemon_kill(&daemon);
    // It gets an Ed25519 key beside the one that we know, which we would rather have of a stranger.
    Str script = str_format(
        arena, "cd %s && ssh-keygen -q -t ed25519 -f host_ed25519 -N '' && echo HostKey %s/host_ed25519 >>sshd_config",
        daemon.directory.data, daemon.directory.data);
    const char *argv[] = {"sh", "-c", script.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, TIMEOUT_MS, arena, &script, &err), &err);
    ssh_daemon_restart(&daemon);
    ck_assert_ok(ssh_host_key(&server, arena, &key, &err), &err);
    ck_assert_str(key.type, S("ecdsa-sha2-nistp256"));
    ck_assert(key.is_known);
    ssh_daemon_remove(&daemon);
}

// As a person has them: lines of other programs and times are passed over, and what is revoked is never believed.
TEST(a_persons_known_hosts_are_read_as_openssh_does)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshDaemon daemon = {0};
    SshHostKey key;
    Ssh *ssh = NULL;
    Error err = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    ck_assert_ok(ssh_host_key(&server, arena, &key, &err), &err);
    server.known_hosts = S("");
    (void)setenv("HOME", daemon.directory.data, 1);
    Str directory = str_format(arena, "%s/.ssh", daemon.directory.data),
        path = str_format(arena, "%s/known_hosts", directory.data);
    ck_assert_ok(directory_make(directory, 0700, &err), &err);
    Str known = str_format(arena,
                           "# a comment\n\nold.example 1024 35 123456789\nhalf.example ssh-ed25519\n"
                           "@cert-authority *.example ssh-ed25519 %.*s\n[127.0.0.1]:%u\tssh-ed25519 %.*s me@here\n",
                           STR_ARG(key.key), daemon.port, STR_ARG(key.key));
    ck_assert_ok(file_write(path, known, 0600, &err), &err);
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ssh_close(&ssh);

    Str revoked = str_format(arena, "%.*s@revoked  * ssh-ed25519 %.*s\n", STR_ARG(known), STR_ARG(key.key));
    ck_assert_ok(file_write(path, revoked, 0600, &err), &err);
    refuses(&server, ERR_FORBIDDEN, "shows a key that is revoked");
    ck_assert(!ssh_host_key(&server, arena, &key, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "@revoked");

    server.known_hosts = daemon.known_hosts;
    error_clear(&err);
    ck_assert_ok(file_write(path, S(""), 0600, &err), &err);
    ck_assert_ok(file_write(server.known_hosts, S("# ours\nold.example 1024 35 123456789\n"), 0600, &err), &err);
    refuses(&server, ERR_INVALID, "its line 2 isn't one");
    ssh_daemon_remove(&daemon);
}

TEST(a_host_with_an_rsa_key_alone_is_refused_with_advice)
{
    SshDaemon daemon = {.host_keys = "rsa"};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    refuses(&server, ERR_FORBIDDEN, "Ed25519 or ECDSA host key");
    ssh_daemon_remove(&daemon);
}

TEST(whose_key_is_right_is_let_in)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshDaemon daemon = {0};
    Ssh *ssh = NULL;
    Str asked = S(""), output = S("");
    Error err = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    trust(&server);

    server.key_file = daemon.stranger_key;
    refuses(&server, ERR_FORBIDDEN, "doesn't let 'root' in");
    server.key_file = S("/tmp/shop-no-such-key");
    refuses(&server, ERR_NOT_FOUND, "there is no key");
    server.key_file = daemon.locked_key;
    refuses(&server, ERR_FORBIDDEN, "nobody can be asked");
    server.passphrase_file = daemon.key;    // another text
    refuses(&server, ERR_FORBIDDEN, "its passphrase is another one");
    server.passphrase_file = S("/tmp/shop-no-such-file");
    refuses(&server, ERR_NOT_FOUND, "the passphrase of the key");

    server.passphrase_file = daemon.passphrase;
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ck_assert_ok(ssh_run(ssh, "echo $((6 * 7))", arena, &output, &err), &err);
    ck_assert_str(output, S("42\n"));
    ck_assert(!ssh_run(ssh, "echo no such luck >&2; exit 3", arena, &output, &err));
    ck_assert_says(&err, ERR_FAILED, "no such luck");
    error_clear(&err);
    ssh_close(&ssh);

    server.passphrase_file = S("");
    server.ask = says_sesame;
    server.ask_context = &asked;
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ck_assert_str(asked, daemon.locked_key);
    ssh_close(&ssh);
    ssh_daemon_remove(&daemon);
}

TEST(the_agents_keys_are_used)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    SshDaemon daemon = {0};
    Ssh *ssh = NULL;
    Str output = S("");
    Error err = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    trust(&server);
    Str socket = str_format(arena, "%s/agent", daemon.directory.data);
    Str script = str_format(arena, "eval \"$(ssh-agent -a %s)\" >/dev/null && ssh-add -q %s && echo $SSH_AGENT_PID",
                            socket.data, daemon.key.data);
    const char *argv[] = {"sh", "-c", script.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, TIMEOUT_MS, arena, &output, &err), &err);
    (void)setenv("SSH_AUTH_SOCK", socket.data, 1);
    (void)setenv("HOME", daemon.directory.data, 1);
    server.key_file = S("");
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ssh_close(&ssh);
    int64_t agent = 0;
    ck_assert_ok(str_int64(str_trim(output), 1, INT32_MAX, &agent, &err), &err);
    (void)kill((pid_t)agent, SIGTERM);
    refuses(&server, ERR_FORBIDDEN, "it takes none of our keys");
    (void)unsetenv("SSH_AUTH_SOCK");
    ssh_daemon_remove(&daemon);
}

TEST(a_host_that_isnt_there_or_says_nothing_is_given_up_in_time)
{
    SshDaemon daemon = {0};
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    trust(&server);
    ssh_daemon_kill(&daemon);
    refuses(&server, ERR_UNREACHABLE, "Connection refused");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)daemon.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    int64_t from_ms = clock_ms();
    server.timeout_ms = 300;
    refuses(&server, ERR_UNREACHABLE, "nothing came in time");
    ck_assert_int_lt(clock_ms() - from_ms, TIMEOUT_MS);
    fd_close(&fd);
    ssh_daemon_remove(&daemon);
}

// ---- sockets of the host

// Something on the host's side that gives back what it gets.
typedef struct Echo {
    int listener;
    char path[96];
    pthread_t thread;
} Echo;

static void *echo_one(void *context)
{
    int fd = (int)(intptr_t)context;
    char buf[8 * KIB];
    for (ssize_t len; (len = recv(fd, buf, sizeof(buf), 0)) > 0;)
        for (ssize_t at = 0, sent; at < len; at += sent)
            if ((sent = send(fd, buf + at, (size_t)(len - at), MSG_NOSIGNAL)) <= 0)
                break;
    (void)close(fd);
    return NULL;
}

static void *echo_all(void *context)
{
    const Echo *echo = context;
    for (int fd; (fd = accept4(echo->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd), 0);
        ck_assert_int_eq(pthread_detach(thread), 0);
    }
    return NULL;
}

static int unix_socket(const char *path, bool is_listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_listener) {
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(fd, SOMAXCONN), 0);
    } else {
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    }
    return fd;
}

static void echo_start(Echo *echo, const SshDaemon *daemon)
{
    (void)snprintf(echo->path, sizeof(echo->path), "%s/echo", daemon->directory.data);
    echo->listener = unix_socket(echo->path, true);
    ck_assert_int_eq(pthread_create(&echo->thread, NULL, echo_all, echo), 0);
}

static void echo_stop(Echo *echo)
{
    (void)shutdown(echo->listener, SHUT_RDWR);
    ck_assert_int_eq(pthread_join(echo->thread, NULL), 0);
    (void)close(echo->listener);
}

// The echo's socket, brought here by SSH.
typedef struct Forwarding {
    SshDaemon daemon;
    Echo echo;
    Ssh *ssh;
    Str path;
} Forwarding;

static void forwarding_open(Forwarding *f, int64_t keepalive_ms)
{
    Error err = {0};
    *f = (Forwarding){.path = S("")};
    ssh_daemon_start(&f->daemon);
    SshServer server = server_of(&f->daemon);
    server.keepalive_ms = keepalive_ms;
    trust(&server);
    echo_start(&f->echo, &f->daemon);
    ck_assert_ok(ssh_open(&server, &f->ssh, &err), &err);
    ck_assert_ok(ssh_forward(f->ssh, str_of(f->echo.path), &f->path, &err), &err);
}

static void forwarding_close(Forwarding *f)
{
    ssh_close(&f->ssh);
    echo_stop(&f->echo);
    ssh_daemon_remove(&f->daemon);
}

typedef struct Talk {
    int fd;
    size_t size;
} Talk;

static void *talk(void *context)
{
    const Talk *talk = context;
    for (size_t at = 0; at < talk->size; at += sizeof(uint32_t)) {
        uint32_t word = (uint32_t)at * 2654435761U;
        if (send(talk->fd, &word, sizeof(word), MSG_NOSIGNAL) != sizeof(word))
            break;
    }
    return NULL;
}

// Sends `size` bytes and gets the same ones back.
static bool is_echoed(const char *path, size_t size)
{
    CLEANUP(fd_close) int fd = unix_socket(path, false);
    pthread_t thread;
    Talk sent = {fd, size};
    bool is_right = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, talk, &sent), 0);
    for (size_t at = 0; at < size && is_right; at += sizeof(uint32_t)) {
        uint32_t word = 0;
        is_right = recv(fd, &word, sizeof(word), MSG_WAITALL) == sizeof(word) && word == (uint32_t)at * 2654435761U;
    }
    (void)shutdown(fd, SHUT_RDWR);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return is_right;
}

typedef struct Visit {
    const char *path;
    size_t size;
    bool is_right;
} Visit;

static void *visit(void *context)
{
    Visit *one = context;
    one->is_right = is_echoed(one->path, one->size);
    return NULL;
}

TEST(bytes_come_and_go_as_they_are_for_many_at_once)
{
    Forwarding f;
    pthread_t threads[VISITORS];
    Visit visits[VISITORS];
    forwarding_open(&f, KEEPALIVE_MS);
    ck_assert(is_echoed(f.path.data, 4));
    ck_assert(is_echoed(f.path.data, BIG_BYTES));
    for (size_t i = 0; i < VISITORS; i++) {
        visits[i] = (Visit){.path = f.path.data, .size = BIG_BYTES / 8};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, visit, &visits[i]), 0);
    }
    for (size_t i = 0; i < VISITORS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_msg(visits[i].is_right, "visitor %zu", i);
    }
    Str kept = str_of(strdup(f.path.data));
    forwarding_close(&f);
    ck_assert_msg(!file_exists(kept), "%s is left", kept.data);
    free((char *)kept.data);
}

TEST(what_came_in_beside_another_channels_is_not_left_lying)
{
    Forwarding f;
    int idle[SSH_CHANNELS_MAX - 1];
    const struct timeval patience = {.tv_sec = 5};
    forwarding_open(&f, TIMEOUT_MS);    // the keepalive's answer would wake what sleeps
    CLEANUP(fd_close) int fd = unix_socket(f.path.data, false);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    for (size_t i = 0; i < COUNT(idle); i++)
        idle[i] = unix_socket(f.path.data, false);
    for (int round = 0; round < ROUNDS; round++) {
        char byte = (char)round, back = 0;
        ck_assert_int_eq(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
        ck_assert_msg(recv(fd, &back, 1, 0) == 1 && back == byte, "nothing came back in round %d", round);
    }
    for (size_t i = 0; i < COUNT(idle); i++)
        fd_close(&idle[i]);
    forwarding_close(&f);
}

static const char *const CONFIGURATIONS[] = {NULL, "AllowStreamLocalForwarding no"};

TEST(a_socket_that_cant_be_reached_is_explained)
{
    SshDaemon daemon = {.more = CONFIGURATIONS[_i]};
    Ssh *ssh = NULL;
    Str path = S("");
    Error err = {0};
    char byte;
    ssh_daemon_start(&daemon);
    SshServer server = server_of(&daemon);
    trust(&server);
    ck_assert_ok(ssh_open(&server, &ssh, &err), &err);
    ck_assert_ok(ssh_forward(ssh, S("/tmp/shop-no-such-socket"), &path, &err), &err);
    CLEANUP(fd_close) int fd = unix_socket(path.data, false);
    ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
    error_set(&err, ERR_UNREACHABLE, "curl's words");
    ck_assert(!ssh_explain(ssh, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "can't be reached");
    ck_assert_says(&err, ERR_UNREACHABLE, "AllowStreamLocalForwarding");
    ssh_close(&ssh);
    ssh_daemon_remove(&daemon);
}

TEST(a_lost_connection_is_made_again_for_who_comes_next)
{
    Forwarding f;
    Error err = {0};
    char byte = 'x';
    forwarding_open(&f, KEEPALIVE_MS);
    for (int round = 0; round < 3; round++) {
        CLEANUP(fd_close) int idle = unix_socket(f.path.data, false);
        ck_assert(is_echoed(f.path.data, KIB));
        ssh_daemon_kill(&f.daemon);
        ck_assert_int_le(recv(idle, &byte, 1, 0), 0);    // who is there is told
        fd_close(&idle);
        idle = unix_socket(f.path.data, false);    // and who comes meanwhile
        ck_assert_int_le(recv(idle, &byte, 1, 0), 0);
        error_set(&err, ERR_UNREACHABLE, "curl's words");
        ck_assert(!ssh_explain(f.ssh, &err));
        ck_assert_says(&err, ERR_UNREACHABLE, "Connection refused");
        error_clear(&err);
        ssh_daemon_restart(&f.daemon);
        ck_assert(is_echoed(f.path.data, KIB));
    }
    forwarding_close(&f);
}

// As behind a firewall that has forgotten it.
TEST(a_connection_that_nobody_hears_from_is_given_up)
{
    enum { LEAST_MS = 2100 };    // between two signs of life
    Forwarding f;
    char byte = 'x';
    forwarding_open(&f, LEAST_MS);
    CLEANUP(fd_close) int idle = unix_socket(f.path.data, false);
    ck_assert(is_echoed(f.path.data, KIB));
    clock_sleep_ms(4 * LEAST_MS);
    ck_assert_int_lt(recv(idle, &byte, 1, MSG_DONTWAIT), 0);    // signs are answered: it is there
    ssh_daemon_freeze(&f.daemon);
    ck_assert_int_eq(recv(idle, &byte, 1, 0), 0);
    ck_assert(is_echoed(f.path.data, KIB));
    forwarding_close(&f);
}

SUITE(ssh, ONCE(a_host_is_believed_by_its_key_alone), ONCE(the_kind_of_key_that_is_known_is_asked_for),
      ONCE(a_persons_known_hosts_are_read_as_openssh_does), ONCE(a_host_with_an_rsa_key_alone_is_refused_with_advice),
      ONCE(whose_key_is_right_is_let_in), ONCE(the_agents_keys_are_used),
      ONCE(a_host_that_isnt_there_or_says_nothing_is_given_up_in_time),
      ONCE(bytes_come_and_go_as_they_are_for_many_at_once),
      ONCE(what_came_in_beside_another_channels_is_not_left_lying),
      EACH(a_socket_that_cant_be_reached_is_explained, CONFIGURATIONS),
      ONCE(a_lost_connection_is_made_again_for_who_comes_next), ONCE(a_connection_that_nobody_hears_from_is_given_up))
