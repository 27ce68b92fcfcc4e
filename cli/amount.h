// cli/amount.h: options that are amounts with a unit, as in --memory 2GiB.
#pragma once
#include "cli/command.h"
#include "provisioner/unit.h"

// The option's amount in base units; 0 where it isn't given. Fails with ERR_USAGE, also for 0.
MUST_CHECK bool command_amount(const CommandCall *call, const char *option, UnitKind unit, int64_t *out, Error *err);
