// cli/gateway_await.h: a command that has given a shop a cell of its own returns when the shop's URL leads there.
#pragma once
#include "cli/command.h"
#include "provisioner/tenant.h"

// Such a shop may be what brings the gateway in, and then has another URL. Where that can't be done from here the
// platform's controller does it. Of a plan without cells of their own, or none (NULL), it does nothing.
void gateway_await(const CommandCall *call, const Plan *plan);
// The same for a shop by its record.
void gateway_await_shop(const CommandCall *call, Platform *platform, Slug slug);
