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

bool is_step_moment(const Event *event, StepMoment moment)
{
    return event->step && event->position == moment.step && event->phase == moment.phase;
}

void step_moment_kill(void *moment, const Event *event)
{
    const StepMoment *at = moment;
    if (is_step_moment(event, *at))
        (void)kill(getpid(), SIGKILL);
}
