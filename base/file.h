// base/file.h: whole files, read and written so that a crash leaves the old one or the new one.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Reads a file of at most `size_max` bytes ("-" is the standard input) into `arena`. Fails with ERR_NOT_FOUND,
// ERR_FORBIDDEN, ERR_TOO_LARGE or ERR_FAILED, naming the path.
MUST_CHECK bool file_read(Str path, size_t size_max, Arena *arena, Str *out, Error *err);

// The next bytes of an open file, read into `buf` of `size`; *out is empty at its end. `path` is for the error.
MUST_CHECK bool file_step(int fd, Str path, char *buf, size_t size, Str *out, Error *err);

// Writes beside the file, syncs, renames. `mode` as in chmod.
MUST_CHECK bool file_write(Str path, Str content, unsigned mode, Error *err);

// Makes a directory and those above it that are missing; one that is there is success.
MUST_CHECK bool directory_make(Str path, unsigned mode, Error *err);

bool file_exists(Str path);

// The path from the root on: one that isn't is below the working directory; the empty one stays. In `arena`, or `path`
// itself.
MUST_CHECK bool path_absolute(Str path, Arena *arena, Str *out, Error *err);

// Appends a line that is another one when the file has changed: its path, size, and when it was written. Fails as
// file_read does.
MUST_CHECK bool file_stamp(Str path, StrBuf *out, Error *err);

// Hands a descriptor on and leaves -1 behind, so that its CLEANUP does nothing.
static inline int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}
void fd_close(int *fd);    // for CLEANUP: closes unless negative, sets -1
