// provisioner/host_drain.h: takes all shops off a host.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// Moves every shop of a host to another one and gives its old place up, one after the other. *out, which the caller
// closes, is {"moved":[{"slug","cell","rows","write_pause_ms",...}],"problems":[{"slug","what","why","next"}]}: a shop
// that can't be moved stays, and the others go on. The host should be draining: see host_drain.
MUST_CHECK bool host_empty(Platform *platform, Str name, Json **out, Error *err);
// What host_empty would do, each shop for itself: changes nothing. *out is {"moved":[{"slug"}],"problems"}.
MUST_CHECK bool host_empty_preview(Platform *platform, Str name, Json **out, Error *err);
