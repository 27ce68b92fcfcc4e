// base/clock.c: time.
#include "base/clock.h"

#include <errno.h>

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void) { return now_us(CLOCK_MONOTONIC) / 1000; }
int64_t clock_us(void) { return now_us(CLOCK_MONOTONIC); }
int64_t clock_unix_ms(void) { return now_us(CLOCK_REALTIME) / 1000; }

void clock_sleep_ms(int64_t duration_ms)
{
    struct timespec left = {.tv_sec = duration_ms / 1000, .tv_nsec = duration_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

void clock_sleep_unless(const atomic_bool *is_stopping, int64_t duration_ms)
{
    enum { SLICE_MS = 50 };
    for (int64_t until_ms = clock_ms() + duration_ms; !*is_stopping && clock_ms() < until_ms;)
        clock_sleep_ms(MIN((int64_t)SLICE_MS, until_ms - clock_ms()));
}

static struct tm utc(int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    return parts;
}

Str clock_rfc3339(int64_t unix_ms, char text[CLOCK_TEXT])
{
    struct tm parts = utc(unix_ms);
    size_t length = strftime(text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    length += (size_t)snprintf(text + length, CLOCK_TEXT - length, ".%03uZ", (unsigned)(unix_ms % 1000) % 1000);
    return (Str){text, length};
}

Str clock_http_date(int64_t unix_ms, char text[CLOCK_HTTP_TEXT])
{
    struct tm parts = utc(unix_ms);
    return (Str){text, strftime(text, CLOCK_HTTP_TEXT, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}
