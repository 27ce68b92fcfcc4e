// provisioner/theme_render.h: a template rendered with data from a file, as a theme's author tries it out.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Renders the Mustache template at `template_path` with the JSON document at `data_path` (any value; "-" is the
// standard input), all of which counts as safe HTML. Partial X is `partials_dir`/X.mustache and empty where there is no
// such file; an empty `partials_dir` means no partials. *out lives in `arena`. Fails as file_read, json_parse,
// mustache_compile and mustache_render do, naming the file; ERR_INVALID for a partial's name that could leave the
// directory.
MUST_CHECK bool theme_render_files(Str template_path, Str data_path, Str partials_dir, Arena *arena, Str *out,
                                   Error *err);
