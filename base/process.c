// base/process.c: other programs.
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

enum {
    STAT_MAX = 2 * KIB,
    STAT_STARTED = 22,    // field of /proc/PID/stat, see proc(5)
    PID_FILE_MAX = 256,
    PASSWD_MAX = 16 * KIB,
    EXIT_NO_PROGRAM = 127,
};

// ---- who is who ----

static bool read_small(const char *path, char *text, size_t size)
{
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
    text[MAX(length, (ssize_t)0)] = '\0';
    return length > 0;
}

// When the process began, in ticks since the machine did; 0 for one that has ended, reaped or not.
static uint64_t started_of(int pid)
{
    char path[64], text[STAT_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const char *at = read_small(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;    // a name may hold ") "
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    at += 2;
    for (int field = 3; field < STAT_STARTED && at; field++)
        if ((at = strchr(at, ' ')))
            at++;
    return at ? strtoull(at, NULL, 10) : 0;
}

static void boot_id(char text[PID_FILE_MAX])
{
    if (!read_small("/proc/sys/kernel/random/boot_id", text, PID_FILE_MAX))
        (void)snprintf(text, PID_FILE_MAX, "unknown");
    text[strcspn(text, "\n")] = '\0';
}

static bool write_self(const char *pid_path)
{
    char beside[PATH_MAX], boot[PID_FILE_MAX], text[2 * PID_FILE_MAX];
    boot_id(boot);
    int length =
        snprintf(text, sizeof(text), "%d %llu %s\n", (int)getpid(), (unsigned long long)started_of(getpid()), boot);
    (void)snprintf(beside, sizeof(beside), "%s.%d", pid_path, (int)getpid());
    CLEANUP(fd_close) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    if (write(fd, text, (size_t)length) == length && rename(beside, pid_path) == 0)
        return true;
    int number = errno;
    (void)unlink(beside);
    errno = number;
    return false;
}

bool process_write_self(const char *pid_path, Error *err)
{
    return write_self(pid_path) || error_from_errno(err, errno, "the file '%s' can't be written", pid_path);
}

bool process_open_pid(int pid, Process *out, Error *err)
{
    *out = (Process){.pidfd = -1};
    int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (fd < 0) {
        // The last two say, in older and in newer kernels, that the number is a thread's by now.
        if (pid <= 0 || errno == ESRCH || errno == EINVAL || errno == ENOENT)
            return true;
        return error_from_errno(err, errno, "the process %d can't be watched", pid);
    }
    uint64_t started = started_of(pid);    // after the open: what is read now is of the process that the fd holds
    if (started)
        *out = (Process){.pid = pid, .pidfd = fd, .started = started};
    else
        fd_close(&fd);
    return true;
}

bool process_open(const char *pid_path, Process *out, Error *err)
{
    char text[PID_FILE_MAX], boot[PID_FILE_MAX], boot_then[PID_FILE_MAX];
    int pid = 0;
    unsigned long long started = 0;
    *out = (Process){.pidfd = -1};
    boot_id(boot);
    if (!read_small(pid_path, text, sizeof(text)) || sscanf(text, "%d %llu %255s", &pid, &started, boot_then) != 3 ||
        strcmp(boot, boot_then) != 0)
        return true;
    if (!process_open_pid(pid, out, err))
        return false;
    if (out->started != started)
        process_close(out);
    return true;
}

void process_close(Process *process)
{
    if (process->pid)
        fd_close(&process->pidfd);
    *process = (Process){.pidfd = -1};
}

// ---- users ----

bool user_find(const char *name, User *out, Error *err)
{
    char text[PASSWD_MAX];
    struct passwd entry, *found = NULL;
    int number = getpwnam_r(name, &entry, text, sizeof(text), &found);
    if (number != 0)
        return error_from_errno(err, number, "the user '%s' can't be looked up", name);
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "there is no user '%s' on this machine", name);
    *out = (User){.uid = entry.pw_uid, .gid = entry.pw_gid};
    return true;
}

// Nothing to do when we are that user already: only root can become another one.
static bool user_become(const char *name, User user)
{
    if (geteuid() == user.uid && getegid() == user.gid)
        return true;
    return initgroups(name, user.gid) == 0 && setresgid(user.gid, user.gid, user.gid) == 0 &&
           setresuid(user.uid, user.uid, user.uid) == 0;
}

// ---- the child's side ----

static void signals_reset(void)
{
    for (int i = 1; i < NSIG; i++)
        if (i != SIGKILL && i != SIGSTOP)
            (void)signal(i, SIG_DFL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool streams_set(int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return false;
    int to = output > 0 ? output : null;
    return dup2(to, STDOUT_FILENO) >= 0 && dup2(to, STDERR_FILENO) >= 0;
}

typedef struct Failure {    // what the child says through the pipe when it can't become the program
    int number;
    const char *doing;    // a literal of ours: the same address in both
} Failure;

// Above those that are passed, so that none takes another's place.
static int raised(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_PASSED_FIRST + PROCESS_PASSED_MAX); }

static bool passed_set(const ProcessSpec *spec)
{
    int above[PROCESS_PASSED_MAX];
    for (size_t i = 0; i < spec->passed_count; i++)
        if ((above[i] = raised(spec->passed[i])) < 0)
            return false;
    for (size_t i = 0; i < spec->passed_count; i++)
        if (dup2(above[i], PROCESS_PASSED_FIRST + (int)i) < 0)
            return false;
    return true;
}

// With what says of the passed descriptors that they are meant for this process.
static char *const *child_environment(const ProcessSpec *spec)
{
    char **ours = environ, **its = spec->environment ? (char **)(uintptr_t)spec->environment : environ;
    char pid[16], count[16];
    if (spec->passed_count == 0)
        return its;
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)snprintf(count, sizeof(count), "%zu", spec->passed_count);
    environ = its;
    bool ok = setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", count, 1) == 0;
    its = environ;
    environ = ours;    // its PATH finds the program
    return ok ? its : NULL;
}

static const char *child_prepare(const ProcessSpec *spec, User user)
{
    signals_reset();
    if (spec->is_session && setsid() < 0)
        return "make a session of its own";
    if (chdir(spec->directory ? spec->directory : "/") != 0)
        return "enter its directory";
    if (spec->pid_path && !write_self(spec->pid_path))
        return "write its pid file";
    if (spec->user && !user_become(spec->user, user))
        return "become its user";
    if (!streams_set(spec->output))
        return "open its streams";
    if (!passed_set(spec))
        return "take what is passed to it";
    if (close_range(PROCESS_PASSED_FIRST + (unsigned)spec->passed_count, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return "close what isn't its own";
    return NULL;
}

static _Noreturn void child_run(const ProcessSpec *spec, User user, int pipe_fd)
{
    pipe_fd = raised(pipe_fd);
    Failure failure = {.doing = child_prepare(spec, user)};
    char *const *environment = child_environment(spec);
    if (!failure.doing && environment) {
        (void)execvpe(spec->argv[0], (char *const *)spec->argv, environment);
        failure.doing = "be run";
    }
    failure.number = errno;
    ssize_t written = write(pipe_fd, &failure, sizeof(failure));
    _exit(written > 0 ? EXIT_NO_PROGRAM : EXIT_NO_PROGRAM - 1);
}

// ---- ours ----

bool process_start(const ProcessSpec *spec, Process *out, Error *err)
{
    User user = {0};
    int ends[2] = {-1, -1};
    assert(spec->passed_count <= PROCESS_PASSED_MAX);
    if (spec->user && !user_find(spec->user, &user, err))
        return false;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_from_errno(err, errno, "'%s' can't be started", spec->argv[0]);
    CLEANUP(fd_close) int read_end = ends[0];
    CLEANUP(fd_close) int write_end = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_from_errno(err, errno, "'%s' can't be started", spec->argv[0]);
    if (pid == 0)
        child_run(spec, user, write_end);
    fd_close(&write_end);
    Failure failure = {0};
    ssize_t length;
    do
        length = read(read_end, &failure, sizeof(failure));
    while (length < 0 && errno == EINTR);
    if (length == sizeof(failure)) {
        (void)waitpid(pid, NULL, 0);
        error_from_errno(err, failure.number, "'%s' can't be started", spec->argv[0]);
        char text[ERROR_CAUSE];
        return error_why(err, "it can't %s: %s", failure.doing, strerror_r(failure.number, text, sizeof(text)));
    }
    int fd = pidfd_open(pid, 0);    // it is our child: its number can't go to another one before we wait for it
    if (fd < 0) {
        int number = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return error_from_errno(err, number, "'%s' can't be watched", spec->argv[0]);
    }
    *out = (Process){.pid = pid, .pidfd = fd, .started = started_of(pid), .is_child = true};
    return true;
}

int64_t process_age_ms(const Process *process)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return now_ms - (int64_t)(process->started * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool poll_in(int fd, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    for (;;) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int64_t left = MAX(deadline_ms - clock_ms(), (int64_t)0);
        int ready = poll(&one, 1, (int)MIN(left, (int64_t)INT32_MAX));
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

bool is_process_alive(const Process *process) { return process->pid && !poll_in(process->pidfd, 0); }

void process_signal(const Process *process, int signal)
{
    if (process->pid)
        (void)pidfd_send_signal(process->pidfd, signal, NULL, 0);
}

bool has_process_ended(Process *process, int64_t timeout_ms, ProcessEnd *end)
{
    ProcessEnd how = {.exit_code = -1};
    if (process->pid && !poll_in(process->pidfd, timeout_ms))
        return false;
    siginfo_t info = {0};
    if (process->pid && process->is_child && waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) == 0) {
        if (info.si_code == CLD_EXITED)
            how.exit_code = info.si_status;
        else
            how.signal = info.si_status;
    }
    process_close(process);
    *end = how;
    return true;
}

bool process_stop(Process *process, int signal, int64_t timeout_ms)
{
    ProcessEnd end = {0};
    process_signal(process, signal);
    if (has_process_ended(process, timeout_ms, &end))
        return true;
    process_signal(process, SIGKILL);
    while (!has_process_ended(process, INT32_MAX, &end))
        continue;
    return false;
}

// ---- running to the end ----

// Keeps what fits. False at the end of the stream.
static bool output_read(int fd, StrBuf *buf)
{
    char step[4 * KIB];
    ssize_t length = read(fd, step, sizeof(step));
    if (length > 0 && buf->len < PROCESS_OUTPUT_MAX)
        strbuf_add(buf, (Str){step, MIN((size_t)length, PROCESS_OUTPUT_MAX - buf->len)});
    return length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN));
}

// Reads until the process has ended: a child of its own may hold the stream open for longer.
static bool output_wait(Process *process, int fd, int64_t deadline_ms, StrBuf *buf, ProcessEnd *end)
{
    bool is_open = true;
    for (;;) {
        struct pollfd both[] = {{.fd = process->pidfd, .events = POLLIN}, {.fd = is_open ? fd : -1, .events = POLLIN}};
        int64_t left = MAX(deadline_ms - clock_ms(), (int64_t)0);
        int ready = poll(both, COUNT(both), (int)MIN(left, (int64_t)INT32_MAX));
        if (ready == 0)
            return false;
        if (ready > 0 && both[1].revents)
            is_open = output_read(fd, buf);
        else if (ready > 0 && both[0].revents)
            return has_process_ended(process, 0, end);
    }
}

static Str last_line(Str text)
{
    text = str_trim(text);
    const char *newline = text.len ? memrchr(text.data, '\n', text.len) : NULL;
    return newline ? str_skip(text, (size_t)(newline + 1 - text.data)) : text;
}

bool process_run(const ProcessSpec *spec, int64_t timeout_ms, Arena *arena, Str *out, Error *err)
{
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_from_errno(err, errno, "'%s' can't be started", spec->argv[0]);
    CLEANUP(fd_close) int read_end = ends[0];
    CLEANUP(fd_close) int write_end = ends[1];
    ProcessSpec own = *spec;
    own.output = write_end;
    own.pid_path = NULL;
    own.is_session = true;
    Process process = {0};
    if (!process_start(&own, &process, err))
        return false;
    fd_close(&write_end);
    StrBuf buf = {.arena = arena};
    ProcessEnd end = {0};
    int pid = process.pid;
    if (!output_wait(&process, read_end, clock_ms() + timeout_ms, &buf, &end)) {
        (void)kill(-pid, SIGKILL);
        (void)process_stop(&process, SIGKILL, 0);
        error_set(err, ERR_FAILED, "'%s' was stopped", spec->argv[0]);
        return error_why(err, "it took more than %lld ms", (long long)timeout_ms);
    }
    Str output = strbuf_str(&buf);
    if (!arena_ok(arena, err))
        return false;
    if (end.exit_code != 0) {
        error_set(err, ERR_FAILED, "'%s' failed", spec->argv[0]);
        Str line = last_line(output);
        if (end.signal)
            return error_why(err, "signal %d ended it", end.signal);
        return line.len ? error_why(err, "%.*s", STR_ARG(line)) : error_why(err, "its exit code is %d", end.exit_code);
    }
    *out = output;
    return true;
}

bool process_call_as(const char *name, ProcessCall *call, void *context, int *out, Error *err)
{
    enum { CALL_NO_USER = 255 };
    User user = {0};
    if (name && !user_find(name, &user, err))
        return false;
    pid_t pid = fork();
    if (pid < 0)
        return error_from_errno(err, errno, "no child can be started");
    if (pid == 0)
        _exit(name && !user_become(name, user) ? CALL_NO_USER : call(context));
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == CALL_NO_USER)
        return error_set(err, ERR_FORBIDDEN, "we can't become the user '%s'", name ? name : "");
    *out = WEXITSTATUS(status);
    return true;
}
