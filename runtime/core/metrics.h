// runtime/core/metrics.h: what shopd counts, one writer a thread, added up when /metrics is read.
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "runtime/core/route.h"

// Counters of a thread, for the process as a whole; one row each in METRICS of metrics.c.
typedef enum Counter {
    COUNTER_CONNECTIONS_ACCEPTED,
    COUNTER_CONNECTIONS_REFUSED,    // at the cap
    COUNTER_CONNECTIONS_OPEN,       // a gauge, as the next one
    COUNTER_REQUESTS_OPEN,
    COUNTER_REQUESTS_ABANDONED,    // the client went before the answer
    COUNTER_REQUESTS_LIMITED,      // 429
    COUNTER_TIMEOUTS,
    COUNTER_LOG_DROPPED,    // lines that the pipe had no room for
    COUNTER_COUNT
} Counter;

typedef struct Metrics Metrics;    // a thread's

enum { METRICS_TENANTS_MAX = 1500 };    // per thread; further ones are counted together as "other"

MUST_CHECK bool metrics_open(Metrics **out, Error *err);    // fails with ERR_NO_MEMORY
void metrics_close(Metrics **metrics);

// Only its own thread may call these two.
void metrics_add(Metrics *metrics, Counter counter, int64_t by);
// One answered request. `tenant` is its slug, or empty.
void metrics_request(Metrics *metrics, Str tenant, RouteClass class_, int status, int64_t duration_us, size_t bytes);

// Writes all threads' sums in Prometheus' text format (version 0.0.4). Any thread may call it at any time.
void metrics_write(Metrics *const *threads, size_t count, StrBuf *out);
// One sample with its HELP and TYPE, for metrics of other layers. `labels` is what stands between braces, or empty.
void metrics_write_head(StrBuf *out, const char *name, const char *type, const char *help);
void metrics_write_sample(StrBuf *out, const char *name, Str labels, double value);
