// tests/support/shop_cell.c: a cell in SQL, without the provisioner, and shopd beside it.
#include "tests/support/shop_cell.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/embed.h"
#include "runtime/shop.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_schema.h"

enum { NEWS_MS = 30000, NEWS_PAUSE_MS = 5 };

static const char CELL[] =
    "create table cell.tenants (number bigint primary key, slug text, state text, limits jsonb default '{}',"
    "    looks jsonb default '{}');"
    "create table cell.domains (host text primary key, tenant bigint);"
    "insert into cell.tenants (number, slug, state) values (1, 'acme', 'active'), (2, 'beta', 'active');"
    "insert into cell.domains values ('acme.localhost', 1), ('beta.localhost', 2);"
    "create function cell.session_key() returns text language sql as $$ select 'a secret of the tests' $$;"
    "create function cell.directory(p_number bigint default null) returns table (number bigint, slug text, schema text,"
    "    state text, hosts text[], limits jsonb, looks jsonb) language sql as $$"
    "    select t.number, t.slug, 't_' || t.number, t.state, array(select host from cell.domains d where d.tenant ="
    "    t.number order by host), t.limits, t.looks from cell.tenants t where p_number is null or t.number = p_number "
    "$$;"
    "create function cell.told() returns trigger language plpgsql as $$ begin"
    "    perform pg_notify('cell_tenants', coalesce(new.number, old.number)::text); return null; end $$;"
    "create trigger told after insert or update or delete on cell.tenants for each row execute function cell.told();";

void test_cell_sql(TestCell *cell, const char *sql)
{
    Error err = {0};
    ck_assert_ok(db_script(cell->db, str_of(sql), &err), &err);
}

void test_cell_open(TestCell *cell, const char *noun)
{
    *cell = (TestCell){.arena = arena_open(64 * MIB)};
    cell->dsn = test_shop(noun);
    cell->db = test_db_open(cell->dsn);
    test_cell_sql(cell, CELL);
    test_shop_add(cell->db, 2);
    test_cell_sql(cell,
                  "update t_2.settings set name = 'Beta & Sons', language = 'en', country = 'GB', currency = 'GBP'");
}

void test_cell_serve(TestCell *cell, unsigned threads, Str dsn)
{
    Settings *settings = arena_new(cell->arena, Settings);
    *settings = shopd_settings_default();
    settings->cell = dsn.len ? dsn : cell->dsn;
    settings->role = S("postgres");
    settings->listen = S("127.0.0.1:0");
    settings->threads = threads;
    settings->connections = 4;
    settings->database_timeout_ms = cell->database_timeout_ms ? cell->database_timeout_ms : 4000;
    if (cell->cache_bytes)
        settings->cache_bytes = cell->cache_bytes;
    ServerOptions options = {.settings = settings, .is_embedded = true, .request_budget = cell->request_budget};
    shop_options(&options);
    Error err = {0};
    ck_assert_ok(server_open(&options, &cell->server, &err), &err);
    cell->port = server_port(cell->server);
}

void test_cell_await_news(TestCell *cell)
{
    ShopClient *client = shop_client_open(cell->port, "localhost");
    ShopAnswer answer = {0};
    bool is_up = false;
    for (int64_t deadline_ms = clock_ms() + NEWS_MS; !is_up; clock_sleep_ms(NEWS_PAUSE_MS)) {
        ck_assert_msg(clock_ms() < deadline_ms, "shopd doesn't hear of changes");
        is_up = shop_call(client, &(ShopRequest){.method = "GET", .path = "/metrics"}, cell->arena, &answer) &&
                str_find(answer.body, S("\nshopd_news_up 1\n")) < answer.body.len;
        shop_answer_close(&answer);
    }
    shop_client_close(&client);
}

void test_cell_stop(TestCell *cell)
{
    if (!cell->server)
        return;
    server_stop(cell->server);
    ck_assert(server_wait(cell->server));
    server_close(&cell->server);
}

void test_cell_close(TestCell *cell)
{
    test_cell_stop(cell);
    db_close(&cell->db);
    arena_close(&cell->arena);
}
