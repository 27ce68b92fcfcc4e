// provisioner/tenant_move.h: takes a shop with all its data to another cell, while it sells.
#pragma once
#include "base/json.h"
#include "provisioner/plan.h"
#include "provisioner/platform.h"

// Where to. Empty texts: where there is most room.
typedef struct TenantMove {
    const Plan *plan;      // that it gets with it; NULL: its own
    Str cell;              // of tier shared alone
    Str host;              // of the other tiers alone; it may be the one that it is on
    const Json *labels;    // that the host must have, an object of texts; NULL: any
} TenantMove;

// The answers of all: {"slug","operation","plan","cell","is_pending","rows","bytes","checksums_equal","write_pause_ms",
// "duration_ms"}; the caller closes *out. While is_pending its old place is kept.

// Moves it, and returns when it answers from the other cell. Fails with ERR_STATE while an earlier move isn't ended.
MUST_CHECK bool tenant_move(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err);
// Gives it another plan: of the same cell where both are of tier shared, else with a move. The plan that it has changes
// nothing.
MUST_CHECK bool tenant_set_plan(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err);

// Give the old place up; go back to it, with all that was written since. Without a move that is pending they change
// nothing.
MUST_CHECK bool tenant_move_finalize(Platform *platform, Slug slug, Json **out, Error *err);
MUST_CHECK bool tenant_move_rollback(Platform *platform, Slug slug, Json **out, Error *err);

// What --dry-run says of the first two: {"steps":[...]}, {"changes":[...]} of the record alone, or an operation_preview
// of one that was left; fails as they would. The caller closes *out.
MUST_CHECK bool tenant_move_preview(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err);
MUST_CHECK bool tenant_set_plan_preview(Platform *platform, Slug slug, const TenantMove *move, Json **out, Error *err);
// Of the last two: {"steps":[...]}, of none where nothing would change.
MUST_CHECK bool tenant_move_end_preview(Platform *platform, Slug slug, bool is_rollback, Json **out, Error *err);
