// provisioner/cluster.c: making, configuring and finding the embedded PostgreSQL.
#include "provisioner/cluster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/postgres_settings.h"

enum {
    BUDGET = MIB,
    VERSION_MIN = 15,
    INITDB_TIMEOUT_MS = 120000,
    REMOVE_TIMEOUT_MS = 60000,
    SMALL_FILE_MAX = 4 * KIB,
    POSTMASTER_STATUS_LINE = 8,    // of postmaster.pid
    STEP_MS = 10,
    BUFFERS_MIN_MB = 64,
    BUFFERS_MAX_MB = 1024,
};

static const char PROGRAMS_ROOT[] = "/usr/lib/postgresql";

// ---- PostgreSQL's programs ----

static bool has_programs(Arena *arena, Str directory)
{
    Str server = place_path(arena, directory, "postgres"), maker = place_path(arena, directory, "initdb");
    return server.len && maker.len && access(server.data, X_OK) == 0 && access(maker.data, X_OK) == 0;
}

static int64_t cluster_version(const Place *place, Arena *arena)
{
    Error ignored = {0};
    Str text;
    int64_t version = 0;
    if (!file_read(place_path(arena, place->pg, "PG_VERSION"), SMALL_FILE_MAX, arena, &text, &ignored) ||
        !str_int64(str_trim(text), 1, INT32_MAX, &version, &ignored))
        return 0;
    return version;
}

static int64_t newest_version(Arena *arena)
{
    int64_t newest = 0;
    DIR *root = opendir(PROGRAMS_ROOT);
    for (struct dirent *entry; root && (entry = readdir(root));) {
        Error ignored = {0};
        int64_t version = 0;
        if (str_int64(str_of(entry->d_name), VERSION_MIN, INT32_MAX, &version, &ignored) && version > newest &&
            has_programs(arena, str_format(arena, "%s/%s/bin", PROGRAMS_ROOT, entry->d_name)))
            newest = version;
    }
    if (root)
        (void)closedir(root);
    return newest;
}

bool cluster_programs(const Place *place, Str setting, Arena *arena, Str *out, Error *err)
{
    int64_t made_by = cluster_version(place, arena);
    if (setting.len) {
        if (!has_programs(arena, setting)) {
            error_set(err, ERR_NOT_FOUND, "there is no PostgreSQL in '%.*s'", STR_ARG(setting));
            error_why(err, "the programs postgres and initdb aren't there, or we may not run them");
            return error_next(err, "set postgres_bin to the directory that holds them");
        }
        *out = str_copy(arena, setting);
        return arena_ok(arena, err);
    }
    int64_t version = made_by ? made_by : newest_version(arena);
    Str programs = str_format(arena, "%s/%lld/bin", PROGRAMS_ROOT, (long long)version);
    if (!arena_ok(arena, err))
        return false;
    if (version == 0 || !has_programs(arena, programs)) {
        error_set(err, ERR_NOT_FOUND, "PostgreSQL %lld%s isn't installed", (long long)(made_by ? made_by : VERSION_MIN),
                  made_by ? "" : " or newer");
        if (made_by)
            error_why(err, "it made the cluster '%.*s'", STR_ARG(place->pg));
        else
            error_why(err, "'%s/*/bin' holds no such version", PROGRAMS_ROOT);
        return error_next(err, "apt-get install postgresql-%lld, or set postgres_bin to the directory of its programs",
                          (long long)(made_by ? made_by : VERSION_MIN));
    }
    *out = programs;
    return true;
}

// ---- making it ----

static bool run_as(const Place *place, const char *const *argv, int64_t timeout_ms, Error *err)
{
    static const char *const ENVIRONMENT[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str output;
    return process_run(&(ProcessSpec){.argv = argv, .environment = ENVIRONMENT, .user = place->database_user},
                       timeout_ms, arena, &output, err);
}

bool is_cluster_made(const Place *place) { return file_exists(place->pg); }

// A half-made one, or the files that initdb leaves and we don't use: removed as their owner, who could otherwise have
// us remove something else.
static bool remove_as(const Place *place, const char *const *paths, Error *err)
{
    const char *argv[8] = {"rm", "-rf", "--"};
    for (size_t i = 0; i < COUNT(argv) - 4 && paths[i]; i++)
        argv[3 + i] = paths[i];
    return run_as(place, argv, REMOVE_TIMEOUT_MS, err);
}

static bool made_directory(const Place *place, Str path, Error *err)
{
    User user = {.uid = geteuid(), .gid = getegid()};
    if (place->database_user && !user_find(place->database_user, &user, err))
        return false;
    if (mkdir(path.data, 0700) != 0 && errno != EEXIST)
        return error_from_errno(err, errno, "the directory '%s' can't be made", path.data);
    return lchown(path.data, user.uid, user.gid) == 0 ||
           error_from_errno(err, errno, "the directory '%s' can't be given to '%s'", path.data, place->database_login);
}

bool cluster_make(const Place *place, Str programs, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str making = str_format(arena, "%.*s.new", STR_ARG(place->pg));
    // An initdb whose caller was killed goes on: it holds the lock to its end, and what it made is removed.
    static const char SCRIPT[] = "find \"$1\" -mindepth 1 -delete && exec \"$2\" --pgdata \"$1\" --username=shop_owner "
                                 "--encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth=peer --no-instructions";
    const char *const argv[] = {
        "flock", making.data, "sh", "-c", SCRIPT, "sh", making.data, place_path(arena, programs, "initdb").data, NULL};
    const char *const unused[] = {place_path(arena, making, "pg_hba.conf").data,
                                  place_path(arena, making, "pg_ident.conf").data,
                                  place_path(arena, making, "postgresql.conf").data, NULL};
    if (!arena_ok(arena, err))
        return false;
    if (!made_directory(place, making, err))
        return false;
    if (!run_as(place, argv, INITDB_TIMEOUT_MS, err))
        return error_wrap(err, "the PostgreSQL cluster '%.*s' can't be made", STR_ARG(place->pg));
    if (!remove_as(place, unused, err))
        return false;
    return rename(making.data, place->pg.data) == 0 ||
           error_from_errno(err, errno, "the cluster can't be moved to '%.*s'", STR_ARG(place->pg));
}

bool cluster_owner_check(const Place *place, Error *err)
{
    struct stat about;
    User user = {.uid = geteuid()};
    if (place->database_user && !user_find(place->database_user, &user, err))
        return false;
    if (stat(place->pg.data, &about) != 0)
        return error_from_errno(err, errno, "the cluster '%.*s' can't be used", STR_ARG(place->pg));
    if (about.st_uid == user.uid)
        return true;
    error_set(err, ERR_STATE, "'%s' can't run the cluster '%.*s'", place->database_login, STR_ARG(place->pg));
    error_why(err, "its files belong to user %u", (unsigned)about.st_uid);
    return error_next(err, "run shopctl as the user who made it, or set database_user");
}

// ---- its settings ----

// A text inside of single quotes in postgresql.conf.
static Str quoted(Arena *arena, Str text)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            strbuf_add_char(&buf, text.data[i]);
        strbuf_add_char(&buf, text.data[i]);
    }
    return strbuf_str(&buf);
}

static unsigned buffers_mb(void)
{
    struct sysinfo about;
    unsigned long long total_mb = sysinfo(&about) == 0 ? (unsigned long long)about.totalram * about.mem_unit / MIB : 0;
    return (unsigned)MIN(MAX(total_mb / 8, (unsigned long long)BUFFERS_MIN_MB), (unsigned long long)BUFFERS_MAX_MB);
}

static Str settings_text(const Place *place, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    Str run = quoted(arena, place->run);
    strbuf_format(&buf, "# Written by `shopctl up` each time. Your own settings: '%.*s/custom.conf', read last.\n",
                  STR_ARG(place->data));
    strbuf_format(&buf, "data_directory = '%.*s'\n", STR_ARG(quoted(arena, place->pg)));
    strbuf_format(&buf, "hba_file = '%.*s/pg_hba.conf'\nident_file = '%.*s/pg_ident.conf'\n", STR_ARG(run),
                  STR_ARG(run));
    strbuf_format(&buf, "listen_addresses = ''\nunix_socket_directories = '%.*s%s%.*s'\n", STR_ARG(place->sockets),
                  place->shopd_sockets.len ? ", " : "", STR_ARG(place->shopd_sockets));
    strbuf_format(&buf, "shared_buffers = %uMB\n", buffers_mb());
    strbuf_add(&buf,
               S("unix_socket_permissions = 0777    # the directories say who may come\n"
                 "max_connections = 200\n"
                 "max_wal_size = 2GB\n"
                 "max_slot_wal_keep_size = 16GB\n"    // of a move that nobody finalizes
                 "checkpoint_timeout = 2min\n"
                 "recovery_init_sync_method = syncfs    # a file at a time takes seconds with many tenants\n"
                 "autovacuum = on\n"
                 "autovacuum_naptime = 20s\n"
                 "# Whenever a table is vacuumed or analyzed, each backend goes through all plans that it keeps, of\n"
                 "# all shops that it has met: the small tables of 1,000 shops can wait.\n"
                 "autovacuum_vacuum_threshold = 500\n"
                 "autovacuum_vacuum_insert_threshold = 10000\n"
                 "autovacuum_analyze_threshold = 1000\n"
                 "autovacuum_vacuum_scale_factor = 0.1\n"
                 "autovacuum_analyze_scale_factor = 0.05\n"
                 "logging_collector = off    # to log/postgres.log, by the supervisor\n" POSTGRES_SETTINGS));
    if (file_exists(place_path(arena, place->data, "custom.conf")))
        strbuf_format(&buf, "include = '%.*s/custom.conf'\n", STR_ARG(quoted(arena, place->data)));
    return strbuf_str(&buf);
}

// A user's name as pg_ident.conf wants it; one that begins with a slash would be a pattern.
static void ident_line(StrBuf *buf, const char *login, Str role)
{
    strbuf_format(buf, "shop \"%s\" \"%.*s\"\n", login, STR_ARG(role));
}

static Str ident_text(const Place *place, const Str *databases, size_t count, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    const char *const logins[] = {"root", place->database_login, place->shopd_login};
    bool is_other = strcmp(place->database_login, "root") != 0;
    strbuf_add(&buf, S("# Written by `shopctl up`: map, user of the system, role.\n"));
    ident_line(&buf, "root", S("shop_owner"));
    if (is_other)
        ident_line(&buf, place->database_login, S("shop_owner"));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < COUNT(logins); j++)
            if (j == 0 || strcmp(logins[j], logins[j - 1]) != 0)
                ident_line(&buf, logins[j], str_format(arena, "%.*s_shopd", STR_ARG(databases[i])));
    return strbuf_str(&buf);
}

bool cluster_configure(const Place *place, const Str *databases, size_t count, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    static const char ACCESS[] = "# Written by `shopctl up`: who is who is what the kernel says (peer), nothing else.\n"
                                 "local all all peer map=shop\n"
                                 "local replication all peer map=shop\n";
    const struct {
        Str path, text;
    } files[] = {
        {place_path(arena, place->run, "pg_hba.conf"), str_of(ACCESS)},
        {place_path(arena, place->run, "pg_ident.conf"), ident_text(place, databases, count, arena)},
        {place_path(arena, place->run, "postgresql.conf"), settings_text(place, arena)},
    };
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < COUNT(files); i++)
        if (!file_write(files[i].path, files[i].text, 0644, err))
            return false;
    return true;
}

Str cluster_dsn(const Place *place, Arena *arena, Str database)
{
    return str_format(arena, "host=%.*s dbname=%.*s user=shop_owner", STR_ARG(place->sockets), STR_ARG(database));
}

Str cluster_shopd_dsn(const Place *place, Arena *arena, Str database)
{
    Str host = place->shopd_sockets.len ? place->shopd_sockets : place->sockets;
    return str_format(arena, "host=%.*s dbname=%.*s user=%.*s_shopd", STR_ARG(host), STR_ARG(database),
                      STR_ARG(database));
}

// ---- its processes ----

bool cluster_spec(const Place *place, Str programs, Arena *arena, ProcessSpec *out, Error *err)
{
    static const char *const ENVIRONMENT[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL};
    const char **argv = arena_array(arena, 4, const char *);
    Str program = place_path(arena, programs, "postgres");
    Str settings = str_format(arena, "--config-file=%.*s/postgresql.conf", STR_ARG(place->run));
    if (!arena_ok(arena, err))
        return false;
    argv[0] = program.data;
    argv[1] = settings.data;
    *out = (ProcessSpec){.argv = argv,
                         .environment = ENVIRONMENT,
                         .user = place->database_user,
                         .directory = place->pg.data,
                         .is_session = true};
    return true;
}

// The n-th line of postmaster.pid, empty where there is none.
static Str postmaster_line(const Place *place, Arena *arena, unsigned number)
{
    Error ignored = {0};
    Str text = S(""), line = S("");
    if (!file_read(place_path(arena, place->pg, "postmaster.pid"), SMALL_FILE_MAX, arena, &text, &ignored))
        return S("");
    for (unsigned i = 0; i < number; i++)
        if (!str_cut(&text, '\n', &line))
            return S("");
    return str_trim(line);
}

// A process of PostgreSQL's works in its data directory and nowhere else.
static bool is_of_cluster(const struct stat *pg, const char *pid)
{
    char path[64], name[32] = "";
    struct stat where;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, name, sizeof(name) - 1) <= 0 || strncmp(name, "postgres", strlen("postgres")) != 0)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/cwd", pid);
    return stat(path, &where) == 0 && where.st_dev == pg->st_dev && where.st_ino == pg->st_ino;
}

static size_t cluster_processes(const Place *place, int pids[CLUSTER_PROCESSES_MAX])
{
    struct stat pg;
    size_t count = 0;
    DIR *all = stat(place->pg.data, &pg) == 0 ? opendir("/proc") : NULL;
    for (struct dirent *entry; all && count < CLUSTER_PROCESSES_MAX && (entry = readdir(all));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_of_cluster(&pg, entry->d_name))
            pids[count++] = (int)strtol(entry->d_name, NULL, 10);
    if (all)
        (void)closedir(all);
    return count;
}

bool cluster_open(const Place *place, Process *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    struct stat pg;
    Error ignored = {0};
    int64_t pid = 0;
    Str first = postmaster_line(place, arena, 1);
    *out = (Process){.pidfd = -1};
    if (!str_int64(first, 1, INT32_MAX, &pid, &ignored) || stat(place->pg.data, &pg) != 0)
        return true;
    if (!process_open_pid((int)pid, out, err))
        return false;
    if (out->pid && !is_of_cluster(&pg, str_int(arena, pid).data))
        process_close(out);
    return true;
}

bool is_cluster_ready(const Place *place)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    return str_eq(postmaster_line(place, arena, POSTMASTER_STATUS_LINE), S("ready"));
}

bool cluster_clear(const Place *place, Error *err)
{
    // With no signal they go by themselves; SIGQUIT makes one in the middle of a query go; SIGKILL any other.
    static const struct {
        int signal;
        int64_t wait_ms;
    } ROUNDS[] = {{0, 300}, {SIGQUIT, 200}, {SIGKILL, 2000}};
    int pids[CLUSTER_PROCESSES_MAX];
    size_t count = cluster_processes(place, pids);
    for (size_t round = 0; round < COUNT(ROUNDS) && count > 0; round++) {
        for (size_t i = 0; i < count && ROUNDS[round].signal; i++)
            (void)kill(pids[i], ROUNDS[round].signal);
        for (int64_t deadline_ms = clock_ms() + ROUNDS[round].wait_ms; count > 0 && clock_ms() < deadline_ms;) {
            clock_sleep_ms(STEP_MS);
            count = cluster_processes(place, pids);
        }
    }
    if (count > 0) {
        error_set(err, ERR_BUSY, "%zu processes of the former PostgreSQL server don't end", count);
        return error_why(err, "process %d is one", pids[0]);
    }
    // A dead server's number may still be taken, by a stranger or by itself where nobody reaps it.
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const Str locks[] = {
        place_path(arena, place->pg, "postmaster.pid"), place_path(arena, place->sockets, ".s.PGSQL.5432.lock"),
        place_path(arena, place->shopd_sockets.len ? place->shopd_sockets : place->sockets, ".s.PGSQL.5432.lock")};
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < COUNT(locks); i++)
        if (unlink(locks[i].data) != 0 && errno != ENOENT && errno != ENOTDIR)
            return error_from_errno(err, errno, "'%s' can't be removed", locks[i].data);
    return true;
}
