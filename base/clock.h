// base/clock.h: time: one clock for intervals, one for dates.
#pragma once
#include <stdatomic.h>

#include "base/str.h"

int64_t clock_ms(void);         // monotonic, for deadlines and intervals
int64_t clock_us(void);         // the same in microseconds
int64_t clock_unix_ms(void);    // milliseconds since 1970-01-01T00:00:00Z
void clock_sleep_ms(int64_t duration_ms);
// The same, but ends soon after the flag is set, by another thread or by a signal.
void clock_sleep_unless(const atomic_bool *is_stopping, int64_t duration_ms);

enum { CLOCK_TEXT = sizeof("2026-11-25T01:02:03.456Z") };
// Writes a time as RFC 3339 in UTC with milliseconds (section 5.6) and returns a view of `text`.
Str clock_rfc3339(int64_t unix_ms, char text[CLOCK_TEXT]);

enum { CLOCK_HTTP_TEXT = sizeof("Sun, 06 Nov 1994 08:49:37 GMT") };
// Writes a time as RFC 9110 section 5.6.7 wants it in a Date header and returns a view of `text`.
Str clock_http_date(int64_t unix_ms, char text[CLOCK_HTTP_TEXT]);
