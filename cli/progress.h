// cli/progress.h: how far a long command is: one line on stderr that is drawn again, on a terminal only.
#pragma once
#include "cli/command.h"

typedef struct Progress {
    const char *title;    // what is done: "creating shops"
    const char *unit;     // what is counted: "shops"
    int64_t total;        // 0: unknown
    int64_t started_ms;
    int64_t drawn_ms;
    bool is_shown;
    bool is_drawn;    // there is a line to remove
} Progress;

// `title` and `unit` live as long as the progress. Shows nothing under --quiet or where stderr is no terminal.
Progress progress_start(const CommandCall *call, const char *title, const char *unit, int64_t total);
// Draws at most ten times a second, and nothing for what is over at once; from one thread at a time.
void progress_show(Progress *progress, int64_t done);
void progress_end(Progress *progress);    // removes the line; fit for CLEANUP
