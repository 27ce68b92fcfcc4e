// runtime/core/limit.c: token buckets in a table that threads share.
#include "runtime/core/limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

// 1 MiB of address space, of which only touched pages are memory. A process that ever meets more limited tenants than
// this lets the last ones share buckets.
enum { BUCKETS = 65536, PROBES = 256 };

typedef struct Bucket {
    _Atomic int64_t number;     // of the tenant; 0: free
    _Atomic int64_t full_ns;    // when all tokens will be back
} Bucket;

struct Limits {
    Bucket buckets[BUCKETS];
};

bool limits_open(Limits **out, Error *err)
{
    void *memory = mmap(NULL, sizeof(Limits), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_from_errno(err, errno, "the table of rate limits can't be made");
    *out = memory;
    return true;
}

void limits_close(Limits **limits)
{
    if (*limits)
        (void)munmap(*limits, sizeof(Limits));
    *limits = NULL;
}

static Bucket *bucket_of(Limits *limits, int64_t number)
{
    uint64_t hash = (uint64_t)number * 0x9E3779B97F4A7C15ULL >> 48;
    for (unsigned i = 0; i < PROBES; i++) {
        Bucket *bucket = &limits->buckets[(hash + i) % BUCKETS];
        int64_t owner = atomic_load_explicit(&bucket->number, memory_order_relaxed);
        if (owner == number || (owner == 0 && atomic_compare_exchange_strong(&bucket->number, &owner, number)) ||
            owner == number)
            return bucket;
    }
    return &limits->buckets[hash % BUCKETS];
}

bool limits_take(Limits *limits, int64_t number, int64_t per_second, int64_t burst, int64_t now_us, int64_t *wait_ms)
{
    if (per_second <= 0)
        return true;
    const int64_t second_ns = 1000000000, ms_ns = 1000000;
    int64_t now = now_us * 1000;
    int64_t token = MAX(second_ns / per_second, (int64_t)1);
    int64_t room = token * (burst > 0 ? burst : per_second);
    Bucket *bucket = bucket_of(limits, number);
    int64_t full = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed);
    int64_t next;
    do {
        next = MAX(full, now) + token;
        if (next - now > room) {
            *wait_ms = (next - now - room + ms_ns - 1) / ms_ns;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
