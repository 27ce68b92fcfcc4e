// tests/test_store_faults.c: a shop whose cell isn't whole, has news, stops, or has lost its database; over HTTP,
// against a real PostgreSQL.
#include "tests/support/store_stage.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/shop.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"

TEST(the_first_answer_of_a_thread_may_be_that_nothing_is_there)
{
    static const char *const NOWHERE[] = {"/media/0000000000000000000000000000000000000000000000000000000000000000.svg",
                                          "/products/none", "/none"};
    for (size_t i = 0; i < COUNT(NOWHERE); i++) {
        StoreStage stage;
        store_open(&stage);
        for (size_t client = 0; client < 8; client++) {    // some on each thread
            ShopClient *fresh = shop_client_open(stage.cell.port, "acme.localhost");
            ck_assert_int_eq(store_get(&stage, fresh, NOWHERE[i]), 404);
            ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
            shop_client_close(&fresh);
        }
        ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 200);
        store_close(&stage);
    }
}

// Before it is read to its end, with a page that asks for the shop's name first.
TEST(the_first_answer_of_a_thread_may_be_a_refusal)
{
    static const char *const REFUSED[] = {
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 100000\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 5\r\n\r\n"};    // which never come
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        StoreStage stage;
        store_open(&stage);
        CLEANUP(fd_close) int fd = raw_open(stage.cell.port);
        ck_assert(raw_send(fd, str_of(REFUSED[i])));
        Str answer = raw_await(fd, stage.cell.arena, 300);
        ck_assert_int_eq(raw_status(answer), 404);
        ck_assert_contains(answer, S("<html lang=\"es\">"));
        ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 200);
        store_close(&stage);
    }
}

// ---- hosts, states, faults ----

// A gateway on this machine that adds no header must not show them to the world.
TEST(metrics_are_not_shown_at_a_shops_address)
{
    StoreStage stage;
    store_open(&stage);
    ShopClient *operator= shop_client_open(stage.cell.port, "127.0.0.1:9100");
    ck_assert_int_eq(store_get(&stage, operator, "/metrics"), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/metrics"), 403);
    ck_assert(str_find(stage.answer.body, S("beta")) == stage.answer.body.len);
    shop_client_close(&operator);
    store_close(&stage);
}

TEST(an_unknown_host_is_told_no_name_and_a_suspended_shop_says_so)
{
    StoreStage stage;
    store_open(&stage);
    ShopClient *stranger = shop_client_open(stage.cell.port, "gamma.localhost");
    ck_assert_int_eq(store_get(&stage, stranger, "/"), 404);
    ck_assert_uint_eq(str_find(stage.answer.body, S("cme")), stage.answer.body.len);
    clock_sleep_ms(300);
    test_cell_sql(&stage.cell, "update cell.tenants set state = 'suspended' where number = 1");
    test_cell_sql(&stage.cell, "insert into cell.tenants values (3, 'gamma', 'archived')");
    int64_t until_ms = clock_ms() + 5000;
    while (store_get(&stage, stage.acme, "/products/none") != 503 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 503);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_uint_eq(shop_answer_header(&stage.answer, S("Set-Cookie")).len, 0);
    ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
    ck_assert_contains(stage.answer.body, S("Acme"));
    ck_assert_contains(stage.answer.body, S("href=\"/assets/shop."));
    Str style = between(stage.answer.body, "href=\"/assets/shop.", '"');
    ck_assert_int_eq(
        store_get(&stage, stage.acme, str_format(stage.cell.arena, "/assets/shop.%.*s", STR_ARG(style)).data), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css"), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products"), 503);
    ck_assert_int_eq(store_get(&stage, stage.beta, "/"), 200);
    test_cell_sql(&stage.cell, "update cell.tenants set state = 'active' where number = 1");
    while (store_get(&stage, stage.acme, "/products/lampara") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 200);
    shop_client_close(&stranger);
    store_close(&stage);
}

static void await_found(StoreStage *stage, const char *host, int status)
{
    int64_t until_ms = clock_ms() + 30000;
    ShopClient *client = shop_client_open(stage->cell.port, host);
    int found = 0;
    while ((found = store_get(stage, client, "/robots.txt")) != status && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_msg(found == status, "%s: %d", host, found);
    shop_client_close(&client);
}

TEST(many_changes_at_once_and_some_at_a_time_are_heard)
{
    StoreStage stage;
    store_open(&stage);
    clock_sleep_ms(300);
    test_cell_sql(&stage.cell,
                  "begin; insert into cell.domains select 'shop' || n || '.localhost', n from "
                  "generate_series(10, 209) n;"
                  "insert into cell.tenants select n, 'shop' || n, 'active' from generate_series(10, 209) n;"
                  "commit");
    await_found(&stage, "shop10.localhost", 200);
    await_found(&stage, "shop209.localhost", 200);
    test_cell_sql(&stage.cell, "notify cell_tenants, 'nobody'; notify cell_catalog, '-1';"
                               "update cell.tenants set state = 'archived' where number in (10, 11, 12);"
                               "update cell.tenants set state = 'archived' where number in (11, 12);"
                               "update cell.tenants set state = 'archived' where number in (12)");
    await_found(&stage, "shop12.localhost", 404);
    await_found(&stage, "shop10.localhost", 404);
    await_found(&stage, "shop13.localhost", 200);
    store_close(&stage);
}

TEST(a_directory_that_cannot_be_read_is_read_once_it_can_be_again)
{
    StoreStage stage;
    store_open(&stage);
    log_level_set(LOG_ERROR + 1);
    // Once it has heard of a change it reads no more until the next one.
    test_cell_sql(&stage.cell, "begin; insert into cell.domains values ('shop9.localhost', 9);"
                               "insert into cell.tenants values (9, 'shop9', 'active'); commit");
    await_found(&stage, "shop9.localhost", 200);
    test_cell_sql(&stage.cell, "alter function cell.directory rename to directory_away;"
                               "update cell.tenants set state = 'archived' where number = 2");
    clock_sleep_ms(100);
    ck_assert_int_eq(store_get(&stage, stage.beta, "/robots.txt"), 200);    // what was known goes on
    test_cell_sql(&stage.cell, "alter function cell.directory_away rename to directory");
    await_found(&stage, "beta.localhost", 404);
    await_found(&stage, "acme.localhost", 200);
    store_close(&stage);
}

static const struct {
    const char *sql;
    Str dsn;    // empty: the cell's
    ErrorCode code;
    const char *says;
} CELLS[] = {
    {"drop function cell.session_key", S(""), ERR_FAILED, "isn't ready for shopd"},
    {"drop function cell.directory", S(""), ERR_FAILED, "isn't ready for shopd"},
    {"create or replace function cell.session_key() returns text language sql as $$ select '' $$", S(""), ERR_STATE,
     "no session key"},
    {"update cell.tenants set limits = '[1]'", S(""), ERR_NONE, ""},    // no limits: as without any
    {"select 1", S("host"), ERR_INVALID, "="},
};

TEST(a_cell_that_is_not_whole_is_not_served_and_says_why)
{
    TestCell cell;
    Error err = {0};
    Server *server = NULL;
    test_cell_open(&cell, "storefront");
    test_cell_sql(&cell, CELLS[_i].sql);
    Settings settings = shopd_settings_default();
    settings.cell = CELLS[_i].dsn.len ? CELLS[_i].dsn : cell.dsn;
    settings.role = S("postgres");
    settings.listen = S("127.0.0.1:0");
    settings.threads = 1;
    ServerOptions options = {.settings = &settings, .is_embedded = true};
    shop_options(&options);
    bool ok = server_open(&options, &server, &err);
    ck_assert_msg(ok == (CELLS[_i].code == ERR_NONE) && (ok || error_says(&err, CELLS[_i].says)), "%s: %s: %s (%s)",
                  CELLS[_i].sql, error_name(err.code), err.what, err.why);
    if (ok)
        server_stop(server);
    if (ok)
        ck_assert(server_wait(server));
    server_close(&server);
    test_cell_close(&cell);
}

// Lets shopd in again, or ends its connections and bars it until it has noticed.
static void database_set(StoreStage *stage, bool is_there)
{
    CLEANUP(db_close) Db *server = test_db_open(str_of(getenv("TEST_PG")));
    Error err = {0};
    Arena *arena = stage->cell.arena;
    Str name = test_value(stage->cell.db, arena, "select current_database()");
    Str bar = str_format(arena, "alter database %.*s allow_connections %s", STR_ARG(name), is_there ? "true" : "false");
    ck_assert_ok(db_script(server, bar, &err), &err);
    if (is_there)
        return;
    Str kill = str_format(arena,
                          "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '%.*s' and "
                          "application_name like 'shopd%%'",
                          STR_ARG(name));
    (void)test_value(server, arena, kill.data);
    int64_t until_ms = clock_ms() + 5000;
    while (store_send(stage, "POST", STORE_API "/carts", NULL, "{}") != 503 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(store_send(stage, "POST", STORE_API "/carts", NULL, "{}"), 503);
}

TEST(without_the_database_warm_pages_go_on_and_writes_wait_for_its_return)
{
    StoreStage stage;
    store_open(&stage);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/taza-azul"), 200);
    database_set(&stage, false);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/taza-azul"), 200);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/lampara"), 503);
    ck_assert_contains(stage.answer.body, S("</html>"));
    database_set(&stage, true);
    int64_t until_ms = clock_ms() + 10000;
    while (store_get(&stage, stage.acme, "/products/lampara") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/products/lampara"), 200);
    ck_assert_int_eq(store_send(&stage, "POST", STORE_API "/carts", NULL, "{}"), 201);
    store_close(&stage);
}

TEST(without_the_database_a_shop_that_nobody_has_seen_is_called_by_its_name_in_its_language)
{
    StoreStage stage;
    store_open(&stage);
    test_cell_sql(&stage.cell, "update cell.tenants set looks = '{\"name\": \"Acme Ñandú\", \"language\": \"es\", "
                               "\"colors\": {\"primary\": \"#123abc\"}}' where number = 1");
    test_cell_stop(&stage.cell);
    test_cell_serve(&stage.cell, 2, S(""));    // the directory alone is read
    shop_client_close(&stage.acme);
    stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
    database_set(&stage, false);
    ck_assert_int_eq(store_get(&stage, stage.acme, "/"), 503);
    ck_assert(shop_answer_header(&stage.answer, S("Retry-After")).len > 0);
    ck_assert_contains(stage.answer.body, S("<html lang=\"es\">"));
    ck_assert_contains(stage.answer.body, S("Acme Ñandú</span>"));
    ck_assert_int_eq(store_get(&stage, stage.acme, "/theme.css"), 200);    // else the page has no colours
    ck_assert_contains(stage.answer.body, S("--primary: #123abc"));
    ck_assert_str(shop_answer_header(&stage.answer, S("Cache-Control")), S("no-store"));
    database_set(&stage, true);
    int64_t until_ms = clock_ms() + 10000;
    while (store_get(&stage, stage.acme, "/") != 200 && clock_ms() < until_ms)
        clock_sleep_ms(10);
    ck_assert_contains(stage.answer.body, S("Acme"));
    store_close(&stage);
}

// The kernel gives new connections to either thread; only one of them has made each page.
TEST(without_the_database_a_warm_page_is_there_on_every_connection)
{
    static const char *const WARM[] = {"/", "/products/taza-azul", STORE_API "/products",
                                       STORE_API "/products/taza-azul"};
    StoreStage stage;
    store_open(&stage);
    for (size_t i = 0; i < COUNT(WARM); i++)
        ck_assert_int_eq(store_get(&stage, stage.acme, WARM[i]), 200);
    database_set(&stage, false);
    for (size_t round = 0; round < 24; round++) {
        shop_client_close(&stage.acme);
        stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
        for (size_t i = 0; i < COUNT(WARM); i++)
            ck_assert_int_eq(store_get(&stage, stage.acme, WARM[i]), 200);
        ck_assert_int_eq(store_get(&stage, stage.acme, STORE_API "/products/lampara"), 503);    // nobody has it
    }
    database_set(&stage, true);
    test_cell_sql(&stage.cell, "update t_1.products set title = 'Taza verde' where handle = 'taza-azul'");
    int64_t until_ms = clock_ms() + 10000;
    for (size_t fresh = 0; fresh < 12;) {    // what was taken over is no longer shown
        ck_assert_msg(clock_ms() < until_ms, "an old page is still shown");
        shop_client_close(&stage.acme);
        stage.acme = shop_client_open(stage.cell.port, "acme.localhost");
        int status = store_get(&stage, stage.acme, STORE_API "/products/taza-azul");
        fresh = status == 200 && str_find(stage.answer.body, S("Taza verde")) < stage.answer.body.len ? fresh + 1 : 0;
    }
    store_close(&stage);
}

static void *stop_later(void *server)
{
    clock_sleep_ms(200);
    server_stop(server);
    return NULL;
}

TEST(a_request_that_is_under_way_when_the_server_stops_is_answered)
{
    StoreStage stage;
    store_open(&stage);
    pthread_t stopper;
    test_cell_sql(&stage.cell, "create or replace function t_1.cart_create_1() returns json language sql as $$"
                               "select json_build_object('id', 'slow') from pg_sleep(1) $$");
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_later, stage.cell.server), 0);
    // the tenant's home is one of two threads, of which one has nothing to do and could go home early
    ck_assert_int_eq(store_send(&stage, "POST", STORE_API "/carts", NULL, "{}"), 201);
    (void)pthread_join(stopper, NULL);
    store_close(&stage);
}

SUITE(store_faults, ONCE(the_first_answer_of_a_thread_may_be_that_nothing_is_there),
      ONCE(the_first_answer_of_a_thread_may_be_a_refusal), ONCE(metrics_are_not_shown_at_a_shops_address),
      ONCE(an_unknown_host_is_told_no_name_and_a_suspended_shop_says_so),
      ONCE(many_changes_at_once_and_some_at_a_time_are_heard),
      ONCE(a_directory_that_cannot_be_read_is_read_once_it_can_be_again),
      EACH(a_cell_that_is_not_whole_is_not_served_and_says_why, CELLS),
      ONCE(without_the_database_warm_pages_go_on_and_writes_wait_for_its_return),
      ONCE(without_the_database_a_shop_that_nobody_has_seen_is_called_by_its_name_in_its_language),
      ONCE(without_the_database_a_warm_page_is_there_on_every_connection),
      ONCE(a_request_that_is_under_way_when_the_server_stops_is_answered))
