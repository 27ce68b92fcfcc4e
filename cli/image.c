// cli/image.c: `shopctl image`: what runs in containers.
#include "provisioner/image.h"

#include "base/arena.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "provisioner/host.h"
#include "provisioner/image_registry.h"

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

// On a terminal it shows how far an image has come.
static bool image_moved(void *context, int64_t done, int64_t total, Error *err)
{
    Progress *progress = context;
    (void)err;
    progress->total = total / MIB;
    progress_show(progress, done / MIB);
    return true;
}

static bool load(const CommandCall *call, Host *host, const Image *image, Error *err)
{
    CLEANUP(progress_end) Progress progress = progress_start(call, image->name.data, "MiB", 0);
    return image_load(host_engine(host), image, &(ImageWatch){image_moved, &progress}, err);
}

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
            (host && !load(call, host, &image, err)))
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
    CLEANUP(progress_end) Progress progress = progress_start(call, "loading", "MiB", 0);
    const ImageWatch watch = {image_moved, &progress};
    return platform_open(call->settings, &platform, err) &&
           host_open(platform, command_text(call, "host"), &host, err) &&
           image_load_file(host_engine(host), command_argument(call, 0), &watch, err) &&
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

// ---- by a registry

static bool pull_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(host_close) Host *host = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    if (!platform_open(call->settings, &platform, err) || !host_open(platform, command_text(call, "host"), &host, err))
        return false;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        Image image;
        if (!image_find(&platform_options(platform)->images, (ImageKind)kind, call->arena, &image, err))
            return false;
        if (image.path.len) {
            error_set(err, ERR_STATE, "the image '%.*s' is in no registry", STR_ARG(image.name));
            return error_next(err,
                              "push it, and write the line that this prints into the settings: shopctl image push");
        }
        if (!load(call, host, &image, err))
            return false;
    }
    return image_list(host_engine(host), &answer, err) && command_answer(call, answer, err);
}

static bool push_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(host_close) Host *host = NULL;
    Json *images = json_build("[]");
    CLEANUP(json_close) Json *answer = json_build("{s:o}", "images", images);
    if (!json_ok(answer, err) || !platform_open(call->settings, &platform, err) ||
        !host_open(platform, command_text(call, "host"), &host, err))
        return false;
    const ImageStore *store = &platform_options(platform)->images;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        Image image;
        Str reference;
        if (!image_build(store, (ImageKind)kind, call->arena, &image, err) || !load(call, host, &image, err))
            return false;
        CLEANUP(progress_end) Progress progress = progress_start(call, image.name.data, "MiB", 0);
        if (!image_push(host_engine(host), &image, command_argument(call, 0), store->credentials,
                        &(ImageWatch){image_moved, &progress}, call->arena, &reference, err))
            return false;
        (void)json_append(images, json_build("{s:s%, s:s%, s:s%}", "name", image.name.data, image.name.len, "id",
                                             image.id.data, image.id.len, "reference", reference.data, reference.len));
    }
    return command_answer(call, answer, err);
}

static const OutputKey PUSH_KEYS[] = {
    {.key = "images", .type = "list", .help = "What was pushed."},
    {.key = "images[].name", .type = "text", .help = "postgres or shopd."},
    {.key = "images[].id", .type = "text", .help = "The digest of its configuration, which says what is in it."},
    {.key = "images[].reference",
     .type = "text",
     .help = "What the setting NAME_image is to be: pinned by its digest."},
    {0},
};

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
    {.verb = "push",
     .summary = "pushes the images of PostgreSQL and shopd to a registry",
     .description =
         "Makes them as shopctl image build does, loads them into the host's engine, and has that push them as "
         "REPOSITORY/postgres and REPOSITORY/shopd. With what it prints as settings postgres_image and shopd_image, "
         "all "
         "hosts pull them from there; the setting registry_auth names the file with the credentials.",
     .arguments =
         (const Argument[]){
             {.name = "REPOSITORY", .is_required = true, .help = "A place in a registry: registry.example.com/shop."},
             {0}},
     .options = HOST,
     .examples = (const Example[]){{"shopctl image push registry.example.com/shop --host eu1 -o json",
                                    "Pushes them by the engine of 'eu1'."},
                                   {0}},
     .keys = PUSH_KEYS,
     .run = push_run},
    {.verb = "pull",
     .summary = "has a host's engine pull the images that the settings name",
     .description = "Those of the settings postgres_image and shopd_image. Creating a shop does this by itself.",
     .options = HOST,
     .examples =
         (const Example[]){{"shopctl image pull --host eu1", "Brings the images to the host 'eu1' beforehand."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = pull_run},
    {.verb = "list",
     .summary = "lists our images in a host's engine",
     .options = HOST,
     .examples = (const Example[]){{"shopctl image list --host eu1", "Lists what the engine of 'eu1' has."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {0},
};
