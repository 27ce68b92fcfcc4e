// tests/support/shopper.h: a shopper who never stops, on connections of twenty requests each, and who misses nothing.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

typedef struct Shopper {
    unsigned port;
    const char *host;
    pthread_t thread;
    atomic_bool is_done;
    atomic_int asked, failed;
    int status;    // of the last failure; 0: no answer came
} Shopper;

// Begins, and returns when some requests are done.
void shopper_start(Shopper *shopper, unsigned port, const char *host);
// Waits for some more, and ends. Fails the test where a request had no answer, or another one than 200.
void shopper_stop(Shopper *shopper);
