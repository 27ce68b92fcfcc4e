// tests/support/step_moment.c: how far an operation has come.
#include "tests/support/step_moment.h"

#include <signal.h>
#include <unistd.h>

bool is_past_return(const Driver *driver, StepMoment moment)
{
    for (size_t i = 0; i <= moment.step; i++)
        if (!driver->steps[i].revert && (i < moment.step || moment.phase == EVENT_AFTER))
            return true;
    return false;
}

void step_moment_kill(void *moment, const Event *event)
{
    const StepMoment *at = moment;
    if (event->step && event->position == at->step && event->phase == at->phase)
        (void)kill(getpid(), SIGKILL);
}
