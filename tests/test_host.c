// tests/test_host.c: hosts by the commands of shopctl, with a real engine behind a socket, mutual TLS and SSH.
#include "provisioner/host.h"

#include <unistd.h>

#include "base/clock.h"
#include "tests/support/command_runner.h"
#include "tests/support/engine_server.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/ssh_daemon.h"

static CommandRunner runner;
static EngineServer engine;
static SshDaemon daemon_;

static void open_all(void)
{
    engine = (EngineServer){.tls_port = test_free_port()};
    daemon_ = (SshDaemon){0};
    engine_server_start(&engine);
    ssh_daemon_start(&daemon_);
    command_runner_open(&runner, "host");
    (void)setenv("SHOPCTL_SSH_KEY", daemon_.key.data, 1);
}

static void close_all(void)
{
    (void)unsetenv("SHOPCTL_SSH_KEY");
    command_runner_close(&runner);
    ssh_daemon_remove(&daemon_);
    engine_server_remove(&engine);
}

#define LINE(...) str_format(runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&runner, exit_code, line); }

static Str member(Str document, const char *path) { return command_member(&runner, document, path); }

static Str ssh_url(void)
{
    return str_format(runner.world.arena, "ssh://root@127.0.0.1:%u%s", daemon_.port, engine.socket.data);
}

static Str tcp_url(void) { return str_format(runner.world.arena, "tcp://%s:%u", engine.address.data, engine.tls_port); }

static void trust(void)
{
    Str said = run(77, LINE("host add eu1 %s", ssh_url().data));
    ck_assert_contains(said, S("isn't known"));
    Str key = run(0, LINE("host trust %s --dry-run -o json", ssh_url().data));
    ck_assert_str(member(key, "before"), S("null"));
    Str fingerprint = member(key, "fingerprint");
    fingerprint = str_slice(fingerprint, 1, fingerprint.len - 1);
    ck_assert_contains(run(77, LINE("host trust %s --fingerprint SHA256:wrong", ssh_url().data)), fingerprint);
    ck_assert_contains(run(64, LINE("host trust %s", ssh_url().data)), S("nobody to ask"));
    (void)run(0, LINE("host trust %s --fingerprint %.*s", ssh_url().data, STR_ARG(fingerprint)));
}

TEST(a_host_is_added_shown_changed_and_removed)
{
    open_all();
    Str changes = run(0, LINE("host add eu1 %s --dry-run", engine.url.data));
    ck_assert_contains(changes, S("state: (none) -> ready"));
    ck_assert_contains(run(0, "host list -o json"), S("\"total\": 0"));
    Str added = run(
        0, LINE("host add eu1 %s --cpu 1.5 --memory 2GiB --label region=eu --label rack=7 -o json", engine.url.data));
    ck_assert_str(member(added, "cpu"), S("1.5"));
    ck_assert_str(member(added, "free.cpu"), S("1.5"));
    ck_assert_str(member(added, "memory_bytes"), S("2147483648"));
    ck_assert_str(member(added, "address"), S("\"127.0.0.1\""));
    ck_assert_str(member(added, "labels.rack"), S("\"7\""));
    ck_assert_contains(member(added, "engine"), S("Docker "));

    // What isn't given stays.
    (void)run(0, LINE("host add eu1 %s --disk 10GiB --address 10.0.0.5", engine.url.data));
    Str shown = run(0, "host show eu1 -o json");
    ck_assert_str(member(shown, "cpu"), S("1.5"));
    ck_assert_str(member(shown, "disk_bytes"), S("10737418240"));
    ck_assert_str(member(shown, "address"), S("\"10.0.0.5\""));
    ck_assert_str(member(shown, "labels.region"), S("\"eu\""));
    ck_assert_contains(run(0, LINE("host add eu1 %s --dry-run", engine.url.data)), S("nothing would change"));

    Str list = run(0, "host list -o json");
    static const char *const MEMBERS[] = {
        "name",   "url", "state", "engine", "api_version", "cpu", "memory_bytes", "free.cpu", "free.memory_bytes",
        "tenants"};
    for (size_t i = 0; i < COUNT(MEMBERS); i++)
        ck_assert_str(member(list, LINE("items.0.%s", MEMBERS[i])), member(shown, MEMBERS[i]));

    Str checked = run(0, "host check eu1 -o json");
    ck_assert_str(member(checked, "state"), S("\"answers\""));
    ck_assert_str(member(checked, "problems"), S("[]"));
    ck_assert_int_eq((int)(member(checked, "disk_free_bytes").len > 6), 1);

    (void)run(0, "host drain eu1 --dry-run");
    ck_assert_str(member(run(0, "host show eu1 -o json"), "state"), S("\"ready\""));
    ck_assert_str(member(run(0, "host drain eu1 -o json"), "state"), S("\"draining\""));
    ck_assert_str(member(run(0, "host drain eu1 --undo -o json"), "state"), S("\"ready\""));
    ck_assert_contains(run(66, "host drain eu9"), S("there is no host 'eu9'"));

    ck_assert_contains(run(73, LINE("host add other %s", engine.url.data)), S("is the host 'eu1' already"));
    ck_assert_contains(run(73, LINE("host add other %s --dry-run", engine.url.data)), S("is the host 'eu1' already"));
    ck_assert_contains(run(69, "host add eu1 unix:///tmp/shop-no-such-socket"), S("doesn't answer"));
    ck_assert_contains(run(0, "host remove eu1 --dry-run -o name"), S("eu1"));
    (void)run(0, "host remove eu1");
    ck_assert_contains(run(66, "host show eu1"), S("there is no host 'eu1'"));
    ck_assert_contains(run(66, "host check eu1"), S("there is no host 'eu1'"));
    ck_assert_contains(run(66, "host remove eu1"), S("there is no host 'eu1'"));
    close_all();
}

// A process that lives long, as the controller does, when a host is set up anew under its name.
TEST(a_host_is_reached_as_its_record_says_by_now)
{
    open_all();
    Error err = {0};
    Host *host = NULL;
    Platform *platform = runner.world.platform;
    (void)run(0, LINE("host add eu1 %s", engine.url.data));
    ck_assert_ok(platform_reconnect(platform, &err) && platform_host(platform, S("eu1"), &host, &err), &err);
    ck_assert_ok(
        db_script(runner.world.control, S("update control.hosts set url = 'unix:///tmp/shop-no-such-socket'"), &err),
        &err);
    ck_assert_ok(platform_reconnect(platform, &err), &err);
    ck_assert(!platform_host(platform, S("eu1"), &host, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "/tmp/shop-no-such-socket");
    error_clear(&err);
    ck_assert_ok(db_script(runner.world.control, S("delete from control.hosts"), &err), &err);
    ck_assert(!platform_host(platform, S("eu1"), &host, &err));
    ck_assert_int_eq(err.code, ERR_NOT_FOUND);
    close_all();
}

TEST(an_engine_is_the_same_by_all_three_ways)
{
    open_all();
    (void)engine_server_certify(&engine, "wrong");
    const char *right = LINE("%s/right", engine.directory.data), *wrong = LINE("%s/wrong", engine.directory.data);
    ck_assert_contains(run(65, LINE("host add tls %s", tcp_url().data)), S("--tls-dir"));
    ck_assert_contains(run(65, LINE("host add tls %s --tls-dir %s", engine.url.data, right)),
                       S("belong to tcp:// alone"));
    ck_assert_contains(run(66, LINE("host add tls %s --tls-dir /tmp", tcp_url().data)), S("ca.pem"));
    ck_assert_contains(run(77, LINE("host add tls %s --tls-dir %s", tcp_url().data, wrong)), S("can't be used"));
    Error err = {0};
    Str output = S("");
    const char *argv[] = {"sh", "-c",
                          LINE("cd %s && mkdir mixed locked && cp right/ca.pem wrong/cert.pem wrong/key.pem mixed && "
                               "cp right/ca.pem right/cert.pem locked && openssl ec -in right/key.pem -aes128 -passout "
                               "pass:x -out locked/key.pem 2>said",
                               engine.directory.data),
                          NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 10000, runner.world.arena, &output, &err), &err);
    ck_assert_contains(run(65, LINE("host add tls %s --tls-dir %s/locked", tcp_url().data, engine.directory.data)),
                       S("its key has a passphrase"));
    ck_assert_contains(run(69, LINE("host add tls unix://%s/said", engine.directory.data)), S("it isn't a socket"));
    CommandResult refused = command_runner_run(
        &runner, LINE("host add tls %s --tls-dir %s/mixed", tcp_url().data, engine.directory.data), S(""), NULL, NULL);
    ck_assert(refused.exit_code == 77 || refused.exit_code == 69);    // it may hang up before it has said why
    ck_assert_contains(refused.said, S("mixed/cert.pem' is of an authority that it knows"));
    char here[4 * KIB];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    ck_assert_int_eq(chdir(engine.directory.data), 0);
    ck_assert_str(member(run(0, LINE("host add tls %s --tls-dir right -o json", tcp_url().data)), "tls_directory"),
                  str_format(runner.world.arena, "\"%s\"", right));
    ck_assert_int_eq(chdir(here), 0);
    (void)run(0, LINE("host add tls %s --cpu 1", tcp_url().data));    // the directory is remembered
    Str by_tls = run(0, "host check tls -o json");

    trust();
    ck_assert_contains(run(73, LINE("host add ssh %s", ssh_url().data)), S("is the host 'tls' already"));
    (void)run(0, "host remove tls");
    (void)run(0, LINE("host add ssh %s", ssh_url().data));
    Str by_ssh = run(0, "host check ssh -o json");
    (void)run(0, "host remove ssh");
    (void)run(0, LINE("host add unix %s", engine.url.data));
    Str by_unix = run(0, "host check unix -o json");
    static const char *const SAME[] = {"engine", "api_version", "system", "memory_bytes", "cpu"};
    for (size_t i = 0; i < COUNT(SAME); i++) {
        ck_assert_str(member(by_tls, SAME[i]), member(by_unix, SAME[i]));
        ck_assert_str(member(by_ssh, SAME[i]), member(by_unix, SAME[i]));
    }
    ck_assert_int_ne((int)str_eq(member(by_ssh, "disk_free_bytes"), S("null")), 1);
    close_all();
}

TEST(a_host_that_is_gone_is_said_to_be_and_comes_back)
{
    open_all();
    trust();
    (void)run(0, LINE("host add eu1 %s", ssh_url().data));
    engine_server_kill(&engine);
    Str checked = run(2, "host check eu1 -o json");
    ck_assert_str(member(checked, "state"), S("\"unreachable\""));
    ck_assert_contains(member(checked, "problems.0.what"), S("can't be reached"));
    ssh_daemon_kill(&daemon_);
    checked = run(2, "host check eu1 -o json");
    ck_assert_contains(member(checked, "problems.0.what"), S("doesn't answer"));
    ssh_daemon_restart(&daemon_);
    engine_server_restart(&engine);
    (void)run(0, "host check eu1");

    // One connection outlives both.
    Host *host = NULL;
    Error err = {0};
    Json *answer = NULL;
    HostAccess access = {.ssh_key = daemon_.key,
                         .ssh_known_hosts = str_format(runner.world.arena, "%s/known_hosts", runner.world.data.data)};
    Platform *platform = NULL;
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = runner.world.control_dsn, .access = access},
                                    &platform, &err),
                 &err);
    ck_assert_ok(host_open(platform, S("eu1"), &host, &err), &err);
    const EngineCall call = {.method = "GET", .path = S("/containers/json?all=true")};
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(engine_call(host_engine(host), &call, &answer, &err), &err);
        json_close(&answer);
        engine_server_kill(&engine);
        ssh_daemon_kill(&daemon_);
        ck_assert(!engine_call(host_engine(host), &call, &answer, &err));
        ck_assert_says(&err, ERR_UNREACHABLE, "");
        error_clear(&err);
        ssh_daemon_restart(&daemon_);
        ck_assert(!engine_call(host_engine(host), &call, &answer, &err));
        ck_assert_says(&err, ERR_UNREACHABLE, "engine's socket");
        error_clear(&err);
        engine_server_restart(&engine);
    }
    ck_assert_ok(engine_call(host_engine(host), &call, &answer, &err), &err);
    json_close(&answer);
    host_close(&host);
    platform_close(&platform);
    close_all();
}

static const struct {
    const char *line;
    int exit_code;
    const char *says;
} REFUSED[] = {
    {"host add Eu1 unix:///tmp/x", 65, "the host's name 'Eu1' is refused"},
    {"host add eu1 http://x", 65, "begins with none of"},
    {"host add eu1 unix:///tmp/x --cpu many", 64, "--cpu"},
    {"host add eu1 unix:///tmp/x --memory 0", 64, "--memory"},
    {"host add eu1 unix:///tmp/x --disk 5", 64, "--disk"},
    {"host add eu1 unix:///tmp/shop-no-such-socket", 69, "there is no such socket"},
    {"host add eu1", 64, "URL"},
    {"host trust unix:///tmp/x", 1, "nothing to trust"},
    {"host trust eu9", 66, "there is no host 'eu9'"},
};

TEST(a_wrong_wish_is_refused_and_nothing_is_recorded)
{
    command_runner_open(&runner, "host");
    ck_assert_contains(run(REFUSED[_i].exit_code, REFUSED[_i].line), str_of(REFUSED[_i].says));
    ck_assert_contains(run(0, "host list -o json"), S("\"total\": 0"));
    command_runner_close(&runner);
}

SUITE(host, ONCE(a_host_is_reached_as_its_record_says_by_now), ONCE(a_host_is_added_shown_changed_and_removed),
      ONCE(an_engine_is_the_same_by_all_three_ways), ONCE(a_host_that_is_gone_is_said_to_be_and_comes_back),
      EACH(a_wrong_wish_is_refused_and_nothing_is_recorded, REFUSED))
