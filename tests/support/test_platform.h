// tests/support/test_platform.h: a whole embedded platform for a test: started by shopctl, stopped and removed by it.
#pragma once
#include "base/json.h"

typedef struct TestPlatform {
    Arena *arena;
    Str data;         // its directory
    unsigned port;    // shopd's
    Str shopctl;      // the binary under test
} TestPlatform;

// A directory of its own and a free port, nothing started. Whatever happens to this process, a guard stops what it
// started there and removes the directory.
void test_platform_prepare(TestPlatform *platform);
// `shopctl up` in a directory of its own on a free port; fails the test when it doesn't come up.
void test_platform_up(TestPlatform *platform);
// `shopctl down`, and the directory is removed. NULL-safe for a platform that never came up.
void test_platform_down(TestPlatform *platform);

// Runs shopctl with these words for this platform and gives its output; fails the test unless it exits with 0.
Str test_shopctl(const TestPlatform *platform, const char *const *words);
#define SHOPCTL(platform, ...) test_shopctl(platform, (const char *const[]){__VA_ARGS__, NULL})
// `shopctl status -o json`, parsed; the caller closes it.
Json *test_platform_status(const TestPlatform *platform);
