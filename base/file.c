// base/file.c: whole files.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

enum { READ_STEP = 64 * KIB };

// A path as the system wants it; false when it is too long or holds NUL.
static bool path_of(Str path, char out[PATH_MAX], Error *err)
{
    if (path.len == 0 || path.len >= PATH_MAX || str_has_char(path, '\0')) {
        error_set(err, ERR_INVALID, "the path '%.*s' is refused", STR_ARG(path));
        return error_why(err, "it is empty, holds NUL or is longer than %d bytes", PATH_MAX - 1);
    }
    memcpy(out, path.data, path.len);
    out[path.len] = '\0';
    return true;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

bool file_step(int fd, Str path, char *buf, size_t size, Str *out, Error *err)
{
    ssize_t count = 0;
    do
        count = read(fd, buf, size);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be read", STR_ARG(path));
    *out = (Str){buf, (size_t)count};
    return true;
}

static bool read_all(int fd, Str path, size_t size_max, StrBuf *buf, Error *err)
{
    char step[READ_STEP];
    for (Str bytes = S("");;) {
        if (!file_step(fd, path, step, sizeof(step), &bytes, err))
            return false;
        if (bytes.len == 0)
            return true;
        if (buf->len + bytes.len > size_max) {
            error_set(err, ERR_TOO_LARGE, "the file '%.*s' is too large", STR_ARG(path));
            error_why(err, "it has more than %zu bytes", size_max);
            return error_next(err, "use a smaller file");
        }
        strbuf_add(buf, bytes);
    }
}

bool file_read(Str path, size_t size_max, Arena *arena, Str *out, Error *err)
{
    char name[PATH_MAX];
    if (!path_of(path, name, err))
        return false;
    bool is_stdin = str_eq(path, S("-"));
    CLEANUP(fd_close) int fd = is_stdin ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%s' can't be opened", name);
    StrBuf buf = {.arena = arena};
    if (!read_all(fd, path, size_max, &buf, err))
        return false;
    Str content = strbuf_str(&buf);
    if (!arena_ok(arena, err))
        return false;
    *out = content;
    return true;
}

static bool write_all(int fd, Str content)
{
    while (content.len > 0) {
        ssize_t count = write(fd, content.data, content.len);
        if (count < 0 && errno != EINTR)
            return false;
        content = str_skip(content, count < 0 ? 0 : (size_t)count);
    }
    return fsync(fd) == 0;
}

bool file_write(Str path, Str content, unsigned mode, Error *err)
{
    char name[PATH_MAX], beside[PATH_MAX + 16];
    if (!path_of(path, name, err))
        return false;
    (void)snprintf(beside, sizeof(beside), "%s.new.%d", name, (int)getpid());
    CLEANUP(fd_close) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%s' can't be written", beside);
    if (fchmod(fd, mode) == 0 && write_all(fd, content) && rename(beside, name) == 0)
        return true;
    int number = errno;
    (void)unlink(beside);
    return error_from_errno(err, number, "the file '%s' can't be written", name);
}

bool directory_make(Str path, unsigned mode, Error *err)
{
    char name[PATH_MAX];
    if (!path_of(path, name, err))
        return false;
    for (char *slash = strchr(name + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(name, mode) != 0 && errno != EEXIST)
            return error_from_errno(err, errno, "the directory '%s' can't be made", name);
        if (!slash)
            return true;
        *slash = '/';
    }
}

bool file_exists(Str path)
{
    char name[PATH_MAX];
    Error ignored = {0};
    return path_of(path, name, &ignored) && access(name, F_OK) == 0;
}

bool file_stamp(Str path, StrBuf *out, Error *err)
{
    char name[PATH_MAX];
    struct stat status;
    if (!path_of(path, name, err))
        return false;
    if (stat(name, &status) != 0)
        return error_from_errno(err, errno, "the file '%s' can't be read", name);
    strbuf_format(out, "%s %lld %lld.%09ld\n", name, (long long)status.st_size, (long long)status.st_mtim.tv_sec,
                  status.st_mtim.tv_nsec);
    return true;
}

bool path_absolute(Str path, Arena *arena, Str *out, Error *err)
{
    char here[4 * KIB];
    *out = path;
    if (path.len == 0 || path.data[0] == '/')
        return true;
    if (!getcwd(here, sizeof(here)))
        return error_from_errno(err, errno, "the working directory can't be named");
    *out = str_format(arena, "%s/%.*s", here, STR_ARG(path));
    return arena_ok(arena, err);
}
