// tests/support/own_market.c: a catalogue, HAProxy and buyers for shops of their own.
#include "tests/support/own_market.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/gateway_watch.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum { SOME_ORDERS = 4, SOME_ORDERS_MS = 120000, PAUSE_MS = 5 };

#define LINE(...) str_format(shops->runner.world.arena, __VA_ARGS__).data

void own_shop_stock(OwnShops *shops, const char *slug)
{
    Str catalogue = str_format(shops->runner.world.arena, "%s/%s.csv", shops->runner.world.data.data, slug);
    Error err = {0};
    ck_assert_ok(file_write(catalogue,
                            S("Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory "
                              "Tracker,Variant Inventory Qty,Variant Inventory Policy\n"
                              "scarce,Scarce,Title,Default Title,5.00,shopify,50,deny\n"
                              "plenty,Plenty,Title,Default Title,9.50,shopify,1000000,deny\n"),
                            0644, &err),
                 &err);
    (void)command_ends(&shops->runner, 0, LINE("product import %s %s", slug, catalogue.data));
}

static void *watch(void *context)
{
    OwnGateway *gateway = context;
    gateway_watch(gateway->settings, &gateway->is_over);
    return NULL;
}

void own_gateway_open(OwnGateway *gateway, OwnShops *shops)
{
    Error err = {0};
    haproxy_process_open(&gateway->haproxy);
    const char *directory = gateway->haproxy.directory.data;
    gateway->port = test_free_port();
    (void)setenv("SHOPCTL_GATEWAY_LISTEN", LINE("127.0.0.1:%u", gateway->port), 1);
    const SettingSources sources = {.environment = (const char *const *)environ};
    gateway->link = str_of(LINE("%.*s/gateway", STR_ARG(shops->runner.world.data)));
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(symlink(directory, gateway->link.data), 0);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    atomic_store(&gateway->is_over, false);
    ck_assert_ok(settings_gather(&sources, shops->runner.world.arena, &gateway->settings, &err), &err);
    ck_assert_int_eq(pthread_create(&gateway->thread, NULL, watch, gateway), 0);
    (void)command_ends(&shops->runner, 0, "gateway render");
    haproxy_process_start(&gateway->haproxy);
}

void own_gateway_close(OwnGateway *gateway)
{
    atomic_store(&gateway->is_over, true);
    ck_assert_int_eq(pthread_join(gateway->thread, NULL), 0);
    (void)unsetenv("SHOPCTL_GATEWAY_LISTEN");
    (void)unlink(gateway->link.data);
    haproxy_process_close(&gateway->haproxy);
}

static void orders_await(Buyers *buyers, size_t count)
{
    for (int64_t deadline_ms = clock_ms() + SOME_ORDERS_MS; buyers_orders(buyers) < count; clock_sleep_ms(PAUSE_MS))
        ck_assert_msg(clock_ms() < deadline_ms, "nobody could buy for two minutes");
}

Buyers *own_buyers_open(const OwnGateway *gateway, const char *slug, size_t count)
{
    char host[64];
    (void)snprintf(host, sizeof(host), "%s.localhost", slug);
    Buyers *buyers = buyers_start(count, host, &gateway->port, 1);
    orders_await(buyers, SOME_ORDERS);
    return buyers;
}

void own_buyers_await(Buyers *buyers) { orders_await(buyers, buyers_orders(buyers) + SOME_ORDERS); }

size_t own_buyers_end(OwnShops *shops, const char *slug, Buyers **buyers)
{
    Error err = {0};
    Db *db = NULL;
    Platform *platform = own_shops_platform(shops);
    TenantRecord tenant;
    own_buyers_await(*buyers);
    buyers_stop(*buyers);
    ck_assert_ok(platform_tenant(platform, test_slug(slug), shops->runner.world.arena, &tenant, &err) &&
                     platform_cell(platform, tenant.cell, &db, &err) &&
                     db_script(db, str_of(LINE("set search_path = t_%lld", (long long)tenant.number)), &err),
                 &err);
    buyers_check(*buyers, db);
    size_t retries = buyers_retries(*buyers);
    buyers_close(buyers);
    platform_close(&platform);
    return retries;
}
