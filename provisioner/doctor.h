// provisioner/doctor.h: compares what is wanted with what is there, and names what belongs to nobody.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// {"problems":[{"where","what","next"}],"hosts":N,"cells":N}: containers, networks and volumes with the platform's
// label whose cell the record doesn't know; schemas, roles and rows in cells whose tenant it doesn't know; tenants that
// aren't where it says, or not in the state that it says; hosts and cells that don't answer. Tenants with an operation
// under way are passed over. Changes nothing. The caller closes *out.
MUST_CHECK bool doctor_run(Platform *platform, Json **out, Error *err);
