// provisioner/image_libraries.h: which libraries programs of this machine need.
#pragma once
#include "base/error.h"
#include "base/str.h"

// The paths of all libraries that these programs and libraries need, each with a line end, as ldd names them. To ask it
// takes half a second, so the answer is kept in `directory` for as long as neither the programs nor the dynamic
// linker's cache change. Fails with ERR_NOT_FOUND when one is missing, or as process_run.
MUST_CHECK bool image_libraries(Str directory, const char *const *programs, size_t count, Arena *arena, Str *out,
                                Error *err);
