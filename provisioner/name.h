// provisioner/name.h: the names that operators give to cells and hosts.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Checks 1 to 40 of a-z, 0-9 and inner hyphens. `what` is what is named: "cell". Fails with ERR_INVALID.
MUST_CHECK bool name_check(const char *what, Str name, Error *err);
