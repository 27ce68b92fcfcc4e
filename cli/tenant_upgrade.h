// cli/tenant_upgrade.h: `shopctl tenant upgrade`.
#pragma once
#include "cli/command.h"

extern const Option TENANT_UPGRADE_OPTIONS[];
extern const OutputKey TENANT_UPGRADE_KEYS[];
MUST_CHECK bool tenant_upgrade_run(CommandCall *call, Error *err);
