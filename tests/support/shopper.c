// tests/support/shopper.c: one request after the other, in a thread.
#include "tests/support/shopper.h"

#include "base/arena.h"
#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/shop_client.h"

enum { REQUESTS = 20, STEP_MS = 5 };

static void *shop(void *context)
{
    Shopper *shopper = context;
    Arena *arena = arena_open(4 * MIB);
    while (!atomic_load(&shopper->is_done)) {
        ShopClient *client = shop_client_open(shopper->port, shopper->host);
        for (int i = 0; i < REQUESTS; i++) {
            ShopAnswer answer = {0};
            bool ok = shop_call(client, &(ShopRequest){.method = "GET", .path = "/"}, arena, &answer);
            atomic_fetch_add(&shopper->asked, 1);
            if (!ok || answer.status != 200) {
                atomic_fetch_add(&shopper->failed, 1);
                shopper->status = answer.status;
            }
            arena_reset(arena);
        }
        shop_client_close(&client);
    }
    arena_close(&arena);
    return NULL;
}

static void some_more(Shopper *shopper)
{
    int so_far = atomic_load(&shopper->asked);
    while (atomic_load(&shopper->asked) < so_far + REQUESTS)
        clock_sleep_ms(STEP_MS);
}

void shopper_start(Shopper *shopper, unsigned port, const char *host)
{
    *shopper = (Shopper){.port = port, .host = host};
    ck_assert_int_eq(pthread_create(&shopper->thread, NULL, shop, shopper), 0);
    some_more(shopper);
}

void shopper_stop(Shopper *shopper)
{
    some_more(shopper);
    atomic_store(&shopper->is_done, true);
    ck_assert_int_eq(pthread_join(shopper->thread, NULL), 0);
    ck_assert_msg(shopper->failed == 0, "%d of %d requests failed, the last one with %d", shopper->failed,
                  shopper->asked, shopper->status);
}
