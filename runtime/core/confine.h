// runtime/core/confine.h: the system calls that shopd needs, and no other.
#pragma once
#include "base/error.h"

// From now on, for this thread and those that it makes, until the process ends: system calls that a server has no need
// of fail with EPERM, and those that only an intruder makes (another program, another process' memory, kernel modules)
// kill the process. Memory can't be made executable, but a library can be loaded; sockets are those of local, IPv4,
// IPv6 and of the name resolver's netlink. Call it before threads are made. Fails with ERR_FAILED where the kernel has
// no filters (seccomp(2)).
MUST_CHECK bool confine(Error *err);
