// cli/tenant_container.c: `shopctl tenant logs|psql|restart`.
#include "cli/tenant_container.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/image.h"
#include "provisioner/tenant_container.h"
#include "provisioner/unit.h"

enum { INPUT_CHUNK = 16 * KIB, ARGUMENTS_MAX = 64, RESIZE_POLL_MS = 500 };

static bool open_for(const CommandCall *call, Str role, Platform **platform, TenantContainer *out, Error *err)
{
    Slug slug = {0};
    return slug_parse(command_argument(call, 0), &slug, err) && platform_open(call->settings, platform, err) &&
           tenant_container_find(*platform, slug, role, call->arena, out, err);
}

// ---- logs

// "10m", "2h": so long ago; or a time as RFC 3339 has it.
static bool since_read(const CommandCall *call, int64_t *out, Error *err)
{
    Str text = command_text(call, "since");
    int64_t seconds = 0;
    struct tm tm = {0};
    *out = 0;
    if (text.len == 0)
        return true;
    const char *rest = strptime(str_copy(call->arena, text).data, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest && (*rest == '\0' || *rest == 'Z' || *rest == '.')) {
        *out = (int64_t)timegm(&tm);
        return true;
    }
    if (unit_parse(UNIT_SECONDS, text, &seconds, err)) {
        *out = clock_unix_ms() / 1000 - seconds;
        return true;
    }
    err->code = ERR_USAGE;
    error_where(err, "--since");
    return error_next(err, "write it as in 10min, 2h or 2026-11-25T08:00:00Z");
}

static bool log_put(void *context, Str bytes, Error *err)
{
    (void)context;
    return output_text(bytes, stdout, err) &&
           (fflush(stdout) == 0 || error_from_errno(err, errno, "the log can't be written"));
}

bool tenant_logs_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    TenantContainer container;
    ContainerLogSpec spec = {.lines = command_int(call, "tail"), .must_follow = command_flag(call, "follow")};
    return since_read(call, &spec.since_s, err) &&
           open_for(call, command_text(call, "container"), &platform, &container, err) &&
           container_log(container.engine, container.name, &spec, log_put, NULL, err);
}

// ---- psql

typedef struct Terminal {
    struct termios before;
    bool is_raw;
} Terminal;

static void terminal_restore(Terminal *terminal)
{
    if (terminal->is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->before);
    terminal->is_raw = false;
}

static bool terminal_raw(Terminal *terminal)
{
    if (tcgetattr(STDIN_FILENO, &terminal->before) != 0)
        return false;
    struct termios raw = terminal->before;
    cfmakeraw(&raw);
    terminal->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    return terminal->is_raw;
}

// The window's size, told to psql whenever it has changed.
static void window_follow(Engine *engine, const EngineExec *exec, struct winsize *known)
{
    struct winsize now = {0};
    Error ignored = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) != 0 || (now.ws_row == known->ws_row && now.ws_col == known->ws_col))
        return;
    if (engine_exec_resize(engine, exec, now.ws_row, now.ws_col, &ignored))
        *known = now;
}

static bool output_carry(EngineExec *exec, bool *out_end, Error *err)
{
    for (Str part = S("x"); part.len && !*out_end;) {
        EngineOutput output = ENGINE_STDOUT;
        if (!engine_exec_receive(exec, &part, &output, out_end, err) ||
            !output_text(part, output == ENGINE_STDERR ? stderr : stdout, err))
            return false;
    }
    (void)fflush(stdout);
    return true;
}

// psql takes no more of its input until what it says is taken.
static bool all_sent(EngineExec *exec, Str bytes, bool *out_end, Error *err)
{
    while (bytes.len && !*out_end) {
        size_t len = 0;
        if (!engine_exec_send(exec, bytes, &len, err))
            return false;
        bytes = str_skip(bytes, len);
        if (len > 0)
            continue;
        struct pollfd wait = {.fd = engine_exec_fd(exec), .events = POLLIN | POLLOUT};
        (void)poll(&wait, 1, RESIZE_POLL_MS);
        if (!output_carry(exec, out_end, err))
            return false;
    }
    return true;
}

// The end of a pipe is told to psql by its own command, since one direction of the stream can't be closed alone.
static bool input_carry(EngineExec *exec, bool *is_open, bool *out_end, Error *err)
{
    char buf[INPUT_CHUNK];
    ssize_t len = read(STDIN_FILENO, buf, sizeof(buf));
    if (len < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (len > 0)
        return all_sent(exec, (Str){buf, (size_t)len}, out_end, err);
    *is_open = false;
    return all_sent(exec, S("\n\\q\n"), out_end, err);
}

// Until psql ends, or a signal comes: *out_signal is its number then.
static bool carry(Engine *engine, EngineExec *exec, bool is_terminal, int signals, unsigned *out_signal, Error *err)
{
    struct winsize known = {0};
    bool is_open = true, is_end = false;
    while (!is_end) {
        struct pollfd polls[] = {{.fd = engine_exec_fd(exec), .events = POLLIN},
                                 {.fd = is_open ? STDIN_FILENO : -1, .events = POLLIN},
                                 {.fd = signals, .events = POLLIN}};
        struct signalfd_siginfo signal;
        if (is_terminal)
            window_follow(engine, exec, &known);
        int ready = poll(polls, COUNT(polls), RESIZE_POLL_MS);
        if (ready > 0 && polls[2].revents && read(signals, &signal, sizeof(signal)) == sizeof(signal)) {
            *out_signal = signal.ssi_signo;
            return true;
        }
        if ((ready > 0 && polls[1].revents && !input_carry(exec, &is_open, &is_end, err)) ||
            !output_carry(exec, &is_end, err))
            return false;
    }
    return true;
}

typedef struct Signals {
    int fd;
    sigset_t before;
} Signals;

static void signals_close(Signals *signals)
{
    if (signals->fd < 0)
        return;
    fd_close(&signals->fd);
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

// What would end this process comes by a descriptor instead: psql and its statement run elsewhere, and would go on. To
// be called before any thread is started, which would take it.
static bool signals_open(Signals *out, Error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, &out->before);
    out->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (out->fd >= 0)
        return true;
    error_from_errno(err, errno, "signals can't be waited for");
    (void)pthread_sigmask(SIG_SETMASK, &out->before, NULL);
    return false;
}

static bool sessions_end(Platform *platform, Str cell, Str application, Error *err)
{
    Db *db = NULL;
    return platform_cell(platform, cell, &db, err) &&
           db_run(db, S("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1"),
                  PARAMS(application), err);
}

bool tenant_psql_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(engine_exec_close) EngineExec *exec = NULL;
    CLEANUP(terminal_restore) Terminal terminal = {.is_raw = false};
    CLEANUP(signals_close) Signals signals = {.fd = -1};
    TenantContainer container;
    unsigned signal = 0;
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!signals_open(&signals, err) || !open_for(call, S("postgres"), &platform, &container, err))
        return false;
    const char *argv[ARGUMENTS_MAX] = {"psql", "-h", IMAGE_SOCKETS_ALL, "-U", "shop_owner", "-d", "cell"};
    size_t count = 7;
    Str sql = command_text(call, "command");
    if (sql.len) {
        argv[count++] = "-c";
        argv[count++] = sql.data;
    }
    Str path = str_format(call->arena, "PGOPTIONS=-c search_path=t_%lld,cell,public", (long long)container.number);
    const char *term = getenv("TERM");
    Str terminal_kind = str_format(call->arena, "TERM=%s", term ? term : "dumb");
    Str application = str_format(call->arena, "shopctl psql %d %lld", (int)getpid(), (long long)clock_unix_ms()),
        own_name = str_format(call->arena, "PGAPPNAME=%.*s", STR_ARG(application));
    const char *environment[] = {path.data, terminal_kind.data, own_name.data, "HOME=/tmp", "PAGER=", NULL};
    const EngineExecSpec spec = {.container = container.name,
                                 .argv = argv,
                                 .environment = environment,
                                 .is_terminal = is_terminal,
                                 .has_stderr = !is_terminal};
    if (!arena_ok(call->arena, err) || !engine_exec(container.engine, &spec, &exec, err))
        return error_wrap(err, "psql can't be run for the shop '%.*s'", STR_ARG(command_argument(call, 0)));
    is_terminal = is_terminal && terminal_raw(&terminal);
    if (!carry(container.engine, exec, is_terminal, signals.fd, &signal, err))
        return false;
    terminal_restore(&terminal);
    if (signal) {
        call->exit_code = 128 + (int)signal;
        return sessions_end(platform, container.cell, application, err);
    }
    return engine_exec_status(container.engine, exec, &call->exit_code, err);
}

// ---- restart

bool tenant_restart_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    Slug slug = {0};
    TenantContainer container;
    int64_t away_ms = 0;
    if (!slug_parse(command_argument(call, 0), &slug, err) || !platform_open(call->settings, &platform, err) ||
        !tenant_container_find(platform, slug, S("shopd"), call->arena, &container, err) ||
        (!call->is_dry_run && !tenant_restart(platform, slug, command_flag(call, "postgres"), &away_ms, err)))
        return false;
    answer = json_build("{s:s%, s:o}", "slug", slug.text.data, slug.text.len, "away_ms",
                        call->is_dry_run ? json_build("n") : json_from_int(away_ms));
    return json_ok(answer, err) && command_answer(call, answer, err);
}
