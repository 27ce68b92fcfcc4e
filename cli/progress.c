// cli/progress.c: one line on stderr: "creating shops [########--------] 412 of 1000".
#include "cli/progress.h"

#include <unistd.h>

#include "base/clock.h"

enum { DRAW_EVERY_MS = 100, BAR_WIDTH = 30, BAR_TEXT = BAR_WIDTH + 1 };

Progress progress_start(const CommandCall *call, const char *title, const char *unit, int64_t total)
{
    int64_t now_ms = clock_ms();
    return (Progress){.title = title,
                      .unit = unit,
                      .total = total,
                      .started_ms = now_ms,
                      .drawn_ms = now_ms,
                      .is_shown = !call->is_quiet && isatty(STDERR_FILENO)};
}

void progress_show(Progress *progress, int64_t done)
{
    int64_t now_ms = clock_ms();
    bool is_last = progress->total > 0 && done >= progress->total;
    if (!progress->is_shown || (now_ms - progress->drawn_ms < DRAW_EVERY_MS && !(is_last && progress->is_drawn)))
        return;
    progress->drawn_ms = now_ms;
    progress->is_drawn = true;
    if (progress->total <= 0) {
        (void)fprintf(stderr, "\r%s: %lld %s\033[K", progress->title, (long long)done, progress->unit);
        return;
    }
    char bar[BAR_TEXT];
    int64_t filled = MIN(done, progress->total) * BAR_WIDTH / progress->total;
    for (int64_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '-';
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r%s [%s] %lld of %lld %s", progress->title, bar, (long long)done,
                  (long long)progress->total, progress->unit);
    int64_t passed_ms = now_ms - progress->started_ms;
    if (done > 0 && !is_last && passed_ms > 1000)
        (void)fprintf(stderr, ", %lld s left", (long long)passed_ms * (progress->total - done) / done / 1000 + 1);
    (void)fputs("\033[K", stderr);
}

void progress_end(Progress *progress)
{
    if (progress->is_drawn)
        (void)fputs("\r\033[K", stderr);
    progress->is_drawn = progress->is_shown = false;
}
