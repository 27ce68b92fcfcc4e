// tests/support/test_platform.c: shopctl up and down around a test.
#include "tests/support/test_platform.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/support/free_port.h"
#include "tests/support/guard.h"
#include "tests/support/more_check.h"

enum { UP_TIMEOUT_MS = 120000, WORDS_MAX = 32, ARENA_BUDGET = 64 * MIB };

static bool run(const TestPlatform *platform, const char *const *words, Str *out, Error *err)
{
    const char *argv[WORDS_MAX] = {platform->shopctl.data};
    size_t count = 1;
    for (; *words; words++) {
        ck_assert_uint_lt(count, WORDS_MAX - 3);
        argv[count++] = *words;
    }
    argv[count++] = "--data";
    argv[count] = platform->data.data;
    return process_run(&(ProcessSpec){.argv = argv}, UP_TIMEOUT_MS, platform->arena, out, err);
}

Str test_shopctl(const TestPlatform *platform, const char *const *words)
{
    Error err = {0};
    Str output = S("");
    ck_assert_ok(run(platform, words, &output, &err), &err);
    return output;
}

void test_platform_prepare(TestPlatform *platform)
{
    const char *build = getenv("TEST_BUILD");
    ck_assert_msg(build != NULL, "TEST_BUILD is unset: run this by `make check`");
    *platform = (TestPlatform){.arena = arena_open(ARENA_BUDGET), .port = test_free_port()};
    char directory[] = "/tmp/shop-platform.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0);
    platform->data = str_format(platform->arena, "%s/data", directory);
    platform->shopctl = str_format(platform->arena, "%s/bin/shopctl", build);
    guard_start(
        str_of(directory),
        str_format(platform->arena, "\"%s\" down --data \"$2/data\" >/dev/null 2>&1", platform->shopctl.data).data);
}

void test_platform_up(TestPlatform *platform)
{
    test_platform_prepare(platform);
    Str listen = str_format(platform->arena, "127.0.0.1:%u", platform->port);
    (void)SHOPCTL(platform, "up", "--listen", listen.data);
}

void test_platform_down(TestPlatform *platform)
{
    if (!platform->arena)
        return;
    (void)SHOPCTL(platform, "down");
    Error err = {0};
    Str output = S(""), directory = str_slice(platform->data, 0, platform->data.len - strlen("/data"));
    const char *argv[] = {"rm", "-rf", str_copy(platform->arena, directory).data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, UP_TIMEOUT_MS, platform->arena, &output, &err), &err);
    arena_close(&platform->arena);
}

Json *test_platform_status(const TestPlatform *platform)
{
    Error err = {0};
    Json *status = NULL;
    ck_assert_ok(json_parse(SHOPCTL(platform, "status", "-o", "json"), &status, &err), &err);
    return status;
}
