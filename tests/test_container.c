// tests/test_container.c: shops with a PostgreSQL and a shopd of their own, in containers of a real engine.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/container.h"
#include "provisioner/container_driver.h"
#include "provisioner/http_client.h"
#include "provisioner/image.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"

enum { ANSWER_MS = 10000 };

static OwnShops shops;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static void prepare(void)
{
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan own --email a@b.example");
}

static void open_all(void) { own_shops_open(&shops, HOST_UNIX); }
static void close_all(void) { own_shops_close(&shops); }
static void borrow(void) { own_shops_borrow(&shops, prepare); }
static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }
static size_t things_of(const char *slug) { return own_shops_things(&shops, slug); }
static int try_status(const char *slug, const char *path) { return own_shops_status(&shops, slug, path); }
static Str value(const char *sql) { return test_value(shops.runner.world.control, shops.runner.world.arena, sql); }
static Str name_of(const char *end) { return own_shops_name(&shops, end); }
static Str mended(ErrorCode code, const char *says) { return own_shops_mended(&shops, code, says); }

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
    Str whole = value("select memory_bytes from control.hosts");
    ck_assert_contains(run(0, "tenant create bazar --plan own --email a@b.example --dry-run"), S("postgres"));
    ck_assert_uint_eq(things_of("bazar"), 0);
    (void)run(0, "tenant create bazar --plan own --email a@b.example --domains bazar.example");
    ck_assert_uint_eq(things_of("bazar"), 5);    // two containers, a network, two volumes
    ck_assert_int_eq(status_of("bazar", "/"), 200);
    Str shown = run(0, "tenant show bazar -o json");
    static const char *const SAYS[] = {
        "\"host\": \"here\"", "\"role\": \"postgres\"",      "\"role\": \"shopd\"", "\"state\": \"running\"",
        "\"cpu\": 0.6",       "\"memory_bytes\": 268435456", "\"problem\": null"};
    for (size_t i = 0; i < COUNT(SAYS); i++)
        ck_assert_contains(shown, str_of(SAYS[i]));
    Error err = {0};
    int64_t bytes = 0;
    ck_assert_ok(str_int64(whole, 1, INT64_MAX, &bytes, &err), &err);
    check_free(LINE("\"memory_bytes\": %lld", (long long)bytes - (256 + 256) * (int64_t)MIB));

    Str catalogue = str_format(shops.runner.world.arena, "%s/one.csv", shops.runner.world.data.data);
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
    borrow();
    Engine *connection = engine_server_connect(shops.engine);
    Json *list = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(connection, &(EngineCall){.method = "GET", .path = S("/containers/json")}, &list, &err),
                 &err);
    ck_assert_uint_eq(json_count(list), 2);
    for (size_t i = 0; i < 2; i++) {
        Json *container = NULL;
        Str text = S("");
        Str path = str_format(shops.runner.world.arena, "/containers/%.*s/json",
                              STR_ARG(json_str(json_get(json_element(list, i), "Id"))));
        ck_assert_ok(engine_call(connection, &(EngineCall){.method = "GET", .path = path}, &container, &err), &err);
        ck_assert_ok(json_print(container, 0, shops.runner.world.arena, &text, &err), &err);
        for (size_t at = 0; at < COUNT(WANTED); at++)
            ck_assert_msg(str_find(text, str_of(WANTED[at])) < text.len, "%s: %s", WANTED[at], text.data);
        bool is_postgres = str_find(text, S("-postgres\"")) < text.len;
        ck_assert_int_eq(json_int64(json_get(json_get(container, "HostConfig"), "Memory")), 256 * (int64_t)MIB);
        ck_assert_int_eq(json_int64(json_get(json_get(container, "HostConfig"), "NanoCpus")),
                         is_postgres ? 600000000 : 400000000);
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
    own_shops_give_back();
}

// Something else listens there on the host.
static Process port_take(Str port)
{
    Process other;
    Error err = {0};
    const char *argv[] = {"nsenter", LINE("--net=%s", shops.engine->network.data),
                          "nc",      "-l",
                          "-k",      shops.engine->address.data,
                          port.data, NULL};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv}, &other, &err), &err);
    clock_sleep_ms(200);
    ck_assert(is_process_alive(&other));
    return other;
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
    (void)run(0, LINE("host add here %s --cpu 4 --memory 600MiB --disk 10GiB", shops.engine->url.data));
    (void)run(0, "tenant create first --plan own --email a@b.example");
    ck_assert_contains(run(1, "tenant create second --plan own --email a@b.example"), S("memory 424MiB short"));
    ck_assert_contains(run(1, "tenant create second --plan alone --email a@b.example"), S("has other shops"));
    ck_assert_contains(run(0, "tenant list -o name"), S("first"));
    ck_assert_uint_eq(things_of("second"), 0);
    // Another program has the next shop's port.
    (void)run(0, LINE("host add here %s --memory 4GiB", shops.engine->url.data));
    Str port = value("select max(port) + 1 from control.cells");
    Process other = port_take(port);
    (void)run(0, "tenant create second --plan own --email a@b.example");
    ck_assert_int_eq(status_of("second", "/"), 200);
    ck_assert_str(value(LINE("select count(*) from control.cells where port = %s", port.data)), S("0"));
    (void)process_stop(&other, SIGTERM, 5000);
    close_all();
}

// ---- commands of containers

TEST(logs_psql_and_restart_reach_the_shops_own_containers)
{
    borrow();
    (void)run(0, "tenant create stall --plan free --email a@b.example");
    ck_assert_int_eq(status_of("bazar", "/nowhere"), 404);
    ck_assert_contains(run(0, "tenant logs bazar --since 1h"), S("\"status\":404"));
    ck_assert_contains(run(0, "tenant logs bazar --container postgres"), S("ready to accept connections"));
    ck_assert_uint_eq(raw_count(run(0, "tenant logs bazar --tail 1"), S("\n")), 1);
    ck_assert_str(run(0, "tenant logs bazar --since 2099-01-01T00:00:00Z"), S(""));
    ck_assert_contains(run(64, "tenant logs bazar --since yesterday"), S("--since"));

    ck_assert_contains(run(0, "tenant psql bazar -c select(current_schema)"),
                       value("select 't_' || number from control.tenants where slug = 'bazar'"));
    CommandResult piped = command_runner_run(&shops.runner, "tenant psql bazar",
                                             S("select 6 * 7 as answer;\nselect nope;\n"), NULL, NULL);
    ck_assert_int_eq(piped.exit_code, 0);
    ck_assert_contains(piped.out, S("42"));
    ck_assert_contains(piped.said, S("nope"));
    // It says more than there is room for on the way, before it has read all.
    enum { STATEMENTS = 20000 };
    StrBuf script = {.arena = shops.runner.world.arena};
    for (int i = 0; i < STATEMENTS; i++)
        strbuf_add(&script, S("select repeat('x', 40);\n"));
    piped = command_runner_run(&shops.runner, "tenant psql bazar", strbuf_str(&script), NULL, NULL);
    ck_assert_int_eq(piped.exit_code, 0);
    ck_assert_uint_eq(raw_count(piped.out, S("(1 row)")), STATEMENTS);
    ck_assert_int_ne(command_runner_run(&shops.runner, "tenant psql bazar -c nonsense", S(""), NULL, NULL).exit_code,
                     0);

    ck_assert_contains(run(0, "tenant restart bazar --dry-run -o json"), S("\"away_ms\": null"));
    ck_assert_contains(run(0, "tenant restart bazar --postgres -o json"), S("\"away_ms\": "));
    ck_assert_int_eq(status_of("bazar", "/"), 200);

    ck_assert_contains(run(1, "tenant set bazar --plan free"), S("shopctl tenant set-plan bazar free"));
    static const char *const OWN[] = {"tenant logs stall", "tenant psql stall", "tenant restart stall"};
    for (size_t i = 0; i < COUNT(OWN); i++)
        ck_assert_contains(run(1, OWN[i]), S("has no containers of its own"));
    (void)run(0, "tenant suspend stall");
    (void)run(0, "tenant archive stall");
    (void)run(0, "tenant delete stall --yes");
    own_shops_give_back();
}

typedef struct Interrupter {
    pthread_t whom;
    bool has_begun;
} Interrupter;

static bool is_asleep(void)
{
    Str said = run(0, "tenant psql bazar -c "
                      "select(count(*))from\"pg_stat_activity\"where(query='select(pg_sleep(300))')");
    return str_find(said, S("     0\n")) == said.len;
}

// Ends `psql` as a script does that is aborted, once its statement is under way.
static void *interrupt(void *context)
{
    Interrupter *interrupter = context;
    clock_sleep_ms(3000);
    interrupter->has_begun = true;
    (void)pthread_kill(interrupter->whom, SIGINT);
    return NULL;
}

TEST(a_statement_ends_with_the_command_that_asked_for_it)
{
    borrow();
    pthread_t thread;
    Interrupter interrupter = {.whom = pthread_self()};
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt, &interrupter), 0);
    int64_t from_ms = clock_ms();
    (void)run(128 + SIGINT, "tenant psql bazar -c select(pg_sleep(300))");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(interrupter.has_begun && clock_ms() - from_ms < 60000);
    for (int64_t until_ms = clock_ms() + ANSWER_MS; is_asleep();)
        ck_assert_msg(clock_ms() < until_ms, "it goes on");
    own_shops_give_back();
}

static void engine_do(const char *method, const char *path, const Json *body)
{
    own_shops_do(&shops, method, path, body);
}

static void answers_again(void)
{
    int64_t deadline_ms = clock_ms() + ANSWER_MS;
    while (try_status("bazar", "/") != 200)
        ck_assert_msg(clock_ms() < deadline_ms, "the shop doesn't answer");
}

TEST(what_somebody_changed_on_a_host_is_mended_and_what_is_nobodys_is_named)
{
    borrow();
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    ck_assert_contains(run(0, "doctor"), S("0 problems"));

    engine_do("POST", LINE("/containers/%s/kill", name_of("shopd").data), NULL);
    ck_assert_contains(run(2, "doctor"),
                       str_format(shops.runner.world.arena, "the container '%s' is exited", name_of("shopd").data));
    ck_assert_contains(mended(ERR_NONE, ""), S("started the container"));
    answers_again();
    engine_do("DELETE", LINE("/containers/%s?force=true", name_of("postgres").data), NULL);
    ck_assert_contains(mended(ERR_NONE, ""), S("made the container"));
    answers_again();
    Json *limits = json_build("{s:I, s:I}", "Memory", (json_int)200 * MIB, "MemorySwap", (json_int)200 * MIB);
    engine_do("POST", LINE("/containers/%s/update", name_of("shopd").data), limits);
    json_close(&limits);
    ck_assert_contains(mended(ERR_NONE, ""), S("set the limits"));
    for (int i = 0; i < 2; i++) {
        Str name = name_of(i ? "shopd" : "postgres");
        Json *body = json_build("{s:s%, s:b}", "Container", name.data, name.len, "Force", true);
        engine_do("POST", LINE("/networks/%s/disconnect", name_of("network").data), body);
        json_close(&body);
        ck_assert_contains(mended(ERR_NONE, ""),
                           str_format(shops.runner.world.arena, "made the container '%s'", name.data));
        answers_again();
    }
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

    command_sql(shops.runner.world.control, S("delete from control.domains; delete from control.tenants; delete from "
                                              "control.cells where host is not null"));
    Str said = run(2, "doctor");
    ck_assert_contains(said, S("3 problems"));    // shopd, the network, the volume of secrets
    ck_assert_contains(said, S("it was made for 'bazar' by operation"));
    own_shops_give_up();
}

// Asks the shop with a header of the gateway's, from here or from its host; gives the head of the answer.
static Str forwarded(bool is_from_host, const char *forwarded_for)
{
    Error err = {0};
    Str head = S("");
    Str url = value("select c.url || '/' from control.cells c where c.host is not null");
    const char *argv[] = {"nsenter",
                          is_from_host ? LINE("--net=%.*s", STR_ARG(shops.engine->network)) : "--net=/proc/self/ns/net",
                          "curl",
                          "-sS",
                          "-D-",
                          "-o/dev/null",
                          "--retry",
                          "20",
                          "--retry-delay",
                          "1",
                          "--retry-all-errors",
                          "-HHost: bazar.localhost",
                          LINE("-HX-Forwarded-For: %s", forwarded_for),
                          "-HX-Forwarded-Proto: https",
                          url.data,
                          NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 3 * ANSWER_MS, shops.runner.world.arena, &head, &err), &err);
    return head;
}

// What a container says is in its engine's log a moment later.
static void await_log(Str part)
{
    Str log = S("");
    for (int64_t until_ms = clock_ms() + ANSWER_MS; clock_ms() < until_ms; clock_sleep_ms(100)) {
        log = run(0, "tenant logs bazar");
        if (str_find(log, part) < log.len)
            return;
    }
    ck_assert_contains(log, part);
}

static void host_address_change(const char *address)
{
    command_sql(shops.runner.world.control,
                str_of(LINE("update control.hosts set address = '%s'; update control.cells set url = "
                            "control.cell_url('%s', port) where host is not null",
                            address, address)));
    engine_do("DELETE", LINE("/containers/%.*s?force=true", STR_ARG(name_of("shopd"))), NULL);
    ck_assert_contains(mended(ERR_NONE, NULL), S("made the container"));
}

TEST(who_asks_is_told_by_the_gateway_and_by_nobody_else)
{
    static const Str SECURE = S("Strict-Transport-Security");
    borrow();
    // From where shopctl runs, and so the gateway; then from the host, which isn't the gateway's.
    ck_assert_contains(forwarded(false, "192.0.2.1"), SECURE);
    ck_assert_lacks(forwarded(true, "192.0.2.2"), SECURE);
    await_log(S("\"client\":\"192.0.2.1\""));
    ck_assert_lacks(run(0, "tenant logs bazar"), S("192.0.2.2"));
    // The gateway on the host itself: there the engine's own proxy asks in its place.
    host_address_change("127.0.0.1");
    ck_assert_contains(forwarded(true, "192.0.2.3"), SECURE);
    await_log(S("\"client\":\"192.0.2.3\""));
    host_address_change(shops.engine->address.data);
    answers_again();
    own_shops_give_back();
}

TEST(a_host_whose_address_pools_are_used_up_has_shops_too)
{
    enum { NETWORKS_MAX = 64 };
    bool is_full = false;
    open_all();
    Engine *connection = engine_server_connect(shops.engine);
    for (int i = 0; i < NETWORKS_MAX && !is_full; i++) {
        Error err = {0};
        Json *body = json_build("{s:s}", "Name", LINE("taken-%d", i));
        is_full = !engine_call(connection, &(EngineCall){.method = "POST", .path = S("/networks/create"), .body = body},
                               NULL, &err);
        json_close(&body);
    }
    ck_assert_msg(is_full, "the engine has room for %d networks", NETWORKS_MAX);
    engine_close(&connection);
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    ck_assert_int_eq(status_of("bazar", "/"), 200);
    close_all();
}

TEST(a_host_is_gone_after_a_silence_until_it_answers_again)
{
    borrow();
    (void)run(0, "host check here");    // the tests before may have taken longer than the silence
    command_sql(shops.runner.world.control, S("select control.host_silent('here', 60000)"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"ready\""));
    command_sql(shops.runner.world.control, S("update control.hosts set heard_at = now() - interval '61 seconds'"));
    ck_assert_str(value("select control.host_silent('here', 60000)"), S("t"));
    ck_assert_str(value("select control.host_silent('here', 60000)"), S("f"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"gone\""));
    ck_assert_contains(run(1, "tenant create other --plan own --email a@b.example"), S("here: is gone"));
    // One that is emptied stays so when it comes back.
    (void)run(0, "host check here");
    command_sql(shops.runner.world.control, S("select control.host_state_set('here', 'draining')"));
    command_sql(shops.runner.world.control, S("select control.host_silent('here', -1)"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"gone\""));
    command_sql(shops.runner.world.control, S("select control.host_answered('here')"));
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"draining\""));
    command_sql(shops.runner.world.control, S("select control.host_state_set('here', 'ready')"));
    ck_assert_contains(run(1, LINE("host add here %s --address 127.0.0.9", shops.engine->url.data)),
                       S("shops on it are reached at the one it has"));
    engine_server_kill(shops.engine);
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("the engine of the host 'here' doesn't answer"));
    ck_assert_contains(run(2, "doctor"), S("host here: the engine"));
    engine_server_restart(shops.engine);
    (void)run(0, "host check here");
    ck_assert_contains(run(0, "host list -o json"), S("\"state\": \"ready\""));
    (void)mended(ERR_NONE, "");
    answers_again();
    own_shops_give_back();
}

// ---- kills

static int64_t killed_id;

static bool resume(const OwnShops *own, Platform *platform, Error *err)
{
    (void)own;
    return operation_resume(platform, killed_id, err);
}

static bool revert(const OwnShops *own, Platform *platform, Error *err)
{
    (void)own;
    return operation_revert(platform, killed_id, err);
}

static void check_nothing_is_left(void)
{
    ck_assert_uint_eq(things_of("bazar"), 0);
    ck_assert_str(value("select count(*) from control.cells where host is not null"), S("0"));
}

// Whoever goes on is killed at the next step, and so on to the end. torture_own_shops ends each of them.
TEST(a_creation_that_is_killed_at_each_step_goes_on_to_its_end)
{
    open_all();
    for (size_t step = 0; step < CONTAINER_CREATE.count; step++) {
        own_shops_killed(&shops, step ? resume : OWN_KINDS[OWN_CREATE].act,
                         (StepMoment){step, step % 2 ? EVENT_BEFORE : EVENT_AFTER});
        killed_id = own_operation_newest(&shops);
        ck_assert_contains(run(0, LINE("operation resume %lld --dry-run -o json", (long long)killed_id)),
                           S("would_do"));
    }
    (void)run(0, LINE("operation resume %lld", (long long)killed_id));
    ck_assert_int_eq(status_of("bazar", "/"), 200);
    ck_assert_uint_eq(things_of("bazar"), 5);
    ck_assert_str(value("select count(*) from control.operations where kind = 'create-dedicated'"), S("1"));
    (void)run(0, "tenant suspend bazar");
    (void)run(0, "tenant archive bazar");
    (void)run(0, "tenant delete bazar --yes");
    check_nothing_is_left();
    close_all();
}

TEST(a_creation_that_is_killed_at_each_step_of_its_way_back_leaves_nothing)
{
    open_all();
    own_shops_killed(&shops, OWN_KINDS[OWN_CREATE].act, (StepMoment){CONTAINER_CREATE.count - 2, EVENT_AFTER});
    killed_id = own_operation_newest(&shops);
    for (size_t step = CONTAINER_CREATE.count - 1; step-- > 0;)
        own_shops_killed(&shops, revert, (StepMoment){step, step % 2 ? EVENT_BEFORE : EVENT_REVERTED});
    (void)run(0, LINE("operation revert %lld", (long long)killed_id));
    check_nothing_is_left();
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
    ck_assert_ptr_nonnull(build);
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
    Image image;
    store.shopd = S("/tmp/shop-no-such-program");
    ck_assert(!image_build(&store, IMAGE_SHOPD, arena, &image, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "can't be used");
    error_clear(&err);
    const char *argv[] = {"rm", "-rf", first_directory, second_directory, NULL};
    Str output;
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 60000, arena, &output, &err), &err);
}

SUITE(container, ONCE(an_image_is_the_same_bytes_each_time_and_small),
      ONCE(containers_have_no_rights_and_their_plans_limits),
      ONCE(logs_psql_and_restart_reach_the_shops_own_containers),
      ONCE(a_statement_ends_with_the_command_that_asked_for_it),
      ONCE(who_asks_is_told_by_the_gateway_and_by_nobody_else),
      ONCE(a_host_is_gone_after_a_silence_until_it_answers_again),
      ONCE(what_somebody_changed_on_a_host_is_mended_and_what_is_nobodys_is_named),
      ONCE(a_shop_of_its_own_lives_from_creation_to_restoration),
      ONCE(a_shop_without_a_place_is_refused_and_leaves_nothing),
      ONCE(a_host_whose_address_pools_are_used_up_has_shops_too),
      ONCE(a_creation_that_is_killed_at_each_step_goes_on_to_its_end),
      ONCE(a_creation_that_is_killed_at_each_step_of_its_way_back_leaves_nothing))
