// provisioner/tar.c: tar by libarchive.
#include "provisioner/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"

enum { BUDGET = 64 * KIB, CHUNK = 64 * KIB, BLOCK = 64 * KIB };

struct Tar {
    Arena *arena;
    struct archive *archive;
    TarPut *put;
    void *context;
    Error err;    // of `put`
};

static la_ssize_t bytes_put(struct archive *archive, void *context, const void *bytes, size_t len)
{
    Tar *tar = context;
    (void)archive;
    return tar->put(tar->context, (Str){bytes, len}, &tar->err) ? (la_ssize_t)len : -1;
}

static bool error_from_archive(Error *err, const Tar *tar)
{
    const char *said = archive_error_string(tar->archive);
    if (tar->err.code) {
        *err = tar->err;
        return false;
    }
    error_set(err, archive_errno(tar->archive) == ENOMEM ? ERR_NO_MEMORY : ERR_FAILED, "the archive can't be written");
    return error_why(err, "%s", said ? said : "nobody says why");
}

bool tar_open(TarPut *put, void *context, Tar **out, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    Tar *tar = arena_new(arena, Tar);
    if (!tar) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    *tar = (Tar){.arena = arena, .archive = archive_write_new(), .put = put, .context = context};
    if (tar->archive && archive_write_set_format_pax_restricted(tar->archive) == ARCHIVE_OK &&
        archive_write_set_bytes_per_block(tar->archive, BLOCK) == ARCHIVE_OK &&
        archive_write_set_bytes_in_last_block(tar->archive, 1) == ARCHIVE_OK &&
        archive_write_open(tar->archive, tar, NULL, bytes_put, NULL) == ARCHIVE_OK) {
        *out = tar;
        return true;
    }
    tar_close(&tar);
    return error_set(err, ERR_NO_MEMORY, "no memory for an archive");
}

typedef struct Entry {
    struct archive_entry *entry;
} Entry;

static void entry_close(Entry *entry) { archive_entry_free(entry->entry); }

// Begins an entry. libarchive takes the path's bytes by the locale, so paths are ASCII here.
static bool entry_begin(Tar *tar, const TarEntry *about, unsigned type, int64_t size, Str target, Error *err)
{
    CLEANUP(entry_close) Entry holder = {archive_entry_new()};
    struct archive_entry *entry = holder.entry;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_copy(arena, about->path), to = str_copy(arena, target);
    if (!arena_ok(arena, err))
        return false;
    if (!entry)
        return error_set(err, ERR_NO_MEMORY, "no memory for an archive");
    archive_entry_set_pathname(entry, path.data);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, (mode_t)about->mode);
    archive_entry_set_uid(entry, about->uid);
    archive_entry_set_gid(entry, about->gid);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, 0, 0);
    if (target.len)
        archive_entry_set_symlink(entry, to.data);
    return archive_write_header(tar->archive, entry) == ARCHIVE_OK || error_from_archive(err, tar);
}

static bool content_put(Tar *tar, Str bytes, Error *err)
{
    return bytes.len == 0 || archive_write_data(tar->archive, bytes.data, bytes.len) == (la_ssize_t)bytes.len ||
           error_from_archive(err, tar);
}

bool tar_directory(Tar *tar, const TarEntry *entry, Error *err)
{
    return entry_begin(tar, entry, AE_IFDIR, 0, S(""), err);
}

bool tar_text(Tar *tar, const TarEntry *entry, Str content, Error *err)
{
    return entry_begin(tar, entry, AE_IFREG, (int64_t)content.len, S(""), err) && content_put(tar, content, err);
}

bool tar_link(Tar *tar, const TarEntry *entry, Str target, Error *err)
{
    return entry_begin(tar, entry, AE_IFLNK, 0, target, err);
}

bool tar_file(Tar *tar, const TarEntry *entry, Str source, Error *err)
{
    char buf[CHUNK];
    struct stat status;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_copy(arena, source), bytes = S("");
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(fd_close) int fd = open(path.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, errno, "the file '%s' can't be read", path.data);
    if (!entry_begin(tar, entry, AE_IFREG, (int64_t)status.st_size, S(""), err))
        return false;
    int64_t left = (int64_t)status.st_size;
    do {
        if (!file_step(fd, path, buf, sizeof(buf), &bytes, err) || !content_put(tar, bytes, err))
            return false;
        left -= (int64_t)bytes.len;
    } while (bytes.len);
    if (left == 0)
        return true;
    error_set(err, ERR_FAILED, "the file '%s' can't be read", path.data);
    return error_why(err, "it changed meanwhile");
}

bool tar_end(Tar *tar, Error *err)
{
    return archive_write_close(tar->archive) == ARCHIVE_OK || error_from_archive(err, tar);
}

void tar_close(Tar **tar)
{
    if (!*tar)
        return;
    if ((*tar)->archive)
        (void)archive_write_free((*tar)->archive);
    Arena *arena = (*tar)->arena;
    *tar = NULL;
    arena_close(&arena);
}
