// provisioner/tenant_upgrade.h: brings a shop of its own to the PostgreSQL, the schema and the shopd of this version.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// Replaces what another version made; a shop that has all of this one stays as it is. With a gateway in the platform's
// directory, or with `is_moved`, the new shopd has a port of its own and no request is lost; else the shop's address
// stays, and it is away while one shopd goes and the other comes. PostgreSQL is replaced on its volume, within a pause
// in which nobody can buy. *out is {"slug","changed","changes":[{"key","from","to"}],"url","write_pause_ms","away_ms"},
// the caller's to close; `key` is postgres, schema or shopd. Fails with ERR_STATE for a shop without containers of its
// own, or for another major version of PostgreSQL.
MUST_CHECK bool tenant_upgrade(Platform *platform, Slug slug, bool is_moved, Json **out, Error *err);
// What it would do, with its refusals: {"changes":[...]}, or the preview of an operation that was left. The caller
// closes *out.
MUST_CHECK bool tenant_upgrade_preview(Platform *platform, Slug slug, Json **out, Error *err);
