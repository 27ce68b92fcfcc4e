// tests/support/own_shops.c: an engine, a platform, and questions to both.
#include "tests/support/own_shops.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/dedicated_addresses.h"
#include "provisioner/dedicated_mend.h"
#include "provisioner/dedicated_ready.h"
#include "provisioner/http_client.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/step_moment.h"

enum { ANSWER_MS = 10000, READY_MS = 40000 };

#define LINE(...) str_format(shops->runner.world.arena, __VA_ARGS__).data

// A small plan, so that several shops have room on a small machine.
static void plans_make(const OwnShops *shops)
{
    static const char PLAN[] = "name: %s\nversion: 1\ntitle: Own\ntier: %s\nprice:\n  amount: 1000\n  currency: EUR\n"
                               "limits:\n  products: 0\n  requests_per_second: 0\n  storage: 1GiB\n  staff: 5\n%s";
#define RESOURCES                                                                                                      \
    "resources:\n  postgres:\n    cpu: 600m\n    memory: 256MiB\n    disk: 1GiB\n"                                     \
    "  shopd:\n    cpu: 400m\n    memory: 256MiB\n"
    Error err = {0};
    Str directory = str_format(shops->runner.world.arena, "%s/plans", shops->runner.world.data.data);
    ck_assert_ok(directory_make(directory, 0755, &err), &err);
    const struct {
        const char *name, *tier, *more;
    } plans[] = {
        {"free", "shared", ""}, {"own", "container", RESOURCES}, {"alone", "server", RESOURCES "exclusive: true\n"}};
    for (size_t i = 0; i < COUNT(plans); i++)
        ck_assert_ok(
            file_write(str_format(shops->runner.world.arena, "%s/%s.yaml", directory.data, plans[i].name),
                       str_format(shops->runner.world.arena, PLAN, plans[i].name, plans[i].tier, plans[i].more), 0644,
                       &err),
            &err);
    (void)setenv("SHOPCTL_PLANS", directory.data, 1);
}

static Str url_of(const OwnShops *shops)
{
    const EngineServer *engine = shops->engine;
    switch (shops->transport) {
    case HOST_UNIX: return engine->url;
    case HOST_TCP: return str_format(engine->arena, "tcp://%s:%u", engine->address.data, engine->tls_port);
    case HOST_SSH:
        return str_format(engine->arena, "ssh://root@%s:%u%s", engine->address.data, shops->ssh.port,
                          engine->socket.data);
    }
    return S("");
}

static void host_add(OwnShops *shops)
{
    Str url = url_of(shops);
    if (shops->transport == HOST_SSH) {
        CommandResult key =
            command_runner_run(&shops->runner, LINE("host trust %s --dry-run -o json", url.data), S(""), NULL, NULL);
        size_t at = str_find(key.out, S("SHA256:"));
        Str fingerprint = str_slice(key.out, at, at + str_find_char(str_skip(key.out, at), '"'));
        (void)command_ends(&shops->runner, 0, LINE("host trust %s --fingerprint %.*s", url.data, STR_ARG(fingerprint)));
    }
    (void)command_ends(
        &shops->runner, 0,
        shops->transport == HOST_TCP
            ? LINE("host add here %s --cpu 8 --tls-dir %s/right", url.data, shops->engine->directory.data)
            : LINE("host add here %s --cpu 8 --address %s", url.data, shops->engine->address.data));
}

// ---- the engine: to start one and to load its images takes as long as many a test

static struct {
    EngineServer server;
    pid_t owner;    // a fork has another one's
} kept;

static void kept_remove(void)
{
    if (kept.owner == getpid())
        engine_server_remove(&kept.server);
    kept.owner = 0;
}

static EngineServer *kept_engine(HostTransport transport)
{
    if (kept.owner == getpid() && (kept.server.tls_port != 0) == (transport == HOST_TCP) &&
        is_engine_server_ready(&kept.server)) {
        engine_server_empty(&kept.server);
        return &kept.server;
    }
    if (!kept.owner)
        (void)atexit(kept_remove);
    kept_remove();
    kept.server = (EngineServer){.tls_port = transport == HOST_TCP ? test_free_port() : 0};
    engine_server_start(&kept.server);
    kept.owner = getpid();
    return &kept.server;
}

// All suites of a run make their images once.
static void images_share(const OwnShops *shops)
{
    Error err = {0};
    const char *images = LINE("%s/images", getenv("TEST_WORK"));
    ck_assert_ok(directory_make(str_of(images), 0755, &err), &err);
    ck_assert_int_eq(symlink(images, LINE("%.*s/images", STR_ARG(shops->runner.world.data))), 0);
}

static struct {
    OwnShops *shops;
    pid_t owner;
    bool is_out;
} lent;

static void lent_close(void)
{
    if (lent.owner == getpid() && !lent.is_out)
        own_shops_close(lent.shops);
    lent.owner = 0;
}

void own_shops_borrow(OwnShops *shops, void (*prepare)(void))
{
    if (lent.owner == getpid() && !lent.is_out) {
        lent.is_out = true;
        return;
    }
    own_shops_open(shops, HOST_UNIX);
    lent.shops = shops;
    lent.owner = getpid();
    lent.is_out = true;
    check_at_end(lent_close);
    prepare();
}

void own_shops_give_back(void) { lent.is_out = false; }

void own_shops_give_up(void)
{
    own_shops_give_back();
    lent_close();
}

void own_shops_open(OwnShops *shops, HostTransport transport)
{
    lent_close();
    *shops = (OwnShops){.transport = transport, .engine = kept_engine(transport)};
    if (transport == HOST_SSH) {
        shops->ssh.address = shops->engine->address;
        shops->ssh.network = shops->engine->network;
        ssh_daemon_start(&shops->ssh);
        (void)setenv("SHOPCTL_SSH_KEY", shops->ssh.key.data, 1);
    }
    command_runner_open(&shops->runner, "own_shops");
    images_share(shops);
    plans_make(shops);
    (void)setenv("SHOPCTL_SHOPD", LINE("%s/bin/shopd", getenv("TEST_BUILD")), 1);
    host_add(shops);
}

void own_shops_close(OwnShops *shops)
{
    command_runner_close(&shops->runner);
    (void)unsetenv("SHOPCTL_PLANS");
    (void)unsetenv("SHOPCTL_SHOPD");
    (void)unsetenv("SHOPCTL_SSH_KEY");
    if (shops->transport == HOST_SSH)
        ssh_daemon_remove(&shops->ssh);
    engine_server_empty(shops->engine);
}

Platform *own_shops_platform(const OwnShops *shops)
{
    Platform *platform = NULL;
    Error err = {0};
    Str data = shops->runner.world.data;
    const PlatformOptions options = {
        .control_dsn = shops->runner.world.control_dsn,
        .data = data,
        .ready_ms = READY_MS,
        .access = {.ssh_key = shops->ssh.key, .ssh_known_hosts = str_of(LINE("%.*s/known_hosts", STR_ARG(data)))},
        .images = {.directory = str_of(LINE("%.*s/images", STR_ARG(data))), .shopd = str_of(getenv("SHOPCTL_SHOPD"))}};
    ck_assert_ok(platform_open_with(&options, &platform, &err), &err);
    return platform;
}

const Plan *own_shops_plan(const OwnShops *shops)
{
    Plans plans;
    const Plan *plan = NULL;
    Error err = {0};
    ck_assert_ok(plans_read(str_of(getenv("SHOPCTL_PLANS")), shops->runner.world.arena, &plans, &err) &&
                     plans_get(&plans, S("own"), &plan, &err),
                 &err);
    return plan;
}

Str own_shops_name(const OwnShops *shops, const char *end)
{
    return test_value(shops->runner.world.control, shops->runner.world.arena,
                      LINE("select 'shop-' || p.name || '-' || c.name || '-%s' from control.cells c, control.platforms "
                           "p where c.host is not null",
                           end));
}

void own_shops_do(const OwnShops *shops, const char *method, const char *path, const Json *body)
{
    Engine *connection = engine_server_connect(shops->engine);
    Error err = {0};
    ck_assert_ok(
        engine_call(connection, &(EngineCall){.method = method, .path = str_of(path), .body = body}, NULL, &err), &err);
    engine_close(&connection);
}

Str own_shops_mended(const OwnShops *shops, ErrorCode code, const char *says)
{
    Platform *platform = own_shops_platform(shops);
    Arena *arena = shops->runner.world.arena;
    Json *did = json_build("[]");
    Error err = {0};
    Str text = S(""),
        cell = test_value(shops->runner.world.control, arena, "select name from control.cells where host is not null");
    bool ok = dedicated_mend(platform, cell, did, &err);
    if (code)
        ck_assert_says(&err, code, says);
    else
        ck_assert_ok(ok, &err);
    error_clear(&err);
    ck_assert_ok(json_print(did, 0, arena, &text, &err), &err);
    json_close(&did);
    platform_close(&platform);
    return text;
}

static size_t count_of(Engine *connection, const char *path, const char *list)
{
    Json *answer = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(connection, &(EngineCall){.method = "GET", .path = str_of(path)}, &answer, &err), &err);
    size_t count = json_count(list ? json_get(answer, list) : answer);
    json_close(&answer);
    return count;
}

size_t own_shops_things(const OwnShops *shops, const char *slug)
{
    Engine *connection = engine_server_connect(shops->engine);
    const char *filter = LINE("filters=%%7B%%22label%%22%%3A%%5B%%22shopctl.tenant%%3D%s%%22%%5D%%7D", slug);
    size_t count = count_of(connection, LINE("/containers/json?all=true&%s", filter), NULL) +
                   count_of(connection, LINE("/networks?%s", filter), NULL) +
                   count_of(connection, LINE("/volumes?%s", filter), "Volumes");
    engine_close(&connection);
    return count;
}

int own_shops_status(const OwnShops *shops, const char *slug, const char *path)
{
    Error ignored = {0};
    int status = 0;
    Str url = test_value(shops->runner.world.control, shops->runner.world.arena,
                         LINE("select c.url from control.cells c join control.tenants t on t.cell = c.name "
                              "where t.slug = '%s'",
                              slug));
    ck_assert_msg(url.len > 0, "%s has no cell", slug);
    return http_get_status(str_format(shops->runner.world.arena, "%.*s%s", STR_ARG(url), path),
                           str_format(shops->runner.world.arena, "%s.localhost", slug), ANSWER_MS, &status, &ignored)
               ? status
               : 0;
}

// The same container, of an image with another name.
static void container_age(const OwnShops *shops, Engine *engine, Str container, const char *image, Json *body,
                          Str network)
{
    CLEANUP(json_close) Json *there = NULL;
    Error err = {0};
    ck_assert_ok(thing_find(engine, THING_CONTAINER, container, &there, &err), &err);
    Str now = json_str(json_get(json_get(there, "Config"), "Image"));
    const EngineCall tag = {.method = "POST",
                            .path = str_of(LINE("/images/%.*s/tag?repo=shopctl/%s&tag=old", STR_ARG(now), image))};
    ck_assert_ok(engine_call(engine, &tag, NULL, &err) && container_stop(engine, container, 30, &err) &&
                     thing_remove(engine, THING_CONTAINER, container, &err) &&
                     thing_make(engine, THING_CONTAINER, container, body, &err) &&
                     (network.len == 0 || container_connect(engine, container, network, &err)) &&
                     container_start(engine, container, &err),
                 &err);
}

void own_shops_age(const OwnShops *shops, bool has_postgres, bool has_shopd)
{
    Dedicated cell;
    Error err = {0};
    Platform *platform = own_shops_platform(shops);
    Engine *engine = engine_server_connect(shops->engine);
    Str name = test_value(shops->runner.world.control, shops->runner.world.arena,
                          "select cell from control.tenants where slug = 'bazar'");
    ck_assert_ok(dedicated_find(platform, name, shops->runner.world.arena, &cell, &err), &err);
    ck_assert_ok(dedicated_addresses_find(engine, &cell, shops->runner.world.arena, &err), &err);
    if (has_postgres)
        container_age(shops, engine, cell.postgres_name, "postgres",
                      dedicated_postgres_container(&cell, S("shopctl/postgres:old")), S(""));
    if (has_shopd)
        container_age(shops, engine, cell.shopd_name, "shopd", dedicated_shopd_container(&cell, S("shopctl/shopd:old")),
                      cell.network);
    ck_assert_ok(dedicated_ready_wait(platform, NULL, cell.url, cell.tenant, &err) &&
                     dedicated_database_wait(platform, NULL, cell.cell, cell.tenant, 1, &err),
                 &err);
    platform_close(&platform);
    engine_close(&engine);
}

void own_shops_killed(const OwnShops *shops, OwnShopsAct *act, StepMoment moment)
{
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        Platform *platform = own_shops_platform(shops);
        platform_observe(platform, step_moment_kill, &moment);
        bool ok = act(shops, platform, &err);
        (void)fprintf(stderr, "not killed at step %zu: %s %s %s\n", moment.step, ok ? "done" : err.what, err.why,
                      err.cause_count ? err.causes[0] : "");
        _exit(ok ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "step %zu: status %d", moment.step, status);
}
