// tests/test_gateway.c: the gateway by the commands of shopctl, with a real HAProxy in front of cells.
#include "provisioner/gateway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/gateway_files.h"
#include "provisioner/gateway_watch.h"
#include "tests/support/command_runner.h"
#include "tests/support/echo_server.h"
#include "tests/support/free_port.h"
#include "tests/support/haproxy_process.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"
#include "tests/support/shop_client.h"
#include "tests/support/shopper.h"

enum { CURL_MS = 30000, WAIT_MS = 15000, FREE_LIMIT = 110 };    // 10 a second, and a bucket of 10

static CommandRunner runner;
static HaproxyProcess haproxy;
static EchoServer *first;
static unsigned port, tls_port;

#define LINE(...) str_format(runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&runner, exit_code, line); }

static Str member(Str document, const char *path) { return command_member(&runner, document, path); }

static Str gateway(int exit_code, const char *verb)
{
    return run(exit_code, LINE("gateway %s --directory %s -o json", verb, haproxy.directory.data));
}

// A platform whose cell 'main' is an echo, with the shop 'bazar', and a gateway that isn't started yet.
static void open_all(void)
{
    haproxy_process_open(&haproxy);
    command_runner_open(&runner, "gateway");
    runner.slug = S("bazar");
    first = echo_server_open("first", 0);
    port = test_free_port();
    tls_port = test_free_port();
    (void)setenv("SHOPCTL_GATEWAY_LISTEN", LINE("127.0.0.1:%u", port), 1);
    (void)setenv("SHOPCTL_GATEWAY_TLS_LISTEN", LINE("127.0.0.1:%u", tls_port), 1);
    (void)run(0, LINE("cell add main --url http://127.0.0.1:%u", echo_server_port(first)));
    (void)run(0, "tenant create bazar " SPEC);
}

static void close_all(void)
{
    (void)unsetenv("SHOPCTL_GATEWAY_LISTEN");
    (void)unsetenv("SHOPCTL_GATEWAY_TLS_LISTEN");
    (void)unsetenv("SHOPCTL_GATEWAY_CERTIFICATES");
    haproxy_process_close(&haproxy);
    echo_server_close(&first);
    command_runner_close(&runner);
}

static void serve(void)
{
    (void)gateway(0, "render");
    haproxy_process_start(&haproxy);
    ck_assert_str(member(gateway(0, "status"), "in_sync"), S("true"));
}

static ShopAnswer ask(const char *host, const ShopRequest *request)
{
    ShopAnswer answer = {0};
    ShopClient *client = shop_client_open(port, host);
    ck_assert_msg(shop_call(client, request, runner.world.arena, &answer), "%s%s: no answer", host, request->path);
    shop_client_close(&client);
    return answer;
}

static ShopAnswer get(const char *host, const char *path)
{
    return ask(host, &(ShopRequest){.method = "GET", .path = path});
}

static void limit(const char *slug, int per_second)
{
    (void)run(0, LINE("tenant set %s --limit requests_per_second=%d", slug, per_second));
}

static void second_cell_add(const char *name, unsigned at)
{
    runner.file = str_copy(runner.world.arena, test_database("gateway"));
    (void)run(0, LINE("cell add %s --dsn ~ --url http://127.0.0.1:%u", name, at));
}

static Shopper shopper;

// ---- files

TEST(render_writes_what_haproxy_accepts_and_only_what_changed)
{
    open_all();
    Str would = gateway(0, "render --dry-run");
    ck_assert_str(member(would, "files.6"), S("{\"file\":\"haproxy.cfg\",\"changed\":true}"));
    ck_assert(!file_exists(str_format(runner.world.arena, "%s/haproxy.cfg", haproxy.directory.data)));
    Str rendered = gateway(0, "render"), said = S("");
    ck_assert_str(member(rendered, "hosts"), S("1"));
    ck_assert_str(member(rendered, "problems"), S("[]"));
    ck_assert_msg(haproxy_process_accepts(&haproxy, haproxy.directory, &said), "%.*s", STR_ARG(said));
    ck_assert_contains(run(0, LINE("gateway render --directory %s", haproxy.directory.data)), S("nothing has changed"));
    (void)run(0, "tenant create otro " SPEC);
    Str again = gateway(0, "render");
    static const char *const CHANGED[] = {"false", "false", "false", "true", "false", "true", "false"};
    for (size_t i = 0; i < COUNT(CHANGED); i++)
        ck_assert_str(member(again, LINE("files.%zu.changed", i)), str_of(CHANGED[i]));
    // Without --directory they are below the platform's.
    (void)run(0, "gateway render");
    ck_assert(file_exists(str_format(runner.world.arena, "%.*s/gateway/hosts.map", STR_ARG(runner.world.data))));
    close_all();
}

TEST(a_strange_directory_is_quoted_or_refused)
{
    open_all();
    Str said = S("");
    Json *answer = NULL;
    Error err = {0};
    GatewayOptions options = {.listen = S("127.0.0.1:1,[::1]:1 , :2")};
    options.directory = str_format(runner.world.arena, "%s/a \"b\" $HOME #\\", haproxy.directory.data);
    ck_assert_ok(gateway_render(runner.world.platform, &options, false, &answer, &err), &err);
    json_close(&answer);
    ck_assert_msg(haproxy_process_accepts(&haproxy, options.directory, &said), "%.*s", STR_ARG(said));
    const struct {
        const char *directory, *listen, *says;
    } refused[] = {
        {"a'b", "127.0.0.1:1", "a quote or a control character"},
        {"a\nb", "127.0.0.1:1", "a quote or a control character"},
        {"a", "127.0.0.1", "ADDRESS:PORT"},
        {"a", "", "ADDRESS:PORT"},
        {"a", "1.2.3.4:80\n    stats:1", "ADDRESS:PORT"},
        {"a", "1.2.3.4\n    stats:1", "a quote or a control character"},
        {"a", "x':80", "a quote or a control character"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "127.0.0.1:1",
         "path of more"},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        options.directory = str_format(runner.world.arena, "%s/%s", haproxy.directory.data, refused[i].directory);
        options.listen = str_of(refused[i].listen);
        ck_assert(!gateway_render(runner.world.platform, &options, true, &answer, &err));
        ck_assert_says(&err, ERR_INVALID, refused[i].says);
        error_clear(&err);
    }
    close_all();
}

TEST(a_hostile_name_in_the_record_is_left_out)
{
    open_all();
    Str said = S("");
    command_sql(runner.world.control,
                S("insert into control.domains (host, tenant_id) select h, (control.tenant_of('bazar')).id from "
                  "unnest(array[E'evil.example\\nother.example main', 'a b.example', 'x\"y.example', '#comment', "
                  "E'tab\\t.example', 'good.example', '', '$HOME.example', 'a;b.example', E'\\u00e9.example']) h;"
                  "insert into control.cells (name, dsn, url, capacity, spares, state) values ('tls', '', "
                  "'https://127.0.0.1:1', 1, 0, 'open'), ('lost', '', 'http://no-such-host.invalid:1', 1, 0, 'open'), "
                  "('six', '', 'http://[0::1]:1/', 1, 0, 'open')"));
    Str rendered = gateway(0, "render");
    ck_assert_str(member(rendered, "hosts"), S("2"));
    ck_assert_str(member(rendered, "cells"), S("2"));
    ck_assert_contains(member(rendered, "problems"), S("it isn't http://"));
    ck_assert_contains(member(rendered, "problems"), S("no-such-host"));
    ck_assert_contains(member(rendered, "problems.2.what"), S("the host '"));
    ck_assert_msg(haproxy_process_accepts(&haproxy, haproxy.directory, &said), "%.*s", STR_ARG(said));
    Error err = {0};
    Str map = S("");
    ck_assert_ok(file_read(str_format(runner.world.arena, "%s/hosts.map", haproxy.directory.data), KIB,
                           runner.world.arena, &map, &err),
                 &err);
    ck_assert_str(map, S("bazar.localhost main\ngood.example main\n"));
    haproxy_process_start(&haproxy);
    ck_assert_int_eq(get("good.example", "/").status, 200);
    ck_assert_str(member(gateway(0, "sync"), "changes"), S("[]"));
    close_all();
}

// ---- what passes

TEST(what_comes_from_outside_about_the_way_is_not_believed)
{
    open_all();
    serve();
    const ShopRequest request = {.method = "GET",
                                 .path = "/a?b",
                                 .headers = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\n"
                                            "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"
                                            "X-Forwarded-Port: 444\r\nX-Forwarded-Server: 9\r\nX-Request-Id: mine\r\n"
                                            "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6\r\n"};
    ShopAnswer answer = ask("bazar.localhost", &request);
    ck_assert_int_eq(answer.status, 200);
    Str seen = str_lower(runner.world.arena, answer.body);
    ck_assert_contains(seen, S("get /a?b http/1.1\r\nhost: bazar.localhost\r\n"));
    ck_assert_contains(seen, S("\r\nx-forwarded-for: 127.0.0.1\r\n"));
    ck_assert_contains(seen, S("\r\nx-forwarded-proto: http\r\n"));
    static const Str NEVER[] = {S("6.6.6.6"),        S("7.7.7.7"),     S("evil"),  S("444"),         S("server"),
                                S("forwarded: for"), S("x-real-ip: "), S("https"), S("x_forwarded"), S("mine")};
    for (size_t i = 0; i < COUNT(NEVER); i++)
        ck_assert_msg(str_find(seen, NEVER[i]) == seen.len, "'%.*s' passed: %.*s", STR_ARG(NEVER[i]), STR_ARG(seen));
    ck_assert_int_eq((int)raw_count(seen, S("x-forwarded-for")), 1);
    ck_assert_int_eq((int)raw_count(seen, S("x-request-id: ")), 1);
    close_all();
}

static const struct {
    const char *host, *path;
    int status;
} WAYS[] = {
    {"bazar.localhost", "/", 200},
    {"BAZAR.localhost.:8000", "/", 200},
    {"bazar.localhost:8000", "/products/metrics", 200},
    {"bazar.localhost", "/metricsx", 200},
    {"stranger.example", "/", 404},
    {"main", "/", 404},
    {"127.0.0.1", "/", 404},
    {"bazar.localhost", "/metrics", 404},
    {"bazar.localhost", "/readyz", 404},
    {"bazar.localhost", "/healthz", 404},
    {"bazar.localhost", "/metrics?x=1", 404},
    {"bazar.localhost", "//metrics", 404},
    {"bazar.localhost", "/./metrics/", 404},
    {"bazar.localhost", "/%6Detrics", 404},
    {"bazar.localhost", "/METRICS", 404},
    {"stranger.example", "/metrics", 404},
};

TEST(only_shops_are_reached_and_nothing_that_is_private)
{
    open_all();
    serve();
    for (size_t i = 0; i < COUNT(WAYS); i++) {
        ShopAnswer answer = get(WAYS[i].host, WAYS[i].path);
        ck_assert_msg(answer.status == WAYS[i].status, "%s%s: %d", WAYS[i].host, WAYS[i].path, answer.status);
        if (answer.status == 404)
            ck_assert_contains(answer.body, S("There is nothing here"));
    }
    close_all();
}

TEST(one_who_asks_too_often_gets_429_and_no_one_else_does)
{
    open_all();
    (void)run(0, "tenant create otro " SPEC);
    (void)run(0, "tenant create libre " SPEC);
    limit("libre", 0);
    serve();
    int passed = 0;
    ShopAnswer answer = {0};
    for (int i = 0; i < 12 * FREE_LIMIT; i++)    // what shopd refuses isn't counted
        ck_assert_contains(get("bazar.localhost", "/busy").body, S("GET /busy"));
    while (passed < 20 * FREE_LIMIT && (answer = get("bazar.localhost", "/")).status == 200)
        passed++;
    ck_assert_int_eq(answer.status, 429);
    ck_assert_str(shop_answer_header(&answer, S("Retry-After")), S("1"));
    ck_assert_contains(answer.body, S("One moment, please"));
    ck_assert_int_ge(passed, FREE_LIMIT);
    for (int i = 0; i < 2 * FREE_LIMIT; i++)
        ck_assert_int_eq(get("libre.localhost", "/").status, 200);
    ck_assert_int_eq(get("otro.localhost", "/").status, 200);
    // A larger limit holds without a reload.
    limit("bazar", 1000000);
    ck_assert_contains(member(gateway(0, "sync"), "changes.0"), S("limit of 'bazar.localhost': 110 -> 11000000"));
    ck_assert_int_eq(get("bazar.localhost", "/").status, 200);
    close_all();
}

TEST(a_request_that_is_too_large_or_in_another_language_is_refused)
{
    open_all();
    serve();
    StrBuf large = {.arena = runner.world.arena};
    for (int i = 0; i < 20; i++)
        strbuf_format(&large, "X-Large-%d: %01000d\r\n", i, 0);
    ck_assert_int_eq(
        ask("bazar.localhost", &(ShopRequest){.method = "GET", .path = "/", .headers = strbuf_str(&large).data}).status,
        400);
    CLEANUP(fd_close) int fd = raw_open(port);
    ck_assert(raw_send(fd, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
    Str answer = raw_await(fd, runner.world.arena, 500);
    ck_assert_int_eq(raw_status(answer), 400);
    close_all();
}

static Str curl(const char *more)
{
    Error err = {0};
    Str output = S("");
    Str script = str_format(runner.world.arena,
                            "curl -sS -k --max-time 20 --resolve bazar.localhost:%u:127.0.0.1 -w "
                            "'%%{http_version} %%{response_code}\\n' %s https://bazar.localhost:%u/",
                            tls_port, more, tls_port);
    const char *argv[] = {"sh", "-c", script.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, CURL_MS, runner.world.arena, &output, &err), &err);
    return output;
}

TEST(with_certificates_it_speaks_tls_and_http_2)
{
    open_all();
    Error err = {0};
    Str output = S(""), certificates = str_format(runner.world.arena, "%s/pem", haproxy.directory.data);
    ck_assert_ok(directory_make(certificates, 0700, &err), &err);
    (void)setenv("SHOPCTL_GATEWAY_CERTIFICATES", certificates.data, 1);
    ck_assert_contains(run(66, LINE("gateway render --directory %s", haproxy.directory.data)), S("no file there ends"));
    Str script = str_format(runner.world.arena,
                            "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                            "-subj /CN=bazar.localhost -keyout key -out cert 2>log && cat cert key >bazar.pem && "
                            "rm cert key log",
                            certificates.data);
    const char *argv[] = {"sh", "-c", script.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, CURL_MS, runner.world.arena, &output, &err), &err);
    serve();
    Str seen = curl("--http2 -H 'X-Forwarded-Proto: http'");
    ck_assert_contains(seen, S("\n2 200"));
    ck_assert_contains(seen, S("x-forwarded-proto: https"));
    ck_assert_contains(seen, S("x-forwarded-for: 127.0.0.1"));
    ck_assert_contains(curl("--http1.1"), S("\n1.1 200"));
    ck_assert_contains(curl("--http1.0 -H 'Host:'"), S("404"));
    ck_assert_contains(curl("--http2 -H 'Host: stranger.example'"), S("\n2 404"));
    Str shown = gateway(0, "status");
    ck_assert_str(member(shown, "tls_address"), str_format(runner.world.arena, "\"127.0.0.1:%u\"", tls_port));
    // A renewed one is only read by a reload.
    ck_assert_ok(file_write(str_format(runner.world.arena, "%s/bazar.pem", certificates.data), S("new"), 0600, &err),
                 &err);
    ck_assert_contains(member(gateway(2, "sync"), "why"), S("another configuration"));
    // None would start with that one.
    ck_assert_contains(run(65, LINE("gateway render --directory %s", haproxy.directory.data)),
                       S("bazar.pem' can't be used"));
    close_all();
}

// A certificate that HAProxy can't read is found before it is told to.
static const struct {
    const char *make, *file, *why;    // in the directory of certificates; "": it is taken
} PEMS[] = {
    {"cat cert key >a.pem", "", ""},
    {"cat cert >a.pem; cat key >a.pem.key; echo x >a.pem.ocsp", "", ""},
    {"cat key cert >a.pem; mkdir b", "", ""},
    {"cat cert >a.pem", "a.pem", "it has no private key"},
    {"cat key >a.pem", "a.pem", "it has no certificate"},
    {"cat cert key >a.pem; echo x >note.txt", "note.txt", "it has no certificate"},
    {"cat cert >a.pem; openssl ec -in key -aes128 -passout pass:x 2>/dev/null >>a.pem", "a.pem",
     "its key has a passphrase"},
    {"cat cert >a.pem; openssl ecparam -name prime256v1 -genkey -noout >>a.pem", "a.pem",
     "belongs to another certificate"},
};

TEST(a_certificate_that_cannot_be_read_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str output = S("");
    char directory[] = "/tmp/shop-pem.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    Str script = str_format(arena,
                            "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                            "-subj /CN=a -keyout key -out cert 2>/dev/null && %s; rm -f key cert",
                            directory, PEMS[_i].make);
    const char *argv[] = {"sh", "-c", script.data, NULL}, *remove[] = {"rm", "-rf", directory, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, CURL_MS, arena, &output, &err), &err);
    bool ok = gateway_certificates_check(&(GatewayOptions){.certificates = str_of(directory)}, &err);
    ck_assert_msg(ok == !PEMS[_i].why[0], "%s: %s (%s)", PEMS[_i].make, err.what, err.why);
    if (!ok) {
        ck_assert_says(&err, ERR_INVALID, str_format(arena, "%s/%s", directory, PEMS[_i].file).data);
        ck_assert_says(&err, ERR_INVALID, PEMS[_i].why);
    }
    error_clear(&err);
    ck_assert_ok(process_run(&(ProcessSpec){.argv = remove}, CURL_MS, arena, &output, &err), &err);
}

// ---- what changes while it runs

TEST(a_shop_a_domain_and_a_cell_are_reached_without_a_restart)
{
    open_all();
    limit("bazar", 1000000);
    serve();
    shopper_start(&shopper, port, "bazar.localhost");

    (void)run(0, "tenant create otro " SPEC);
    ck_assert_int_eq(get("otro.localhost", "/").status, 404);
    Str shown = gateway(2, "status");
    ck_assert_str(member(shown, "in_sync"), S("false"));
    ck_assert_contains(member(shown, "differences"), S("host 'otro.localhost': nothing -> main"));
    Str would = gateway(0, "sync --dry-run"), done = gateway(0, "sync");
    ck_assert_str(member(would, "changes"), member(done, "changes"));
    ck_assert_str(member(done, "reload"), S("null"));
    ck_assert_int_eq(get("otro.localhost", "/").status, 200);
    ck_assert_contains(run(0, LINE("gateway sync --directory %s", haproxy.directory.data)), S("nothing has changed"));

    (void)run(0, "tenant set otro --add-domain otro.example");
    (void)gateway(0, "sync");
    ck_assert_int_eq(get("otro.example", "/").status, 200);

    EchoServer *second = echo_server_open("second", 0), *third = echo_server_open("third", 0);
    second_cell_add("second", echo_server_port(second));
    (void)run(0, "tenant create nuevo --cell second " SPEC);
    done = gateway(0, "sync");
    ck_assert_contains(member(done, "changes.0"), S("cell 'second': 127.0.0.1:"));
    ck_assert_contains(get("nuevo.localhost", "/").body, S("second"));
    ck_assert_contains(get("otro.localhost", "/").body, S("first"));

    // The cell moves to another address, and a shop to another cell.
    (void)run(0, LINE("cell add second --url http://127.0.0.1:%u", echo_server_port(third)));
    (void)gateway(0, "sync");
    echo_server_close(&second);
    ck_assert_contains(get("nuevo.localhost", "/").body, S("third"));
    command_sql(runner.world.control, S("update control.tenants set cell = 'second' where slug = 'otro'"));
    ck_assert_contains(member(gateway(0, "sync"), "changes"), S("host 'otro.example': main -> second"));
    ck_assert_contains(get("otro.localhost", "/").body, S("third"));

    // What is gone isn't reached, and its backend is free again.
    command_sql(runner.world.control, S("update control.tenants set status = 'deleted', cell = null "
                                        "where slug in ('otro', 'nuevo'); delete from control.domains; "
                                        "delete from control.cells where name = 'second'"));
    done = gateway(0, "sync");
    ck_assert_contains(member(done, "changes"), S("cell 'second': cell-2 -> nothing"));
    ck_assert_contains(member(done, "changes"), S("gets no more requests, in cell-2"));
    ck_assert_int_eq(get("otro.example", "/").status, 404);
    ck_assert_int_eq(get("nuevo.localhost", "/").status, 404);

    shown = gateway(0, "status");
    ck_assert_str(member(shown, "state"), S("\"running\""));
    ck_assert_str(member(shown, "hosts"), S("1"));
    ck_assert_str(member(shown, "backends.0.cell"), S("\"main\""));
    ck_assert_str(member(shown, "backends.0.servers.0.address"),
                  str_format(runner.world.arena, "\"127.0.0.1:%u\"", echo_server_port(first)));
    ck_assert_str(member(shown, "backends.0.servers.0.state"), S("\"UP\""));
    shopper_stop(&shopper);
    ck_assert(is_process_alive(&haproxy.process));
    ck_assert_contains(haproxy_process_ask(&haproxy, "show info"),
                       str_format(runner.world.arena, "Pid: %d\n", haproxy.process.pid));

    // A restart comes up the same.
    haproxy_process_stop(&haproxy);
    shown = gateway(2, "status");
    ck_assert_str(member(shown, "state"), S("\"stopped\""));
    ck_assert_contains(member(shown, "differences"), S("nobody listens there"));
    ck_assert_contains(run(69, LINE("gateway sync --directory %s", haproxy.directory.data)), S("haproxy -W -D -f"));
    haproxy_process_start(&haproxy);
    ck_assert_str(member(gateway(0, "status"), "in_sync"), S("true"));
    echo_server_close(&third);
    close_all();
}

// ---- the controller

typedef struct Watching {
    pthread_t thread;
    atomic_bool is_over;
    const Settings *settings;
} Watching;

static void *watch(void *context)
{
    Watching *watching = context;
    gateway_watch(watching->settings, &watching->is_over);
    return NULL;
}

static void await_status(const char *host, int status)
{
    int64_t until_ms = clock_ms() + WAIT_MS;
    while (get(host, "/").status != status) {
        ck_assert_msg(clock_ms() < until_ms, "%s doesn't answer with %d", host, status);
        clock_sleep_ms(50);
    }
}

TEST(the_controller_tells_a_running_gateway_of_every_change)
{
    open_all();
    Watching watching = {.is_over = false};
    Error err = {0};
    const SettingSources sources = {.environment = (const char *const *)environ};
    // As `shopctl up` has it, in gateway/ of the platform.
    (void)rmdir(haproxy.directory.data);
    ck_assert_int_eq(symlink(haproxy.directory.data, LINE("%.*s/gateway", STR_ARG(runner.world.data))), 0);
    ck_assert_int_eq(mkdir(haproxy.directory.data, 0755), 0);
    ck_assert_ok(settings_gather(&sources, runner.world.arena, &watching.settings, &err), &err);
    ck_assert_int_eq(pthread_create(&watching.thread, NULL, watch, &watching), 0);
    (void)run(0, "gateway render");
    haproxy_process_start(&haproxy);
    await_status("bazar.localhost", 200);
    (void)run(0, "tenant create stall " SPEC);
    await_status("stall.localhost", 200);
    (void)run(0, "tenant set stall --add-domain stall.example");
    await_status("stall.example", 200);
    (void)run(0, "tenant set stall --remove-domain stall.example");
    await_status("stall.example", 404);
    haproxy_process_stop(&haproxy);
    haproxy_process_start(&haproxy);    // by its files, which know
    ck_assert_int_eq(get("stall.localhost", "/").status, 200);
    watching.is_over = true;
    ck_assert_int_eq(pthread_join(watching.thread, NULL), 0);
    close_all();
}

TEST(when_no_backend_is_free_it_says_how_to_reload)
{
    open_all();
    limit("bazar", 1000000);
    serve();
    ck_assert_str(member(gateway(0, "status"), "spares"), S("32"));
    command_sql(runner.world.control, str_format(runner.world.arena,
                                                 "insert into control.cells (name, dsn, url, capacity, spares, state) "
                                                 "select 'c' || lpad(i::text, 2, '0'), '', "
                                                 "'http://127.0.0.1:%u', 1, 0, 'open' from generate_series(1, 33) i",
                                                 echo_server_port(first)));
    command_sql(runner.world.control,
                S("insert into control.tenants (slug, name, email, status, plan, plan_version, "
                  "cell, currency, language, country) select 'shop-' || c.name, '', '', 'active', "
                  "t.plan, t.plan_version, c.name, 'EUR', 'en', 'ES' from control.tenants t, "
                  "control.cells c where c.name like 'c%'"));
    shopper_start(&shopper, port, "bazar.localhost");
    Str synced = gateway(2, "sync");
    ck_assert_contains(member(synced, "why.0"), S("all 33 backends are taken, and the cell 'c33' has none"));
    ck_assert_int_eq(get("shop-c32.localhost", "/").status, 200);
    ShopAnswer waiting = get("shop-c33.localhost", "/");
    ck_assert_int_eq(waiting.status, 503);
    ck_assert_contains(waiting.body, S("Back in a moment"));
    Str command = member(synced, "reload");
    command = str_slice(command, 1, command.len - 1);
    ck_assert_contains(command, S("haproxy -D -f "));
    Error err = {0};
    Str output;
    const char *argv[] = {"sh", "-c", str_copy(runner.world.arena, command).data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, CURL_MS, runner.world.arena, &output, &err), &err);
    ProcessEnd end;
    for (int64_t deadline_ms = clock_ms() + WAIT_MS;
         get("shop-c33.localhost", "/").status != 200 && clock_ms() < deadline_ms;)
        clock_sleep_ms(50);
    ck_assert_int_eq(get("shop-c33.localhost", "/").status, 200);
    shopper_stop(&shopper);
    ck_assert(has_process_ended(&haproxy.process, WAIT_MS, &end));
    ck_assert_str(member(gateway(0, "status"), "in_sync"), S("true"));

    // Another address is only taken by a reload, too.
    (void)setenv("SHOPCTL_GATEWAY_LISTEN", LINE("127.0.0.1:%u", test_free_port()), 1);
    ck_assert_contains(member(gateway(2, "sync"), "why"), S("another configuration"));
    Str info = haproxy_process_ask(&haproxy, "show info");
    int64_t pid = 0;
    Str digits = str_skip(info, str_find(info, S("\nPid: ")) + strlen("\nPid: "));
    ck_assert_ok(str_int64(str_slice(digits, 0, str_find_char(digits, '\n')), 1, INT32_MAX, &pid, &err), &err);
    ck_assert_ok(process_open_pid((int)pid, &haproxy.process, &err), &err);
    close_all();
}

static void wait_for_status(const char *host, int status)
{
    int64_t deadline_ms = clock_ms() + WAIT_MS;
    while (get(host, "/").status != status) {
        ck_assert_msg(clock_ms() < deadline_ms, "%s doesn't answer with %d", host, status);
        clock_sleep_ms(100);
    }
}

TEST(a_cell_that_is_down_has_a_page_and_comes_back)
{
    open_all();
    limit("bazar", 1000000);
    serve();
    unsigned at = echo_server_port(first);
    echo_server_close(&first);
    ShopAnswer answer = get("bazar.localhost", "/");    // before any health check knows
    ck_assert_int_eq(answer.status, 503);
    ck_assert_str(shop_answer_header(&answer, S("Retry-After")), S("5"));
    ck_assert_str(shop_answer_header(&answer, S("Cache-Control")), S("no-store"));
    ck_assert_contains(answer.body, S("Back in a moment"));
    ck_assert_contains(answer.body, S("</html>"));
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; clock_ms() < deadline_ms; clock_sleep_ms(100))
        if (str_eq(member(gateway(0, "status"), "backends.0.servers.0.state"), S("\"DOWN\"")))
            break;
    ck_assert_str(member(gateway(0, "status"), "backends.0.servers.0.state"), S("\"DOWN\""));
    ck_assert_int_eq(get("bazar.localhost", "/").status, 503);
    first = echo_server_open("first", at);
    wait_for_status("bazar.localhost", 200);
    close_all();
}

TEST(a_real_shop_is_reached_through_it)
{
    haproxy_process_open(&haproxy);
    command_runner_open_served(&runner, "gateway");
    port = test_free_port();
    (void)setenv("SHOPCTL_GATEWAY_LISTEN", LINE("127.0.0.1:%u", port), 1);
    serve();
    ck_assert_int_eq(get("bazar.localhost", "/").status, 404);
    (void)run(0, "tenant create bazar " SPEC " --domains bazar.example");
    (void)gateway(0, "sync");
    for (int i = 0; i < 3; i++) {
        ShopAnswer answer = get(i % 2 ? "bazar.example" : "bazar.localhost", "/");
        ck_assert_int_eq(answer.status, 200);
        ck_assert_contains(answer.body, S("bazar"));
    }
    (void)run(0, "tenant suspend bazar --yes");
    wait_for_status("bazar.localhost", 503);
    close_all();
}

// ---- one that says something else

typedef struct Line {
    const char *command, *answer;
} Line;

// What one says that has a backend, and no host yet.
static const Line PLAIN[] = {
    {"show info", "Name: HAProxy\nPid: 1\ndescription: other\n\n"},
    {"show stat", "# pxname,svname,scur,status,addr,\ncell-1,s1,0,MAINT,0.0.0.0:1,\n\n"},
    {"show map", "\n"},
    {"prepare map", "New version created: 1\n\n"},
    {"add map", "\n"},
    {"commit map", "\n"},
    {"set server cell-1/s1 addr", "IP changed from '0.0.0.0' to '127.0.0.1' by 'stats socket command'\n\n"},
    {"set server cell-1/s1 state", "\n"},
};

// Answers as many commands as come until its listener is shut down; `odd` wins over PLAIN.
typedef struct FakeHaproxy {
    int listener;
    Line odd;
} FakeHaproxy;

static const char *fake_answer(const FakeHaproxy *fake, Str command)
{
    if (str_has_prefix(command, str_of(fake->odd.command)))
        return fake->odd.answer;
    for (size_t i = 0; i < COUNT(PLAIN); i++)
        if (str_has_prefix(command, str_of(PLAIN[i].command)))
            return PLAIN[i].answer;
    return "Unknown command\n";
}

static void *fake_serve(void *context)
{
    const FakeHaproxy *fake = context;
    for (int fd; (fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; fd_close(&fd)) {
        char command[64 * KIB];
        size_t length = 0;
        for (ssize_t count; (count = recv(fd, command + length, sizeof(command) - length, 0)) > 0;)
            length += (size_t)count;
        const char *answer = fake_answer(fake, (Str){command, length});
        (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    return NULL;
}

static const struct {
    Line odd;
    const char *says;
    int exit_code;
} ODD[] = {
    {{"none", ""}, NULL, 2},    // "other" is another configuration
    {{"show info", "Name: HAProxy\n"}, "its answer to 'show info'", 65},
    {{"show info", "Pid: many\n"}, "its answer to 'show info'", 65},
    {{"show stat", ""}, "its answer to 'show stat'", 65},
    {{"show stat", "# pxname,svname,scur,status\n"}, "its answer to 'show stat'", 65},
    {{"show stat", "# pxname,svname,scur,status,addr\ncell-1,s1,many,UP,127.0.0.1:1\n"}, "'show stat'", 65},
    {{"show stat", "# pxname,svname,scur,status,addr\ncell-1\n"}, "'show stat'", 65},
    {{"show map cells.map", "Unknown map identifier. Please use #<id> or <file>.\n"}, "has no map 'cells.map'", 66},
    {{"show stat", "# pxname,svname,scur,status,addr\ncell-1,s1,0,UP,127.0.0.1:1\n"}, "has no room", 2},
    {{"prepare map cells.map", "Permission denied\n"}, "HAProxy refuses 'prepare map cells.map'", 1},
    {{"prepare map", "New version created: -\n"}, "HAProxy refuses 'prepare map", 1},
    {{"add map @1 hosts.map", "Out of memory error.\n"}, "it says: Out of memory error.", 1},
    {{"commit map @1 limits.map", "Version number out of range.\n"}, "refuses 'commit map @1 limits.map'", 1},
    {{"set server cell-1/s1 addr", "No such backend.\n"}, "it says: No such backend.", 1},
    {{"set server cell-1/s1 state", "Permission denied\n"}, "refuses 'set server cell-1/s1 state ready'", 1},
};

TEST(an_answer_of_another_form_is_said_to_be_and_nothing_is_written)
{
    open_all();
    FakeHaproxy fake = {.odd = ODD[_i].odd, .listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/haproxy.sock", haproxy.directory.data);
    ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fake.listener, 8), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, fake_serve, &fake), 0);
    CommandResult result = command_runner_run(
        &runner, LINE("gateway sync --directory %s -o json", haproxy.directory.data), S(""), NULL, NULL);
    (void)shutdown(fake.listener, SHUT_RDWR);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    fd_close(&fake.listener);
    ck_assert_msg(result.exit_code == ODD[_i].exit_code, "%d: %.*s%.*s", result.exit_code, STR_ARG(result.said),
                  STR_ARG(result.out));
    if (ODD[_i].says)
        ck_assert_contains(ODD[_i].exit_code == 2 ? result.out : result.said, str_of(ODD[_i].says));
    bool is_written = file_exists(str_format(runner.world.arena, "%s/haproxy.cfg", haproxy.directory.data));
    ck_assert_int_eq(is_written, ODD[_i].exit_code == 2);
    close_all();
}

// ---- parts

static bool map_there_and_back(Arena *arena, Error *err)
{
    GatewayMap map;
    if (!gateway_map_read(S("# note\nb.example  main \n\na.example other\nbroken\n"), false, arena, &map, err))
        return false;
    Str text = gateway_map_text(&map, arena);
    if (!arena_ok(arena, err))
        return false;
    ck_assert_str(text, S("a.example other\nb.example main\n"));
    ck_assert_str(gateway_map_get(&map, S("b.example")), S("main"));
    ck_assert_str(gateway_map_get(&map, S("c.example")), S(""));
    return true;
}

static bool files_are_made(Arena *arena, Error *err)
{
    GatewayCell cells[] = {{.name = S("main"), .addresses = {S("127.0.0.1:1")}, .address_count = 1}};
    GatewayRecord record = {.cells = cells, .cell_count = COUNT(cells)};
    const GatewayOptions options = {.directory = S("/no/such"), .listen = S("127.0.0.1:1")};
    GatewayMap none;
    GatewayFiles files;
    if (!gateway_options_check(&options, arena, err) || !gateway_map_make(0, arena, &none, err) ||
        !gateway_slots_assign(&record, &none, &none, SIZE_MAX, arena, err) ||
        !gateway_files_make(&options, &record, arena, &files, err))
        return false;
    Str configuration = files.files[GATEWAY_FILES - 1].content;
    ck_assert_contains(configuration, S("backend cell-1\n"));
    ck_assert_contains(configuration, S("    server s1 127.0.0.1:1 check\n    server-template s 2-4 "));
    ck_assert_contains(configuration, S("backend cell-33\n"));
    return true;
}

TEST(files_are_made_or_memory_ran_out)
{
    check_every_budget(files_are_made);
}

TEST(a_map_is_read_or_memory_ran_out)
{
    check_every_budget(map_there_and_back);
}

TEST(a_cell_keeps_its_backend_and_a_new_one_gets_what_nobody_leaves)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    GatewayMap running, files;
    GatewayCell cells[] = {{.name = S("new")}, {.name = S("kept")}, {.name = S("filed")}, {.name = S("far")}};
    GatewayRecord record = {.cells = cells, .cell_count = COUNT(cells)};
    ck_assert_ok(gateway_map_read(S("gone cell-1\nkept cell-3\nodd backend\n"), false, arena, &running, &err), &err);
    ck_assert_ok(gateway_map_read(S("kept cell-2\nfiled cell-4\nfar cell-9\n"), false, arena, &files, &err), &err);
    ck_assert_ok(gateway_slots_assign(&record, &running, &files, 5, arena, &err), &err);
    static const size_t SLOTS[] = {2, 3, 4, 5};
    for (size_t i = 0; i < COUNT(SLOTS); i++)
        ck_assert_uint_eq(cells[i].slot, SLOTS[i]);
    // Only where nothing else is left, that of one who is gone.
    GatewayCell more[] = {{.name = S("kept")}, {.name = S("new")}, {.name = S("newer")}};
    record = (GatewayRecord){.cells = more, .cell_count = COUNT(more)};
    ck_assert_ok(gateway_slots_assign(&record, &running, &running, 3, arena, &err), &err);
    ck_assert_uint_eq(more[1].slot, 2);
    ck_assert_uint_eq(more[2].slot, 1);
    ck_assert_uint_eq(gateway_slots_wanted(&record), 3 + GATEWAY_SPARES);
}

static const struct {
    const char *line;
    int exit_code;
    const char *says;
} REFUSED[] = {
    {"gateway render --setting gateway_listen=nowhere", 65, "gateway_listen"},
    {"gateway render --setting gateway_listen=127.0.0.1:8443 --setting gateway_tls_listen=*:8443 --setting "
     "gateway_certificates=/tmp",
     65, "gateway_tls_listen"},
    {"gateway render --setting gateway_user=no-such-user", 66, "gateway_user"},
    {"gateway render --setting gateway_certificates=/no/such", 66, "gateway_certificates"},
    {"gateway sync", 69, "no HAProxy answers"},
    {"gateway status now", 64, "now"},
};

TEST(a_wrong_wish_is_refused_with_its_place)
{
    command_runner_open(&runner, "gateway");
    ck_assert_contains(run(REFUSED[_i].exit_code, REFUSED[_i].line), str_of(REFUSED[_i].says));
    command_runner_close(&runner);
}

SUITE(gateway, ONCE(render_writes_what_haproxy_accepts_and_only_what_changed),
      ONCE(a_strange_directory_is_quoted_or_refused), ONCE(a_hostile_name_in_the_record_is_left_out),
      ONCE(what_comes_from_outside_about_the_way_is_not_believed),
      ONCE(only_shops_are_reached_and_nothing_that_is_private),
      ONCE(one_who_asks_too_often_gets_429_and_no_one_else_does),
      ONCE(a_request_that_is_too_large_or_in_another_language_is_refused),
      ONCE(with_certificates_it_speaks_tls_and_http_2), EACH(a_certificate_that_cannot_be_read_is_named, PEMS),
      ONCE(a_shop_a_domain_and_a_cell_are_reached_without_a_restart),
      ONCE(the_controller_tells_a_running_gateway_of_every_change), ONCE(when_no_backend_is_free_it_says_how_to_reload),
      ONCE(a_cell_that_is_down_has_a_page_and_comes_back), ONCE(a_real_shop_is_reached_through_it),
      ONCE(a_map_is_read_or_memory_ran_out), ONCE(files_are_made_or_memory_ran_out),
      ONCE(a_cell_keeps_its_backend_and_a_new_one_gets_what_nobody_leaves),
      EACH(an_answer_of_another_form_is_said_to_be_and_nothing_is_written, ODD),
      EACH(a_wrong_wish_is_refused_with_its_place, REFUSED))
