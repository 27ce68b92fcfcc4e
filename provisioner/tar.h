// provisioner/tar.h: tar archives (POSIX.1-2001 pax) that are the same bytes for the same content.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Tar Tar;

// Takes the archive's bytes as they are made; false from it ends the archive with its error.
typedef bool TarPut(void *context, Str bytes, Error *err);

// Begins an archive whose bytes go to `put`. Fails with ERR_NO_MEMORY.
MUST_CHECK bool tar_open(TarPut *put, void *context, Tar **out, Error *err);

typedef struct TarEntry {
    Str path;    // without a slash before it
    unsigned mode;
    unsigned uid, gid;
} TarEntry;

MUST_CHECK bool tar_directory(Tar *tar, const TarEntry *entry, Error *err);
MUST_CHECK bool tar_text(Tar *tar, const TarEntry *entry, Str content, Error *err);
// A file's content from the disk. Fails also with ERR_NOT_FOUND or ERR_FORBIDDEN, naming it.
MUST_CHECK bool tar_file(Tar *tar, const TarEntry *entry, Str source, Error *err);
MUST_CHECK bool tar_link(Tar *tar, const TarEntry *entry, Str target, Error *err);    // a symbolic one

MUST_CHECK bool tar_end(Tar *tar, Error *err);    // writes what is still to be written
void tar_close(Tar **tar);
