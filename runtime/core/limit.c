// runtime/core/limit.c: token buckets in a table that threads, and processes, share.
#include "runtime/core/limit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

// 1 MiB of address space, of which only touched pages are memory. A process that ever meets more limited tenants than
// this lets the last ones share buckets.
#define FILE_PREFIX "/shopd-%u-"
#define SHM_FOLDER "/dev/shm"
enum { BUCKETS = 65536, PROBES = 256, NAME_ROOM = 64 };

typedef struct Bucket {
    _Atomic int64_t number;     // of the tenant; 0: free
    _Atomic int64_t full_ns;    // when all tokens will be back
} Bucket;

typedef Bucket Table[BUCKETS];

struct Limits {
    Arena *arena;
    Bucket *buckets;    // a Table
    int file;           // -1: of this process alone
    char name[NAME_ROOM];
};

bool limits_open(Limits **out, Error *err)
{
    Arena *arena = arena_open(sizeof(Limits) + KIB);
    Limits *limits = arena_new(arena, Limits);
    void *table = mmap(NULL, sizeof(Table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (limits && table != MAP_FAILED) {
        *limits = (Limits){.arena = arena, .buckets = table, .file = -1};
        *out = limits;
        return true;
    }
    arena_close(&arena);
    if (table != MAP_FAILED)
        (void)munmap(table, sizeof(Table));
    return error_set(err, ERR_NO_MEMORY, "the table of rate limits can't be made");
}

// The last one that has the file open removes it.
static void file_leave(Limits *limits)
{
    if (limits->file >= 0 && flock(limits->file, LOCK_EX | LOCK_NB) == 0)
        (void)shm_unlink(limits->name);
    fd_close(&limits->file);
}

void limits_close(Limits **limits)
{
    Limits *closed = TAKE(*limits);
    if (!closed)
        return;
    file_leave(closed);
    (void)munmap(closed->buckets, sizeof(Table));
    Arena *arena = closed->arena;
    arena_close(&arena);
}

static bool is_private(const struct stat *file)
{
    return file->st_uid == geteuid() && (file->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

// Removes the files of this user's processes that were killed: whoever lives holds a lock on its own.
static void files_sweep(void)
{
    char ours[NAME_ROOM];
    (void)snprintf(ours, sizeof(ours), FILE_PREFIX, geteuid());
    DIR *all = opendir(SHM_FOLDER);
    for (const struct dirent *entry = NULL; all && (entry = readdir(all));) {
        struct stat found;
        CLEANUP(fd_close) int fd = -1;
        if (strncmp(entry->d_name, ours + 1, strlen(ours + 1)) != 0 || entry->d_type != DT_REG)
            continue;
        fd = openat(dirfd(all), entry->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &found) == 0 && is_private(&found) && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)unlinkat(dirfd(all), entry->d_name, 0);
    }
    if (all)
        (void)closedir(all);
}

// Opens the file, or makes it; another process may remove it between our opening and our lock.
static bool file_join(Limits *limits, Error *err)
{
    for (;;) {
        struct stat found;
        limits->file = shm_open(limits->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (limits->file < 0 || flock(limits->file, LOCK_SH) != 0 || fstat(limits->file, &found) != 0)
            return error_from_errno(err, errno, "the shared table of rate limits can't be opened");
        if (!is_private(&found)) {
            error_set(err, ERR_FORBIDDEN, "the shared table of rate limits isn't taken");
            return error_why(err, SHM_FOLDER "%s is open to others", limits->name);
        }
        if (found.st_nlink > 0)
            return found.st_size >= (off_t)sizeof(Table) || ftruncate(limits->file, sizeof(Table)) == 0 ||
                   error_from_errno(err, errno, "the shared table of rate limits can't be made");
        fd_close(&limits->file);
    }
}

bool limits_share(Limits *limits, uint64_t id, Error *err)
{
    (void)snprintf(limits->name, sizeof(limits->name), FILE_PREFIX "%016llx", geteuid(), (unsigned long long)id);
    if (!file_join(limits, err)) {
        fd_close(&limits->file);
        return false;
    }
    void *table = mmap(NULL, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, limits->file, 0);
    if (table == MAP_FAILED) {
        error_from_errno(err, errno, "the shared table of rate limits can't be read");
        fd_close(&limits->file);
        return false;
    }
    (void)munmap(limits->buckets, sizeof(Table));
    limits->buckets = table;
    files_sweep();
    return true;
}

static Bucket *bucket_of(Limits *limits, int64_t number)
{
    uint64_t hash = (uint64_t)number * 0x9E3779B97F4A7C15ULL >> 48;
    for (unsigned i = 0; i < PROBES; i++) {
        Bucket *bucket = &limits->buckets[(hash + i) % BUCKETS];
        int64_t owner = atomic_load_explicit(&bucket->number, memory_order_relaxed);
        if (owner == 0 && atomic_compare_exchange_strong(&bucket->number, &owner, number))
            return bucket;
        if (owner == number)    // maybe put there by another one a moment ago
            return bucket;
    }
    return &limits->buckets[hash % BUCKETS];
}

// When the bucket will be full again with one token less.
static bool next_full(int64_t full, int64_t per_second, int64_t burst, int64_t now, int64_t *out, int64_t *wait_ms)
{
    const int64_t second_ns = 1000000000, ms_ns = 1000000;
    int64_t token = MAX(second_ns / per_second, (int64_t)1);
    int64_t room = token * (burst > 0 ? burst : per_second);
    *out = MAX(full, now) + token;
    if (*out - now <= room)
        return true;
    *wait_ms = (*out - now - room + ms_ns - 1) / ms_ns;
    return false;
}

bool limits_has(Limits *limits, int64_t number, int64_t per_second, int64_t burst, int64_t now_us, int64_t *wait_ms)
{
    int64_t next = 0;
    return per_second <= 0 || next_full(atomic_load_explicit(&bucket_of(limits, number)->full_ns, memory_order_relaxed),
                                        per_second, burst, now_us * 1000, &next, wait_ms);
}

bool limits_take(Limits *limits, int64_t number, int64_t per_second, int64_t burst, int64_t now_us, int64_t *wait_ms)
{
    if (per_second <= 0)
        return true;
    Bucket *bucket = bucket_of(limits, number);
    int64_t full = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed);
    int64_t next;
    do {
        if (!next_full(full, per_second, burst, now_us * 1000, &next, wait_ms))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
