// runtime/core/stamp.c: the Date header and the time of log lines.
#include "runtime/core/stamp.h"

enum { MILLISECONDS_AT = sizeof("2026-11-25T01:02:03.") - 1 };

void stamp_update(Stamp *stamp, int64_t unix_ms)
{
    if (stamp->second != unix_ms / 1000 || !stamp->http_date[0]) {
        stamp->second = unix_ms / 1000;
        (void)clock_http_date(unix_ms, stamp->http_date);
        (void)clock_rfc3339(unix_ms, stamp->rfc3339);
    }
    int64_t ms = unix_ms % 1000;
    char *digits = stamp->rfc3339 + MILLISECONDS_AT;
    digits[0] = (char)('0' + ms / 100);
    digits[1] = (char)('0' + ms / 10 % 10);
    digits[2] = (char)('0' + ms % 10);
}

Str stamp_http_date(const Stamp *stamp) { return (Str){stamp->http_date, CLOCK_HTTP_TEXT - 1}; }
Str stamp_rfc3339(const Stamp *stamp) { return (Str){stamp->rfc3339, CLOCK_TEXT - 1}; }
