// provisioner/running.c: what of a platform runs at this moment.
#include "provisioner/running.h"

#include "provisioner/supervisor.h"

void running_close(Running *running)
{
    for (size_t i = 0; i < running->count; i++)
        process_close(&running->services[i].process);
    process_close(&running->supervisor);
    running->count = 0;
}

bool running_open(const Place *place, const Json *record, Arena *arena, Running *out, Error *err)
{
    Running running = {.supervisor = {.pidfd = -1}};
    if (!supervisor_open(place, &running.supervisor, err))
        return false;
    if (!services_list(place, record, arena, &running.services, &running.count, err)) {
        process_close(&running.supervisor);
        return false;
    }
    for (size_t i = 0; i < running.count; i++) {
        if (!service_open(place, &running.services[i], err)) {
            running_close(&running);
            return false;
        }
        running.alive += running.services[i].process.pid != 0;
    }
    *out = running;
    return true;
}
