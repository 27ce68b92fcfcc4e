// provisioner/http_client.h: HTTP to one server, in place, always with a timeout: by TCP, mutual TLS or a Unix socket.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct HttpClient HttpClient;    // keeps its connection; one thread at a time

typedef struct HttpServer {
    Str name;                      // what errors call it: "the engine of 'eu1'"
    Str url;                       // scheme, host and port: "https://10.0.0.2:2376"
    Str socket;                    // path of a Unix socket to go by instead; empty: none
    Str tls_directory;             // has ca.pem, cert.pem and key.pem, for mutual TLS; empty: none
    int64_t connect_timeout_ms;    // 0: 5,000
    int64_t answer_timeout_ms;     // of a whole call that names no other; 0: 60,000
    // Whoever brings the socket here may know better why nobody answers, and writes it over `err`. NULL: nobody does.
    bool (*explain)(void *context, Error *err);
    void *explain_context;
} HttpServer;

// A copy whose texts live in `arena`; ask arena_ok.
HttpServer http_server_copy(const HttpServer *server, Arena *arena);

// Makes a client, and connects at its first call. Fails with ERR_NO_MEMORY.
MUST_CHECK bool http_open(const HttpServer *server, HttpClient **out, Error *err);
void http_close(HttpClient **client);

// Gives the next bytes of a request's body, written to `buf`; *out_len 0 is its end.
typedef bool HttpRead(void *context, char *buf, size_t size, size_t *out_len, Error *err);
// Takes bytes of an answer's body as they come; false from it ends the call with its error.
typedef bool HttpPut(void *context, Str bytes, Error *err);
HttpPut http_drop;    // one that throws them away

typedef struct HttpCall {
    const char *method;
    Str path;                     // with its query
    const char *host;             // the Host header; NULL: the server's own
    const char *content_type;     // of the request's body; NULL: there is none
    const char *registry_auth;    // the header X-Registry-Auth; NULL: none
    Str body;
    HttpRead *read;    // gives the body instead; it goes in chunks
    void *read_context;
    HttpPut *put;    // takes the body of an answer of 200 to 299, which then isn't in HttpAnswer; NULL: none does
    void *put_context;
    size_t answer_max;     // bytes of the answer that are kept; 0: 1 MiB
    int64_t timeout_ms;    // of the whole call; 0: the server's, with `read` or `put`: as long as bytes go on moving
    int64_t silence_ms;    // without a byte in either direction; 0: 30,000
} HttpCall;

typedef struct HttpAnswer {
    int status;
    Str body;    // in the arena of the call
} HttpAnswer;

// Makes one call; follows no redirect. Any status is success. Fails with ERR_UNREACHABLE when no connection or no whole
// answer came in time, ERR_FORBIDDEN where the socket or the peer's certificate bars the way, ERR_TOO_LARGE for an
// answer over `answer_max`, ERR_MALFORMED for one that isn't HTTP, or with the error of `read` or `put`. A kept
// connection that turns out to be dead is replaced by a new one (libcurl does that).
MUST_CHECK bool http_call(HttpClient *client, const HttpCall *call, Arena *arena, HttpAnswer *out, Error *err);

// A connection that has left HTTP (RFC 9110, section 7.8): bytes in both directions. One thread at a time.
typedef struct HttpStream HttpStream;

// POSTs `body`, which is JSON, on a connection of its own and takes the connection over once the server has answered
// with 101, or with 200 and no length. Any other status fails with ERR_FAILED, with the body as why; else as http_call.
MUST_CHECK bool http_stream_open(const HttpServer *server, Str path, Str body, HttpStream **out, Error *err);
void http_stream_close(HttpStream **stream);

int http_stream_fd(const HttpStream *stream);    // to wait at
// Sends or receives what goes without waiting: *out_len 0 is nothing for now. Fail with ERR_UNREACHABLE.
MUST_CHECK bool http_stream_send(HttpStream *stream, Str bytes, size_t *out_len, Error *err);
MUST_CHECK bool http_stream_receive(HttpStream *stream, char *buf, size_t size, size_t *out_len, bool *out_end,
                                    Error *err);

// GET `url` (http://127.0.0.1:8080/) with this Host, and throws the body away. *out_status is the answer's. Fails with
// ERR_UNREACHABLE when none came within `timeout_ms`. Any thread may call it.
MUST_CHECK bool http_get_status(Str url, Str host, int64_t timeout_ms, int *out_status, Error *err);
