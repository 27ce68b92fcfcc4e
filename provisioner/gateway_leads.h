// provisioner/gateway_leads.h: whether the gateway that runs in the platform's directory already does what the record
// says of a cell.
#pragma once
#include "provisioner/platform.h"

// Whether one runs there. Fails with ERR_FORBIDDEN where it can't be asked.
MUST_CHECK bool gateway_is_there(Platform *platform, bool *out, Error *err);

// Tells it, and waits, for half a minute at most, until the cell's requests go to the addresses of its record and to no
// other. Without a running gateway it is so at once. Fails with ERR_UNREACHABLE.
MUST_CHECK bool gateway_leads_wait(Platform *platform, Str cell, Error *err);
