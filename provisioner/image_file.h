// provisioner/image_file.h: images that are given to a shop as files: which kinds, and when they are harmless.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { IMAGE_FILE_MAX = 512 * KIB };

typedef struct ImageFile {
    const char *content_type;
    const char *extension;
    Str content;
} ImageFile;

// Reads the image at `path` into `arena` and tells its kind by its bytes: png, jpeg, webp, gif, or an svg without
// scripts, event attributes, foreign objects and references out of the file. Fails with ERR_INVALID, saying why, and as
// file_read does.
MUST_CHECK bool image_file_read(Str path, Arena *arena, ImageFile *out, Error *err);

// Why an SVG text isn't harmless, or NULL.
const char *image_svg_fault(Str svg, Arena *arena);
