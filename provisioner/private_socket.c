// provisioner/private_socket.c: sockets in directories that are ours alone.
#include "provisioner/private_socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { BACKLOG = 32 };

static Str home(Arena *arena)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    return runtime && runtime[0] == '/' ? str_format(arena, "%s/shopctl", runtime)
                                        : str_format(arena, "/tmp/shopctl-%u", (unsigned)getuid());
}

// Somebody else could have made it first, to see what we put there.
static bool home_make(Str path, Error *err)
{
    struct stat status;
    if (mkdir(path.data, 0700) != 0 && errno != EEXIST)
        return error_from_errno(err, errno, "the directory '%.*s' can't be made", STR_ARG(path));
    if (lstat(path.data, &status) != 0)
        return error_from_errno(err, errno, "the directory '%.*s' can't be used", STR_ARG(path));
    if (S_ISDIR(status.st_mode) && status.st_uid == getuid() && (status.st_mode & 077) == 0)
        return true;
    error_set(err, ERR_FORBIDDEN, "the directory '%.*s' can't be used", STR_ARG(path));
    error_why(err, "it isn't a directory that belongs to this user alone");
    return error_next(err, "remove it, or set XDG_RUNTIME_DIR to a directory of yours");
}

static void directory_remove(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        fd_close(&fd);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        (void)unlinkat(fd, entry->d_name, 0);
    (void)closedir(directory);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}

// Directories are called PID-SOMETHING.
static void stale_remove(Str path)
{
    DIR *directory = opendir(path.data);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        Str rest = str_of(entry->d_name), part;
        int64_t pid = 0;
        Error ignored = {0};
        if (str_cut(&rest, '-', &part) && str_int64(part, 1, INT32_MAX, &pid, &ignored) && kill((pid_t)pid, 0) != 0 &&
            errno == ESRCH)
            directory_remove(dirfd(directory), entry->d_name);
    }
    (void)closedir(directory);
}

static bool listen_at(Str path, int *out_fd, Error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path.len >= sizeof(address.sun_path)) {
        error_set(err, ERR_FAILED, "the socket '%.*s' can't be made", STR_ARG(path));
        error_why(err, "its path is too long");
        return error_next(err, "set XDG_RUNTIME_DIR to a shorter path");
    }
    memcpy(address.sun_path, path.data, path.len);
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
        return error_from_errno(err, errno, "the socket '%.*s' can't be made", STR_ARG(path));
    *out_fd = fd_take(&fd);
    return true;
}

bool private_socket_listen(Str name, Arena *arena, int *out_fd, Str *out_path, Error *err)
{
    Str parent = home(arena);
    if (!arena_ok(arena, err) || !home_make(parent, err))
        return false;
    stale_remove(parent);
    Str directory = str_format(arena, "%.*s/%d-XXXXXX", STR_ARG(parent), (int)getpid());
    if (!arena_ok(arena, err))
        return false;
    if (!mkdtemp((char *)directory.data))
        return error_from_errno(err, errno, "the directory '%.*s' can't be made", STR_ARG(directory));
    Str path = str_format(arena, "%.*s/%.*s", STR_ARG(directory), STR_ARG(name));
    if (!arena_ok(arena, err) || !listen_at(path, out_fd, err)) {
        (void)rmdir(directory.data);
        return false;
    }
    *out_path = path;
    return true;
}

void private_socket_close(int *fd, Str path)
{
    if (*fd < 0)
        return;
    fd_close(fd);
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *slash = memrchr(path.data, '/', path.len);
    (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path.data), path.data);
    (void)unlink(path.data);
    (void)rmdir(directory);
}

int private_socket_accept(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0 && (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != getuid()))
        fd_close(&client);
    return client;
}
