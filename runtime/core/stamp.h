// runtime/core/stamp.h: the texts of the time, made once a second.
#pragma once
#include "base/clock.h"

typedef struct Stamp {
    int64_t second;    // since 1970
    char http_date[CLOCK_HTTP_TEXT];
    char rfc3339[CLOCK_TEXT];
} Stamp;

// Brings the stamp to the present. Both texts are of the same length at all times.
void stamp_update(Stamp *stamp, int64_t unix_ms);
Str stamp_http_date(const Stamp *stamp);
Str stamp_rfc3339(const Stamp *stamp);    // with milliseconds
