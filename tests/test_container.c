// tests/test_container.c: shops with a PostgreSQL and a shopd of their own, in containers of a real engine.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/container_driver.h"
#include "provisioner/dedicated_mend.h"
#include "provisioner/host.h"
#include "provisioner/http_client.h"
#include "provisioner/image.h"
#include "tests/support/command_runner.h"
#include "tests/support/engine_server.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"

enum { ANSWER_MS = 10000 };

static CommandRunner runner;
static EngineServer engine;

#define LINE(...) str_format(runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line)
{
    CommandResult result = command_runner_run(&runner, line, S(""), NULL, NULL);
    ck_assert_msg(result.exit_code == exit_code, "%s: %d: %.*s%.*s", line, result.exit_code,
                  STR_ARG(str_slice(result.out, 0, KIB)), STR_ARG(str_slice(result.said, 0, KIB)));
    return exit_code && result.said.len ? result.said : result.out;
}

// A small plan, so that several shops have room on a small machine.
static void plans_make(void)
{
    static const char PLAN[] = "name: %s\nversion: 1\ntitle: Own\ntier: %s\nprice:\n  amount: 1000\n  currency: EUR\n"
                               "limits:\n  products: 0\n  requests_per_second: 0\n  storage: 1GiB\n  staff: 5\n%s";
#define RESOURCES                                                                                                      \
    "resources:\n  postgres:\n    cpu: 300m\n    memory: 256MiB\n    disk: 1GiB\n"                                     \
    "  shopd:\n    cpu: 200m\n    memory: 256MiB\n"
    Error err = {0};
    Str directory = str_format(runner.world.arena, "%s/plans", runner.world.data.data);
    ck_assert_ok(directory_make(directory, 0755, &err), &err);
    const struct {
        const char *name, *tier, *more;
    } plans[] = {
        {"free", "shared", ""}, {"own", "container", RESOURCES}, {"alone", "server", RESOURCES "exclusive: true\n"}};
    for (size_t i = 0; i < COUNT(plans); i++)
        ck_assert_ok(file_write(str_format(runner.world.arena, "%s/%s.yaml", directory.data, plans[i].name),
                                str_format(runner.world.arena, PLAN, plans[i].name, plans[i].tier, plans[i].more), 0644,
                                &err),
                     &err);
    (void)setenv("SHOPCTL_PLANS", directory.data, 1);
}

static void open_all(void)
{
    engine = (EngineServer){0};
    engine_server_start(&engine);
    command_runner_open(&runner, "container");
    plans_make();
    (void)setenv("SHOPCTL_SHOPD", LINE("%s/bin/shopd", getenv("TEST_BUILD")), 1);
    (void)run(0, LINE("host add here %s", engine.url.data));
}

static void close_all(void)
{
    command_runner_close(&runner);
    (void)unsetenv("SHOPCTL_PLANS");
    (void)unsetenv("SHOPCTL_SHOPD");
    engine_server_remove(&engine);
}

static Engine *engine_connect(void)
{
    Engine *connection = NULL;
    Error err = {0};
    const HttpServer server = {.name = S("the engine"), .url = S("http://engine"), .socket = engine.socket};
    ck_assert_ok(engine_open(&server, &connection, &err), &err);
    return connection;
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

// Containers, networks and volumes that carry the label of the shop.
static size_t things_of(const char *slug)
{
    Engine *connection = engine_connect();
    const char *filter = LINE("filters=%%7B%%22label%%22%%3A%%5B%%22shopctl.tenant%%3D%s%%22%%5D%%7D", slug);
    size_t count = count_of(connection, LINE("/containers/json?all=true&%s", filter), NULL) +
                   count_of(connection, LINE("/networks?%s", filter), NULL) +
                   count_of(connection, LINE("/volumes?%s", filter), "Volumes");
    engine_close(&connection);
    return count;
}

// 0: nobody answers.
static int try_status(const char *slug, const char *path)
{
    Error ignored = {0};
    int status = 0;
    Str url = test_value(runner.world.control, runner.world.arena,
                         LINE("select c.url from control.cells c join control.tenants t on t.cell = c.name "
                              "where t.slug = '%s'",
                              slug));
    ck_assert_msg(url.len > 0, "%s has no cell", slug);
    return http_get_status(str_format(runner.world.arena, "%.*s%s", STR_ARG(url), path),
                           str_format(runner.world.arena, "%s.localhost", slug), ANSWER_MS, &status, &ignored)
               ? status
               : 0;
}

static int status_of(const char *slug, const char *path)
{
    int status = try_status(slug, path);
    ck_assert_msg(status, "%s doesn't answer", slug);
    return status;
}

static void check_free(const char *memory)
{
    Str list = run(0, "host list -o json");
    ck_assert_contains(list, str_of(memory));
}

TEST(a_shop_of_its_own_lives_from_creation_to_restoration)
{
    open_all();
    Str whole = test_value(runner.world.control, runner.world.arena, "select memory_bytes from control.hosts");
    ck_assert_contains(run(0, "tenant create bazar --plan own --email a@b.example --dry-run"), S("postgres"));
    ck_assert_uint_eq(things_of("bazar"), 0);
    (void)run(0, "tenant create bazar --plan own --email a@b.example --domains bazar.example");
    ck_assert_uint_eq(things_of("bazar"), 5);    // two containers, a network, two volumes
    ck_assert_int_eq(status_of("bazar", "/"), 200);
    Str shown = run(0, "tenant show bazar -o json");
    static const char *const SAYS[] = {
        "\"host\": \"here\"", "\"role\": \"postgres\"",      "\"role\": \"shopd\"", "\"state\": \"running\"",
        "\"cpu\": 0.3",       "\"memory_bytes\": 268435456", "\"problem\": null"};
    for (size_t i = 0; i < COUNT(SAYS); i++)
        ck_assert_contains(shown, str_of(SAYS[i]));
    Error err = {0};
    int64_t bytes = 0;
    ck_assert_ok(str_int64(whole, 1, INT64_MAX, &bytes, &err), &err);
    check_free(LINE("\"memory_bytes\": %lld", (long long)bytes - (256 + 256) * (int64_t)MIB));

    Str catalogue = str_format(runner.world.arena, "%s/one.csv", runner.world.data.data);
    ck_assert_ok(file_write(catalogue, S("Handle,Title,Variant Price\nmug,Mug,9.50\n"), 0644, &err), &err);
    (void)run(0, LINE("product import bazar %s", catalogue.data));
    ck_assert_int_eq(status_of("bazar", "/products/mug"), 200);
    ck_assert_contains(run(0, "tenant set bazar --name Bazar -o json"), S("\"name\": \"Bazar\""));
    (void)run(0, "tenant suspend bazar");
    ck_assert_int_eq(status_of("bazar", "/"), 503);
    (void)run(0, "tenant archive bazar");
    ck_assert_contains(run(0, "tenant delete bazar --dry-run"), S("remove"));
    (void)run(0, "tenant delete bazar --yes");
    ck_assert_uint_eq(things_of("bazar"), 0);
    ck_assert_contains(run(0, "cell list -o name"), S("main"));
    check_free(LINE("\"memory_bytes\": %lld", (long long)bytes));

    (void)run(0, "tenant restore bazar");
    ck_assert_int_eq(status_of("bazar", "/products/mug"), 200);
    ck_assert_uint_eq(things_of("bazar"), 5);
    ck_assert_contains(run(1, "host remove here"), S("shops live on it: bazar"));
    close_all();
}

// What a container is allowed, as the engine says.
TEST(containers_have_no_rights_and_their_plans_limits)
{
    static const char *const WANTED[] = {"\"ReadonlyRootfs\":true",
                                         "\"CapDrop\":[\"ALL\"]",
                                         "no-new-privileges",
                                         "\"Privileged\":false",
                                         "\"RestartPolicy\":{\"Name\":\"unless-stopped\"",
                                         "\"max-size\":\"10m\"",
                                         "\"PidsLimit\":"};
    open_all();
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    Engine *connection = engine_connect();
    Json *list = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(connection, &(EngineCall){.method = "GET", .path = S("/containers/json")}, &list, &err),
                 &err);
    ck_assert_uint_eq(json_count(list), 2);
    for (size_t i = 0; i < 2; i++) {
        Json *container = NULL;
        Str text = S("");
        Str path = str_format(runner.world.arena, "/containers/%.*s/json",
                              STR_ARG(json_str(json_get(json_element(list, i), "Id"))));
        ck_assert_ok(engine_call(connection, &(EngineCall){.method = "GET", .path = path}, &container, &err), &err);
        ck_assert_ok(json_print(container, 0, runner.world.arena, &text, &err), &err);
        for (size_t at = 0; at < COUNT(WANTED); at++)
            ck_assert_msg(str_find(text, str_of(WANTED[at])) < text.len, "%s: %s", WANTED[at], text.data);
        bool is_postgres = str_find(text, S("-postgres\"")) < text.len;
        ck_assert_int_eq(json_int64(json_get(json_get(container, "HostConfig"), "Memory")), 256 * (int64_t)MIB);
        ck_assert_int_eq(json_int64(json_get(json_get(container, "HostConfig"), "NanoCpus")),
                         is_postgres ? 300000000 : 200000000);
        // A password is in no argument, variable or label.
        ck_assert(str_find(text, S("password")) == text.len && str_find(text, S("PASSWORD")) == text.len);
        // PostgreSQL has its private network alone and no port outside.
        ck_assert_uint_eq(json_count(json_get(json_get(container, "NetworkSettings"), "Networks")),
                          is_postgres ? 1 : 2);
        ck_assert_uint_eq(json_count(json_get(json_get(container, "HostConfig"), "PortBindings")), is_postgres ? 0 : 1);
        json_close(&container);
    }
    json_close(&list);
    engine_close(&connection);
    close_all();
}

// Listens there, unless somebody does already.
static int port_take(Str port)
{
    int64_t number = 0;
    Error err = {0};
    ck_assert_ok(str_int64(port, 1, 65535, &number, &err), &err);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

static const struct {
    const char *line;
    int exit_code;
    const char *says;
} REFUSED[] = {
    {"tenant create bazar --plan own --email a@b.example --host there", 66, "there is no host 'there'"},
    {"tenant create bazar --plan own --email a@b.example --cell main", 65, "has a cell of its own"},
    {"tenant create bazar --plan own --email a@b.example --labels region=eu", 1, "here: other labels"},
    {"tenant create bazar --plan own --email a@b.example --host here --labels region=eu", 1, "here: other labels"},
};

TEST(a_shop_without_a_place_is_refused_and_leaves_nothing)
{
    open_all();
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        ck_assert_contains(run(REFUSED[i].exit_code, REFUSED[i].line), str_of(REFUSED[i].says));
        ck_assert_contains(run(REFUSED[i].exit_code, LINE("%s --dry-run", REFUSED[i].line)), str_of(REFUSED[i].says));
    }
    (void)run(0, LINE("host add here %s --cpu 1 --memory 600MiB --disk 10GiB", engine.url.data));
    (void)run(0, "tenant create first --plan own --email a@b.example");
    ck_assert_contains(run(1, "tenant create second --plan own --email a@b.example"), S("memory 424MiB short"));
    ck_assert_contains(run(1, "tenant create second --plan alone --email a@b.example"), S("has other shops"));
    ck_assert_contains(run(0, "tenant list -o name"), S("first"));
    ck_assert_uint_eq(things_of("second"), 0);
    // Another program has the next shop's port.
    (void)run(0, LINE("host add here %s --memory 4GiB", engine.url.data));
    Str port = test_value(runner.world.control, runner.world.arena, "select max(port) + 1 from control.cells");
    int fd = port_take(port);
    (void)run(0, "tenant create second --plan own --email a@b.example");
    ck_assert_int_eq(status_of("second", "/"), 200);
    ck_assert_str(test_value(runner.world.control, runner.world.arena,
                             LINE("select count(*) from control.cells where port = %s", port.data)),
                  S("0"));
    fd_close(&fd);
    close_all();
}

static Platform *platform_here(void)
{
    Platform *platform = NULL;
    Error err = {0};
    const PlatformOptions options = {
        .control_dsn = runner.world.control_dsn,
        .data = runner.world.data,
        .images = {.directory = str_format(runner.world.arena, "%s/images", runner.world.data.data),
                   .shopd = str_of(getenv("SHOPCTL_SHOPD"))}};
    ck_assert_ok(platform_open_with(&options, &platform, &err), &err);
    return platform;
}

// ---- commands of containers

TEST(logs_psql_and_restart_reach_the_shops_own_containers)
{
    open_all();
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    (void)run(0, "tenant create stall --plan free --email a@b.example");
    ck_assert_int_eq(status_of("bazar", "/nowhere"), 404);
    ck_assert_contains(run(0, "tenant logs bazar --since 1h"), S("\"status\":404"));
    ck_assert_contains(run(0, "tenant logs bazar --container postgres"), S("ready to accept connections"));
    ck_assert_uint_eq(raw_count(run(0, "tenant logs bazar --tail 1"), S("\n")), 1);
    ck_assert_str(run(0, "tenant logs bazar --since 2099-01-01T00:00:00Z"), S(""));
    ck_assert_contains(run(64, "tenant logs bazar --since yesterday"), S("--since"));

    ck_assert_contains(run(0, "tenant psql bazar -c select(current_schema)"),
                       test_value(runner.world.control, runner.world.arena,
                                  "select 't_' || number from control.tenants where slug = 'bazar'"));
    CommandResult piped =
        command_runner_run(&runner, "tenant psql bazar", S("select 6 * 7 as answer;\nselect nope;\n"), NULL, NULL);
    ck_assert_int_eq(piped.exit_code, 0);
    ck_assert_contains(piped.out, S("42"));
    ck_assert_contains(piped.said, S("nope"));
    ck_assert_int_ne(command_runner_run(&runner, "tenant psql bazar -c nonsense", S(""), NULL, NULL).exit_code, 0);

    ck_assert_contains(run(0, "tenant restart bazar --dry-run -o json"), S("\"away_ms\": null"));
    ck_assert_contains(run(0, "tenant restart bazar --postgres -o json"), S("\"away_ms\": "));
    ck_assert_int_eq(status_of("bazar", "/"), 200);

    static const char *const OWN[] = {"tenant logs stall", "tenant psql stall", "tenant restart stall"};
    for (size_t i = 0; i < COUNT(OWN); i++)
        ck_assert_contains(run(1, OWN[i]), S("has no containers of its own"));
    close_all();
}

static void engine_do(const char *method, const char *path, const Json *body)
{
    Engine *connection = engine_connect();
    Error err = {0};
    ck_assert_ok(
        engine_call(connection, &(EngineCall){.method = method, .path = str_of(path), .body = body}, NULL, &err), &err);
    engine_close(&connection);
}

static Str name_of(const char *end)
{
    return test_value(runner.world.control, runner.world.arena,
                      LINE("select 'shop-' || p.name || '-' || c.name || '-%s' from control.cells c, control.platforms "
                           "p where c.host is not null",
                           end));
}

// What mending did, in sentences.
static Str mended(ErrorCode code, const char *says)
{
    Platform *platform = platform_here();
    Json *did = json_build("[]");
    Error err = {0};
    Str text = S("");
    bool ok = dedicated_mend(
        platform,
        test_value(runner.world.control, runner.world.arena, "select name from control.cells where host is not null"),
        did, &err);
    if (code)
        ck_assert_says(&err, code, says);
    else
        ck_assert_ok(ok, &err);
    error_clear(&err);
    ck_assert_ok(json_print(did, 0, runner.world.arena, &text, &err), &err);
    json_close(&did);
    platform_close(&platform);
    return text;
}

static void answers_again(void)
{
    int64_t deadline_ms = clock_ms() + ANSWER_MS;
    while (try_status("bazar", "/") != 200)
        ck_assert_msg(clock_ms() < deadline_ms, "the shop doesn't answer");
}

TEST(what_somebody_changed_on_a_host_is_mended_and_what_is_nobodys_is_named)
{
    open_all();
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    ck_assert_contains(run(0, "doctor"), S("0 problems"));

    engine_do("POST", LINE("/containers/%s/kill", name_of("shopd").data), NULL);
    ck_assert_contains(mended(ERR_NONE, ""), S("started the container"));
    answers_again();
    engine_do("DELETE", LINE("/containers/%s?force=true", name_of("postgres").data), NULL);
    ck_assert_contains(mended(ERR_NONE, ""), S("made the container"));
    answers_again();
    Json *limits = json_build("{s:I, s:I}", "Memory", (json_int)200 * MIB, "MemorySwap", (json_int)200 * MIB);
    engine_do("POST", LINE("/containers/%s/update", name_of("shopd").data), limits);
    json_close(&limits);
    ck_assert_contains(mended(ERR_NONE, ""), S("set the limits"));
    engine_do("DELETE", LINE("/containers/%s?force=true", name_of("postgres").data), NULL);
    engine_do("DELETE", LINE("/containers/%s?force=true", name_of("shopd").data), NULL);
    engine_do("DELETE", LINE("/networks/%s", name_of("network").data), NULL);
    Str did = mended(ERR_NONE, "");
    ck_assert_uint_eq(raw_count(did, S("made the ")), 3);
    answers_again();
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));

    // An empty volume in place of the one with the data would be an empty shop.
    engine_do("DELETE", LINE("/containers/%s?force=true", name_of("postgres").data), NULL);
    engine_do("DELETE", LINE("/volumes/%s", name_of("data").data), NULL);
    ck_assert_str(mended(ERR_STATE, "is gone"), S("[]"));
    ck_assert_uint_eq(things_of("bazar"), 3);

    command_sql(runner.world.control, S("delete from control.domains; delete from control.tenants; delete from "
                                        "control.cells where host is not null"));
    Str said = run(2, "doctor");
    ck_assert_contains(said, S("3 problems"));    // shopd, the network, the volume of secrets
    ck_assert_contains(said, S("it was made for 'bazar' by operation"));
    close_all();
}

TEST(a_host_is_gone_after_a_silence_until_it_answers_again)
{
    open_all();
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    command_sql(runner.world.control, S("select control.host_silent('here', 60000)"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"ready\""));
    command_sql(runner.world.control, S("update control.hosts set heard_at = now() - interval '61 seconds'"));
    ck_assert_str(test_value(runner.world.control, runner.world.arena, "select control.host_silent('here', 60000)"),
                  S("t"));
    ck_assert_str(test_value(runner.world.control, runner.world.arena, "select control.host_silent('here', 60000)"),
                  S("f"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"gone\""));
    ck_assert_contains(run(1, "tenant create other --plan own --email a@b.example"), S("here: is gone"));
    engine_server_kill(&engine);
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("the engine of the host 'here' doesn't answer"));
    ck_assert_contains(run(2, "doctor"), S("host here: the engine"));
    engine_server_restart(&engine);
    (void)run(0, "host check here");
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"ready\""));
    close_all();
}

// ---- kills

static int kill_phase;    // of the step whose number is kill_step
static size_t kill_step;

static void observe(void *context, const Event *event)
{
    (void)context;
    if (event->step && event->position == kill_step && (int)event->phase == kill_phase)
        (void)kill(getpid(), SIGKILL);
}

// Makes the shop in a process that is killed around the step.
static void create_killed(const Plan *plan, EventPhase phase, size_t step)
{
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        const TenantSpec spec = {.slug = S("bazar"), .email = S("a@b.example"), .plan = plan};
        kill_phase = (int)phase;
        kill_step = step;
        Platform *platform = platform_here();
        platform_observe(platform, observe, NULL);
        _exit(tenant_create(platform, &spec, NULL, &err) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "step %zu: status %d", step, status);
}

TEST(a_creation_that_is_killed_at_any_step_goes_on_or_back)
{
    open_all();
    Plans plans;
    const Plan *plan = NULL;
    Error err = {0};
    ck_assert_ok(plans_read(str_of(getenv("SHOPCTL_PLANS")), runner.world.arena, &plans, &err) &&
                     plans_get(&plans, S("own"), &plan, &err),
                 &err);
    for (size_t step = 0; step < CONTAINER_CREATE.count; step++) {
        EventPhase phase = step % 2 ? EVENT_BEFORE : EVENT_AFTER;
        create_killed(plan, phase, step);
        Str id = test_value(runner.world.control, runner.world.arena, "select max(id) from control.operations");
        if (step % 5 == 4) {
            (void)run(0, LINE("operation resume %s", id.data));
            ck_assert_int_eq(status_of("bazar", "/"), 200);
            ck_assert_uint_eq(things_of("bazar"), 5);
            (void)run(0, "tenant suspend bazar");
            (void)run(0, "tenant archive bazar");
            (void)run(0, "tenant delete bazar --yes");
        } else {
            (void)run(0, LINE("operation revert %s", id.data));
        }
        ck_assert_msg(things_of("bazar") == 0, "step %zu leaves something", step);
        ck_assert_str(test_value(runner.world.control, runner.world.arena,
                                 "select count(*) from control.cells where host is not null"),
                      S("0"));
    }
    close_all();
}

TEST(an_image_is_the_same_bytes_each_time_and_small)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    static const int64_t AT_MOST[IMAGE_KINDS] = {
        [IMAGE_POSTGRES] = 200 * (int64_t)MIB, [IMAGE_SHOPD] = 60 * (int64_t)MIB};
    char first_directory[] = "/tmp/shop-image.XXXXXX", second_directory[] = "/tmp/shop-image.XXXXXX";
    Error err = {0};
    ck_assert(mkdtemp(first_directory) && mkdtemp(second_directory));
    const char *build = getenv("TEST_BUILD");
    ImageStore store = {.directory = str_of(first_directory), .shopd = str_format(arena, "%s/bin/shopd", build)};
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        Image first, again, second;
        store.directory = str_of(first_directory);
        ck_assert_ok(image_build(&store, (ImageKind)kind, arena, &first, &err), &err);
        ck_assert_ok(image_build(&store, (ImageKind)kind, arena, &again, &err), &err);
        ck_assert_str(again.path, first.path);
        store.directory = str_of(second_directory);
        ck_assert_ok(image_build(&store, (ImageKind)kind, arena, &second, &err), &err);
        ck_assert_str(second.id, first.id);
        ck_assert_str(second.reference, first.reference);
        const char *argv[] = {"cmp", first.path.data, second.path.data, NULL};
        Str output;
        ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 60000, arena, &output, &err), &err);
        if (!strstr(build, "asan"))    // the sanitizers' shopd isn't what is shipped
            ck_assert_int_le(first.bytes, AT_MOST[kind]);
    }
    const char *argv[] = {"rm", "-rf", first_directory, second_directory, NULL};
    Str output;
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 60000, arena, &output, &err), &err);
    Image image;
    store.shopd = S("/tmp/shop-no-such-program");
    ck_assert(!image_build(&store, IMAGE_SHOPD, arena, &image, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "can't be used");
}

SUITE(container, ONCE(an_image_is_the_same_bytes_each_time_and_small),
      ONCE(a_shop_of_its_own_lives_from_creation_to_restoration),
      ONCE(containers_have_no_rights_and_their_plans_limits),
      ONCE(a_shop_without_a_place_is_refused_and_leaves_nothing),
      ONCE(logs_psql_and_restart_reach_the_shops_own_containers),
      ONCE(what_somebody_changed_on_a_host_is_mended_and_what_is_nobodys_is_named),
      ONCE(a_host_is_gone_after_a_silence_until_it_answers_again),
      ONCE(a_creation_that_is_killed_at_any_step_goes_on_or_back))
