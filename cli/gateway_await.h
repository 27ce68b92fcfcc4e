// cli/gateway_await.h: a command that has given a shop its place returns when the gateway leads there.
#pragma once
#include "cli/command.h"
#include "provisioner/tenant.h"

// Brings a running gateway to what the record says. A shop with a cell of its own, by its plan, may be what brings the
// gateway in, and then has another URL. What can't be done from here the platform's controller does. NULL: of no plan.
void gateway_await(const CommandCall *call, Platform *platform, const Plan *plan);
// The same for a shop by its record.
void gateway_await_shop(const CommandCall *call, Platform *platform, Slug slug);
