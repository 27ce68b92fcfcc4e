// cli/tenant_container.h: `shopctl tenant logs|psql|restart`: for shops that have containers of their own.
#pragma once
#include "cli/command.h"

MUST_CHECK bool tenant_logs_run(CommandCall *call, Error *err);
MUST_CHECK bool tenant_psql_run(CommandCall *call, Error *err);
MUST_CHECK bool tenant_restart_run(CommandCall *call, Error *err);
