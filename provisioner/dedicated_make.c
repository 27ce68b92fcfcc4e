// provisioner/dedicated_make.c: asks the engine what a container was made of.
#include "provisioner/dedicated_make.h"

#include "base/arena.h"
#include "provisioner/container.h"
#include "provisioner/dedicated_addresses.h"

// Podman says where an image is from: "localhost/shopctl/shopd:...".
static Str plain_reference(Str image)
{
    static const Str HERE = S("localhost/");
    return str_skip(image, str_has_prefix(image, HERE) ? HERE.len : 0);
}

bool dedicated_made(Engine *engine, Str container, Arena *arena, Made *out, Error *err)
{
    CLEANUP(json_close) Json *there = NULL;
    if (!thing_find(engine, THING_CONTAINER, container, &there, err))
        return false;
    const Json *config = json_get(there, "Config"), *command = json_get(config, "Cmd");
    *out = (Made){.is_there = there != NULL,
                  .is_running = is_container_running(there),
                  .image = str_copy(arena, plain_reference(json_str(json_get(config, "Image"))))};
    return arena_ok(arena, err) && (!command || json_print(command, 0, arena, &out->command, err));
}

bool dedicated_command(Engine *engine, const Dedicated *cell, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *command = NULL;
    Dedicated now = *cell;
    return dedicated_addresses_find(engine, &now, arena, err) &&
           json_ok(command = dedicated_shopd_command(&now), err) && json_print(command, 0, arena, out, err);
}
