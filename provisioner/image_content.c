// provisioner/image_content.c: the files of images.
#include "provisioner/image_content.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/digest.h"
#include "provisioner/image_libraries.h"

enum { VERSION_MS = 10000, PATH_TEXT = PATH_MAX, FILE_MODE = 0644, PROGRAM_MODE = 0755 };

// ---- the list

static void file_add(ImageContent *content, ImageFile file)
{
    if (content->count == content->capacity) {
        size_t capacity = MAX(content->capacity * 2, (size_t)256);
        ImageFile *files = arena_array(content->arena, capacity, ImageFile);
        if (!files)
            return;    // arena_ok tells
        if (content->count)
            memcpy(files, content->files, content->count * sizeof(ImageFile));
        content->files = files;
        content->capacity = capacity;
    }
    while (str_has_prefix(file.path, S("/")))
        file.path = str_skip(file.path, 1);
    content->files[content->count++] = file;
}

static void text_add(ImageContent *content, Str path, Str text, unsigned mode)
{
    file_add(content, (ImageFile){.path = path, .text = text, .mode = mode});
}

static void directory_add(ImageContent *content, Str path, unsigned mode, unsigned uid)
{
    file_add(content, (ImageFile){.path = path, .mode = mode, .uid = uid, .is_directory = true});
}

static void copy_add(ImageContent *content, Str path, Str source, unsigned mode)
{
    file_add(content, (ImageFile){.path = path, .source = source, .mode = mode});
}

static int file_compare(const void *left, const void *right)
{
    return str_compare(((const ImageFile *)left)->path, ((const ImageFile *)right)->path);
}

// The directories above each file, unless the list has them with a mode of their own.
static void parents_add(ImageContent *content)
{
    size_t count = content->count;
    for (size_t i = 0; i < count; i++) {
        Str path = content->files[i].path;
        for (size_t at = 1; at < path.len; at++)
            if (path.data[at] == '/')
                directory_add(content, str_slice(path, 0, at), PROGRAM_MODE, 0);
    }
}

// Sorting keeps no order of equals: of two with one path the one with the smaller mode or an owner was meant.
static bool is_meant(const ImageFile *file, const ImageFile *other)
{
    return file->mode != PROGRAM_MODE || file->uid != 0 || !other->is_directory;
}

static void list_order(ImageContent *content)
{
    size_t kept = 0;
    qsort(content->files, content->count, sizeof(ImageFile), file_compare);
    for (size_t i = 0; i < content->count; i++) {
        if (kept && str_eq(content->files[kept - 1].path, content->files[i].path)) {
            if (is_meant(&content->files[i], &content->files[kept - 1]))
                content->files[kept - 1] = content->files[i];
            continue;
        }
        content->files[kept++] = content->files[i];
    }
    content->count = kept;
}

// ---- finding

static bool libraries_add(ImageContent *content, Str directory, Error *err)
{
    Str paths, path;
    if (!image_libraries(directory, content->programs, content->program_count, content->arena, &paths, err))
        return false;
    while (str_cut(&paths, '\n', &path))
        if (path.len)
            copy_add(content, str_copy(content->arena, path), str_copy(content->arena, path), PROGRAM_MODE);
    return arena_ok(content->arena, err);
}

// A program or a library; what it needs is found later, for all at once.
static bool program_add(ImageContent *content, Str path, Str source, Error *err)
{
    char real[PATH_TEXT];
    if (!realpath(source.data, real)) {
        error_from_errno(err, errno, "the program '%.*s' can't be used", STR_ARG(source));
        return error_next(err, "install what packages.txt names");
    }
    Str from = str_copy(content->arena, str_of(real));
    copy_add(content, path, from, PROGRAM_MODE);
    if (!arena_ok(content->arena, err))
        return false;
    assert(content->program_count < IMAGE_PROGRAMS_MAX);
    content->programs[content->program_count++] = from.data;
    return true;
}

static int is_name(const struct dirent *entry) { return entry->d_name[0] != '.'; }

typedef struct Names {
    struct dirent **entries;
    int count;
} Names;

static void names_close(Names *names)
{
    for (int i = 0; i < names->count; i++)
        (free)(names->entries[i]);    // scandir's own
    (free)(names->entries);
}

static bool names_read(Str directory, Names *out, Error *err)
{
    out->count = scandir(directory.data, &out->entries, is_name, alphasort);
    if (out->count >= 0)
        return true;
    int number = errno;
    out->count = 0;
    return error_from_errno(err, number, "the directory '%.*s' can't be read", STR_ARG(directory));
}

typedef bool NameWanted(Str name);

// All files below a directory of this machine, at the same path; links are followed, broken ones left out.
static bool tree_add(ImageContent *content, Str directory, NameWanted *wanted, Error *err)
{
    CLEANUP(names_close) Names names = {0};
    if (!names_read(directory, &names, err))
        return false;
    directory_add(content, directory, PROGRAM_MODE, 0);
    for (int i = 0; i < names.count; i++) {
        struct stat status;
        Str name = str_of(names.entries[i]->d_name);
        Str path = str_format(content->arena, "%.*s/%.*s", STR_ARG(directory), STR_ARG(name));
        if (!arena_ok(content->arena, err))
            return false;
        if (stat(path.data, &status) != 0 || (wanted && !wanted(name)))
            continue;
        if (S_ISREG(status.st_mode))
            copy_add(content, path, path, FILE_MODE);
        else if (S_ISDIR(status.st_mode) && !tree_add(content, path, wanted, err))
            return false;
    }
    return true;
}

// ---- shopd

static bool shopd_find(const ImageStore *store, ImageContent *content, Error *err)
{
    content->entrypoint = S("/usr/bin/shopd");
    content->uid = IMAGE_SHOPD_UID;
    content->health = "/usr/bin/shopd --listen 127.0.0.1:8080 --ready";
    text_add(content, S("etc/passwd"), S("root:x:0:0::/:/\nshopd:x:10002:10002::/:/\n"), FILE_MODE);
    text_add(content, S("etc/group"), S("root:x:0:\nshopd:x:10002:\n"), FILE_MODE);
    directory_add(content, S("tmp"), 01777, 0);
    directory_add(content, S("secrets"), PROGRAM_MODE, 0);
    return program_add(content, content->entrypoint, store->shopd, err);
}

// ---- PostgreSQL

// What a shop's schema needs, replication, and what tells an operator about slow statements. The JIT compiler isn't
// here: it is 100 MB and off.
static bool is_library(Str name)
{
    static const Str NAMES[] = {
        S("auto_explain.so"), S("dict_snowball.so"), S("libpqwalreceiver.so"), S("pg_stat_statements.so"),
        S("pgoutput.so"),     S("plpgsql.so"),       S("unaccent.so")};
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (str_eq(name, NAMES[i]))
            return true;
    return str_find(name, S("_and_")) < name.len && str_has_suffix(name, S(".so"));
}

static bool is_shared(Str name)
{
    static const Str EXTENSIONS[] = {S("pg_stat_statements"), S("plpgsql"), S("unaccent")};
    if (str_eq(name, S("man")) || str_eq(name, S("contrib")))
        return false;
    if (!str_has_suffix(name, S(".control")) && str_find(name, S("--")) == name.len)
        return true;
    for (size_t i = 0; i < COUNT(EXTENSIONS); i++)
        if (str_has_prefix(name, EXTENSIONS[i]) &&
            (name.data[EXTENSIONS[i].len] == '.' || name.data[EXTENSIONS[i].len] == '-'))
            return true;
    return false;
}

// The cluster is made at the first start, and counts once `made` is there: a start that was cut off begins anew.
#define START                                                                                                          \
    "#!/bin/sh\n"                                                                                                      \
    "# Makes the cluster where there is none, then becomes PostgreSQL.\n"                                              \
    "set -eu\n"                                                                                                        \
    "if [ ! -f " IMAGE_DATA "/made ]; then\n"                                                                          \
    "    rm -rf " IMAGE_DATA "/cluster\n"                                                                              \
    "    TZ=UTC initdb -D " IMAGE_DATA "/cluster -U shop_owner -E UTF8 --locale=C.UTF-8 --data-checksums -A peer "     \
    "--no-instructions\n"                                                                                              \
    "    : >" IMAGE_DATA "/made\n"                                                                                     \
    "fi\n"                                                                                                             \
    "exec postgres -D " IMAGE_DATA "/cluster -c config_file=" IMAGE_SECRETS                                            \
    "/postgresql.conf -c hba_file=" IMAGE_SECRETS "/pg_hba.conf\n"

static bool postgres_programs(const ImageStore *store, Arena *arena, Str *out, Error *err)
{
    static const char *const VERSIONS[] = {"18", "17", "16", "15"};
    struct stat status;
    if (store->postgres_bin.len) {
        *out = store->postgres_bin;
        return true;
    }
    for (size_t i = 0; i < COUNT(VERSIONS); i++) {
        *out = str_format(arena, "/usr/lib/postgresql/%s/bin", VERSIONS[i]);
        if (!arena_ok(arena, err))
            return false;
        if (stat(out->data, &status) == 0)
            return true;
    }
    error_set(err, ERR_NOT_FOUND, "there is no PostgreSQL to make an image of");
    return error_next(err, "install postgresql-15, or set postgres_bin");
}

bool image_postgres_major(const ImageStore *store, Arena *arena, int64_t *out, Error *err)
{
    static const Str NAME = S("(PostgreSQL) ");
    Str bin, said;
    if (!postgres_programs(store, arena, &bin, err))
        return false;
    const char *argv[] = {str_format(arena, "%.*s/postgres", STR_ARG(bin)).data, "--version", NULL};
    if (!arena_ok(arena, err) || !process_run(&(ProcessSpec){.argv = argv}, VERSION_MS, arena, &said, err))
        return false;
    Str rest = str_skip(said, MIN(str_find(said, NAME) + NAME.len, said.len));
    size_t digits = 0;
    while (digits < rest.len && rest.data[digits] >= '0' && rest.data[digits] <= '9')
        digits++;
    return str_int64(str_slice(rest, 0, digits), 1, INT32_MAX, out, err) ||
           error_wrap(err, "the version of '%s' isn't known", argv[0]);
}

static bool libraries_of_postgres(ImageContent *content, Str directory, Error *err)
{
    CLEANUP(names_close) Names names = {0};
    if (!names_read(directory, &names, err))
        return false;
    for (int i = 0; i < names.count; i++) {
        Str name = str_of(names.entries[i]->d_name);
        Str path = str_format(content->arena, "%.*s/%.*s", STR_ARG(directory), STR_ARG(name));
        if (!arena_ok(content->arena, err) || (is_library(name) && !program_add(content, path, path, err)))
            return false;
    }
    return true;
}

static bool postgres_find(const ImageStore *store, ImageContent *content, Error *err)
{
    static const char *const PROGRAMS[] = {"initdb", "pg_isready", "postgres", "psql"};
    static const struct {
        Str path, source;
    } TOOLS[] = {{S("bin/sh"), S("/bin/dash")}, {S("bin/rm"), S("/bin/rm")}, {S("bin/nc"), S("/bin/nc.openbsd")}};
    Str bin = S("");
    content->entrypoint = S("/usr/bin/cell-postgres");
    content->uid = IMAGE_POSTGRES_UID;
    content->health = "pg_isready -q -d postgres -h " IMAGE_SOCKETS_ALL;
    text_add(content, S("etc/passwd"), S("root:x:0:0::/:/bin/sh\nshop_owner:x:10001:10001::/:/bin/sh\n"), FILE_MODE);
    text_add(content, S("etc/group"), S("root:x:0:\nshop_owner:x:10001:\n"), FILE_MODE);
    text_add(content, content->entrypoint, S(START), PROGRAM_MODE);
    directory_add(content, S("tmp"), 01777, 0);
    directory_add(content, S("data"), 0700, IMAGE_POSTGRES_UID);
    directory_add(content, S("secrets"), PROGRAM_MODE, 0);
    if (!postgres_programs(store, content->arena, &bin, err))
        return false;
    for (size_t i = 0; i < COUNT(PROGRAMS); i++) {
        Str source = str_format(content->arena, "%.*s/%s", STR_ARG(bin), PROGRAMS[i]);
        if (!arena_ok(content->arena, err) || !program_add(content, source, source, err))
            return false;
        file_add(content, (ImageFile){.path = str_format(content->arena, "usr/bin/%s", PROGRAMS[i]),
                                      .target = source,
                                      .mode = PROGRAM_MODE});
    }
    for (size_t i = 0; i < COUNT(TOOLS); i++)
        if (!program_add(content, TOOLS[i].path, TOOLS[i].source, err))
            return false;
    // /usr/lib/postgresql/15/bin reads from ../lib and /usr/share/postgresql/15.
    Str home = str_slice(bin, 0, bin.len - MIN(bin.len, S("/bin").len));
    const char *slash = memrchr(home.data, '/', home.len);
    Str version = str_skip(home, (size_t)(slash + 1 - home.data));
    return libraries_of_postgres(content, str_format(content->arena, "%.*s/lib", STR_ARG(home)), err) &&
           tree_add(content, str_format(content->arena, "/usr/share/postgresql/%.*s", STR_ARG(version)), is_shared,
                    err) &&
           tree_add(content, S("/usr/lib/locale/C.utf8"), NULL, err) &&
           tree_add(content, S("/usr/share/zoneinfo"), NULL, err);
}

// ---- both

bool image_content_find(const ImageStore *store, ImageKind kind, ImageContent *content, Error *err)
{
    static bool (*const FIND[IMAGE_KINDS])(const ImageStore *store, ImageContent *content,
                                           Error *err) = {[IMAGE_POSTGRES] = postgres_find, [IMAGE_SHOPD] = shopd_find};
    if (!FIND[kind](store, content, err) || !libraries_add(content, store->directory, err))
        return false;
    parents_add(content);
    if (!arena_ok(content->arena, err))
        return false;
    list_order(content);
    return true;
}

bool image_content_signature(const ImageContent *content, Arena *arena, Str *out, Error *err)
{
    char text[DIGEST_TEXT];
    StrBuf about = {.arena = content->arena};
    for (size_t i = 0; i < content->count; i++) {
        const ImageFile *file = &content->files[i];
        strbuf_format(&about, "%.*s %.*s %.*s %o %u\n", STR_ARG(file->path), STR_ARG(file->text), STR_ARG(file->target),
                      file->mode, file->uid);
        if (file->source.len && !file_stamp(file->source, &about, err))
            return false;
    }
    strbuf_format(&about, "%.*s %s %d\n", STR_ARG(content->entrypoint), content->health, IMAGE_HEALTH_S);
    if (!arena_ok(content->arena, err))
        return false;
    *out = str_copy(arena, str_slice(digest_text(strbuf_str(&about), text), 0, 16));
    return arena_ok(arena, err);
}

bool image_content_write(const ImageContent *content, Tar *tar, Error *err)
{
    for (size_t i = 0; i < content->count; i++) {
        const ImageFile *file = &content->files[i];
        TarEntry entry = {.path = file->path, .mode = file->mode, .uid = file->uid, .gid = file->uid};
        if (!(file->is_directory ? tar_directory(tar, &entry, err)
              : file->target.len ? tar_link(tar, &entry, file->target, err)
              : file->source.len ? tar_file(tar, &entry, file->source, err)
                                 : tar_text(tar, &entry, file->text, err)))
            return false;
    }
    return true;
}
