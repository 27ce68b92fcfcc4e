// cli/tenant_create.h: shops made on the command line, one or many at once.
#pragma once
#include "cli/command.h"

// `tenant create SLUG` and `tenant create -f FILE`.
MUST_CHECK bool tenant_create_run(CommandCall *call, Error *err);
// `tenant request SLUG`.
MUST_CHECK bool tenant_request_run(CommandCall *call, Error *err);
