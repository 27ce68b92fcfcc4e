// tests/test_podman.c: Podman's engine holds a shop of its own as Docker's does, but for what it has no call for.
#include "provisioner/engine.h"
#include "tests/support/more_check.h"
#include "tests/support/own_shops.h"
#include "tests/support/pg_server.h"

static OwnShops shops;
static EngineServer podman = {.is_podman = true};

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }

static void call(const char *method, const char *path, size_t *out_count)
{
    CLEANUP(engine_close) Engine *engine = engine_server_connect(&podman);
    CLEANUP(json_close) Json *answer = NULL;
    Error err = {0};
    ck_assert_ok(engine_call(engine, &(EngineCall){.method = method, .path = str_of(path)}, &answer, &err), &err);
    if (out_count)
        *out_count = json_count(answer);
}

static size_t containers(void)
{
    size_t count = 0;
    call("GET", "/containers/json?all=true", &count);
    return count;
}

static void check_serves(const char *host)
{
    ck_assert_int_eq(own_shops_status(&shops, "bazar", "/"), 200);
    ck_assert_contains(run(0, "tenant show bazar -o json"), str_of(LINE("\"host\": \"%s\"", host)));
    ck_assert_contains(run(0, "tenant psql bazar -c select(40+2)"), S("42"));
}

TEST(podman_holds_a_shop_of_its_own)
{
    own_shops_open(&shops, HOST_UNIX);
    engine_server_start(&podman);
    (void)run(0, LINE("host add there %s --address %s --cpu 8", podman.url.data, podman.address.data));
    ck_assert_contains(run(0, "host check there -o json"), S("Podman"));
    (void)run(0, "tenant create bazar --plan own --email a@b.example --host there");
    check_serves("there");
    ck_assert_uint_eq(containers(), 2);
    ck_assert_contains(run(0, "tenant upgrade bazar --dry-run -o json"), S("\"changes\": []"));

    // A restart may give a container another address.
    (void)run(0, "tenant restart bazar");
    check_serves("there");
    call("DELETE", LINE("/containers/%.*s?force=true", STR_ARG(own_shops_name(&shops, "postgres"))), NULL);
    ck_assert_contains(own_shops_mended(&shops, ERR_NONE, ""), S("made the container"));
    check_serves("there");
    ck_assert_str(own_shops_mended(&shops, ERR_NONE, ""), S("[]"));

    ck_assert_contains(run(1, "tenant resize bazar --cpu 1500m"), S("move the shop onto another host"));
    check_serves("there");

    (void)run(0, "tenant move bazar --host here");
    (void)run(0, "tenant move bazar --finalize");
    check_serves("here");
    ck_assert_uint_eq(containers(), 0);
    (void)run(0, "tenant move bazar --host there");
    (void)run(0, "tenant move bazar --finalize");
    check_serves("there");
    (void)run(0, "tenant suspend bazar");
    (void)run(0, "tenant archive bazar");
    (void)run(0, "tenant delete bazar --yes");
    ck_assert_uint_eq(containers(), 0);
    ck_assert_contains(run(0, "doctor -o json"), S("\"problems\": []"));
    own_shops_close(&shops);
    engine_server_remove(&podman);
}

SUITE(podman, ONCE(podman_holds_a_shop_of_its_own))
