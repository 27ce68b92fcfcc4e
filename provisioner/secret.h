// provisioner/secret.h: passwords that nobody has to remember.
#pragma once
#include "base/error.h"
#include "base/str.h"

// 48 hexadecimal digits of the kernel's random bytes, in `arena`.
MUST_CHECK bool secret_make(Arena *arena, Str *out, Error *err);
