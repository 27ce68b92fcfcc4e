// tests/test_registry.c: images go to a registry and come from it: Debian's docker-registry, which wants to know who
// asks.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "provisioner/image_registry.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"
#include "tests/support/own_shops.h"
#include "tests/support/pg_server.h"

enum { START_MS = 20000, PORT = 5000 };

#define REGISTRY "127.0.0.1:5000"    // of the engine's network
// The user "shop" with the password "secret"; the second one has another password.
#define USERS "shop:$2y$04$RSb9AF4XYVSb0sFKprOH.ecAYIsfaMkQfrW6HpKe0j7Mr8.YoIaCu\n"
#define RIGHT "{\"auths\":{\"" REGISTRY "\":{\"auth\":\"c2hvcDpzZWNyZXQ=\"}}}"
#define WRONG "{\"auths\":{\"" REGISTRY "\":{\"auth\":\"c2hvcDpvdGhlcg==\"}}}"
#define CONFIG                                                                                                         \
    "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %s/data\nhttp:\n  addr: "         \
    "127.0.0.1:%d\nauth:\n  htpasswd:\n    realm: shops\n    path: %s/users\n"

static OwnShops shops;
static Process registry;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }
static const char *path_of(const char *name) { return LINE("%s/registry/%s", shops.runner.world.data.data, name); }

static void write_file(const char *name, Str text, unsigned mode)
{
    Error err = {0};
    ck_assert_ok(file_write(str_of(path_of(name)), text, mode, &err), &err);
}

static bool is_registry_up(void)
{
    Error ignored = {0};
    Str output;
    const char *argv[] = {
        "nsenter", LINE("--net=%s", shops.engine->network.data), "nc", "-z", "127.0.0.1", LINE("%d", PORT), NULL};
    return process_run(&(ProcessSpec){.argv = argv}, START_MS, shops.runner.world.arena, &output, &ignored);
}

static void open_all(void)
{
    Error err = {0};
    own_shops_open(&shops, HOST_UNIX);
    ck_assert_ok(directory_make(str_of(path_of("data")), 0700, &err), &err);
    const char *directory = LINE("%s/registry", shops.runner.world.data.data);
    write_file("users", S(USERS), 0600);
    write_file("config.yml", str_of(LINE(CONFIG, directory, PORT, directory)), 0600);
    write_file("right.json", S(RIGHT), 0600);
    write_file("wrong.json", S(WRONG), 0600);
    write_file("open.json", S(RIGHT), 0644);
    write_file("broken.json", S("{\"auths\":{\"" REGISTRY "\":{}}}"), 0600);
    CLEANUP(fd_close) int output = open(path_of("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const char *argv[] = {
        "nsenter", LINE("--net=%s", shops.engine->network.data), "docker-registry", "serve", path_of("config.yml"),
        NULL};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .output = output, .is_session = true}, &registry, &err),
                 &err);
    guard_start(str_of(directory), "kill -9 $(pgrep -f \"docker-registry serve $2/\") 2>/dev/null");
    for (int64_t deadline_ms = clock_ms() + START_MS; !is_registry_up(); clock_sleep_ms(50))
        ck_assert_msg(clock_ms() < deadline_ms && is_process_alive(&registry), "docker-registry doesn't answer");
}

static void close_all(void)
{
    static const char *const SETTINGS[] = {"SHOPCTL_REGISTRY_AUTH", "SHOPCTL_POSTGRES_IMAGE", "SHOPCTL_SHOPD_IMAGE"};
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        (void)unsetenv(SETTINGS[i]);
    (void)process_stop(&registry, SIGTERM, START_MS);
    own_shops_close(&shops);
}

static Str pushed_reference(Str answer, int at)
{
    Error err = {0};
    CLEANUP(json_close) Json *document = NULL;
    ck_assert_ok(json_parse(answer, &document, &err), &err);
    return str_copy(shops.runner.world.arena,
                    json_str(json_get(json_element(json_get(document, "images"), (size_t)at), "reference")));
}

// The engine forgets what it had.
static void images_remove(void)
{
    Error err = {0};
    Json *list = NULL;
    CLEANUP(engine_close) Engine *engine = engine_server_connect(shops.engine);
    ck_assert_ok(engine_call(engine, &(EngineCall){.method = "GET", .path = S("/images/json")}, &list, &err), &err);
    for (size_t i = 0; i < json_count(list); i++) {
        Str path = str_format(shops.runner.world.arena, "/images/%.*s?force=true",
                              STR_ARG(json_str(json_get(json_element(list, i), "Id"))));
        ck_assert_ok(engine_call(engine, &(EngineCall){.method = "DELETE", .path = path}, NULL, &err), &err);
    }
    json_close(&list);
}

static const struct {
    const char *credentials;
    const char *line;
    int exit_code;
    const char *says;
} REFUSED[] = {
    {"right.json", "image push shop --host here", 65, "isn't a place in a registry"},
    {"right.json", "image push 127.0.0.1:5000/Shop --host here", 65, "isn't a place in a registry"},
    {"right.json", "image pull --host here", 1, "is in no registry"},
    {"open.json", "image push " REGISTRY "/shop --host here", 77, "chmod 600"},
    {"broken.json", "image push " REGISTRY "/shop --host here", 65, "with USER:PASSWORD in base64"},
    {"none.json", "image push " REGISTRY "/shop --host here", 66, "can't be read"},
    {"wrong.json", "image push " REGISTRY "/shop --host here", 77, "registry_auth"},
    {"right.json", "image push 127.0.0.1:5001/shop --host here", 1, "can't be pushed"},
};

TEST(images_are_pushed_and_a_shop_is_made_of_what_is_pulled)
{
    open_all();
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        (void)setenv("SHOPCTL_REGISTRY_AUTH", path_of(REFUSED[i].credentials), 1);
        ck_assert_contains(run(REFUSED[i].exit_code, REFUSED[i].line), str_of(REFUSED[i].says));
    }
    (void)setenv("SHOPCTL_REGISTRY_AUTH", path_of("right.json"), 1);
    Str answer = run(0, "image push " REGISTRY "/shop --host here -o json");
    Str postgres = pushed_reference(answer, 0), shopd = pushed_reference(answer, 1);
    ck_assert_contains(postgres, S(REGISTRY "/shop/postgres@sha256:"));
    images_remove();

    (void)setenv("SHOPCTL_POSTGRES_IMAGE", postgres.data, 1);
    (void)setenv("SHOPCTL_SHOPD_IMAGE", "shop/shopd:latest", 1);
    ck_assert_contains(run(65, "image pull --host here"), S("the setting shopd_image can't be used"));
    (void)setenv("SHOPCTL_SHOPD_IMAGE", LINE("%.*s%064d", (int)(shopd.len - 64), shopd.data, 0), 1);
    ck_assert_contains(run(66, "image pull --host here"), S("can't be pulled"));
    (void)setenv("SHOPCTL_SHOPD_IMAGE", shopd.data, 1);
    (void)setenv("SHOPCTL_REGISTRY_AUTH", path_of("wrong.json"), 1);
    ck_assert_contains(run(77, "tenant create bazar --plan own --email a@b.example"), S("registry_auth"));
    ck_assert_uint_eq(own_shops_things(&shops, "bazar"), 0);
    (void)setenv("SHOPCTL_REGISTRY_AUTH", path_of("right.json"), 1);
    (void)run(0, "tenant create bazar --plan own --email a@b.example");
    ck_assert_int_eq(own_shops_status(&shops, "bazar", "/"), 200);
    ck_assert_contains(run(0, "image list --host here -o json"), S("\"name\": \"shopd\""));
    ck_assert_contains(run(0, "image pull --host here -o name"), S("postgres"));    // there already

    // Made here again, it is another image's.
    (void)unsetenv("SHOPCTL_POSTGRES_IMAGE");
    (void)unsetenv("SHOPCTL_SHOPD_IMAGE");
    ck_assert_contains(run(0, "tenant upgrade bazar --dry-run"), S(REGISTRY "/shop/shopd@sha256:"));
    close_all();
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const Refused REFERENCES[] = {
    {S(""), "isn't an image"},
    {S("shopd"), "isn't an image"},
    {S("registry.example.com/shopd:latest"), "isn't an image"},
    {S("shop/shopd@sha256:" DIGEST), "isn't an image"},
    {S("registry.example.com/shopd@sha256:" DIGEST "0"), "isn't an image"},
    {S("registry.example.com/shopd@sha256:0123"), "isn't an image"},
    {S("registry.example.com/shopd@sha256:X123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
     "isn't an image"},
    {S("registry.example.com/sh?pd@sha256:" DIGEST), "isn't an image"},
    {S("registry.example.com/@sha256:" DIGEST), "isn't an image"},
};

TEST(only_what_is_pinned_by_its_digest_is_an_image_of_a_registry)
{
    Error err = {0};
    ck_assert(!image_reference_check(REFERENCES[_i].text, &err));
    ck_assert_says(&err, ERR_INVALID, REFERENCES[_i].says);
    error_clear(&err);
    ck_assert_ok(image_reference_check(S("localhost/a/b-c_d.e@sha256:" DIGEST), &err), &err);
    ck_assert_ok(image_reference_check(S("registry.example.com:5000/shopd@sha256:" DIGEST), &err), &err);
}

SUITE(registry, EACH(only_what_is_pinned_by_its_digest_is_an_image_of_a_registry, REFERENCES),
      ONCE(images_are_pushed_and_a_shop_is_made_of_what_is_pulled))
