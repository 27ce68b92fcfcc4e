// provisioner/engine.h: a container engine's API: Docker's, and Podman's as far as it is the same.
// Source: Docker Engine API, versions 1.40 to 1.44 (docs.docker.com/reference/api/engine).
#pragma once
#include "base/json.h"
#include "provisioner/engine_frames.h"
#include "provisioner/http_client.h"

// The versions that we speak: the newest one that both sides know is used.
#define ENGINE_API_MIN "1.40"
#define ENGINE_API_MAX "1.44"

typedef struct Engine Engine;    // one thread at a time

// Connects and agrees on the API's version. Fails as http_call, or with ERR_STATE where the engine speaks none of our
// versions, ERR_MALFORMED where it is no engine.
MUST_CHECK bool engine_open(const HttpServer *server, Engine **out, Error *err);
void engine_close(Engine **engine);

Str engine_name(const Engine *engine);           // "the engine of 'eu1'", for errors
Str engine_api_version(const Engine *engine);    // "1.41"
bool is_engine_podman(const Engine *engine);

typedef struct EngineCall {
    const char *method;
    Str path;            // without the version, with its query: "/containers/json?all=true"
    const Json *body;    // NULL: none
    HttpRead *read;      // gives a body that is no JSON
    void *read_context;
    const char *content_type;    // of that
    Str registry_auth;           // the header X-Registry-Auth; empty: none
    HttpPut *put;                // takes an answer that is no JSON
    void *put_context;
    int64_t timeout_ms;    // as HttpCall's
    int64_t silence_ms;    // 0: 30,000
} EngineCall;

enum { ENGINE_ANSWER_MAX = 8 * MIB };

// Makes one call. *out is the answer, the caller's to close, NULL where it has no body or `put` took it; `out` may be
// NULL where none is wanted. A refusal has the engine's words as why: 400 is ERR_INVALID, 401 and 403 ERR_FORBIDDEN,
// 404 ERR_NOT_FOUND, 409 ERR_EXISTS, 503 ERR_BUSY, any other ERR_FAILED. An answer that isn't JSON is ERR_MALFORMED,
// one over ENGINE_ANSWER_MAX ERR_TOO_LARGE; else it fails as http_call.
MUST_CHECK bool engine_call(Engine *engine, const EngineCall *call, Json **out, Error *err);

// A process in a running container, with its standard input and output as a stream on a connection of its own.
typedef struct EngineExec EngineExec;
typedef struct EngineExecSpec {
    Str container;
    const char *const *argv;           // ends in NULL
    const char *const *environment;    // "NAME=VALUE", ends in NULL; NULL: none
    bool is_terminal;                  // it has a terminal; what it says comes as it is
    bool has_stderr;                   // its standard error is wanted, too
} EngineExecSpec;
MUST_CHECK bool engine_exec(Engine *engine, const EngineExecSpec *spec, EngineExec **out, Error *err);
void engine_exec_close(EngineExec **exec);
int engine_exec_fd(const EngineExec *exec);    // to wait at
// As http_stream_send.
MUST_CHECK bool engine_exec_send(EngineExec *exec, Str bytes, size_t *out_len, Error *err);
// What came without waiting, a view until the next call; empty: nothing for now, or, with *out_end, never more.
MUST_CHECK bool engine_exec_receive(EngineExec *exec, Str *out, EngineOutput *output, bool *out_end, Error *err);
// Of one that has a terminal.
MUST_CHECK bool engine_exec_resize(Engine *engine, const EngineExec *exec, unsigned rows, unsigned columns, Error *err);
// The exit code of one that has ended.
MUST_CHECK bool engine_exec_status(Engine *engine, const EngineExec *exec, int *out, Error *err);

// Another connection to the same engine, for another thread.
MUST_CHECK bool engine_open_again(const Engine *engine, Engine **out, Error *err);

// What an engine says of itself and of its host. Texts in the arena of engine_facts.
typedef struct EngineFacts {
    Str engine;    // "Docker 20.10.24"
    Str api_version;
    Str id;                // tells one engine from another; empty where it has none
    Str system;            // "Debian GNU/Linux 12 (bookworm)"
    Str architecture;      // "x86_64"
    Str root_directory;    // where it keeps images and volumes
    Str storage_driver;
    int64_t cpu_count;
    int64_t memory_bytes;
    int64_t round_trip_us;     // the fastest of five
    int64_t clock_ahead_ms;    // of the host's clock before ours; exact to half a round trip
    bool has_clock;
    bool has_cpu_limit, has_memory_limit, has_pids_limit;
} EngineFacts;
MUST_CHECK bool engine_facts(Engine *engine, Arena *arena, EngineFacts *out, Error *err);
