// provisioner/shopd_login.h: how shopd logs in to an existing PostgreSQL: by a password of its own, in a file.
#pragma once
#include "provisioner/place.h"
#include "provisioner/platform.h"

// Makes the file of the cell's password (0600, shopd's user's) where it is missing, and gives the cell's login that
// password; the server learns its SCRAM hash alone. Fails as platform_cell, or with ERR_FORBIDDEN.
MUST_CHECK bool shopd_login_make(const Place *place, Platform *platform, Str cell, Error *err);

// What shopd is started with: the cell's connection string with that file and without any password, in `arena`; empty
// where `dsn` is none.
Str shopd_login_dsn(const Place *place, Str cell, Str dsn, Arena *arena);
