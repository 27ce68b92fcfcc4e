// provisioner/controller.h: the process that goes on with what others left, and keeps spares and dumps in order.
#pragma once
#include "base/error.h"
#include "provisioner/platform.h"

// Runs until SIGTERM or SIGINT, then returns true once what is under way has ended. A database that goes away is waited
// for. Fails only where it can't begin.
MUST_CHECK bool controller_run(const Settings *settings, Error *err);
