// tests/support/buyers.h: shoppers who buy all the time, know what they were told, and say whether the shop does too.
#pragma once
#include "base/pg.h"
#include "tests/support/shop_client.h"

enum { BUYERS_MAX = 16, BUYERS_PORTS_MAX = 2 };

typedef struct Buyers Buyers;

// Buyers of the shop with this host, which has the products "plenty" and "scarce". With two ports the shop is at one of
// them, and may change: who finds nothing at one asks at the other.
Buyers *buyers_start(size_t count, const char *host, const unsigned *ports, size_t port_count);
size_t buyers_orders(Buyers *buyers);     // acknowledged by now
size_t buyers_retries(Buyers *buyers);    // calls that had to be sent again: for want of an answer, or after a 5xx
// Lets each end what it is at. Fails the test where one was told something wrong, or nothing for a minute.
void buyers_stop(Buyers *buyers);
// Fails the test unless the shop, in whose schema the connection is, has every acknowledged order once and whole, and
// no other of theirs.
void buyers_check(Buyers *buyers, Db *schema);
void buyers_close(Buyers **buyers);
