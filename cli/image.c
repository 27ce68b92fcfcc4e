// cli/image.c: `shopctl image`: what runs in containers.
#include "provisioner/image.h"

#include "base/arena.h"
#include "cli/command.h"
#include "provisioner/host.h"

static const OutputKey KEYS[] = {
    {.key = "name", .type = "text", .help = "postgres or shopd.", .heading = "NAME", .is_name = true},
    {.key = "id",
     .type = "text",
     .help = "The digest of its configuration, which says what is in it.",
     .heading = "ID",
     .is_cut = true},
    {.key = "bytes", .type = "integer", .unit = UNIT_NONE, .help = "Its size.", .heading = "BYTES", .is_right = true},
    {.key = "tags", .type = "list", .help = "What the engine calls it.", .heading = "TAGS"},
    {0},
};

static const OutputKey BUILD_KEYS[] = {
    {.key = "images", .type = "list", .help = "What was made."},
    {.key = "images[].name", .type = "text", .help = "postgres or shopd."},
    {.key = "images[].id", .type = "text", .help = "The digest of its configuration, which says what is in it."},
    {.key = "images[].bytes", .type = "integer", .help = "The size of what is in it."},
    {.key = "images[].reference", .type = "text", .help = "What engines call it."},
    {.key = "images[].path", .type = "text", .help = "The archive that was made."},
    {0},
};

static bool build_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(host_close) Host *host = NULL;
    Json *images = json_build("[]");
    CLEANUP(json_close) Json *answer = json_build("{s:o}", "images", images);
    if (!json_ok(answer, err) || !platform_open(call->settings, &platform, err) ||
        (command_has(call, "host") && !host_open(platform, command_text(call, "host"), &host, err)))
        return false;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        Image image;
        if (!image_build(&platform_options(platform)->images, (ImageKind)kind, call->arena, &image, err) ||
            (host && !image_load(host_engine(host), &image, err)))
            return false;
        (void)json_append(images, image_json(&image));
    }
    return command_answer(call, answer, err);
}

static bool load_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(host_close) Host *host = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) &&
           host_open(platform, command_text(call, "host"), &host, err) &&
           image_load_file(host_engine(host), command_argument(call, 0), err) &&
           image_list(host_engine(host), &answer, err) && command_answer(call, answer, err);
}

static bool list_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(host_close) Host *host = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) &&
           host_open(platform, command_text(call, "host"), &host, err) && image_list(host_engine(host), &answer, err) &&
           command_answer(call, answer, err);
}

static const Option HOST[] = {{.name = "host",
                               .type = OPTION_TEXT,
                               .is_required = true,
                               .value = "NAME",
                               .names = "host list",
                               .help = "The host whose engine is meant."},
                              {0}};

const Command IMAGE_COMMANDS[] = {
    {.verb = "build",
     .summary = "makes the images of PostgreSQL and shopd",
     .description =
         "Makes them from what is installed here: shopd beside shopctl, the newest PostgreSQL below "
         "/usr/lib/postgresql (see the setting postgres_bin), and the libraries that they need. Neither a registry "
         "nor a docker command is needed. The same programs give the same images. They are kept below the "
         "platform's directory; with --host they are loaded into that host's engine, too, where it hasn't got them. "
         "Creating a shop does this by itself.",
     .options = (const Option[]){{.name = "host",
                                  .type = OPTION_TEXT,
                                  .value = "NAME",
                                  .names = "host list",
                                  .help = "Loads them into this host's engine, too."},
                                 {0}},
     .examples = (const Example[]){{"shopctl image build --host eu1", "Brings the images to the host 'eu1'."}, {0}},
     .keys = BUILD_KEYS,
     .run = build_run},
    {.verb = "load",
     .summary = "loads an image into a host's engine",
     .description = "The archive is one that shopctl image build made, perhaps on another machine.",
     .arguments =
         (const Argument[]){{.name = "FILE", .is_required = true, .is_file = true, .help = "The archive of an image."},
                            {0}},
     .options = HOST,
     .examples =
         (const Example[]){{"shopctl image load shopd.tar --host eu1", "Loads it into the engine of 'eu1'."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = load_run},
    {.verb = "list",
     .summary = "lists our images in a host's engine",
     .options = HOST,
     .examples = (const Example[]){{"shopctl image list --host eu1", "Lists what the engine of 'eu1' has."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {0},
};
