// tests/support/own_market.h: shops of their own that sell: with something to buy, behind a gateway, with buyers.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "provisioner/setting.h"
#include "tests/support/buyers.h"
#include "tests/support/haproxy_process.h"
#include "tests/support/own_shops.h"

// Imports what buyers buy: 50 pieces of "scarce", a million of "plenty".
void own_shop_stock(OwnShops *shops, const char *slug);

typedef struct OwnGateway {
    HaproxyProcess haproxy;
    Str link;                    // of the platform to its files
    const Settings *settings;    // of the platform, with where it listens
    pthread_t thread;
    atomic_bool is_over;
    unsigned port;    // of the loopback address
} OwnGateway;

// A gateway as `shopctl up` has it, in gateway/ of the platform, that follows the record as the controller does.
void own_gateway_open(OwnGateway *gateway, OwnShops *shops);
void own_gateway_close(OwnGateway *gateway);

// Buyers of the shop by that gateway; returns when some have bought.
Buyers *own_buyers_open(const OwnGateway *gateway, const char *slug, size_t count);
// Waits until some more have bought.
void own_buyers_await(Buyers *buyers);
// Waits for some more, ends them and checks that the shop has each acknowledged order, as buyers_check. Gives how many
// calls had to be sent again.
size_t own_buyers_end(OwnShops *shops, const char *slug, Buyers **buyers);
