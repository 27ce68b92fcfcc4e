// provisioner/dump.h: a tenant as a directory of files: one COPY file per table and a manifest; independent of names,
// numbers and neighbours.
#pragma once
#include "provisioner/operation.h"

// Writes a dump of the operation's tenant (operation->cell, ->number) into the directory `path`, which appears whole,
// with everything on the disk, or not at all. A dump that is there already is success. All of it is of one moment.
// *out_size_bytes is the size of its files. Fails with ERR_FAILED or ERR_FORBIDDEN where the directory can't be
// written.
MUST_CHECK bool dump_write(Operation *operation, Str path, int64_t *out_size_bytes, Error *err);

// Fills the operation's tenant from a dump, in one transaction: what was in its tables before is gone. A dump of an
// older program is brought to this one's version. Fails with ERR_NOT_FOUND or ERR_MALFORMED for the dump, ERR_STATE
// where a newer program made it.
MUST_CHECK bool dump_load(Operation *operation, Str path, Error *err);

// Removes a dump, also a half-written one; none is success.
MUST_CHECK bool dump_remove(Str path, Error *err);
bool dump_is_there(Str path);

// Removes the dumps that have expired, with their records. *out_removed is how many.
MUST_CHECK bool dumps_expire(Platform *platform, size_t *out_removed, Error *err);
