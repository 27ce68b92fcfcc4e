// provisioner/gateway_watch.h: what the controller does for the gateway: it tells a running one of every change.
#pragma once
#include <stdatomic.h>

#include "provisioner/setting.h"

// Looks a few times a second whether hosts, cells or limits of the record changed, and then brings the HAProxy to it
// that runs in the platform's gateway/, if any (see gateway_sync). Goes on until *is_stopping, with connections of its
// own; troubles go to the log.
void gateway_watch(const Settings *settings, const atomic_bool *is_stopping);
