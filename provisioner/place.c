// provisioner/place.c: the directory of a platform.
#include "provisioner/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"

enum {
    RECORD_MAX = 4 * MIB,
    RECORD_BUDGET = 16 * MIB,
    PATH_BUDGET = 64 * KIB,
    LOCK_STEP_MS = 20,
    USERADD_TIMEOUT_MS = 20000,
    TAIL_MAX = 8 * KIB,
};

Str place_path(Arena *arena, Str directory, const char *format, ...)
{
    char name[NAME_MAX + 1];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(name, sizeof(name), format, list);
    va_end(list);
    return str_format(arena, "%.*s/%s", STR_ARG(directory), name);
}

// ---- where ----

// Absolute and without links; what isn't there yet is kept as it is written.
static bool resolve(Str data, Arena *arena, Str *out, Error *err)
{
    char real[PATH_MAX];
    if (str_is_empty(data) || data.len >= PATH_MAX || !str_is_utf8(data) || str_has_char(data, '\n')) {
        error_set(err, ERR_INVALID, "the data directory '%.*s' is refused", STR_ARG(data));
        return error_why(err, "it is empty, too long, or holds bytes that a path of ours can't have");
    }
    Str head = str_copy(arena, data), tail = S("");
    while (head.data && !realpath(head.data, real)) {
        if (errno != ENOENT)
            return error_from_errno(err, errno, "the data directory '%.*s' can't be used", STR_ARG(data));
        while (head.len > 1 && head.data[head.len - 1] == '/')
            head.len--;
        const char *slash = memrchr(head.data, '/', head.len);
        Str name = slash ? str_skip(head, (size_t)(slash + 1 - head.data)) : head;
        if (str_eq(name, S("..")) || str_eq(name, S("."))) {
            error_set(err, ERR_INVALID, "the data directory '%.*s' is refused", STR_ARG(data));
            return error_why(err, "'%.*s' follows a directory that isn't there", STR_ARG(name));
        }
        tail = str_format(arena, "/%.*s%.*s", STR_ARG(name), STR_ARG(tail));
        head = slash ? str_copy(arena, str_slice(head, 0, MAX((size_t)(slash - head.data), (size_t)1)))
                     : str_copy(arena, S("."));
        if (!arena_ok(arena, err))
            return false;
    }
    *out = str_format(arena, "%s%.*s", strcmp(real, "/") == 0 && tail.len ? "" : real, STR_ARG(tail));
    return arena_ok(arena, err);
}

// FNV-1a: a short name for a path, the same each time. Nobody gains by a collision: a directory of another owner is
// refused, and of the same owner's two platforms the second is told that the first one's server is in the way.
static uint64_t hash(Str text)
{
    uint64_t value = 0xcbf29ce484222325U;
    for (size_t i = 0; i < text.len; i++)
        value = (value ^ (unsigned char)text.data[i]) * 0x100000001b3U;
    return value;
}

static const char *own_name(Arena *arena)
{
    char text[KIB * 4];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, text, sizeof(text), &found) != 0 || !found)
        return str_format(arena, "%u", (unsigned)geteuid()).data;
    return str_copy(arena, str_of(entry.pw_name)).data;
}

bool place_resolve(const PlaceOptions *options, Arena *arena, Place *out, Error *err)
{
    Place place = {.is_embedded = options->is_embedded};
    if (!resolve(options->data, arena, &place.data, err))
        return false;
    place.pg = place_path(arena, place.data, "pg");
    place.run = place_path(arena, place.data, "run");
    place.log = place_path(arena, place.data, "log");
    bool is_root = geteuid() == 0;
    uint64_t name = hash(place.data) & 0xFFFFFFFFFFU;
    place.sockets = str_format(arena, "%s/shop-%010llx", is_root ? "/run" : "/tmp", (unsigned long long)name);
    if (is_root) {
        place.database_user = str_copy(arena, options->database_user.len ? options->database_user : S("postgres")).data;
        place.shopd_user = str_copy(arena, options->shopd_user.len ? options->shopd_user : S("shopd")).data;
        if (strcmp(place.database_user, place.shopd_user) != 0)
            place.shopd_sockets = str_format(arena, "%.*s-shopd", STR_ARG(place.sockets));
    }
    place.database_login = is_root ? place.database_user : own_name(arena);
    place.shopd_login = is_root ? place.shopd_user : place.database_login;
    if (!arena_ok(arena, err))
        return false;
    *out = place;
    return true;
}

// ---- who ----

static bool user_make(const char *name, Error *err)
{
    User user;
    Error missing = {0};
    if (user_find(name, &user, &missing))
        return true;
    if (missing.code != ERR_NOT_FOUND) {
        *err = missing;
        return false;
    }
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *const argv[] = {"/usr/sbin/useradd",
                                "--system",
                                "--user-group",
                                "--no-create-home",
                                "--home-dir",
                                "/nonexistent",
                                "--shell",
                                "/usr/sbin/nologin",
                                name,
                                NULL};
    Str output;
    if (process_run(&(ProcessSpec){.argv = argv}, USERADD_TIMEOUT_MS, arena, &output, err))
        return true;
    error_clear(&missing);
    if (user_find(name, &user, &missing)) {    // another `up` was faster
        error_clear(err);
        return true;
    }
    error_wrap(err, "the system user '%s' can't be made", name);
    return error_next(err, "make it by hand (useradd --system %s), or set another one", name);
}

// ---- reaching it ----

typedef struct Reach {
    const char *path;
    size_t ends[255];    // where each directory of the path ends
    size_t count;
} Reach;

// In a child, as the database's user: 0 when every directory that is there can be entered, else 1 + the first one's
// number.
static int reach_try(void *context)
{
    const Reach *reach = context;
    char path[PATH_MAX];
    for (size_t i = 0; i < reach->count; i++) {
        memcpy(path, reach->path, reach->ends[i]);
        path[reach->ends[i]] = '\0';
        if (access(path, X_OK) != 0 && errno != ENOENT)
            return (int)i + 1;
    }
    return 0;
}

static bool reach_check(const char *user, const char *what, Str data, Error *err)
{
    Reach reach = {.path = data.data};
    for (size_t i = 1; i <= data.len && reach.count < COUNT(reach.ends) - 1; i++)
        if (i == data.len || data.data[i] == '/')
            reach.ends[reach.count++] = i;
    int barred = 0;
    if (!process_call_as(user, reach_try, &reach, &barred, err))
        return false;
    if (barred == 0)
        return true;
    error_set(err, ERR_FORBIDDEN, "the user '%s', who runs %s, can't reach '%.*s'", user, what, STR_ARG(data));
    error_why(err, "the directory '%.*s' bars it", (int)reach.ends[barred - 1], data.data);
    return error_next(err, "use another place: shopctl up --data /var/lib/shopctl");
}

// ---- making it ----

static void directory_close(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static bool is_directory_empty(const char *path)
{
    CLEANUP(directory_close) DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    return directory != NULL;
}

// That it is a directory, no link, and ours or `owner`'s.
static bool own_directory_check(const char *path, const User *owner, struct stat *out, Error *err)
{
    if (lstat(path, out) != 0)
        return error_from_errno(err, errno, "the directory '%s' can't be used", path);
    bool is_ours = out->st_uid == geteuid() || out->st_uid == owner->uid;
    if (S_ISDIR(out->st_mode) && is_ours)
        return true;
    error_set(err, ERR_FORBIDDEN, "the directory '%s' can't be used", path);
    error_why(err, S_ISDIR(out->st_mode) ? "user %u owns it" : "it isn't a directory", (unsigned)out->st_uid);
    return error_next(err, "remove it, or choose another --data");
}

// A directory of ours with exactly this mode and owner. One that a link stands for, or another user made, is refused.
static bool own_directory(const char *path, unsigned mode, const User *owner, Error *err)
{
    struct stat about;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_from_errno(err, errno, "the directory '%s' can't be made", path);
    if (!own_directory_check(path, owner, &about, err))
        return false;
    if ((about.st_uid != owner->uid || about.st_gid != owner->gid) && lchown(path, owner->uid, owner->gid) != 0)
        return error_from_errno(err, errno, "the directory '%s' can't be given to its user", path);
    if ((about.st_mode & 07777) != mode && chmod(path, mode) != 0)
        return error_from_errno(err, errno, "the mode of the directory '%s' can't be set", path);
    return true;
}

static bool data_check(const Place *place, bool *out_is_there, Error *err)
{
    struct stat about;
    *out_is_there = stat(place->data.data, &about) == 0;
    return !*out_is_there || S_ISDIR(about.st_mode) ||
           error_set(err, ERR_INVALID, "the data directory '%.*s' isn't a directory", STR_ARG(place->data));
}

// The directory itself: one that was made by hand and is empty becomes ours, one in use keeps its mode.
static bool data_make(const Place *place, Error *err)
{
    bool is_there = false;
    if (!data_check(place, &is_there, err))
        return false;
    if (!directory_make(place->data, 0755, err))
        return false;
    if ((!is_there || is_directory_empty(place->data.data)) && chmod(place->data.data, 0711) != 0)
        return error_from_errno(err, errno, "the mode of '%.*s' can't be set", STR_ARG(place->data));
    return true;
}

// Before anything is made: an empty directory will get the mode that it needs.
static bool place_reach_check(const Place *place, const char *user, const char *what, Error *err)
{
    bool is_there = file_exists(place->data) && !is_directory_empty(place->data.data);
    const char *slash = memrchr(place->data.data, '/', place->data.len);
    Str above = str_slice(place->data, 0, MAX((size_t)(slash - place->data.data), (size_t)1));
    return reach_check(user, what, is_there ? place->data : above, err);
}

// Twice: before anything is made, and with the directory's own mode.
static bool place_make_reached(const Place *place, const char *user, const char *what, Error *err)
{
    return place_reach_check(place, user, what, err) && data_make(place, err) &&
           reach_check(user, what, place->data, err);
}

static bool database_user_check(const Place *place, const User *database, Error *err)
{
    if (database->uid != 0)
        return true;
    error_set(err, ERR_INVALID, "PostgreSQL can't run as '%s'", place->database_user);
    return error_next(err, "set database_user to a user without root's rights");
}

static User own_user(void) { return (User){.uid = geteuid(), .gid = getegid()}; }

bool place_make(const Place *place, Error *err)
{
    User self = own_user(), database = self;
    bool is_other = place->is_embedded && place->database_user;
    if (is_other && (!user_make(place->database_user, err) || !user_find(place->database_user, &database, err)))
        return false;
    if (place->shopd_user && !user_make(place->shopd_user, err))
        return false;
    if (is_other && (!database_user_check(place, &database, err) ||
                     !place_make_reached(place, place->database_user, "PostgreSQL", err)))
        return false;
    // There shopd reads its password, in an embedded platform nothing.
    if (!place->is_embedded && place->shopd_user && !place_make_reached(place, place->shopd_user, "shopd", err))
        return false;
    CLEANUP(arena_close) Arena *arena = arena_open(PATH_BUDGET);
    Str dumps = place_path(arena, place->data, "dumps");
    if (!arena_ok(arena, err) || !data_make(place, err))
        return false;
    return own_directory(place->run.data, 0755, &self, err) && own_directory(place->log.data, 0750, &self, err) &&
           own_directory(dumps.data, 0700, &self, err);
}

// A user that is missing would be made, and nobody can tell yet what it reaches.
static bool user_reach_check(const Place *place, const char *name, const char *what, Error *err)
{
    User user;
    Error missing = {0};
    if (user_find(name, &user, &missing))
        return (name != place->database_user || database_user_check(place, &user, err)) &&
               place_reach_check(place, name, what, err);
    if (missing.code == ERR_NOT_FOUND)
        return true;
    *err = missing;
    return false;
}

// Whether the directory, or the first one above it that is there, can be written by us.
static bool writable_check(const Place *place, Error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%.*s", STR_ARG(place->data));
    while (access(path, F_OK) != 0 && errno == ENOENT && path[1]) {
        char *slash = strrchr(path, '/');    // the path is absolute
        slash[slash == path] = '\0';
    }
    return access(path, W_OK | X_OK) == 0 || error_from_errno(err, errno, "the directory '%s' can't be written", path);
}

bool place_check(const Place *place, Error *err)
{
    bool is_there = false;
    User self = own_user();
    struct stat about;
    const char *database_user = place->is_embedded ? place->database_user : NULL;
    const char *shopd_user = place->is_embedded ? NULL : place->shopd_user;
    return (!database_user || user_reach_check(place, database_user, "PostgreSQL", err)) &&
           (!shopd_user || user_reach_check(place, shopd_user, "shopd", err)) && data_check(place, &is_there, err) &&
           writable_check(place, err) &&
           (!file_exists(place->run) || own_directory_check(place->run.data, &self, &about, err)) &&
           (!file_exists(place->log) || own_directory_check(place->log.data, &self, &about, err));
}

bool place_make_sockets(const Place *place, Error *err)
{
    User database = own_user(), shopd;
    if (place->database_user && !user_find(place->database_user, &database, err))
        return false;
    if (!own_directory(place->sockets.data, 0700, &database, err))
        return false;
    if (place->shopd_sockets.len == 0)
        return true;
    if (!user_find(place->shopd_user, &shopd, err))
        return false;
    return own_directory(place->shopd_sockets.data, 0750, &(User){.uid = database.uid, .gid = shopd.gid}, err);
}

static void remove_matching(const char *path, const char *pattern)
{
    CLEANUP(directory_close) DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (fnmatch(pattern, entry->d_name, 0) == 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
}

void place_forget_failures(const Place *place) { remove_matching(place->run.data, "*.failed"); }

void place_clear(const Place *place)
{
    const Str directories[] = {place->sockets, place->shopd_sockets};
    for (size_t i = 0; i < COUNT(directories) && place->is_embedded; i++)
        if (directories[i].len) {
            remove_matching(directories[i].data, ".s.PGSQL.*");
            (void)rmdir(directories[i].data);
        }
    static const char *const PATTERNS[] = {"*.pid", "*.pid.*", "*.failed", "*.conf", "*.new.*"};
    for (size_t i = 0; i < COUNT(PATTERNS); i++)
        remove_matching(place->run.data, PATTERNS[i]);
}

// ---- what is in it ----

bool place_record_read(const Place *place, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(RECORD_BUDGET);
    Str path = place_path(arena, place->run, "platform.json"), text;
    *out = NULL;
    if (!arena_ok(arena, err))
        return false;
    if (!file_exists(path))
        return true;
    if (!file_read(path, RECORD_MAX, arena, &text, err))
        return false;
    return json_parse(text, out, err) || error_wrap(err, "the record '%.*s' can't be read", STR_ARG(path));
}

bool place_record_write(const Place *place, const Json *record, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(RECORD_BUDGET);
    Str path = place_path(arena, place->run, "platform.json"), text;
    unsigned mode = place->is_embedded ? 0644 : 0600;    // the DSN of an existing server may hold a password
    return json_print(record, 2, arena, &text, err) && file_write(path, text, mode, err);
}

static bool lock_wait(const Place *place, int fd, const char *path, int64_t timeout_ms, Error *err)
{
    for (int64_t deadline_ms = clock_ms() + timeout_ms; flock(fd, LOCK_EX | LOCK_NB) != 0;) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_from_errno(err, errno, "the lock '%s' can't be taken", path);
        if (clock_ms() >= deadline_ms) {
            error_set(err, ERR_BUSY, "another shopctl is at work on '%.*s'", STR_ARG(place->data));
            return error_why(err, "it has held the lock '%s' for %lld ms", path, (long long)timeout_ms);
        }
        clock_sleep_ms(LOCK_STEP_MS);
    }
    return true;
}

bool place_lock(const Place *place, const char *name, int64_t timeout_ms, int *out_fd, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(PATH_BUDGET);
    Str path = place_path(arena, place->run, "%s", name);
    if (!arena_ok(arena, err))
        return false;
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_from_errno(err, errno, "the lock '%s' can't be opened", path.data);
    if (!lock_wait(place, fd, path.data, timeout_ms, err)) {
        fd_close(&fd);
        return false;
    }
    *out_fd = fd;
    return true;
}

Str place_log_tail(Arena *arena, Str path, size_t count)
{
    char text[TAIL_MAX];
    CLEANUP(fd_close) int fd = path.data ? open(path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    ssize_t length = size <= 0 ? -1 : pread(fd, text, sizeof(text), MAX(size - TAIL_MAX, (off_t)0));
    if (length <= 0)
        return S("");
    Str tail = str_trim((Str){text, (size_t)length});
    size_t start = tail.len;
    for (size_t lines = 0; start > 0; start--)
        if (tail.data[start - 1] == '\n' && ++lines == count)
            break;
    return str_copy(arena, str_skip(tail, start));
}
