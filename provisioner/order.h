// provisioner/order.h: a shop's orders, for operators: read in its cell, never written.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// {"items":[{"number","placed_at","status","email","total","payment_method","token"}],"total":N}, the newest first;
// `limit` 0: all. The caller closes *out. Fails as platform_tenant and platform_cell, or with ERR_STATE for a shop that
// has no schema.
MUST_CHECK bool order_list(Platform *platform, Slug slug, int64_t limit, Json **out, Error *err);

// One order as the store API shows it. Fails also with ERR_NOT_FOUND.
MUST_CHECK bool order_show(Platform *platform, Slug slug, int64_t number, Json **out, Error *err);
