// provisioner/dedicated_state.h: what of a cell of its own runs at the moment.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// {"host","containers":[{"id","name","role","state","health","image","cpu","memory_bytes","memory_used_bytes",
// "restarts","started_at"}],"database":{"version","bytes","connections","connections_max"},"problem"}; the caller
// closes *out, which is NULL for a cell that has no host. What can't be asked is left out, and "problem" says why.
// Fails only where the control database does.
MUST_CHECK bool dedicated_state(Platform *platform, Str cell, Json **out, Error *err);
