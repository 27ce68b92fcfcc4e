// provisioner/private_socket.h: a Unix socket that this user's processes alone can connect to, for as long as we live.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Listens at a socket called `name` in a directory of its own, which is 0700 and below XDG_RUNTIME_DIR, else /tmp. The
// directories of processes that are gone are removed meanwhile. *out_path lives in `arena`. The caller ends it by
// private_socket_close. Fails with ERR_FORBIDDEN where another user has our directory, or ERR_FAILED.
MUST_CHECK bool private_socket_listen(Str name, Arena *arena, int *out_fd, Str *out_path, Error *err);
// Closes and removes it; a negative descriptor is none.
void private_socket_close(int *fd, Str path);

// Takes a connection that waits; -1 when there is none, or when it came from another user. It doesn't block.
int private_socket_accept(int fd);
