// provisioner/engine.c: calls of a container engine's API, and what it says of itself.
#include "provisioner/engine.h"

#include "base/arena.h"
#include "base/clock.h"

enum { BUDGET = 64 * KIB, CALL_BUDGET = 5 * ENGINE_ANSWER_MAX, PING_MS = 10000, PINGS = 5, REFUSAL_MAX = 300 };

struct Engine {
    Arena *arena;
    Str prefix;           // "/v1.41"
    HttpServer server;    // for connections beside `http`
    HttpClient *http;
    bool is_podman;
};

// ---- versions

typedef struct ApiVersion {
    int64_t major, minor;
} ApiVersion;

static bool version_parse(Str text, ApiVersion *out)
{
    Error ignored = {0};
    Str major;
    return str_cut(&text, '.', &major) && str_int64(major, 0, INT32_MAX, &out->major, &ignored) &&
           str_int64(text, 0, INT32_MAX, &out->minor, &ignored);
}

static bool is_below(ApiVersion a, ApiVersion b)
{
    return a.major < b.major || (a.major == b.major && a.minor < b.minor);
}

static bool not_an_engine(const Engine *engine, const char *why, Error *err)
{
    error_set(err, ERR_MALFORMED, "%.*s is no container engine", STR_ARG(engine->server.name));
    return error_why(err, "%s", why);
}

// An engine calls itself by its components, of which the first is the engine.
static bool is_podman(const Json *version)
{
    Str name = json_str(json_get(json_element(json_get(version, "Components"), 0), "Name"));
    return str_find(name, S("Podman")) < name.len;
}

// The newest version that both know.
static bool version_agree(Engine *engine, const Json *version, Error *err)
{
    Str newest = json_str(json_get(version, "ApiVersion")), oldest = json_str(json_get(version, "MinAPIVersion"));
    ApiVersion theirs, theirs_min = {0}, ours = {0}, ours_min = {0};
    if (!version_parse(newest, &theirs) || (oldest.len && !version_parse(oldest, &theirs_min)))
        return not_an_engine(engine, "its answer to GET /version names no version of the API", err);
    bool is_ours = version_parse(S(ENGINE_API_MAX), &ours) && version_parse(S(ENGINE_API_MIN), &ours_min);
    assert(is_ours);
    if (is_below(theirs, ours_min) || is_below(ours, theirs_min)) {
        error_set(err, ERR_STATE, "%.*s can't be used", STR_ARG(engine->server.name));
        error_why(err, "it speaks the API's versions %.*s to %.*s, shopctl " ENGINE_API_MIN " to " ENGINE_API_MAX,
                  STR_ARG(oldest), STR_ARG(newest));
        return error_next(err, "%s",
                          is_below(theirs, ours_min) ? "install a newer engine on the host" : "use a newer shopctl");
    }
    Str agreed = is_below(ours, theirs) ? S(ENGINE_API_MAX) : newest;
    engine->prefix = str_format(engine->arena, "/v%.*s", STR_ARG(agreed));
    return arena_ok(engine->arena, err);
}

// ---- calls

static ErrorCode code_of_status(int status)
{
    switch (status) {
    case 400: return ERR_INVALID;
    case 401:
    case 403: return ERR_FORBIDDEN;
    case 404: return ERR_NOT_FOUND;
    case 409: return ERR_EXISTS;
    case 503: return ERR_BUSY;
    default: return ERR_FAILED;
    }
}

// {"message": "..."} is what engines say; a proxy before one may say anything.
static bool refused(const Engine *engine, const EngineCall *call, const HttpAnswer *answer, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *document = NULL;
    Error ignored = {0};
    Str said = answer->body;
    if (json_parse(answer->body, &document, &ignored) && json_str(json_get(document, "message")).len)
        said = json_str(json_get(document, "message"));
    said = str_visible(arena, str_trim(str_slice(said, 0, REFUSAL_MAX)));
    Str path = str_slice(call->path, 0, str_find_char(call->path, '?'));
    error_set(err, code_of_status(answer->status), "%.*s refuses '%s %.*s' with status %d",
              STR_ARG(engine->server.name), call->method, STR_ARG(path), answer->status);
    return error_why(err, "%.*s", STR_ARG(said));
}

static bool answer_parse(const Engine *engine, const EngineCall *call, Str body, Json **out, Error *err)
{
    *out = NULL;
    if (body.len == 0 || json_parse(body, out, err))
        return true;
    if (err->code == ERR_NO_MEMORY)
        return false;
    return error_wrap(err, "%.*s answers '%s %.*s' with something else than JSON", STR_ARG(engine->server.name),
                      call->method, STR_ARG(call->path));
}

bool engine_call(Engine *engine, const EngineCall *call, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(CALL_BUDGET);
    HttpAnswer answer;
    Str body = S("");
    if (call->body && !json_print(call->body, 0, arena, &body, err))
        return false;
    const HttpCall http = {.method = call->method,
                           .path = STR_CONCAT(arena, engine->prefix, call->path),
                           .content_type = call->body ? "application/json" : call->content_type,
                           .registry_auth = call->registry_auth.len ? call->registry_auth.data : NULL,
                           .body = body,
                           .read = call->read,
                           .read_context = call->read_context,
                           .put = call->put,
                           .put_context = call->put_context,
                           .answer_max = ENGINE_ANSWER_MAX,
                           .timeout_ms = call->timeout_ms,
                           .silence_ms = call->silence_ms};
    if (!arena_ok(arena, err) || !http_call(engine->http, &http, arena, &answer, err))
        return false;
    if (answer.status < 200 || answer.status >= 400)
        return refused(engine, call, &answer, arena, err);
    if (out)
        return answer_parse(engine, call, answer.body, out, err);
    return true;
}

void engine_close(Engine **engine)
{
    if (!*engine)
        return;
    http_close(&(*engine)->http);
    Arena *arena = (*engine)->arena;
    *engine = NULL;
    arena_close(&arena);
}

// One that has agreed on no version yet; NULL with an error.
static Engine *engine_new(const HttpServer *server, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    Engine *engine = arena_new(arena, Engine);
    if (!engine) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return NULL;
    }
    engine->arena = arena;
    engine->server = http_server_copy(server, arena);
    if (!arena_ok(arena, err) || !http_open(&engine->server, &engine->http, err))
        engine_close(&engine);
    return engine;
}

bool engine_open(const HttpServer *server, Engine **out, Error *err)
{
    CLEANUP(json_close) Json *version = NULL;
    Engine *engine = engine_new(server, err);
    if (!engine)
        return false;
    if (engine_call(engine, &(EngineCall){.method = "GET", .path = S("/version")}, &version, err) &&
        version_agree(engine, version, err)) {
        engine->is_podman = is_podman(version);
        *out = engine;
        return true;
    }
    engine_close(&engine);
    return false;
}

bool engine_open_again(const Engine *engine, Engine **out, Error *err)
{
    Engine *again = engine_new(&engine->server, err);
    if (!again)
        return false;
    again->prefix = str_copy(again->arena, engine->prefix);
    again->is_podman = engine->is_podman;
    if (arena_ok(again->arena, err)) {
        *out = again;
        return true;
    }
    engine_close(&again);
    return false;
}

Str engine_name(const Engine *engine) { return engine->server.name; }
Str engine_api_version(const Engine *engine) { return str_skip(engine->prefix, 2); }
bool is_engine_podman(const Engine *engine) { return engine->is_podman; }

// ---- processes in containers

enum { EXEC_CHUNK = 32 * KIB };

struct EngineExec {
    Arena *arena;
    HttpStream *stream;
    Str id;
    bool is_terminal;
    EngineFrames frames;
    char bytes[EXEC_CHUNK];    // as they came, with the heads of frames
    Str rest;                  // of them, not given yet
};

static Json *words_json(const char *const *words)
{
    Json *list = json_build("[]");
    for (; words && *words; words++)
        (void)json_append(list, json_from_str(str_of(*words)));
    return list;
}

static bool exec_create(Engine *engine, const EngineExecSpec *spec, Arena *arena, Str *out_id, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(json_close)
    Json *body = json_build("{s:b, s:b, s:b, s:b, s:o, s:o}", "AttachStdin", 1, "AttachStdout", 1, "AttachStderr",
                            (int)spec->has_stderr, "Tty", (int)spec->is_terminal, "Cmd", words_json(spec->argv), "Env",
                            words_json(spec->environment));
    Str path = str_format(arena, "/containers/%.*s/exec", STR_ARG(spec->container));
    if (!json_ok(body, err) || !arena_ok(arena, err) ||
        !engine_call(engine, &(EngineCall){.method = "POST", .path = path, .body = body}, &answer, err))
        return false;
    *out_id = str_copy(arena, json_str(json_get(answer, "Id")));
    return out_id->len > 0 || not_an_engine(engine, "its answer to POST /containers/NAME/exec has no Id", err);
}

bool engine_exec(Engine *engine, const EngineExecSpec *spec, EngineExec **out, Error *err)
{
    Arena *arena = arena_open(BUDGET + sizeof(EngineExec));
    EngineExec *exec = arena_new(arena, EngineExec);
    if (!exec) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    exec->arena = arena;
    exec->is_terminal = spec->is_terminal;
    if (exec_create(engine, spec, arena, &exec->id, err)) {
        Str path = str_format(arena, "%.*s/exec/%.*s/start", STR_ARG(engine->prefix), STR_ARG(exec->id));
        Str body = spec->is_terminal ? S("{\"Detach\":false,\"Tty\":true}") : S("{\"Detach\":false,\"Tty\":false}");
        if (arena_ok(arena, err) && http_stream_open(&engine->server, path, body, &exec->stream, err)) {
            *out = exec;
            return true;
        }
    }
    engine_exec_close(&exec);
    return false;
}

void engine_exec_close(EngineExec **exec)
{
    if (!*exec)
        return;
    http_stream_close(&(*exec)->stream);
    Arena *arena = (*exec)->arena;
    *exec = NULL;
    arena_close(&arena);
}

int engine_exec_fd(const EngineExec *exec) { return http_stream_fd(exec->stream); }

bool engine_exec_send(EngineExec *exec, Str bytes, size_t *out_len, Error *err)
{
    return http_stream_send(exec->stream, bytes, out_len, err);
}

static bool exec_refill(EngineExec *exec, bool *out_end, Error *err)
{
    size_t len = 0;
    if (!http_stream_receive(exec->stream, exec->bytes, sizeof(exec->bytes), &len, out_end, err))
        return false;
    exec->rest = (Str){exec->bytes, len};
    return true;
}

bool engine_exec_receive(EngineExec *exec, Str *out, EngineOutput *output, bool *out_end, Error *err)
{
    *out = S("");
    *output = ENGINE_STDOUT;
    *out_end = false;
    if (exec->is_terminal) {
        if (!exec_refill(exec, out_end, err))
            return false;
        *out = exec->rest;
        return true;
    }
    while (out->len == 0) {
        if (exec->rest.len == 0 && !exec_refill(exec, out_end, err))
            return false;
        if (exec->rest.len == 0)
            return true;
        (void)engine_frames_next(&exec->frames, &exec->rest, output, out);
    }
    return true;
}

bool engine_exec_resize(Engine *engine, const EngineExec *exec, unsigned rows, unsigned columns, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "/exec/%.*s/resize?h=%u&w=%u", STR_ARG(exec->id), rows, columns);
    return arena_ok(arena, err) && engine_call(engine, &(EngineCall){.method = "POST", .path = path}, NULL, err);
}

bool engine_exec_status(Engine *engine, const EngineExec *exec, int *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *answer = NULL;
    Str path = str_format(arena, "/exec/%.*s/json", STR_ARG(exec->id));
    if (!arena_ok(arena, err) || !engine_call(engine, &(EngineCall){.method = "GET", .path = path}, &answer, err))
        return false;
    *out = (int)json_int64(json_get(answer, "ExitCode"));
    return true;
}

// ---- facts

// "2026-11-30T08:01:02.123456789Z", or with an offset: milliseconds since 1970.
static bool time_parse(Str text, int64_t *out)
{
    struct tm tm = {0};
    char buf[64];
    if (text.len >= sizeof(buf))
        return false;
    (void)snprintf(buf, sizeof(buf), "%.*s", STR_ARG(text));
    const char *rest = strptime(buf, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    int64_t ms = (int64_t)timegm(&tm) * 1000;
    if (*rest == '.') {
        int64_t unit_ms = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit_ms /= 10)
            ms += (*rest - '0') * unit_ms;
    }
    int hours = 0, minutes = 0;
    if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2)
        ms -= (*rest == '-' ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60000;
    *out = ms;
    return true;
}

static bool round_trip_measure(Engine *engine, int64_t *out_us, Error *err)
{
    *out_us = INT64_MAX;
    for (size_t i = 0; i < PINGS; i++) {
        int64_t from_us = clock_us();
        if (!engine_call(engine,
                         &(EngineCall){.method = "GET", .path = S("/_ping"), .put = http_drop, .timeout_ms = PING_MS},
                         NULL, err))
            return false;
        *out_us = MIN(*out_us, clock_us() - from_us);
    }
    return true;
}

static Str text_of(const Json *document, const char *key, Arena *arena)
{
    return str_copy(arena, json_str(json_get(document, key)));
}

static bool is_true(const Json *document, const char *key)
{
    return json_kind(json_get(document, key)) == JSON_KIND_TRUE;
}

// The engine's own id is a key in a file of its machine: machines that were copied have the same one, and so have
// several engines of one machine.
static Str identity_of(const Json *info, Arena *arena)
{
    Str id = json_str(json_get(info, "ID"));
    return id.len ? str_format(arena, "%.*s %.*s %.*s", STR_ARG(id), STR_ARG(json_str(json_get(info, "Name"))),
                               STR_ARG(json_str(json_get(info, "DockerRootDir"))))
                  : S("");
}

bool engine_facts(Engine *engine, Arena *arena, EngineFacts *out, Error *err)
{
    CLEANUP(json_close) Json *version = NULL;
    CLEANUP(json_close) Json *info = NULL;
    EngineFacts facts = {.api_version = engine_api_version(engine)};
    if (!round_trip_measure(engine, &facts.round_trip_us, err) ||
        !engine_call(engine, &(EngineCall){.method = "GET", .path = S("/version")}, &version, err))
        return false;
    int64_t from_ms = clock_unix_ms(), there_ms = 0;
    if (!engine_call(engine, &(EngineCall){.method = "GET", .path = S("/info")}, &info, err))
        return false;
    int64_t here_ms = (from_ms + clock_unix_ms()) / 2;
    facts.has_clock = time_parse(json_str(json_get(info, "SystemTime")), &there_ms);
    facts.clock_ahead_ms = facts.has_clock ? there_ms - here_ms : 0;
    facts.engine = str_format(arena, "%s %.*s", engine->is_podman ? "Podman" : "Docker",
                              STR_ARG(json_str(json_get(version, "Version"))));
    facts.id = identity_of(info, arena);
    facts.system = text_of(info, "OperatingSystem", arena);
    facts.architecture = text_of(info, "Architecture", arena);
    facts.root_directory = text_of(info, "DockerRootDir", arena);
    facts.storage_driver = text_of(info, "Driver", arena);
    facts.cpu_count = json_int64(json_get(info, "NCPU"));
    facts.memory_bytes = json_int64(json_get(info, "MemTotal"));
    facts.has_cpu_limit = is_true(info, "CpuCfsQuota");
    facts.has_memory_limit = is_true(info, "MemoryLimit");
    facts.has_pids_limit = is_true(info, "PidsLimit");
    if (facts.cpu_count <= 0 || facts.memory_bytes <= 0)
        return not_an_engine(engine, "its answer to GET /info has no NCPU or no MemTotal", err);
    if (!arena_ok(arena, err))
        return false;
    *out = facts;
    return true;
}
