// cli/tenant_move.h: `shopctl tenant move|set-plan`: shops that go to another cell.
#pragma once
#include "cli/command.h"

extern const Option TENANT_MOVE_OPTIONS[];
extern const Option TENANT_SET_PLAN_OPTIONS[];
extern const OutputKey TENANT_MOVE_KEYS[];

MUST_CHECK bool tenant_move_run(CommandCall *call, Error *err);
MUST_CHECK bool tenant_set_plan_run(CommandCall *call, Error *err);
