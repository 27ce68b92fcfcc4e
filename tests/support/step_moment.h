// tests/support/step_moment.h: a moment of an operation, at which somebody is killed.
#pragma once
#include "provisioner/operation.h"

typedef struct StepMoment {
    size_t step;
    EventPhase phase;
} StepMoment;

// Whether a step that can't be taken back was done by then.
bool is_past_return(const Driver *driver, StepMoment moment);
bool is_step_moment(const Event *event, StepMoment moment);
// An observer whose context is a StepMoment: kills this process there.
void step_moment_kill(void *moment, const Event *event);
