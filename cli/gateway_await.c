// cli/gateway_await.c: brings the gateway to what the record says, or has the supervisor bring one in.
#include "cli/gateway_await.h"

#include "provisioner/gateway.h"
#include "provisioner/installation.h"

static void await(const CommandCall *call, Platform *platform, bool has_own_cell)
{
    Error ignored = {0};
    if (!has_own_cell)
        gateway_refresh(platform);
    else if (!installation_follow(&(InstallationOptions){.settings = call->settings}, &ignored))
        error_clear(&ignored);
}

void gateway_await(const CommandCall *call, Platform *platform, const Plan *plan)
{
    await(call, platform, plan && plan->tier != PLAN_TIER_SHARED);
}

void gateway_await_shop(const CommandCall *call, Platform *platform, Slug slug)
{
    CLEANUP(json_close) Json *shop = NULL;
    Error ignored = {0};
    if (!tenant_show(platform, slug, &shop, &ignored))
        error_clear(&ignored);
    else
        await(call, platform, !str_eq(json_str(json_get(shop, "tier")), str_of(plan_tier_name(PLAN_TIER_SHARED))));
}
