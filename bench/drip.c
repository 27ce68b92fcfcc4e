// bench/drip.c: keeps many connections open that send a byte a second, or read nothing: drip ADDR:PORT COUNT SECONDS
// HOST. Those that the server cuts are opened again. Prints "ready" once all are open, and "OPENED CUT" at the end.
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"

enum { COUNT_MAX = 60000, TURN_MS = 1000, BUDGET = 16 * MIB };

typedef enum Kind { DRIPS_HEAD, DRIPS_BODY, IS_SILENT, READS_NOTHING, KIND_COUNT } Kind;

typedef struct Dripper {
    int fd;
    Kind kind;
    size_t sent;
} Dripper;

typedef struct Drip {
    struct sockaddr_in to;
    Str texts[KIND_COUNT];         // what a connection of the kind sends
    size_t at_once[KIND_COUNT];    // bytes of it that come with the first turn
    size_t opened;
    size_t cut;
} Drip;

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "drip: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void dripper_open(Drip *drip, Dripper *d)
{
    int small = 4096;    // of a reader that reads nothing, so that the server's answer can't leave it
    d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (d->fd < 0 || setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) != 0 ||
        connect(d->fd, (struct sockaddr *)&drip->to, sizeof(drip->to)) != 0)
        die("connect", strerror(errno));
    d->sent = 0;
    drip->opened++;
}

// False: the server has ended it.
static bool dripper_turn(const Drip *drip, Dripper *d)
{
    char answer[1024];
    Str text = drip->texts[d->kind];
    size_t len = d->sent == 0 ? drip->at_once[d->kind] : 1;
    if (d->kind != READS_NOTHING) {
        ssize_t got = recv(d->fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR))
            return false;
    }
    len = MIN(len, text.len - d->sent);
    ssize_t sent = len ? send(d->fd, text.data + d->sent, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (sent > 0)
        d->sent += (size_t)sent;
    return sent >= 0 || errno == EAGAIN;
}

static void texts_make(Drip *drip, const char *host, Arena *arena)
{
    StrBuf many = {.arena = arena}, body = {.arena = arena};
    Str get = str_format(arena, "GET /products/thing HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    for (size_t i = 0; i < 4; i++)
        strbuf_add(&many, get);
    strbuf_format(&body,
                  "POST /cart/lines HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                  "Content-Length: 60000\r\n\r\n",
                  host);
    drip->at_once[DRIPS_BODY] = strbuf_str(&body).len;
    for (size_t i = 0; i < 1000; i++)
        strbuf_add_char(&body, 'a');
    drip->texts[DRIPS_HEAD] = get;
    drip->at_once[DRIPS_HEAD] = 1;
    drip->texts[DRIPS_BODY] = strbuf_str(&body);
    drip->texts[READS_NOTHING] = strbuf_str(&many);
    drip->at_once[READS_NOTHING] = drip->texts[READS_NOTHING].len;
}

int main(int argc, char **argv)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Drip drip = {.to = {.sin_family = AF_INET}};
    Error err = {0};
    char *colon = argc == 5 ? strrchr(argv[1], ':') : NULL;
    if (!colon) {
        (void)fprintf(stderr, "usage: drip ADDR:PORT COUNT SECONDS HOST\n");
        return EXIT_FAILURE;
    }
    *colon = '\0';
    size_t count = MIN(strtoul(argv[2], NULL, 10), (size_t)COUNT_MAX);
    if (count == 0)
        die(argv[2], "it is no number of connections");
    drip.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, argv[1], &drip.to.sin_addr) != 1)
        die(argv[1], "it is no IPv4 address");
    texts_make(&drip, argv[4], arena);
    Dripper *drippers = arena_array(arena, count, Dripper);
    if (!arena_ok(arena, &err))
        die(err.what, err.why);
    for (size_t i = 0; i < count; i++) {
        drippers[i].kind = (Kind)(i % KIND_COUNT);
        dripper_open(&drip, &drippers[i]);
    }
    (void)puts("ready");
    (void)fflush(stdout);
    int64_t end_ms = clock_ms() + (int64_t)strtoul(argv[3], NULL, 10) * TURN_MS, from_ms = clock_ms();
    for (size_t i = 0; clock_ms() < end_ms; i++) {    // evenly over each second
        Dripper *d = &drippers[i % count];
        if (!dripper_turn(&drip, d)) {
            (void)close(d->fd);
            drip.cut++;
            dripper_open(&drip, d);
        }
        int64_t due_ms = from_ms + (int64_t)((i + 1) * TURN_MS / count), now_ms = clock_ms();
        if (due_ms > now_ms)
            clock_sleep_ms(due_ms - now_ms);
    }
    printf("%zu %zu\n", drip.opened, drip.cut);
    return EXIT_SUCCESS;
}
