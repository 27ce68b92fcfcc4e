// provisioner/container_driver.c: how a shop gets a PostgreSQL and a shopd of its own. What is in its cell goes with
// the cell, so that taking back touches the record and the host alone.
#include "provisioner/container_driver.h"

#include "provisioner/container_steps.h"
#include "provisioner/tenant_steps.h"

static const Step STEPS[] = {
    {.name = "reserve", .probe = reserve_probe, .apply = reserve_apply, .revert = reserve_revert},
#include "provisioner/dedicated_steps.def"
    {.name = "settings", .probe = settings_probe, .apply = settings_apply, .revert = nothing_revert},
    {.name = "register", .probe = register_probe, .apply = register_apply, .revert = nothing_revert},
    {.name = "healthy", .probe = healthy_probe, .apply = healthy_apply, .revert = nothing_revert},
    {.name = "route", .probe = route_probe, .apply = route_apply, .revert = nothing_revert},
    {.name = "smoke", .probe = smoke_probe, .apply = smoke_apply, .revert = nothing_revert},
    {.name = "activate", .probe = activate_probe, .apply = activate_apply, .revert = deactivate_revert},
};

const Driver CONTAINER_CREATE = {.kind = "create-dedicated", .steps = STEPS, .count = COUNT(STEPS)};
