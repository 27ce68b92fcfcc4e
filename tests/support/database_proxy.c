// tests/support/database_proxy.c: a thread that passes bytes on, or doesn't.
#include "tests/support/database_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pg.h"
#include "tests/support/more_check.h"

enum { PAIRS_MAX = 64, STEP = 16 * KIB, SLOW_MS = 30, WAIT_MS = 1000 };

typedef struct Pair {
    int client, server;
    bool is_dead;
} Pair;

struct DatabaseProxy {
    pthread_t thread;
    pthread_mutex_t lock;    // of all below while the thread isn't in poll
    pthread_cond_t changed;
    ProxyMode wanted, mode;
    bool is_over;
    int listener;
    int wake[2];
    struct sockaddr_un server;
    Pair pairs[PAIRS_MAX];
    size_t count;
    char bytes[STEP];
};

static void pair_close(DatabaseProxy *proxy, size_t i, bool is_reset)
{
    Pair *pair = &proxy->pairs[i];
    struct linger now = {.l_onoff = 1};
    if (is_reset)
        (void)setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    fd_close(&pair->client);
    fd_close(&pair->server);
    *pair = proxy->pairs[--proxy->count];
}

// What PostgreSQL says to a connection that it refuses.
static void refuse(int client, const char *state, const char *message)
{
    char startup[STEP], answer[256];
    struct timeval timeout = {.tv_sec = WAIT_MS / 1000};
    (void)setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)recv(client, startup, sizeof(startup), 0);
    int length = snprintf(answer, sizeof(answer), "E%4cSFATAL%cVFATAL%cC%s%cM%s%c%c", 0, 0, 0, state, 0, message, 0, 0);
    uint32_t size = htonl((uint32_t)length - 1);
    memcpy(answer + 1, &size, sizeof(size));
    (void)send(client, answer, (size_t)length, MSG_NOSIGNAL);
}

static void accept_one(DatabaseProxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0 || proxy->count == PAIRS_MAX) {
        fd_close(&client);
        return;
    }
    Pair *pair = &proxy->pairs[proxy->count++];
    *pair = (Pair){.client = client, .server = -1};
    if (proxy->mode == PROXY_FULL)
        refuse(client, "53300", "sorry, too many clients already");
    else if (proxy->mode == PROXY_STARTING)
        refuse(client, "57P03", "the database system is starting up");
    else if (proxy->mode != PROXY_CUT)
        pair->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair->server < 0 || connect(pair->server, (const struct sockaddr *)&proxy->server, sizeof(proxy->server)) != 0)
        pair_close(proxy, proxy->count - 1, proxy->mode == PROXY_CUT);
}

// False: the connection is over.
static bool pass(DatabaseProxy *proxy, int from, int to)
{
    ssize_t got = recv(from, proxy->bytes, sizeof(proxy->bytes), 0);
    for (ssize_t sent = 0, step = 0; sent < got; sent += step)
        if ((step = send(to, proxy->bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL)) <= 0)
            return false;
    return got > 0;
}

static void pairs_run(DatabaseProxy *proxy, const struct pollfd *polled, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        const struct pollfd *client = &polled[2 * i], *server = &polled[2 * i + 1];
        Pair *pair = &proxy->pairs[i];
        if (server->revents && proxy->mode == PROXY_SLOW)
            clock_sleep_ms(SLOW_MS);
        if ((client->revents && !pass(proxy, pair->client, pair->server)) ||
            (server->revents && !pass(proxy, pair->server, pair->client)))
            pair_close(proxy, i, false);
    }
}

static void mode_take(DatabaseProxy *proxy)
{
    if (proxy->mode == proxy->wanted)
        return;
    proxy->mode = proxy->wanted;
    for (size_t i = proxy->count; i-- > 0;) {
        proxy->pairs[i].is_dead |= proxy->mode == PROXY_DEAD;
        if (!proxy->pairs[i].is_dead && (proxy->mode == PROXY_CUT || proxy->mode == PROXY_STARTING))
            pair_close(proxy, i, true);
    }
    (void)pthread_cond_broadcast(&proxy->changed);
}

static void *proxy_run(void *argument)
{
    DatabaseProxy *proxy = argument;
    (void)pthread_mutex_lock(&proxy->lock);
    while (!proxy->is_over) {
        mode_take(proxy);
        bool is_dead = proxy->mode == PROXY_DEAD, holds = proxy->mode == PROXY_HOLDS;
        struct pollfd polled[2 + 2 * PAIRS_MAX] = {
            {.fd = proxy->wake[0], .events = POLLIN},
            {.fd = is_dead ? -1 : proxy->listener, .events = POLLIN},
        };
        size_t count = proxy->count;
        for (size_t i = 0; i < count; i++) {
            const Pair *pair = &proxy->pairs[i];
            polled[2 + 2 * i] = (struct pollfd){.fd = pair->is_dead ? -1 : pair->client, .events = POLLIN};
            polled[3 + 2 * i] = (struct pollfd){.fd = pair->is_dead || holds ? -1 : pair->server, .events = POLLIN};
        }
        (void)pthread_mutex_unlock(&proxy->lock);
        (void)poll(polled, 2 + 2 * count, -1);
        (void)pthread_mutex_lock(&proxy->lock);
        char woken;
        if (polled[0].revents)
            (void)!read(proxy->wake[0], &woken, 1);
        else {
            pairs_run(proxy, polled + 2, count);
            if (polled[1].revents)
                accept_one(proxy);
        }
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

DatabaseProxy *database_proxy_open(Str dsn, Arena *arena, Str *out_dsn)
{
    DatabaseProxy *proxy = arena_new(arena, DatabaseProxy);
    Error err = {0};
    Str directory;
    ck_assert_ok(dsn_value(dsn, "host", arena, &directory, &err), &err);
    *proxy = (DatabaseProxy){.lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER,
                             .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                             .server = {.sun_family = AF_UNIX}};
    (void)snprintf(proxy->server.sun_path, sizeof(proxy->server.sun_path), "%.*s/.s.PGSQL.5432", STR_ARG(directory));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    ck_assert(bind(proxy->listener, (struct sockaddr *)&address, length) == 0 && listen(proxy->listener, 64) == 0 &&
              getsockname(proxy->listener, (struct sockaddr *)&address, &length) == 0 && pipe(proxy->wake) == 0);
    Str port = str_format(arena, "%u", ntohs(address.sin_port));
    ck_assert_ok(dsn_with(dsn, "host", S("127.0.0.1"), arena, out_dsn, &err), &err);
    ck_assert_ok(dsn_with(*out_dsn, "port", port, arena, out_dsn, &err), &err);
    ck_assert_ok(dsn_with(*out_dsn, "sslmode", S("disable"), arena, out_dsn, &err), &err);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
    return proxy;
}

void database_proxy_set(DatabaseProxy *proxy, ProxyMode mode)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->wanted = mode;
    (void)!write(proxy->wake[1], "", 1);
    while (proxy->mode != mode)
        (void)pthread_cond_wait(&proxy->changed, &proxy->lock);
    (void)pthread_mutex_unlock(&proxy->lock);
}

void database_proxy_close(DatabaseProxy **proxy)
{
    DatabaseProxy *closed = *proxy;
    (void)pthread_mutex_lock(&closed->lock);
    closed->is_over = true;
    (void)!write(closed->wake[1], "", 1);
    (void)pthread_mutex_unlock(&closed->lock);
    (void)pthread_join(closed->thread, NULL);
    while (closed->count > 0)
        pair_close(closed, closed->count - 1, false);
    fd_close(&closed->listener);
    fd_close(&closed->wake[0]);
    fd_close(&closed->wake[1]);
    *proxy = NULL;
}
