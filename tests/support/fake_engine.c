// tests/support/fake_engine.c: a thread that listens, and one for each connection.
#include "tests/support/fake_engine.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"

enum { DRIP_MS = 50, POLL_MS = 20 };

struct FakeEngine {
    char directory[64];
    char socket[96];
    int listener;
    pthread_t thread;
    atomic_bool is_over;
    Str answer;
    FakeEnd end;
};

static bool is_gone(int fd, int wait_ms)
{
    char buf[KIB * 4];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, wait_ms) > 0 && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0;
}

static bool say(int fd, Str bytes) { return send(fd, bytes.data, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len; }

static void answer(const FakeEngine *fake, int fd)
{
    char request[KIB * 16];
    if (recv(fd, request, sizeof(request), 0) <= 0)
        return;
    if (fake->end == FAKE_DRIPS) {
        for (size_t i = 0; i < fake->answer.len && !fake->is_over; i++)
            if (!say(fd, str_slice(fake->answer, i, i + 1)) || is_gone(fd, DRIP_MS))
                return;
        return;
    }
    bool is_open = say(fd, fake->answer);
    if (fake->end == FAKE_REPEATS) {
        char many[KIB * 64];
        size_t len = 0;
        for (; len + fake->answer.len <= sizeof(many); len += fake->answer.len)
            memcpy(many + len, fake->answer.data, fake->answer.len);
        while (is_open && !fake->is_over)
            is_open = say(fd, (Str){many, len});
    }
    while (is_open && fake->end == FAKE_HANGS && !fake->is_over)
        is_open = !is_gone(fd, POLL_MS);
}

static void *serve(void *context)
{
    FakeEngine *fake = context;
    struct pollfd poll_fd = {.fd = fake->listener, .events = POLLIN};
    while (!fake->is_over) {
        if (poll(&poll_fd, 1, POLL_MS) <= 0)
            continue;
        CLEANUP(fd_close) int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            answer(fake, fd);
    }
    return NULL;
}

FakeEngine *fake_engine_open(Str *out_socket)
{
    FakeEngine *fake = calloc(1, sizeof(*fake));
    ck_assert_ptr_nonnull(fake);
    (void)snprintf(fake->directory, sizeof(fake->directory), "/tmp/shop-fake.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fake->directory));
    (void)snprintf(fake->socket, sizeof(fake->socket), "%s/sock", fake->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, fake->socket, strlen(fake->socket));
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fake->listener, SOMAXCONN), 0);
    ck_assert_int_eq(pthread_create(&fake->thread, NULL, serve, fake), 0);
    *out_socket = str_of(fake->socket);
    return fake;
}

void fake_engine_set(FakeEngine *fake, Str bytes, FakeEnd end)
{
    fake->answer = bytes;
    fake->end = end;
}

void fake_engine_close(FakeEngine **fake)
{
    (*fake)->is_over = true;
    (void)pthread_join((*fake)->thread, NULL);
    (void)close((*fake)->listener);
    (void)unlink((*fake)->socket);
    (void)rmdir((*fake)->directory);
    free(*fake);
    *fake = NULL;
}
