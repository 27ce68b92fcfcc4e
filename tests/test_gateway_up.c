// tests/test_gateway_up.c: the gateway that `shopctl up` runs: it comes when it is needed, and nobody notices.
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/engine_server.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/platform_script.h"
#include "tests/support/shop_client.h"
#include "tests/support/shopper.h"

enum { BUDGET = 64 * MIB, WAIT_MS = 30000, STEP_MS = 50, SHOPPERS = 2 };

static Arena *arena;
static TestPlatform one, *platform = &one;

#define DO(...) script(platform, arena, str_format(arena, __VA_ARGS__).data)
#define FAILS(...) script_fails(platform, arena, str_format(arena, __VA_ARGS__).data)

static void open_all(void)
{
    arena = arena_open(BUDGET);
    test_platform_prepare(platform);
    (void)setenv("SHOPCTL_DATA", platform->data.data, 1);
}

static void close_all(void)
{
    (void)DO("$S down");
    nothing_is_left(platform, arena);
    test_platform_down(platform);
    (void)unsetenv("SHOPCTL_DATA");
    arena_close(&arena);
}

// A shop without a limit, by which a shopper would be refused.
static void shop_make(const char *slug, const char *more)
{
    (void)DO("$S tenant create %s --plan free --email a@b.example %s -o name && "
             "$S tenant set %s --limit requests_per_second=0 -o name",
             slug, more, slug);
}

static int status_of(const char *host)
{
    ShopAnswer answer = {0};
    ShopClient *client = shop_client_open(platform->port, host);
    bool ok = shop_call(client, &(ShopRequest){.method = "GET", .path = "/"}, arena, &answer);
    shop_client_close(&client);
    return ok ? answer.status : 0;
}

static void await_status(const char *host, int status)
{
    for (int64_t until_ms = clock_ms() + WAIT_MS; status_of(host) != status; clock_sleep_ms(STEP_MS))
        ck_assert_msg(clock_ms() < until_ms, "%s doesn't answer with %d", host, status);
}

static Str url_of(const char *slug)
{
    return DO("$S tenant show %s -o json | sed -n 's/^ *\"url\": \"\\(.*\\)\",$/\\1/p'", slug);
}

static void check_url(const char *slug)
{
    ck_assert_str(url_of(slug), str_format(arena, "http://%s.localhost:%u/", slug, platform->port));
}

static void second_cell_add(void)
{
    (void)DO("$S cell add second --url http://127.0.0.1:%u -o name", test_free_port());
}

// ---- it comes

TEST(the_second_cell_brings_the_gateway_in_and_no_request_is_lost)
{
    static Shopper shoppers[SHOPPERS];
    open_all();
    ck_assert_lacks(DO("$S up --listen $L"), S("gateway"));
    shop_make("bazar", "");
    for (size_t i = 0; i < SHOPPERS; i++)
        shopper_start(&shoppers[i], platform->port, "bazar.localhost");
    int shopd = pid_of(platform, "shopd-main");
    second_cell_add();
    ck_assert_int_gt(pid_of(platform, "gateway"), 0);
    ck_assert_int_ne(pid_of(platform, "shopd-main"), shopd);
    check_url("bazar");
    // What comes afterwards is reached there as well, when the command returns.
    shop_make("stall", "--cell second --domains stall.example");
    check_url("stall");
    ck_assert_int_eq(status_of("stall.example"), 200);
    for (int i = 0; i < 5; i++) {
        (void)DO("$S tenant create quick-%d --plan free --email a@b.example -o name", i);
        ck_assert_int_eq(status_of(str_format(arena, "quick-%d.localhost", i).data), 200);
        (void)DO("$S tenant set quick-%d --add-domain quick-%d.example -o name", i, i);
        ck_assert_int_eq(status_of(str_format(arena, "quick-%d.example", i).data), 200);
    }
    ck_assert_contains(DO("$S up"), S("nothing to start"));
    // Certificates take a reload.
    (void)DO(
        "mkdir $D/pem && cd $D/pem && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=bazar.localhost -keyout key -out cert 2>log && cat cert key >bazar.pem && rm cert key log");
    int gateway = pid_of(platform, "gateway");
    unsigned tls_port = test_free_port();
    (void)DO("SHOPCTL_GATEWAY_CERTIFICATES=$D/pem SHOPCTL_GATEWAY_TLS_LISTEN=127.0.0.1:%u $S up", tls_port);
    ck_assert_str(url_of("bazar"), str_format(arena, "https://bazar.localhost:%u/", tls_port));
    ck_assert_str(DO("curl -sk --http2 -o /dev/null -w '%%{http_version} %%{http_code}' https://bazar.localhost:%u/ "
                     "--resolve bazar.localhost:%u:127.0.0.1",
                     tls_port, tls_port),
                  S("2 200"));
    ck_assert_int_eq(pid_of(platform, "gateway"), gateway);    // its master process stays
    // The controller goes by what `up` has said.
    shop_make("third", "");
    ck_assert_int_eq(status_of("third.localhost"), 200);
    // The files for a restart are written after the running one was told.
    ck_assert_contains(DO("for i in $(seq 50); do $S gateway status && exit; sleep 0.1; done; exit 1"), S(", in sync"));
    for (size_t i = 0; i < SHOPPERS; i++)
        shopper_stop(&shoppers[i]);
    // The former shopd has gone.
    for (int64_t until_ms = clock_ms() + WAIT_MS; kill(shopd, 0) == 0; clock_sleep_ms(STEP_MS))
        ck_assert_msg(clock_ms() < until_ms, "shopd %d is still there", shopd);
    close_all();
}

TEST(the_controller_brings_it_in_where_nobody_else_does)
{
    open_all();
    (void)DO("$S up --listen $L");
    shop_make("bazar", "");
    (void)DO("psql -qAtX \"$($S status -o json | sed -n 's/^ *\"dsn\": \"\\(.*dbname=shop_control.*\\)\"$/\\1/p')\" -c "
             "\"insert into control.cells (name, dsn, url, capacity, spares, state) values ('far', 'dbname=far', "
             "'http://127.0.0.1:1', 1, 0, 'open')\"");
    for (int64_t until_ms = clock_ms() + WAIT_MS; pid_of(platform, "gateway") == 0; clock_sleep_ms(STEP_MS))
        ck_assert_msg(clock_ms() < until_ms, "there is no gateway: %.*s", STR_ARG(DO("cat $D/log/controller.log")));
    await_status("bazar.localhost", 200);
    check_url("bazar");
    close_all();
}

// ---- it stays

// HAProxy's master and worker are of one session, whose number is the master's; the worker ends when it hears of it.
static void gateway_kill(void)
{
    int master = pid_of(platform, "gateway");
    kill_hard(platform, "gateway");
    (void)DO("while pgrep -s %d >$D/left; do sleep 0.05; done", master);
}

TEST(whoever_of_it_is_killed_who_comes_waits_and_is_served)
{
    open_all();
    ck_assert_contains(DO("$S up --listen $L --gateway always"), S("gateway"));
    shop_make("bazar", "");
    await_status("bazar.localhost", 200);
    (void)DO("kill -9 $(pgrep -P %d)", pid_of(platform, "gateway"));    // the worker
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    gateway_kill();
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    kill_hard(platform, "shopd-main");
    await_status("bazar.localhost", 200);    // until then "Back in a moment"
    kill_hard(platform, "supervisor");
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    (void)DO("$S up");
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    gateway_kill();    // the sockets of a new supervisor are as good
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    check_url("bazar");

    // What a shopper says of himself is nothing to shopd, what the gateway says is.
    Str head = DO("curl -sS -D- -o /dev/null --interface 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.66' -H "
                  "'X-Forwarded-Proto: https' -H 'Host: bazar.localhost' http://$L/nowhere");
    ck_assert_contains(head, S("404"));
    ck_assert_lacks(head, S("trict-Transport-Security"));
    Str log = DO("cat $D/log/shopd-main.log");
    ck_assert_contains(log, S("\"client\":\"127.0.0.2\""));
    ck_assert_lacks(log, S("192.0.2.66"));
    close_all();
}

TEST(one_that_ended_for_good_is_started_again_once_its_certificates_are_right)
{
    open_all();
    Str tls = str_format(arena, "127.0.0.1:%u", test_free_port());
    ck_assert_contains(DO("$S up --listen $L --gateway always"), S("gateway"));
    shop_make("bazar", "");
    await_status("bazar.localhost", 200);
    (void)DO("mkdir $D/pem && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
             "/CN=bazar.localhost -keyout $D/key -out $D/cert 2>$D/said && cat $D/cert $D/key >$D/pem/bazar.pem");
    (void)setenv("SHOPCTL_GATEWAY_CERTIFICATES", str_format(arena, "%s/pem", platform->data.data).data, 1);
    (void)setenv("SHOPCTL_GATEWAY_TLS_LISTEN", str_format(arena, "127.0.0.1:%u", platform->port).data, 1);
    ck_assert_contains(FAILS("$S up"), S("is for something else"));
    (void)setenv("SHOPCTL_GATEWAY_TLS_LISTEN", tls.data, 1);
    (void)DO("$S up");
    ck_assert_str(DO("curl -sSk -o /dev/null -w '%%{http_code}' -H 'Host: bazar.localhost' https://%s/", tls.data),
                  S("200"));
    (void)DO("echo junk >$D/pem/junk.pem");
    ck_assert_contains(FAILS("$S up"), S("junk.pem' can't be used"));
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    gateway_kill();
    (void)DO("until [ -e $D/run/gateway.failed ]; do sleep 0.1; done");
    ck_assert_contains(FAILS("$S up"), S("junk.pem' can't be used"));
    (void)DO("rm $D/pem/junk.pem");
    ck_assert_contains(DO("$S up"), S("gateway"));
    await_status("bazar.localhost", 200);
    (void)unsetenv("SHOPCTL_GATEWAY_CERTIFICATES");
    (void)unsetenv("SHOPCTL_GATEWAY_TLS_LISTEN");
    close_all();
}

// ---- whether it comes at all

TEST(it_is_there_always_or_never_as_it_is_said)
{
    open_all();
    ck_assert_contains(FAILS("$S up --gateway sometimes"), S("sometimes"));
    ck_assert_contains(DO("$S up --listen $L --gateway always --dry-run"), S("gateway"));
    ck_assert_contains(DO("$S up --listen $L --gateway always"), S("shopd-main, gateway, controller"));
    shop_make("bazar", "");
    check_url("bazar");
    await_status("bazar.localhost", 200);
    ck_assert_contains(DO("$S up --gateway always"), S("nothing to start"));
    ck_assert_contains(DO("$S up"), S("nothing to start"));
    ck_assert_contains(FAILS("$S up --gateway never"), S("run shopctl down first"));
    ck_assert_contains(DO("$S down"), S("gateway"));
    nothing_is_left(platform, arena);
    ck_assert_contains(DO("$S up"), S("gateway"));    // as the last time
    (void)DO("$S down");
    ck_assert_lacks(DO("$S up --gateway never"), S("gateway"));
    second_cell_add();
    ck_assert_int_eq(pid_of(platform, "gateway"), 0);
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    check_url("bazar");
    close_all();
}

TEST(what_stands_in_its_way_is_named_and_the_shops_go_on)
{
    open_all();
    Str said = FAILS("SHOPCTL_HAPROXY=/nowhere/haproxy $S up --listen $L --gateway always");
    ck_assert_contains(said, S("install the package haproxy"));
    ck_assert_contains(said, S("exit 66"));
    (void)DO("$S up --listen $L --gateway auto");
    shop_make("bazar", "");
    ck_assert_contains(
        DO("SHOPCTL_HAPROXY=/nowhere/haproxy $S cell add second --url http://127.0.0.1:%u 2>&1", test_free_port()),
        S("there is no gateway: HAProxy isn't installed"));
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    (void)DO("$S down");
    // One that was started by hand, with our files.
    (void)DO(
        "$S up --gateway never && export SHOPCTL_GATEWAY_LISTEN=127.0.0.1:%u; $S gateway render -o name && haproxy "
        "-D -f $D/gateway/haproxy.cfg -p $D/by-hand",
        test_free_port());
    ck_assert_contains(FAILS("$S up --gateway always"), S("a gateway that shopctl up didn't start is at work"));
    ck_assert_contains(DO("$S up --gateway auto 2>&1"), S("warning: there is no gateway"));
    ck_assert_int_eq(status_of("bazar.localhost"), 200);
    (void)DO("kill $(cat $D/by-hand); while kill -0 $(cat $D/by-hand) 2>/dev/null; do sleep 0.1; done");
    ck_assert_contains(DO("$S up --gateway always"), S("gateway"));
    await_status("bazar.localhost", 200);
    close_all();
}

TEST(another_user_than_root_has_it_too)
{
    open_all();
    if (geteuid() == 0) {
        Str said =
            DO("mkdir -p $D/run; cp $S $(dirname $S)/shopd $D; chmod 755 $D $D/shop*; chown nobody $D; unset "
               "SHOPCTL_DATA; "
               "export HOME=$D; R=\"runuser -u nobody -- $D/shopctl\"; O=\"--data $D/p\"; cd /; "
               "$R up $O --listen $L && $R tenant create bazar --plan free --email a@b.example $O -o name && "
               "$R cell add second --url http://127.0.0.1:%u $O -o name && "
               "ps -o user= -p $(cut -d' ' -f1 $D/p/run/gateway.pid) && "
               "curl -sS --retry 9 -o /dev/null -w '%%{http_code}\\n' -H 'Host: bazar.localhost' http://$L/; e=$?; "
               "$R up $O; $R down $O; exit $e",
               test_free_port());
        ck_assert_contains(said, S("\nnobody\n200\nnothing to start"));
        ck_assert_contains(said, S("\nstopped controller, gateway"));
    }
    close_all();
}

// ---- a shop of its own

// Each of them returns when the gateway leads there.
static const char *const MADE[] = {
    "$S tenant create stall --plan own --email a@b.example -o name",
    "echo '[{\"slug\": \"stall\", \"plan\": \"own\", \"email\": \"a@b.example\"}]' >$D.stalls && "
    "$S tenant create --file $D.stalls -o name",
    "$S tenant request stall --plan own --email a@b.example -o name && $S tenant approve stall -o name",
    "$S tenant create stall --plan free --email a@b.example -o name && $S tenant set-plan stall own -o name && "
    "$S tenant move stall --finalize -o name",
};

TEST(a_shop_of_its_own_brings_it_in_and_is_reached_there)
{
    static EngineServer engine;
    static Shopper shopper;
    engine = (EngineServer){0};
    engine_server_start(&engine);
    open_all();
    (void)DO(
        "mkdir $D.plans && printf 'name: %%s\\nversion: 1\\ntitle: Own\\ntier: %%s\\nprice:\\n  amount: 1000\\n  "
        "currency: "
        "EUR\\nlimits:\\n  products: 0\\n  requests_per_second: 0\\n  storage: 1GiB\\n  staff: 5\\n%%b' own container "
        "'resources:\\n  postgres:\\n    cpu: 300m\\n    memory: 256MiB\\n    disk: 1GiB\\n  shopd:\\n    cpu: 200m\\n "
        "   memory: 256MiB\\n' >$D.plans/own.yaml && sed '/^resources/,$d; s/own/free/; s/container/shared/' "
        "$D.plans/own.yaml >$D.plans/free.yaml");
    (void)setenv("SHOPCTL_PLANS", str_format(arena, "%.*s.plans", STR_ARG(platform->data)).data, 1);
    (void)DO("$S up --listen $L && $S host add here %s --address %s -o name", engine.url.data, engine.address.data);
    shop_make("bazar", "");
    shopper_start(&shopper, platform->port, "bazar.localhost");
    (void)DO("%s", MADE[_i]);
    ck_assert_int_eq(status_of("stall.localhost"), 200);
    check_url("stall");
    check_url("bazar");
    shopper_stop(&shopper);
    if (_i == 0) {    // an engine that hangs keeps nobody else's shops away
        (void)DO("$S down");
        (void)kill(engine.process.pid, SIGSTOP);
        (void)DO("$S up --setting start_timeout_s=20");
        ck_assert_int_eq(status_of("bazar.localhost"), 200);
        (void)kill(engine.process.pid, SIGCONT);
        await_status("stall.localhost", 200);
    }
    (void)DO(
        "$S tenant suspend stall -o name && $S tenant archive stall -o name && $S tenant delete stall --yes -o name");
    ck_assert_int_eq(status_of("stall.localhost"), 404);
    close_all();
    (void)unsetenv("SHOPCTL_PLANS");
    engine_server_remove(&engine);
}

SUITE(gateway_up, ONCE(the_second_cell_brings_the_gateway_in_and_no_request_is_lost),
      ONCE(the_controller_brings_it_in_where_nobody_else_does),
      ONCE(whoever_of_it_is_killed_who_comes_waits_and_is_served),
      ONCE(one_that_ended_for_good_is_started_again_once_its_certificates_are_right),
      ONCE(it_is_there_always_or_never_as_it_is_said), ONCE(what_stands_in_its_way_is_named_and_the_shops_go_on),
      LONG(another_user_than_root_has_it_too), LONG_EACH(a_shop_of_its_own_brings_it_in_and_is_reached_there, MADE))
