// cli/tenant_resize.h: `shopctl tenant resize`.
#pragma once
#include "cli/command.h"

extern const Option TENANT_RESIZE_OPTIONS[];
extern const OutputKey TENANT_RESIZE_KEYS[];
MUST_CHECK bool tenant_resize_run(CommandCall *call, Error *err);
