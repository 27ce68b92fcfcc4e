// tests/support/raw_client.c: bytes out, bytes in.
#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "tests/support/more_check.h"

enum { ANSWER_MAX = 4 * MIB, STEP = 16 * KIB, STATUS_LEN = 3, STATUS_CONTINUE = 100 };

int raw_open(unsigned port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

bool raw_send(int fd, Str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = str_skip(bytes, (size_t)sent);
    }
    return true;
}

Str raw_read(int fd, Arena *arena, int quiet_ms, bool *out_closed)
{
    StrBuf answer = {.arena = arena};
    char step[STEP];
    bool is_closed = false;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (!is_closed && answer.len < ANSWER_MAX && poll(&ready, 1, quiet_ms) == 1) {
        ssize_t got = recv(fd, step, sizeof(step), 0);
        is_closed = got <= 0;
        strbuf_add(&answer, (Str){step, got > 0 ? (size_t)got : 0});
    }
    if (out_closed)
        *out_closed = is_closed;
    return strbuf_str(&answer);
}

Str raw_await(int fd, Arena *arena, int quiet_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, RAW_WAIT_MS), 1);
    return raw_read(fd, arena, quiet_ms, NULL);
}

int raw_status(Str answer)
{
    int64_t status = 0;
    Error err = {0};
    Str digits = str_slice(answer, sizeof("HTTP/1.1"), sizeof("HTTP/1.1") + STATUS_LEN);
    return str_has_prefix(answer, S("HTTP/1.1 ")) && str_int64(digits, 100, 599, &status, &err) ? (int)status : 0;
}

size_t raw_count(Str text, Str part)
{
    size_t count = 0;
    for (size_t at = str_find(text, part); at < text.len; at = str_find(text, part)) {
        count++;
        text = str_skip(text, at + part.len);
    }
    return count;
}

// The value of Content-Length; 0 where there is none.
static bool body_length(Str head, size_t *out)
{
    int64_t length = 0;
    Error err = {0};
    size_t at = str_find(head, S("\r\nContent-Length: "));
    Str rest = str_skip(head, at + strlen("\r\nContent-Length: "));
    bool ok = at == head.len || str_int64(str_slice(rest, 0, str_find_char(rest, '\r')), 0, ANSWER_MAX, &length, &err);
    *out = (size_t)length;
    return ok;
}

bool raw_statuses(Str answers, int out[RAW_ANSWERS_MAX], size_t *count)
{
    for (*count = 0; answers.len > 0;) {
        size_t body = 0, end = str_find(answers, S("\r\n\r\n"));
        int status = raw_status(answers);
        if (status == 0 || end == answers.len || *count == RAW_ANSWERS_MAX ||
            !body_length(str_slice(answers, 0, end + 2), &body))
            return false;
        end += strlen("\r\n\r\n") + body;
        if (end > answers.len)
            return false;
        answers = str_skip(answers, end);
        if (status != STATUS_CONTINUE)
            out[(*count)++] = status;
    }
    return true;
}
