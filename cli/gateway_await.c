// cli/gateway_await.c: has the supervisor bring the gateway in, and waits until it answers.
#include "cli/gateway_await.h"

#include "provisioner/installation.h"

static void await(const CommandCall *call)
{
    Error ignored = {0};
    if (!installation_follow(&(InstallationOptions){.settings = call->settings}, &ignored))
        error_clear(&ignored);
}

void gateway_await(const CommandCall *call, const Plan *plan)
{
    if (plan && plan->tier != PLAN_TIER_SHARED)
        await(call);
}

void gateway_await_shop(const CommandCall *call, Platform *platform, Slug slug)
{
    CLEANUP(json_close) Json *shop = NULL;
    Error ignored = {0};
    if (!tenant_show(platform, slug, &shop, &ignored))
        error_clear(&ignored);
    else if (!str_eq(json_str(json_get(shop, "tier")), str_of(plan_tier_name(PLAN_TIER_SHARED))))
        await(call);
}
