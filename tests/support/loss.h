// tests/support/loss.h: calls to PostgreSQL and to an engine that are lost, arenas that are spent, JSON that is refused
// and calls to the file system that fail, one of them at a time. For programs whose linker gives these functions to who
// calls them: LOST in the Makefile.
#pragma once
#include "base/pg.h"

// Before the server hears of it, before it answers; a part of an arena, which spends it as one beyond its budget does;
// of files what a broken disk fails (EIO).
typedef enum Loss { OF_CALL, OF_ANSWER, OF_ARENA, OF_JSON, OF_FILE, LOSS_COUNT } Loss;

extern const char *const LOSSES[LOSS_COUNT];    // for messages, before a number

// How many are left out between two that are lost, and how many where TEST_POINTS is set.
typedef struct LossStep {
    long usual, points;
} LossStep;
long loss_step(const LossStep *steps, Loss loss);    // the row of this loss

// From now on the so-and-so-many-th is lost. Parts of `own` don't count.
void loss_arm(Loss loss, long number, const Arena *own);
// Ends it; whether something was lost.
bool loss_disarm(void);
// How a fork leaves: its check for leaks would count what its parent holds; without sanitizers it writes down what it
// covered.
#ifdef DEF_SANITIZE
#define LOSS_LEAVE _exit
#else
#define LOSS_LEAVE exit
#endif
// Whether this is what the loss that was armed last leads to.
bool loss_is_why(const Error *err);
