// provisioner/http_client.c: HTTP by libcurl.
#include "provisioner/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/clock.h"

enum {
    BUDGET = 64 * KIB,
    CONNECT_TIMEOUT_MS = 5000,
    ANSWER_TIMEOUT_MS = 60000,
    SILENCE_MS = 30000,
    ANSWER_MAX = MIB,
    STREAM_CHUNK = 16 * KIB,
    DETAIL_MAX = CURL_ERROR_SIZE,
};

struct HttpClient {
    Arena *arena;
    HttpServer server;
    CURL *curl;
};

// One call under way.
typedef struct Exchange {
    const HttpCall *call;
    CURL *curl;
    StrBuf body;
    size_t answer_max;
    Error *err;    // of what stopped it in a callback
    struct curl_slist *headers;
} Exchange;

static void global_start(void) { (void)curl_global_init(CURL_GLOBAL_DEFAULT); }

// NULL without memory.
static CURL *handle_open(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_start);
    return curl_easy_init();
}

static int answer_status(CURL *curl)
{
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static bool is_good(int status) { return status >= 200 && status < 300; }

static size_t body_take(char *bytes, size_t size, size_t count, void *context)
{
    Exchange *exchange = context;
    Str part = {bytes, size * count};
    if (exchange->call->put && is_good(answer_status(exchange->curl)))
        return exchange->call->put(exchange->call->put_context, part, exchange->err) ? part.len : 0;
    if (part.len > exchange->answer_max - exchange->body.len) {
        error_set(exchange->err, ERR_TOO_LARGE, "the answer is too large");
        error_why(exchange->err, "it has more than %zu bytes", exchange->answer_max);
        return 0;
    }
    strbuf_add(&exchange->body, part);
    return arena_ok(exchange->body.arena, exchange->err) ? part.len : 0;
}

static size_t body_give(char *buf, size_t size, size_t count, void *context)
{
    Exchange *exchange = context;
    size_t len = 0;
    return exchange->call->read(exchange->call->read_context, buf, size * count, &len, exchange->err)
               ? len
               : CURL_READFUNC_ABORT;
}

static bool http_forbidden(Error *err, const HttpServer *server, const char *why)
{
    error_set(err, ERR_FORBIDDEN, "%.*s can't be used", STR_ARG(server->name));
    return error_why(err, "%s", why);
}

// What libcurl calls the same for every socket, and an operator has to know apart.
static bool error_from_socket(Error *err, const HttpServer *server, int number)
{
    if (number == EACCES || number == EPERM) {
        http_forbidden(err, server, "the socket is closed to this user");
        error_where(err, "%.*s", STR_ARG(server->socket));
        return error_next(err, "be root, or of the socket's group");
    }
    error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer", STR_ARG(server->name));
    error_where(err, "%.*s", STR_ARG(server->socket));
    struct stat status;
    bool is_other = stat(server->socket.data, &status) == 0 && !S_ISSOCK(status.st_mode);
    error_why(err, "%s",
              number == ENOENT ? "there is no such socket"
              : is_other       ? "it isn't a socket"
                               : "nothing listens on the socket");
    return error_next(err, "see that the path is right, and that the engine runs");
}

// By TLS 1.3 a server says what it thinks of our certificate once it is asked for something, and may hang up before
// that is heard.
static bool error_from_tls(Error *err, const HttpServer *server, const char *why)
{
    if (strstr(why, "alert")) {
        http_forbidden(err, server, why);
        error_why(err, "it takes no client with this certificate: %s", why);
    } else {
        error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer", STR_ARG(server->name));
        error_why(err, "%s", why);
    }
    return error_next(err, "see that '%.*s/cert.pem' is of an authority that it knows, and isn't expired",
                      STR_ARG(server->tls_directory));
}

static bool error_from_curl(Error *err, CURL *curl, CURLcode code, const HttpServer *server, const char *detail)
{
    const char *why = detail[0] ? detail : curl_easy_strerror(code);
    long number = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    switch ((int)code) {
    case CURLE_OUT_OF_MEMORY: return error_set(err, ERR_NO_MEMORY, "no memory for %.*s", STR_ARG(server->name));
    case CURLE_COULDNT_CONNECT:
        if (server->socket.len)
            return error_from_socket(err, server, (int)number);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        http_forbidden(err, server, why);
        return error_next(err, "see that ca.pem, cert.pem and key.pem in '%.*s' belong to this server",
                          STR_ARG(server->tls_directory));
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        if (server->tls_directory.len)
            return error_from_tls(err, server, why);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        error_set(err, ERR_MALFORMED, "%.*s doesn't speak HTTP", STR_ARG(server->name));
        return error_why(err, "%s", why);
    default: break;
    }
    error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer", STR_ARG(server->name));
    error_why(err, "%s", why);
    return server->explain && server->explain(server->explain_context, err);
}

HttpServer http_server_copy(const HttpServer *server, Arena *arena)
{
    HttpServer copy = *server;
    Str *texts[] = {&copy.name, &copy.url, &copy.socket, &copy.tls_directory};
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = str_copy(arena, *texts[i]);
    return copy;
}

bool http_open(const HttpServer *server, HttpClient **out, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    HttpClient *client = arena_new(arena, HttpClient);
    if (client) {
        client->arena = arena;
        client->curl = handle_open();
        client->server = http_server_copy(server, arena);
        if (arena_ok(arena, err) && (client->curl || error_set(err, ERR_NO_MEMORY, "no memory for an HTTP client"))) {
            *out = client;
            return true;
        }
        http_close(&client);
        return false;
    }
    bool is_there = arena_ok(arena, err);
    assert(!is_there);
    arena_close(&arena);
    return false;
}

void http_close(HttpClient **client)
{
    if (!*client)
        return;
    curl_easy_cleanup((*client)->curl);
    Arena *arena = (*client)->arena;
    *client = NULL;
    arena_close(&arena);
}

// ---- one call

static void tls_options(CURL *curl, Str directory, Arena *arena)
{
    const struct {
        CURLoption option;
        const char *file;
    } files[] = {{CURLOPT_CAINFO, "ca.pem"}, {CURLOPT_SSLCERT, "cert.pem"}, {CURLOPT_SSLKEY, "key.pem"}};
    for (size_t i = 0; i < COUNT(files); i++)
        (void)curl_easy_setopt(curl, files[i].option,
                               str_format(arena, "%.*s/%s", STR_ARG(directory), files[i].file).data);
}

static void server_options(CURL *curl, const HttpServer *server, Arena *arena)
{
    int64_t connect_ms = server->connect_timeout_ms ? server->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "shopctl");
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (server->socket.len)
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, server->socket.data);
    if (server->tls_directory.len)
        tls_options(curl, server->tls_directory, arena);
}

static bool header_add(Exchange *exchange, Arena *arena, const char *name, const char *value)
{
    struct curl_slist *more = curl_slist_append(exchange->headers, str_format(arena, "%s: %s", name, value).data);
    if (more)
        exchange->headers = more;
    return more != NULL;
}

static bool headers_add(Exchange *exchange, Arena *arena)
{
    const HttpCall *call = exchange->call;
    return header_add(exchange, arena, "Expect", "") &&
           header_add(exchange, arena, "Content-Type", call->content_type ? call->content_type : "") &&
           (!call->host || header_add(exchange, arena, "Host", call->host)) &&
           (!call->registry_auth || header_add(exchange, arena, "X-Registry-Auth", call->registry_auth)) &&
           (!call->read || header_add(exchange, arena, "Transfer-Encoding", "chunked"));
}

static int64_t timeout_of(const HttpServer *server, const HttpCall *call)
{
    if (call->timeout_ms || call->read || call->put)
        return call->timeout_ms;
    return server->answer_timeout_ms ? server->answer_timeout_ms : ANSWER_TIMEOUT_MS;
}

static void call_options(const HttpClient *client, Exchange *exchange, Arena *arena)
{
    CURL *curl = client->curl;
    const HttpCall *call = exchange->call;
    int64_t silence_ms = call->silence_ms ? call->silence_ms : SILENCE_MS;
    (void)curl_easy_setopt(curl, CURLOPT_URL, STR_CONCAT(arena, client->server.url, call->path).data);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_of(&client->server, call));
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((silence_ms + 999) / 1000));
    if (call->read) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, body_give);
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
    } else if (call->content_type || strcmp(call->method, "POST") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.len ? call->body.data : "");
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static CURLcode perform(HttpClient *client, Exchange *exchange, Arena *arena, char detail[DETAIL_MAX])
{
    curl_easy_reset(client->curl);    // its connection stays
    (void)curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
    server_options(client->curl, &client->server, arena);
    call_options(client, exchange, arena);
    detail[0] = '\0';
    return curl_easy_perform(client->curl);
}

bool http_call(HttpClient *client, const HttpCall *call, Arena *arena, HttpAnswer *out, Error *err)
{
    char detail[DETAIL_MAX] = "";
    Exchange exchange = {.call = call,
                         .curl = client->curl,
                         .body = {.arena = arena},
                         .answer_max = call->answer_max ? call->answer_max : ANSWER_MAX,
                         .err = err};
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (headers_add(&exchange, arena) && arena_ok(arena, err))
        code = perform(client, &exchange, arena, detail);
    curl_slist_free_all(exchange.headers);
    if (err->code != ERR_NONE)
        return false;
    if (code != CURLE_OK)
        return error_from_curl(err, client->curl, code, &client->server, detail);
    *out = (HttpAnswer){.status = answer_status(client->curl), .body = {exchange.body.data, exchange.body.len}};
    return true;
}

// ---- streams

struct HttpStream {
    Arena *arena;
    HttpServer server;
    CURL *curl;
    char rest[STREAM_CHUNK];    // came with the answer's head
    size_t rest_at, rest_len;
};

int http_stream_fd(const HttpStream *stream)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    (void)curl_easy_getinfo(stream->curl, CURLINFO_ACTIVESOCKET, &fd);
    return (int)fd;
}

bool http_stream_send(HttpStream *stream, Str bytes, size_t *out_len, Error *err)
{
    *out_len = 0;
    CURLcode code = curl_easy_send(stream->curl, bytes.data, bytes.len, out_len);
    return code == CURLE_OK || code == CURLE_AGAIN || error_from_curl(err, stream->curl, code, &stream->server, "");
}

bool http_stream_receive(HttpStream *stream, char *buf, size_t size, size_t *out_len, bool *out_end, Error *err)
{
    *out_end = false;
    *out_len = MIN(size, stream->rest_len);
    if (*out_len) {
        memcpy(buf, stream->rest + stream->rest_at, *out_len);
        stream->rest_at += *out_len;
        stream->rest_len -= *out_len;
        return true;
    }
    CURLcode code = curl_easy_recv(stream->curl, buf, size, out_len);
    if (code == CURLE_AGAIN) {
        *out_len = 0;
        return true;
    }
    if (code != CURLE_OK)
        return error_from_curl(err, stream->curl, code, &stream->server, "");
    *out_end = *out_len == 0;
    return true;
}

static bool stream_wait(const HttpStream *stream, short events, int64_t deadline_ms, Error *err)
{
    struct pollfd wait = {.fd = http_stream_fd(stream), .events = events};
    if (poll(&wait, 1, (int)MAX(deadline_ms - clock_ms(), INT64_C(0))) > 0)
        return true;
    error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer", STR_ARG(stream->server.name));
    return error_why(err, "nothing came in time");
}

static bool stream_ask(HttpStream *stream, Str request, int64_t deadline_ms, Error *err)
{
    while (request.len) {
        size_t len = 0;
        if (!http_stream_send(stream, request, &len, err) ||
            (len == 0 && !stream_wait(stream, POLLOUT, deadline_ms, err)))
            return false;
        request = str_skip(request, len);
    }
    return true;
}

static bool stream_refused(const HttpStream *stream, Str answer, Error *err)
{
    size_t head = str_find(answer, S("\r\n\r\n"));
    error_set(err, ERR_FAILED, "%.*s refuses a stream: %.*s", STR_ARG(stream->server.name),
              STR_ARG(str_slice(answer, 0, str_find_char(answer, '\r'))));
    return error_why(err, "%.*s", STR_ARG(str_trim(str_skip(answer, head))));
}

// Reads the head of the answer; what came after it stays in `rest`.
static bool stream_head(HttpStream *stream, int64_t deadline_ms, Error *err)
{
    bool is_end = false;
    size_t len = 0, taken = 0;
    while (!is_end && taken < sizeof(stream->rest)) {
        if (!http_stream_receive(stream, stream->rest + taken, sizeof(stream->rest) - taken, &len, &is_end, err))
            return false;
        taken += len;
        Str answer = {stream->rest, taken};
        size_t end = str_find(answer, S("\r\n\r\n"));
        if (end < taken) {
            if (!str_has_prefix(answer, S("HTTP/1.1 101")) && !str_has_prefix(answer, S("HTTP/1.1 200")))
                return stream_refused(stream, answer, err);
            stream->rest_at = end + 4;
            stream->rest_len = taken - stream->rest_at;
            return true;
        }
        if (len == 0 && !is_end && !stream_wait(stream, POLLIN, deadline_ms, err))
            return false;
    }
    error_set(err, ERR_MALFORMED, "%.*s answers with no head of HTTP", STR_ARG(stream->server.name));
    return false;
}

static bool stream_connect(HttpStream *stream, Error *err)
{
    char detail[DETAIL_MAX] = "";
    CURL *curl = stream->curl;
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    server_options(curl, &stream->server, stream->arena);
    (void)curl_easy_setopt(curl, CURLOPT_URL, stream->server.url.data);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return error_from_curl(err, curl, code, &stream->server, detail);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    return true;
}

bool http_stream_open(const HttpServer *server, Str path, Str body, HttpStream **out, Error *err)
{
    Arena *arena = arena_open(BUDGET * 2);
    HttpStream *stream = arena_new(arena, HttpStream);
    if (!stream) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    stream->arena = arena;
    stream->server = http_server_copy(server, arena);
    stream->curl = handle_open();
    int64_t deadline_ms = clock_ms() + (server->answer_timeout_ms ? server->answer_timeout_ms : ANSWER_TIMEOUT_MS);
    Str request = str_format(arena,
                             "POST %.*s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n"
                             "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %zu\r\n\r\n%.*s",
                             STR_ARG(path), body.len, STR_ARG(body));
    bool is_made = arena_ok(arena, err) && (stream->curl || error_set(err, ERR_NO_MEMORY, "no memory for a stream"));
    if (is_made && stream_connect(stream, err) && stream_ask(stream, request, deadline_ms, err) &&
        stream_head(stream, deadline_ms, err)) {
        *out = stream;
        return true;
    }
    http_stream_close(&stream);
    return false;
}

void http_stream_close(HttpStream **stream)
{
    if (!*stream)
        return;
    curl_easy_cleanup((*stream)->curl);
    Arena *arena = (*stream)->arena;
    *stream = NULL;
    arena_close(&arena);
}

bool http_drop(void *context, Str bytes, Error *err)
{
    (void)context;
    (void)bytes;
    (void)err;
    return true;
}

bool http_get_status(Str url, Str host, int64_t timeout_ms, int *out_status, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET + ANSWER_MAX * 2);
    CLEANUP(http_close) HttpClient *client = NULL;
    HttpAnswer answer = {0};
    Str name = str_format(arena, "'%.*s'", STR_ARG(url));
    Str host_text = str_copy(arena, host);
    const HttpServer server = {.name = name, .url = url, .connect_timeout_ms = timeout_ms};
    const HttpCall call = {.method = "GET", .host = host_text.data, .put = http_drop, .timeout_ms = timeout_ms};
    if (!arena_ok(arena, err) || !http_open(&server, &client, err) || !http_call(client, &call, arena, &answer, err))
        return false;
    *out_status = answer.status;
    return true;
}
