// provisioner/host_watch.h: what the controller does for hosts: hears whether they answer, and mends the cells on them.
#pragma once
#include <stdatomic.h>

#include "provisioner/setting.h"

// Goes on until *is_stopping, with connections of its own; troubles and deeds go to the log. Fit for a thread of its
// own, since a host that doesn't answer makes it wait.
void host_watch(const Settings *settings, const atomic_bool *is_stopping);
