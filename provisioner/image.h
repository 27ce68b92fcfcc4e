// provisioner/image.h: the two images that a cell of its own runs: made here, loaded through an engine's API.
#pragma once
#include "provisioner/engine.h"
#include "provisioner/platform.h"

typedef enum ImageKind { IMAGE_POSTGRES, IMAGE_SHOPD, IMAGE_KINDS } ImageKind;

// Who programs are in the containers.
enum { IMAGE_POSTGRES_UID = 10001, IMAGE_SHOPD_UID = 10002 };

#define IMAGE_DATA "/data"                          // PostgreSQL's, a volume
#define IMAGE_SECRETS "/secrets"                    // files that only their reader may read, a volume
#define IMAGE_SOCKETS "/tmp"                        // PostgreSQL's; Podman lets nobody but root write below /run
#define IMAGE_SOCKETS_BEFORE "/run/postgresql"      // that of settings written before 2026-12
#define IMAGE_SOCKETS_ALL "/tmp,/run/postgresql"    // for libpq, which takes the one that answers
#define IMAGE_SOCKET ".s.PGSQL.5432"

// A value; its texts live in the arena of whoever made it.
typedef struct Image {
    Str name;           // "shopd"
    Str reference;      // "shopctl/shopd:3f9c...": the tag follows from what is in it
    Str id;             // "sha256:...": the digest of its configuration
    Str path;           // of the archive, as `docker save` would write it; empty: it is to be pulled
    int64_t bytes;      // of what is in it
    Str credentials;    // ImageStore's, of one that is to be pulled
} Image;

// Hears how far an image has come, in bytes (0 of 0 where nobody knows); false ends it with its error.
typedef struct ImageWatch {
    bool (*moved)(void *context, int64_t done, int64_t total, Error *err);
    void *context;
} ImageWatch;
// Tells it; nothing where `watch` is NULL.
MUST_CHECK bool image_watched(const ImageWatch *watch, int64_t done, int64_t total, Error *err);

// Makes an image from what is installed here: the program, the libraries that it needs, and what it reads. The same
// content gives the same bytes. One that was made before is there already. Fails with ERR_NOT_FOUND and what to
// install.
MUST_CHECK bool image_build(const ImageStore *store, ImageKind kind, Arena *arena, Image *out, Error *err);

// The one that the platform is to use: that of a registry where the store names one, else that of image_build.
MUST_CHECK bool image_find(const ImageStore *store, ImageKind kind, Arena *arena, Image *out, Error *err);

// {"name","id","bytes","reference","path"}; the caller closes it. NULL without memory.
Json *image_json(const Image *image);

// Whether an engine has it.
MUST_CHECK bool image_is_there(Engine *engine, const Image *image, bool *out, Error *err);
// Loads it into an engine, or has it pulled; nothing where it is there already. `watch` may be NULL.
MUST_CHECK bool image_load(Engine *engine, const Image *image, const ImageWatch *watch, Error *err);
// Loads an archive that image_build has made, perhaps elsewhere. `watch` may be NULL.
MUST_CHECK bool image_load_file(Engine *engine, Str path, const ImageWatch *watch, Error *err);

// {"items":[{"name","id","bytes","tags":[...]}],"total":N}: our images in an engine. The caller closes *out.
MUST_CHECK bool image_list(Engine *engine, Json **out, Error *err);
