// provisioner/image_content.h: what is in an image: files found on this machine, with the libraries that they need.
#pragma once
#include "provisioner/image.h"
#include "provisioner/tar.h"

enum {
    IMAGE_PROGRAMS_MAX = 128,
    IMAGE_HEALTH_S = 30    // between two checks: each is a process more, taken from the container's CPU
};

typedef struct ImageFile {
    Str path;      // in the image, without a slash before it
    Str source;    // on this machine; empty: `text`, a link or a directory
    Str text;
    Str target;    // of a symbolic link
    unsigned mode;
    unsigned uid;    // its group's number is the same
    bool is_directory;
} ImageFile;

typedef struct ImageContent {
    Arena *arena;
    ImageFile *files;
    size_t count, capacity;
    const char *programs[IMAGE_PROGRAMS_MAX];    // on this machine, whose libraries are to be found
    size_t program_count;
    Str entrypoint;        // a program of the image
    unsigned uid;          // who it runs as
    const char *health;    // the health check, a command of the image with blanks between its words
} ImageContent;

// The major version of the PostgreSQL that an image is made from. Fails with ERR_NOT_FOUND, or as process_run.
MUST_CHECK bool image_postgres_major(const ImageStore *store, Arena *arena, int64_t *out, Error *err);
// Finds everything that belongs to the image, with the directories above each file, in the order of paths, each once.
MUST_CHECK bool image_content_find(const ImageStore *store, ImageKind kind, ImageContent *content, Error *err);
// Sixteen hexadecimal digits that follow from the paths, sizes and times of the files: with the same ones the layer
// would be the same.
MUST_CHECK bool image_content_signature(const ImageContent *content, Arena *arena, Str *out, Error *err);
// Writes the files as a layer.
MUST_CHECK bool image_content_write(const ImageContent *content, Tar *tar, Error *err);
