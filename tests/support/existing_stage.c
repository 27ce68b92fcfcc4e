// tests/support/existing_stage.c: shopctl with an existing server, and a shopper.
#include "tests/support/existing_stage.h"

#include "base/file.h"
#include "base/process.h"
#include "tests/support/free_port.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_client.h"

enum { BUDGET = 64 * MIB, SCRIPT_TIMEOUT_MS = 120000 };

static Str quoted(Arena *arena, const char *text)
{
    StrBuf buf = {.arena = arena};
    for (; *text; text++)
        strbuf_format(&buf, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    return strbuf_str(&buf);
}

static const char PASSWORD[] = "op's \\secret";

void stage_config(const Stage *stage, const char *dsn)
{
    Error err = {0};
    Str text = str_format(stage->arena, "control_dsn: >-\n  %s user=ops password='%.*s'\nlisten: 127.0.0.1:%u\n", dsn,
                          STR_ARG(quoted(stage->arena, PASSWORD)), stage->platform.port);
    ck_assert_ok(file_write(stage->config, text, 0600, &err), &err);
}

Str stage_dsn(const Stage *stage, const char *database)
{
    return str_format(stage->arena, "host=127.0.0.1 port=%u dbname=%s user=ops password='%.*s'", stage->server.port,
                      database, STR_ARG(quoted(stage->arena, PASSWORD)));
}

void stage_open(Stage *stage)
{
    *stage = (Stage){.arena = arena_open(BUDGET), .second_port = test_free_port()};
    own_server_start(&stage->server);
    own_server_run(&stage->server, "create role ops login createdb createrole password 'op''s \\secret'");
    stage->config = str_format(stage->arena, "%.*s/config.yaml", STR_ARG(stage->server.directory));
    ck_assert_int_eq(setenv("SHOPCTL_CONFIG", stage->config.data, true), 0);
    test_platform_prepare(&stage->platform);
    stage_config(stage,
                 str_format(stage->arena, "host=127.0.0.1 port=%u dbname=shop_control", stage->server.port).data);
}

void stage_close(Stage *stage)
{
    test_platform_down(&stage->platform);
    own_server_remove(&stage->server);
    arena_close(&stage->arena);
    (void)unsetenv("SHOPCTL_CONFIG");
}

Str stage_script(const Stage *stage, const char *text)
{
    const TestPlatform *platform = &stage->platform;
    Str whole = str_format(stage->arena,
                           "S=$1 D=$2 P=$3 L=$4 M=$5; export SHOPCTL_DATA=$D; ( %s ) 2>&1; echo \"exit $?\"", text);
    const char *argv[] = {"sh",
                          "-c",
                          whole.data,
                          "sh",
                          platform->shopctl.data,
                          platform->data.data,
                          str_format(stage->arena, "%u", stage->server.port).data,
                          str_format(stage->arena, "127.0.0.1:%u", platform->port).data,
                          str_format(stage->arena, "127.0.0.1:%u", stage->second_port).data,
                          NULL};
    Error err = {0};
    Str output = S("");
    const char *here = getenv("PWD");
    ck_assert_ok(
        process_run(&(ProcessSpec){.argv = argv, .directory = here}, SCRIPT_TIMEOUT_MS, stage->arena, &output, &err),
        &err);
    return str_trim(output);
}

typedef struct Buyer {
    ShopClient *client;
    Arena *arena;
    Str cart;    // names its order, too
    ShopAnswer answer;
} Buyer;

static int ask(Buyer *buyer, const char *method, const char *path, const char *body)
{
    Str headers = str_format(buyer->arena, "Idempotency-Key: order-%.*s\r\n", STR_ARG(buyer->cart));
    const ShopRequest request = {.method = method, .path = path, .body = body, .headers = headers.data};
    shop_answer_close(&buyer->answer);
    return shop_call(buyer->client, &request, buyer->arena, &buyer->answer) ? buyer->answer.status : 0;
}

static Str answered(const Buyer *buyer, const char *key)
{
    return str_copy(buyer->arena, json_str(json_get(buyer->answer.json, key)));
}

Str stage_buy(const Stage *stage, unsigned port)
{
    static const char ADDRESS[] =
        "{\"email\": \"ana@buyer.example\", \"shipping_address\": {\"name\": \"Ana\", \"line1\": \"Calle 1\", "
        "\"city\": \"Madrid\", \"region\": \"M\", \"postal_code\": \"28001\", \"country\": \"ES\"}, "
        "\"shipping_method\": \"standard\", \"payment_method\": \"bank_transfer\"}";
    Buyer buyer = {.client = shop_client_open(port, "acme.localhost"), .arena = stage->arena};
    ck_assert_int_eq(ask(&buyer, "GET", "/api/v1/store/products/scarce", NULL), 200);
    Str variant =
        str_copy(stage->arena, json_str(json_get(json_element(json_get(buyer.answer.json, "variants"), 0), "id")));
    ck_assert_int_eq(ask(&buyer, "POST", "/api/v1/store/carts", "{}"), 201);
    buyer.cart = answered(&buyer, "id");
    Str path = str_format(stage->arena, "/api/v1/store/carts/%.*s/lines", STR_ARG(buyer.cart));
    Str body = str_format(stage->arena, "{\"variant_id\": \"%.*s\", \"quantity\": 1}", STR_ARG(variant));
    ck_assert_int_eq(ask(&buyer, "POST", path.data, body.data), 201);
    path = str_format(stage->arena, "/api/v1/store/carts/%.*s/checkout", STR_ARG(buyer.cart));
    ck_assert_int_eq(ask(&buyer, "POST", path.data, ADDRESS), 201);
    path = str_format(stage->arena, "/api/v1/store/orders/%.*s", STR_ARG(answered(&buyer, "token")));
    shop_answer_close(&buyer.answer);
    shop_client_close(&buyer.client);
    return path;
}

int stage_status(const Stage *stage, const char *method, const char *path)
{
    Buyer buyer = {.client = shop_client_open(stage->platform.port, "acme.localhost"), .arena = stage->arena};
    int status = ask(&buyer, method, path, method[0] == 'P' ? "{}" : NULL);
    shop_answer_close(&buyer.answer);
    shop_client_close(&buyer.client);
    return status;
}

void stage_shop_make(const Stage *stage)
{
    Error err = {0};
    static const char CATALOGUE[] = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory "
                                    "Tracker,Variant Inventory Qty,Variant Inventory Policy\n"
                                    "scarce,Scarce,Title,Default Title,5.00,shopify,100,deny\n";
    ck_assert_ok(file_write(str_format(stage->arena, "%.*s/in.csv", STR_ARG(stage->server.directory)),
                            str_of(CATALOGUE), 0644, &err),
                 &err);
    SAYS(stage, "$S tenant create acme --plan standard --name Acme --email owner@acme.example -o json",
         "\"status\": \"active\"");
    SAYS(stage, "$S product import acme $(dirname $SHOPCTL_CONFIG)/in.csv", "1 product, 1 variant");
}
