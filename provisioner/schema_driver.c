// provisioner/schema_driver.c: how a shop is made in a cell that others share.
#include "provisioner/schema_driver.h"

#include "provisioner/tenant_steps.h"

static const Step STEPS[] = {
    {.name = "reserve", .probe = reserve_probe, .apply = reserve_apply, .revert = reserve_revert},
    {.name = "spare", .probe = spare_probe, .apply = spare_apply, .revert = spare_revert},
    {.name = "settings", .probe = settings_probe, .apply = settings_apply, .revert = nothing_revert},
    {.name = "register", .probe = register_probe, .apply = register_apply, .revert = register_revert},
    {.name = "smoke", .probe = smoke_probe, .apply = smoke_apply, .revert = nothing_revert},
    {.name = "activate", .probe = activate_probe, .apply = activate_apply, .revert = activate_revert},
};

const Driver SCHEMA_CREATE = {.kind = "create", .steps = STEPS, .count = COUNT(STEPS)};
