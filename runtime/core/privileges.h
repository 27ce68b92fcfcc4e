// runtime/core/privileges.h: giving up what a server has no need of.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Becomes `user` (empty: stays) with its group and no other and its HOME, drops all capabilities, forbids getting any
// again, and makes the process unreadable for others of its user and undumpable, without a core dump. Only the calling
// thread's rights change: call it before threads are made. Fails with ERR_NOT_FOUND for an unknown user, ERR_FORBIDDEN
// when not allowed.
MUST_CHECK bool privileges_drop(Str user, Error *err);
