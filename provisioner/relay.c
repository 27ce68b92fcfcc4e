// provisioner/relay.c: libpq on one side, an engine's exec on the other.
#include "provisioner/relay.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/image.h"
#include "provisioner/private_socket.h"

enum { BUDGET = 64 * KIB, VISITORS_MAX = 64, CHUNK = 32 * KIB };

typedef struct Visitor {
    struct Relay *relay;
    pthread_t thread;
    int fd;
    bool is_used;    // has a thread that must be joined
    bool is_over;
} Visitor;

struct Relay {
    Arena *arena;
    Engine *engine;    // each visitor's thread opens one like it
    Str container;
    int listener;
    Str path;
    int wake;    // an eventfd that is never read: everybody is to end
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock;    // of `failure` and of visitors' is_over
    Error failure;
    Visitor visitors[VISITORS_MAX];
};

static void failure_set(Relay *relay, const Error *failure)
{
    (void)pthread_mutex_lock(&relay->lock);
    relay->failure = *failure;
    (void)pthread_mutex_unlock(&relay->lock);
}

bool relay_explain(Relay *relay, Error *err)
{
    (void)pthread_mutex_lock(&relay->lock);
    if (relay->failure.code)
        *err = relay->failure;
    relay->failure = (Error){0};
    (void)pthread_mutex_unlock(&relay->lock);
    return false;
}

// ---- one connection

typedef struct Pipe {
    char bytes[CHUNK];
    size_t at, len;
} Pipe;

// From libpq to the process. False when libpq has gone.
static bool carry_up(int fd, EngineExec *exec, Pipe *up, Error *err)
{
    if (up->len == 0) {
        ssize_t len = recv(fd, up->bytes, sizeof(up->bytes), MSG_DONTWAIT);
        if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        up->at = 0;
        up->len = len > 0 ? (size_t)len : 0;
    }
    while (up->len) {
        size_t len = 0;
        if (!engine_exec_send(exec, (Str){up->bytes + up->at, up->len}, &len, err))
            return false;
        if (len == 0)
            return true;
        up->at += len;
        up->len -= len;
    }
    return true;
}

// From the process to libpq; *down is what libpq didn't take yet. False when either has gone.
static bool carry_down(int fd, EngineExec *exec, Str *down, Error *err)
{
    for (;;) {
        while (down->len) {
            ssize_t len = send(fd, down->data, down->len, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (len < 0)
                return errno == EAGAIN || errno == EINTR;
            *down = str_skip(*down, (size_t)len);
        }
        bool is_end = false;
        EngineOutput output = ENGINE_STDOUT;
        if (!engine_exec_receive(exec, down, &output, &is_end, err))
            return false;
        if (down->len == 0)
            return !is_end;
    }
}

static void carry(const Relay *relay, int fd, EngineExec *exec)
{
    CLEANUP(arena_close) Arena *arena = arena_open(sizeof(Pipe) * 2);
    Pipe *up = arena_new(arena, Pipe);
    Str down = S("");
    Error err = {0};    // either side sees that the connection ends
    while (up) {
        if (!carry_down(fd, exec, &down, &err) || !carry_up(fd, exec, up, &err))
            return;
        int there = engine_exec_fd(exec);
        struct pollfd polls[] = {
            {.fd = relay->wake, .events = POLLIN},
            {.fd = fd, .events = (short)((up->len ? 0 : POLLIN) | (down.len ? POLLOUT : 0))},
            {.fd = there, .events = (short)((down.len ? 0 : POLLIN) | (up->len ? POLLOUT : 0))},
        };
        if ((poll(polls, COUNT(polls), -1) < 0 && errno != EINTR) || polls[0].revents)
            return;
    }
}

static void *visitor_run(void *context)
{
    Visitor *visitor = context;
    Relay *relay = visitor->relay;
    // -N: the end of our side is told to PostgreSQL, which closes, and nc ends
    static const char *const ARGV[] = {"sh", "-c",
                                       "cd " IMAGE_SOCKETS "; [ -S " IMAGE_SOCKET " ] || cd " IMAGE_SOCKETS_BEFORE
                                       "; exec nc -N -U " IMAGE_SOCKET,
                                       NULL};
    CLEANUP(engine_close) Engine *engine = NULL;
    CLEANUP(engine_exec_close) EngineExec *exec = NULL;
    Error failure = {0};
    if (engine_open_again(relay->engine, &engine, &failure) &&
        engine_exec(engine, &(EngineExecSpec){.container = relay->container, .argv = ARGV}, &exec, &failure))
        carry(relay, visitor->fd, exec);
    if (failure.code) {
        failure.code = failure.code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_UNREACHABLE;
        error_wrap(&failure, "PostgreSQL in the container '%.*s' can't be reached", STR_ARG(relay->container));
        failure_set(relay, &failure);
    }
    (void)shutdown(visitor->fd, SHUT_RDWR);
    (void)pthread_mutex_lock(&relay->lock);
    visitor->is_over = true;
    (void)pthread_mutex_unlock(&relay->lock);
    return NULL;
}

// ---- the listening thread

static bool is_over(Relay *relay, const Visitor *visitor)
{
    (void)pthread_mutex_lock(&relay->lock);
    bool over = visitor->is_over;
    (void)pthread_mutex_unlock(&relay->lock);
    return over;
}

static void visitor_join(Visitor *visitor)
{
    (void)pthread_join(visitor->thread, NULL);
    fd_close(&visitor->fd);
    *visitor = (Visitor){.fd = -1};
}

static Visitor *place_find(Relay *relay)
{
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        Visitor *visitor = &relay->visitors[i];
        if (visitor->is_used && is_over(relay, visitor))
            visitor_join(visitor);
        if (!visitor->is_used)
            return visitor;
    }
    return NULL;
}

static void visitor_take(Relay *relay)
{
    CLEANUP(fd_close) int fd = private_socket_accept(relay->listener);
    Visitor *visitor = fd < 0 ? NULL : place_find(relay);
    if (!visitor)
        return;
    *visitor = (Visitor){.relay = relay, .fd = fd, .is_used = true};
    if (pthread_create(&visitor->thread, NULL, visitor_run, visitor) == 0)
        (void)fd_take(&fd);
    else
        *visitor = (Visitor){.fd = -1};
}

static void *listen_run(void *context)
{
    Relay *relay = context;
    struct pollfd polls[] = {{.fd = relay->wake, .events = POLLIN}, {.fd = relay->listener, .events = POLLIN}};
    while (poll(polls, COUNT(polls), -1) >= 0 && !polls[0].revents)
        if (polls[1].revents)
            visitor_take(relay);
    for (size_t i = 0; i < VISITORS_MAX; i++)
        if (relay->visitors[i].is_used)
            visitor_join(&relay->visitors[i]);
    return NULL;
}

bool relay_open(const Engine *engine, Str container, Relay **out, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    Relay *relay = arena_new(arena, Relay);
    if (!relay) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    relay->arena = arena;
    relay->listener = relay->wake = -1;
    relay->container = str_copy(arena, container);
    (void)pthread_mutex_init(&relay->lock, NULL);
    if (engine_open_again(engine, &relay->engine, err) &&
        private_socket_listen(S(".s.PGSQL.5432"), arena, &relay->listener, &relay->path, err)) {
        relay->wake = eventfd(0, EFD_CLOEXEC);
        relay->has_thread = relay->wake >= 0 && pthread_create(&relay->thread, NULL, listen_run, relay) == 0;
        if (relay->has_thread) {
            *out = relay;
            return true;
        }
        error_set(err, ERR_NO_MEMORY, "no thread for a container's database");
    }
    relay_close(&relay);
    return false;
}

void relay_close(Relay **relay)
{
    if (!*relay)
        return;
    uint64_t one = 1;
    if ((*relay)->has_thread && write((*relay)->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
        (void)pthread_join((*relay)->thread, NULL);
    private_socket_close(&(*relay)->listener, (*relay)->path);
    fd_close(&(*relay)->wake);
    engine_close(&(*relay)->engine);
    (void)pthread_mutex_destroy(&(*relay)->lock);
    Arena *arena = (*relay)->arena;
    *relay = NULL;
    arena_close(&arena);
}

Str relay_directory(const Relay *relay)
{
    const char *slash = memrchr(relay->path.data, '/', relay->path.len);
    return (Str){relay->path.data, (size_t)(slash - relay->path.data)};
}
