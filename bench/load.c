// bench/load.c: asks one URL over and over and says how many answers a second of the server's CPU gives.
// load ADDR PORT HOST PATH CONNECTIONS SECONDS SERVER_PID: prints "REQUESTS WALL_S SERVER_CPU_S P50_US P99_US BYTES".
// Answers must be of one size: the first is read whole, the others are counted and thrown away unread (MSG_TRUNC).
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { CONNECTIONS_MAX = 1024, SAMPLES_MAX = 4 * MIB, FIRST_MAX = 4 * MIB };

typedef struct Client {
    int fd;
    size_t left;    // bytes of the answer under way
    int64_t asked_us;
} Client;

typedef struct Load {
    char request[2 * KIB];
    size_t request_len;
    size_t answer_len;
    Client clients[CONNECTIONS_MAX];
    uint32_t samples[SAMPLES_MAX];
    size_t count;
} Load;

static Load load;

static void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int connect_to(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void ask(Client *client)
{
    if (send(client->fd, load.request, load.request_len, MSG_NOSIGNAL) != (ssize_t)load.request_len)
        die("send");
    client->asked_us = clock_us();
    client->left = load.answer_len;
}

// The size of a whole answer with its head: until Content-Length's bytes have come.
static size_t answer_size(int fd)
{
    static char text[FIRST_MAX];
    size_t length = 0;
    if (send(fd, load.request, load.request_len, MSG_NOSIGNAL) != (ssize_t)load.request_len)
        die("send");
    for (;;) {
        ssize_t count = recv(fd, text + length, sizeof(text) - 1 - length, 0);
        if (count <= 0)
            die("first answer");
        length += (size_t)count;
        text[length] = '\0';
        const char *body = strstr(text, "\r\n\r\n"), *size = strcasestr(text, "\r\nContent-Length:");
        if (body && size && length == (size_t)(body + 4 - text) + strtoul(size + 17, NULL, 10))
            break;
    }
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        (void)fprintf(stderr, "load: the answer is %.20s\n", text);
        exit(EXIT_FAILURE);
    }
    return length;
}

// User and system time of a process, from fields 14 and 15 of /proc/PID/stat.
static double cpu_seconds(const char *pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof(text), file))
        die(path);
    (void)fclose(file);
    unsigned long user = 0, kernel = 0;
    const char *after_name = strrchr(text, ')');
    if (!after_name ||
        sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        die("stat");
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static void answered(Client *client)
{
    if (load.count < SAMPLES_MAX)
        load.samples[load.count] = (uint32_t)(clock_us() - client->asked_us);
    load.count++;
    ask(client);
}

static void take(Client *client)
{
    static char ignored[256 * KIB];
    ssize_t count = recv(client->fd, ignored, MIN(client->left, sizeof(ignored)), MSG_TRUNC | MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        die("recv");
    client->left -= (size_t)count;
    if (client->left == 0)
        answered(client);
}

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static unsigned percentile(size_t samples, unsigned percent)
{
    return samples ? load.samples[samples * percent / 100] : 0;
}

static void run(int epoll, int64_t until_us)
{
    while (clock_us() < until_us) {
        struct epoll_event events[CONNECTIONS_MAX];
        int ready = epoll_wait(epoll, events, CONNECTIONS_MAX, 100);
        for (int i = 0; i < ready; i++)
            take(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        (void)fprintf(stderr, "usage: load ADDR PORT HOST PATH CONNECTIONS SECONDS SERVER_PID\n");
        return 64;
    }
    load.request_len =
        (size_t)snprintf(load.request, sizeof(load.request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[3]);
    size_t connections = MIN(strtoul(argv[5], NULL, 10), (unsigned long)CONNECTIONS_MAX);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < connections; i++) {
        Client *client = &load.clients[i];
        client->fd = connect_to(argv[1], argv[2]);
        if (i == 0)
            load.answer_len = answer_size(client->fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
            die("epoll_ctl");
        ask(client);
    }
    run(epoll, clock_us() + 300000);    // warm
    load.count = 0;
    double cpu = cpu_seconds(argv[7]);
    int64_t start_us = clock_us();
    run(epoll, start_us + (int64_t)(strtod(argv[6], NULL) * 1e6));
    double wall = (double)(clock_us() - start_us) / 1e6;
    cpu = cpu_seconds(argv[7]) - cpu;
    size_t samples = MIN(load.count, (size_t)SAMPLES_MAX);
    qsort(load.samples, samples, sizeof(*load.samples), by_size);
    printf("%zu %.3f %.3f %u %u %zu\n", load.count, wall, cpu, percentile(samples, 50), percentile(samples, 99),
           load.answer_len);
    return EXIT_SUCCESS;
}
