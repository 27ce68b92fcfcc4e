// cli/gateway_await.c: brings the gateway to what the record says, or has the supervisor bring one in.
#include "cli/gateway_await.h"

#include "provisioner/gateway.h"
#include "provisioner/installation.h"

static void await(const CommandCall *call)
{
    Error ignored = {0};
    if (!installation_follow(&(InstallationOptions){.settings = call->settings}, &ignored))
        error_clear(&ignored);
}

void gateway_await(const CommandCall *call, Platform *platform, const Plan *plan)
{
    if (plan && plan->tier != PLAN_TIER_SHARED)
        await(call);
    else
        gateway_refresh(platform);
}

void gateway_await_shop(const CommandCall *call, Platform *platform, Slug slug)
{
    CLEANUP(json_close) Json *shop = NULL;
    Error ignored = {0};
    if (!tenant_show(platform, slug, &shop, &ignored))
        error_clear(&ignored);
    else if (!str_eq(json_str(json_get(shop, "tier")), str_of(plan_tier_name(PLAN_TIER_SHARED))))
        await(call);
    else
        gateway_refresh(platform);
}
