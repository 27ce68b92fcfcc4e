// provisioner/tenant_resize.h: gives a shop of its own more or less CPU, memory and disk than its plan has.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// Of PostgreSQL and shopd together, which share as the plan's own amounts do; 0: as it is.
typedef struct TenantSize {
    int64_t millicpu;
    int64_t memory_bytes;
    int64_t disk_bytes;    // PostgreSQL's
    bool is_plan;          // the plan's own amounts, and nothing else of this
} TenantSize;

// Changes limits, PostgreSQL's settings and the record while the shop sells; only what PostgreSQL takes in at its start
// makes it start again. *out is {"slug","changed","changes":[{"key","from","to"}],"away_ms","upgrade_wanted"}, the
// caller's to close: `away_ms` is how long nobody could buy, 0 where nothing was started again; `upgrade_wanted`
// says that shopd was started with the threads and the cache of another size. Fails with ERR_STATE for a shop without
// containers of its own, or where the host lacks room; ERR_INVALID for too little or too much.
MUST_CHECK bool tenant_resize(Platform *platform, Slug slug, const TenantSize *size, Json **out, Error *err);
// What it would do, with its refusals: {"changes":[...]}, or the preview of an operation that was left. The caller
// closes *out.
MUST_CHECK bool tenant_resize_preview(Platform *platform, Slug slug, const TenantSize *size, Json **out, Error *err);
