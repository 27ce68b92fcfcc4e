// bench/load.c: sends requests over kept connections, and says how many answers came, how soon, and for how much CPU.
// Prints "ANSWERS WALL_S CPU_S P50_US P99_US BYTES WRONG". A line of the file is METHOD, HOST and PATH, and for a body
// the Idempotency-Key and the JSON, with tabs between. With -r a request is due at a fixed time and its answer's time
// counts from there, so that a server that is late can't slow its own measurement down.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

enum {
    CONNECTIONS_MAX = 1024,
    SAMPLES_MAX = 4 * MIB,
    PIDS_MAX = 64,
    HEAD_MAX = 4 * KIB,
    SKIP_BYTES = 256 * KIB,
    BUDGET = 512 * MIB,
    US_PER_S = 1000000
};

typedef struct Client {
    int fd;
    size_t left;    // bytes of the answer that are still to come, once its head is there
    size_t head_len;
    bool is_asked;
    int status;
    int64_t asked_us;
    char head[HEAD_MAX];
} Client;

typedef struct Load {
    struct sockaddr_in to;
    Str *requests;
    size_t request_count;
    size_t next;    // to be sent; goes round unless is_once
    bool is_once;
    size_t skipped;       // with is_once: answers at the start that aren't counted
    size_t goal;          // with is_once: answers that end the run
    double rate;          // requests a second; 0: as many as can be answered
    int64_t start_us;     // of what is counted
    size_t sent;          // since then
    int status;           // that every answer must have; 0: any
    size_t answer_len;    // of every answer, where there is but one request: then heads aren't read
    int epoll;
    size_t client_count;
    Client *clients;
    Client **idle;    // with a rate: those that wait for the next one's time
    size_t idle_count;
    uint32_t *samples;
    size_t answers;
    size_t bytes;
    size_t wrong;
    clockid_t cpus[PIDS_MAX];
    size_t cpu_count;
} Load;

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

// ---- requests ----

static Str request_text(Arena *arena, Str line)
{
    Str fields[5] = {0}, rest = line;
    for (size_t i = 0; i < COUNT(fields) && str_cut(&rest, '\t', &fields[i]); i++)
        ;
    if (fields[4].len == 0)
        return str_format(arena, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n%s\r\n", STR_ARG(fields[0]), STR_ARG(fields[2]),
                          STR_ARG(fields[1]), str_eq(fields[0], S("GET")) ? "" : "Content-Length: 0\r\n");
    return str_format(arena,
                      "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nIdempotency-Key: %.*s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                      STR_ARG(fields[0]), STR_ARG(fields[2]), STR_ARG(fields[1]), STR_ARG(fields[3]), fields[4].len,
                      STR_ARG(fields[4]));
}

static void requests_read(Load *load, const char *path, Arena *arena)
{
    Error err = {0};
    Str text = S(""), line;
    if (!file_read(str_of(path), BUDGET / 4, arena, &text, &err))
        die(err.what, err.why);
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    load->requests = arena_array(arena, lines, Str);
    while (load->requests && str_cut(&text, '\n', &line))
        if (line.len > 0)
            load->requests[load->request_count++] = request_text(arena, line);
    if (!arena_ok(arena, &err) || load->request_count == 0)
        die(path, "there are no requests, or too many");
}

// ---- connections ----

static void client_connect(Load *load, Client *client)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&load->to, sizeof(load->to)) != 0 ||
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        die("connect", strerror(errno));
}

static bool is_at_end(const Load *load) { return load->is_once && load->next == load->request_count; }

static void client_send(Load *load, Client *client, int64_t asked_us)
{
    if (load->next == load->request_count)
        load->next = 0;
    Str request = load->requests[load->next++];
    load->sent++;
    client->asked_us = asked_us;
    client->is_asked = true;
    client->left = load->answer_len;
    client->head_len = 0;
    client->status = load->status;
    if (send(client->fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
        die("send", strerror(errno));
}

static void client_ask(Load *load, Client *client)
{
    if (load->rate > 0)
        load->idle[load->idle_count++] = client;
    else if (!is_at_end(load))
        client_send(load, client, clock_us());
}

static void answered(Load *load, Client *client)
{
    if (load->answers < SAMPLES_MAX)
        load->samples[load->answers] = (uint32_t)(clock_us() - client->asked_us);
    if (load->status && client->status != load->status && load->wrong++ == 0)
        (void)fprintf(stderr, "load: an answer has the status %d\n%.*s\n", client->status, (int)client->head_len,
                      client->head);
    load->answers++;
    client->is_asked = false;
    client_ask(load, client);
}

static void client_lost(Load *load, Client *client)
{
    (void)close(client->fd);
    client_connect(load, client);
    client->status = -1;
    if (client->is_asked)
        answered(load, client);
}

// The head of an answer, perhaps with the beginning of its body.
static void head_take(Load *load, Client *client, size_t count)
{
    client->head_len += count;
    client->head[client->head_len] = '\0';
    const char *end = strstr(client->head, "\r\n\r\n"), *size = strcasestr(client->head, "\r\nContent-Length:");
    if (!end && client->head_len == HEAD_MAX - 1)
        die("an answer", "its head is too long");
    if (!end)
        return;
    if (!size || size > end)
        die("an answer", "it has no Content-Length");
    size_t head = (size_t)(end + 4 - client->head), body = strtoul(size + 17, NULL, 10);
    client->status = (int)strtol(client->head + sizeof("HTTP/1.1"), NULL, 10);
    client->left = head + body - client->head_len;
    if (load->request_count == 1 && client->status == load->status)
        load->answer_len = head + body;
    if (client->left == 0)
        answered(load, client);
}

static void client_take(Load *load, Client *client)
{
    static char skipped[SKIP_BYTES];
    bool is_body = client->left > 0;
    ssize_t count =
        is_body ? recv(client->fd, skipped, MIN(client->left, sizeof(skipped)), MSG_TRUNC | MSG_DONTWAIT)
                : recv(client->fd, client->head + client->head_len, HEAD_MAX - 1 - client->head_len, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        client_lost(load, client);
        return;
    }
    load->bytes += (size_t)count;
    if (!is_body) {
        head_take(load, client, (size_t)count);
        return;
    }
    client->left -= (size_t)count;
    if (client->left == 0)
        answered(load, client);
}

// ---- the run ----

// Sends what is due; the time until the next one.
static int64_t send_due(Load *load)
{
    if (load->rate <= 0)
        return US_PER_S / 10;
    for (;;) {
        int64_t due_us = load->start_us + (int64_t)((double)load->sent * US_PER_S / load->rate);
        int64_t left_us = due_us - clock_us();
        if (left_us > 0)
            return left_us;
        if (load->idle_count == 0 || is_at_end(load))
            return US_PER_S / 10;    // an answer comes first
        client_send(load, load->idle[--load->idle_count], due_us);
    }
}

static void run(Load *load, int64_t until_us)
{
    static struct epoll_event events[CONNECTIONS_MAX];
    for (int64_t now_us = clock_us(); now_us < until_us; now_us = clock_us()) {
        if (load->is_once && load->answers >= load->goal)
            return;
        int64_t wait_us = MIN(send_due(load), until_us - now_us);
        struct timespec wait = {.tv_sec = wait_us / US_PER_S, .tv_nsec = wait_us % US_PER_S * 1000};
        int ready = epoll_pwait2(load->epoll, events, CONNECTIONS_MAX, &wait, NULL);
        for (int i = 0; i < ready; i++)
            client_take(load, events[i].data.ptr);
    }
}

static double cpu_seconds(const Load *load)
{
    double sum = 0;
    for (size_t i = 0; i < load->cpu_count; i++) {
        struct timespec time;
        if (clock_gettime(load->cpus[i], &time) != 0)
            die("the CPU time of a process", strerror(errno));
        sum += (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    }
    return sum;
}

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void counters_reset(Load *load)
{
    load->answers = load->sent = load->bytes = load->wrong = 0;
    load->start_us = clock_us();
}

static void measure(Load *load, double seconds, double warm_seconds)
{
    counters_reset(load);
    for (size_t i = 0; i < load->client_count; i++) {
        client_connect(load, &load->clients[i]);
        client_ask(load, &load->clients[i]);
    }
    load->goal = load->skipped;
    run(load, load->start_us + (int64_t)((load->is_once ? seconds : warm_seconds) * US_PER_S));
    load->goal = load->request_count - load->answers;
    size_t wrong = load->wrong;
    counters_reset(load);
    double cpu = cpu_seconds(load);
    run(load, load->start_us + (int64_t)(seconds * US_PER_S));
    double wall = (double)(clock_us() - load->start_us) / US_PER_S;
    cpu = cpu_seconds(load) - cpu;
    size_t count = MIN(load->answers, (size_t)SAMPLES_MAX);
    if (count == 0)
        die("the server", "it answered nothing");
    if (load->is_once && load->answers < load->goal)
        die("the server", "it didn't answer everything in time");
    qsort(load->samples, count, sizeof(*load->samples), by_size);
    printf("%zu %.3f %.4f %u %u %zu %zu\n", load->answers, wall, cpu, load->samples[count / 2],
           load->samples[count * 99 / 100], load->bytes, load->wrong + (load->is_once ? wrong : 0));
}

static void cpu_add(Load *load, const char *pid)
{
    if (load->cpu_count == PIDS_MAX ||
        clock_getcpuclockid((pid_t)strtol(pid, NULL, 10), &load->cpus[load->cpu_count++]) != 0)
        die("a process whose CPU time is asked for", pid);
}

static void address_read(Load *load, char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon)
        die("an address", text);
    *colon = '\0';
    load->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    if (inet_pton(AF_INET, text, &load->to.sin_addr) != 1)
        die("an address", text);
}

int main(int argc, char **argv)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Load *load = arena_new(arena, Load);
    double seconds = 3, warm_seconds = 0.3;
    if (!load)
        die("memory", "there is none");
    load->client_count = 1;
    load->status = 200;
    for (int option; (option = getopt(argc, argv, "c:s:w:r:p:e:ok:")) != -1;)
        switch (option) {
        case 'c': load->client_count = MIN(strtoul(optarg, NULL, 10), (unsigned long)CONNECTIONS_MAX); break;
        case 's': seconds = strtod(optarg, NULL); break;
        case 'w': warm_seconds = strtod(optarg, NULL); break;
        case 'r': load->rate = strtod(optarg, NULL); break;
        case 'p': cpu_add(load, optarg); break;
        case 'e': load->status = (int)strtol(optarg, NULL, 10); break;
        case 'k': load->skipped = strtoul(optarg, NULL, 10); break;
        case 'o': load->is_once = true; break;
        default: return 64;
        }
    if (argc - optind != 2) {
        (void)fprintf(stderr,
                      "usage: load [-c CONNECTIONS] [-s SECONDS] [-w WARM_SECONDS] [-r REQUESTS_PER_SECOND] "
                      "[-p PID]... [-e STATUS, 0: any] [-o: each once [-k ANSWERS, not counted]] ADDRESS:PORT FILE\n");
        return 64;
    }
    address_read(load, argv[optind]);
    requests_read(load, argv[optind + 1], arena);
    if (load->skipped >= load->request_count)
        die("-k", "as many answers as there are requests aren't counted");
    load->clients = arena_array(arena, load->client_count, Client);
    load->idle = arena_array(arena, load->client_count, Client *);
    load->samples = arena_array(arena, SAMPLES_MAX, uint32_t);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load->clients || !load->idle || !load->samples || load->epoll < 0)
        die("memory", "there is not enough");
    measure(load, seconds, warm_seconds);
    return EXIT_SUCCESS;
}
