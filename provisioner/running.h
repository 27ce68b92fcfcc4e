// provisioner/running.h: what of a platform runs at this moment.
#pragma once
#include "provisioner/service.h"

typedef struct Running {
    Process supervisor;
    Service *services;    // what should run, with the processes of those that do
    size_t count;
    size_t alive;
} Running;

// Looks for what the record names (see services_list); `services` live in `arena`, running_close gives up the
// descriptors.
MUST_CHECK bool running_open(const Place *place, const Json *record, Arena *arena, Running *out, Error *err);
void running_close(Running *running);    // fit for CLEANUP; a zero one too
