// runtime/core/ready.h: asks a shopd of this machine whether it serves: the health check of its container.
#pragma once
#include "base/str.h"

// Whether GET /readyz at the first address of `listen` (ADDR:PORT) answers with 200 within `timeout_ms`; an address
// that means all of the machine's is asked at the loopback one.
bool is_ready_at(Str listen, int64_t timeout_ms);
