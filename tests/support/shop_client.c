// tests/support/shop_client.c: a blocking HTTP/1.1 client for tests.
#include "tests/support/shop_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/more_check.h"

enum { ANSWER_TIMEOUT_S = 10, STEP = 16 * KIB };

struct ShopClient {
    int fd;
    unsigned port;
    char host[256];
};

ShopClient *shop_client_open(unsigned port, const char *host)
{
    ShopClient *client = calloc(1, sizeof(*client));
    ck_assert_ptr_nonnull(client);
    *client = (ShopClient){.fd = -1, .port = port};
    (void)snprintf(client->host, sizeof(client->host), "%s", host);
    return client;
}

void shop_client_close(ShopClient **client)
{
    if (*client) {
        fd_close(&(*client)->fd);
        free(*client);
    }
    *client = NULL;
}

static bool connected(ShopClient *client)
{
    if (client->fd >= 0)
        return true;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)client->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd >= 0 && setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
        connect(client->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    fd_close(&client->fd);
    return false;
}

static bool sent(ShopClient *client, const ShopRequest *request, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    strbuf_format(&buf, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", request->method, request->path, client->host,
                  request->headers ? request->headers : "");
    if (request->body)
        strbuf_format(&buf, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                      request->type ? request->type : "application/json", strlen(request->body), request->body);
    else
        strbuf_add(&buf, S("\r\n"));
    Str text = strbuf_str(&buf);
    return send(client->fd, text.data, text.len, MSG_NOSIGNAL) == (ssize_t)text.len;
}

Str shop_answer_header(const ShopAnswer *answer, Str name)
{
    Str rest = answer->head, line = S("");
    while (str_cut(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        if (str_eq_nocase(str_slice(line, 0, colon), name))
            return str_trim(str_skip(line, colon + 1));
    }
    return S("");
}

// Reads until the head and Content-Length's bytes are there; all our answers have a length.
static bool received(ShopClient *client, Arena *arena, ShopAnswer *out)
{
    StrBuf buf = {.arena = arena};
    char step[STEP];
    for (;;) {
        ssize_t count = recv(client->fd, step, sizeof(step), 0);
        if (count <= 0)
            return false;
        strbuf_add(&buf, (Str){step, (size_t)count});
        Str text = strbuf_str(&buf);
        size_t end = str_find(text, S("\r\n\r\n"));
        if (end == text.len)
            continue;
        out->head = str_slice(text, 0, end + 2);
        out->body = str_skip(text, end + 4);
        Str length = shop_answer_header(out, S("Content-Length"));
        int64_t wanted = 0;
        Error err = {0};
        if (length.len && !str_int64(length, 0, 64 * MIB, &wanted, &err))
            return false;
        if (out->body.len >= (size_t)wanted)
            return true;
    }
}

bool shop_call(ShopClient *client, const ShopRequest *request, Arena *arena, ShopAnswer *out)
{
    *out = (ShopAnswer){0};
    if (!connected(client) || !sent(client, request, arena) || !received(client, arena, out)) {
        fd_close(&client->fd);
        return false;
    }
    out->status = (int)strtol(out->head.data + sizeof("HTTP/1.1"), NULL, 10);
    if (str_eq_nocase(shop_answer_header(out, S("Connection")), S("close")))
        fd_close(&client->fd);
    Error err = {0};
    if (str_find(shop_answer_header(out, S("Content-Type")), S("json")) <
            shop_answer_header(out, S("Content-Type")).len &&
        !json_parse(out->body, &out->json, &err))
        error_clear(&err);
    return true;
}

void shop_answer_close(ShopAnswer *answer) { json_close(&answer->json); }
