// provisioner/container_driver.c: how a shop gets a PostgreSQL and a shopd of its own. What is in its cell goes with
// the cell, so that taking back touches the record and the host alone.
#include "provisioner/container_driver.h"

#include "provisioner/container_steps.h"
#include "provisioner/tenant_steps.h"

static const Step STEPS[] = {
    {.name = "reserve", .probe = reserve_probe, .apply = reserve_apply, .revert = reserve_revert},
    {.name = "image", .probe = image_probe, .apply = image_apply, .revert = nothing_revert},
    {.name = "network", .probe = network_probe, .apply = network_apply, .revert = network_revert},
    {.name = "volume", .probe = volume_probe, .apply = volume_apply, .revert = volume_revert},
    {.name = "secrets", .probe = secrets_probe, .apply = secrets_apply, .revert = secrets_revert},
    {.name = "postgres", .probe = postgres_probe, .apply = postgres_apply, .revert = postgres_revert},
    {.name = "database", .probe = database_probe, .apply = database_apply, .revert = nothing_revert},
    {.name = "spare", .probe = spare_probe, .apply = spare_apply, .revert = nothing_revert},
    {.name = "settings", .probe = settings_probe, .apply = settings_apply, .revert = nothing_revert},
    {.name = "register", .probe = register_probe, .apply = register_apply, .revert = nothing_revert},
    {.name = "shopd", .probe = shopd_probe, .apply = shopd_apply, .revert = shopd_revert},
    {.name = "healthy", .probe = healthy_probe, .apply = healthy_apply, .revert = nothing_revert},
    {.name = "smoke", .probe = smoke_probe, .apply = smoke_apply, .revert = nothing_revert},
    {.name = "activate", .probe = activate_probe, .apply = activate_apply, .revert = deactivate_revert},
};

const Driver CONTAINER_CREATE = {.kind = "create-dedicated", .steps = STEPS, .count = COUNT(STEPS)};
