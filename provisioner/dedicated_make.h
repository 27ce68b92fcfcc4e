// provisioner/dedicated_make.h: what a container was made of, and what it would be made of now.
#pragma once
#include "provisioner/dedicated.h"

typedef struct Made {
    bool is_there, is_running;
    Str image;      // its reference; texts in the arena of dedicated_made
    Str command;    // its arguments, as JSON
} Made;

MUST_CHECK bool dedicated_made(Engine *engine, Str container, Arena *arena, Made *out, Error *err);
// shopd's arguments now, as JSON in `arena`. Fails as dedicated_addresses_find.
MUST_CHECK bool dedicated_command(Engine *engine, const Dedicated *cell, Arena *arena, Str *out, Error *err);
