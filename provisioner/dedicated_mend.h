// provisioner/dedicated_mend.h: brings a cell of its own back to what the record says, after somebody or something
// changed it on its host.
#pragma once
#include "base/json.h"
#include "provisioner/platform.h"

// Makes and starts what is missing, and sets the limits of the record again; `did` (an array of texts) gets a sentence
// for each thing that it did. A cell with an operation under way is left alone. A volume that is gone isn't made anew:
// without its data there would be an empty shop. Fails with ERR_STATE for that, naming it, or as the engine does.
MUST_CHECK bool dedicated_mend(Platform *platform, Str cell, Json *did, Error *err);
