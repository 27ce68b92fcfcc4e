// runtime/core/limit.h: requests per second of each tenant, counted without a lock for all threads and processes.
#pragma once
#include "base/error.h"

// One token bucket per tenant, shared by all threads: a bucket is one number, the time at which it will be full again
// (the generic cell rate algorithm), changed by compare and swap.
typedef struct Limits Limits;

MUST_CHECK bool limits_open(Limits **out, Error *err);    // fails with ERR_NO_MEMORY
void limits_close(Limits **limits);

// From now on the table is that of all processes of this user on this machine that share `id`: a file in memory, which
// the last of them removes. Files that killed processes of this user left are removed as well. Before any thread uses
// the table. Fails with ERR_FAILED or ERR_FORBIDDEN; then it is as it was.
MUST_CHECK bool limits_share(Limits *limits, uint64_t id, Error *err);

// Takes a token of tenant `number` (from 1). The bucket holds `burst` tokens (0: as many as per_second) and gets
// `per_second` new ones a second. True: the request may pass. False: *wait_ms until there will be one. A rate of 0 has
// no limit. `now_us` is clock_us(), which all processes of a machine have in common.
bool limits_take(Limits *limits, int64_t number, int64_t per_second, int64_t burst, int64_t now_us, int64_t *wait_ms);
// Whether limits_take would pass now; takes none.
bool limits_has(Limits *limits, int64_t number, int64_t per_second, int64_t burst, int64_t now_us, int64_t *wait_ms);
