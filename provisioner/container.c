// provisioner/container.c: calls of the engine's API for one thing each.
#include "provisioner/container.h"

#include "base/arena.h"
#include "provisioner/tar.h"

enum {
    BUDGET = 256 * KIB,
    LOG_BUDGET = 2 * MIB,
    STOP_EXTRA_MS = 30000,
    LOG_MS = 10000,
    LOG_MAX = 64 * KIB,
    NANO_OF_MILLI = 1000000,
};

static const int64_t FOLLOW_SILENCE_MS = INT64_C(366) * 86400 * 1000;

static const struct {
    const char *path;    // of one, before its name and after it
    const char *after;
    const char *create;
    const char *remove;    // the query
    const char *what;
} THINGS[] = {
    [THING_CONTAINER] = {"/containers/", "/json", "/containers/create?name=", "?force=true&v=false", "container"},
    [THING_NETWORK] = {"/networks/", "", "/networks/create", "", "network"},
    [THING_VOLUME] = {"/volumes/", "", "/volumes/create", "?force=true", "volume"},
};

bool thing_find(Engine *engine, ContainerThing thing, Str name, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "%s%.*s%s", THINGS[thing].path, STR_ARG(name), THINGS[thing].after);
    *out = NULL;
    if (!arena_ok(arena, err) || engine_call(engine, &(EngineCall){.method = "GET", .path = path}, out, err))
        return err->code == ERR_NONE;
    if (err->code != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    return true;
}

static bool make(Engine *engine, ContainerThing thing, Str name, const Json *body, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str named = thing == THING_CONTAINER ? name : S("");
    Str path = str_format(arena, "%s%.*s", THINGS[thing].create, STR_ARG(named));
    if (!json_ok(body, err) || !arena_ok(arena, err))
        return false;
    if (engine_call(engine, &(EngineCall){.method = "POST", .path = path, .body = body}, NULL, err))
        return true;
    if (err->code != ERR_EXISTS)
        return error_wrap(err, "the %s '%.*s' can't be made", THINGS[thing].what, STR_ARG(name));
    error_clear(err);
    return true;
}

bool thing_make(Engine *engine, ContainerThing thing, Str name, Json *body, Error *err)
{
    CLEANUP(json_close) Json *closed = body;
    CLEANUP(json_close) Json *there = NULL;
    return thing_find(engine, thing, name, &there, err) && (there || make(engine, thing, name, closed, err));
}

bool thing_remove(Engine *engine, ContainerThing thing, Str name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "%s%.*s%s", THINGS[thing].path, STR_ARG(name), THINGS[thing].remove);
    if (!arena_ok(arena, err))
        return false;
    if (engine_call(engine, &(EngineCall){.method = "DELETE", .path = path}, NULL, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return error_wrap(err, "the %s '%.*s' can't be removed", THINGS[thing].what, STR_ARG(name));
    error_clear(err);
    return true;
}

// A POST to a container that does nothing where it is done already (304).
static bool act(Engine *engine, Str name, const char *verb, const char *query, int64_t timeout_ms, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "/containers/%.*s/%s%s", STR_ARG(name), verb, query);
    // The engine says nothing while it waits for a container's end.
    const EngineCall call = {.method = "POST", .path = path, .timeout_ms = timeout_ms, .silence_ms = timeout_ms};
    return arena_ok(arena, err) &&
           (engine_call(engine, &call, NULL, err) || error_wrap(err, "the container '%.*s' can't be %sed",
                                                                STR_ARG(name), strcmp(verb, "stop") ? verb : "stopp"));
}

bool container_start(Engine *engine, Str name, Error *err) { return act(engine, name, "start", "", 0, err); }

bool container_stop(Engine *engine, Str name, int64_t timeout_s, Error *err)
{
    char query[32];
    (void)snprintf(query, sizeof(query), "?t=%lld", (long long)timeout_s);
    if (act(engine, name, "stop", query, timeout_s * 1000 + STOP_EXTRA_MS, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    return true;
}

bool is_container_in(const Json *container, Str network)
{
    return json_member(json_get(json_get(container, "NetworkSettings"), "Networks"), network) != NULL;
}

// Docker refuses a second time with 403, Podman with 500: what the container is in says whether it is done.
static bool is_connected(Engine *engine, Str name, Str network, bool *out, Error *err)
{
    CLEANUP(json_close) Json *container = NULL;
    if (!thing_find(engine, THING_CONTAINER, name, &container, err))
        return false;
    *out = is_container_in(container, network);
    return true;
}

bool container_connect(Engine *engine, Str name, Str network, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *body = json_build("{s:s%}", "Container", name.data, name.len);
    Str path = str_format(arena, "/networks/%.*s/connect", STR_ARG(network));
    bool is_done = false;
    if (!json_ok(body, err) || !arena_ok(arena, err) || !is_connected(engine, name, network, &is_done, err) || is_done)
        return is_done && err->code == ERR_NONE;
    return engine_call(engine, &(EngineCall){.method = "POST", .path = path, .body = body}, NULL, err) ||
           error_wrap(err, "the container '%.*s' can't be connected", STR_ARG(name));
}

bool container_rename(Engine *engine, Str name, Str new_name, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "/containers/%.*s/rename?name=%.*s", STR_ARG(name), STR_ARG(new_name));
    return arena_ok(arena, err) && (engine_call(engine, &(EngineCall){.method = "POST", .path = path}, NULL, err) ||
                                    error_wrap(err, "the container '%.*s' can't be renamed", STR_ARG(name)));
}

bool container_limit(Engine *engine, Str name, int64_t millicpu, int64_t memory_bytes, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close)
    Json *body = json_build("{s:I, s:I, s:I}", "NanoCpus", (json_int)millicpu * NANO_OF_MILLI, "Memory",
                            (json_int)memory_bytes, "MemorySwap", (json_int)memory_bytes);
    Str path = str_format(arena, "/containers/%.*s/update", STR_ARG(name));
    if (!json_ok(body, err) || !arena_ok(arena, err))
        return false;
    if (engine_call(engine, &(EngineCall){.method = "POST", .path = path, .body = body}, NULL, err))
        return true;
    if (is_engine_podman(engine) && err->code == ERR_NOT_FOUND) {
        err->code = ERR_STATE;
        error_next(err, "Podman 4.3 has no call for it: move the shop onto another host, and resize it there");
    }
    return error_wrap(err, "the container '%.*s' can't be given other limits", STR_ARG(name));
}

bool has_container_limits(const Json *container, int64_t millicpu, int64_t memory_bytes)
{
    const Json *limits = json_get(container, "HostConfig");
    return json_int64(json_get(limits, "Memory")) == memory_bytes &&
           json_int64(json_get(limits, "NanoCpus")) == millicpu * NANO_OF_MILLI;
}

// ---- files

typedef struct Bytes {
    StrBuf buf;
    size_t at;
} Bytes;

static bool bytes_put(void *context, Str bytes, Error *err)
{
    Bytes *archive = context;
    strbuf_add(&archive->buf, bytes);
    return arena_ok(archive->buf.arena, err);
}

static bool bytes_read(void *context, char *buf, size_t size, size_t *out_len, Error *err)
{
    Bytes *archive = context;
    (void)err;
    *out_len = MIN(size, archive->buf.len - archive->at);
    memcpy(buf, archive->buf.data + archive->at, *out_len);
    archive->at += *out_len;
    return true;
}

bool container_put(Engine *engine, Str name, Str directory, const ContainerFile *files, size_t count, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LOG_BUDGET);
    CLEANUP(tar_close) Tar *tar = NULL;
    Bytes archive = {.buf = {.arena = arena}};
    if (!tar_open(bytes_put, &archive, &tar, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        TarEntry entry = {.path = files[i].path, .mode = files[i].mode, .uid = files[i].uid, .gid = files[i].uid};
        if (!tar_text(tar, &entry, files[i].text, err))
            return false;
    }
    Str path = str_format(arena, "/containers/%.*s/archive?path=%.*s", STR_ARG(name), STR_ARG(directory));
    const EngineCall call = {.method = "PUT",
                             .path = path,
                             .content_type = "application/x-tar",
                             .read = bytes_read,
                             .read_context = &archive};
    return tar_end(tar, err) && arena_ok(arena, err) &&
           (engine_call(engine, &call, NULL, err) ||
            error_wrap(err, "the files of the container '%.*s' can't be written", STR_ARG(name)));
}

// ---- logs and state

static bool log_put(void *context, Str bytes, Error *err)
{
    StrBuf *buf = context;
    (void)err;
    if (buf->len < LOG_MAX)
        strbuf_add(buf, bytes);
    return true;
}

Str container_log_tail(Engine *engine, Str name, size_t lines, Arena *arena)
{
    StrBuf raw = {.arena = arena}, text = {.arena = arena};
    EngineFrames frames = {.head_len = 0};
    EngineOutput output = ENGINE_STDOUT;
    Error ignored = {0};
    Str path = str_format(arena, "/containers/%.*s/logs?stdout=true&stderr=true&tail=%zu", STR_ARG(name), lines);
    const EngineCall call = {.method = "GET", .path = path, .put = log_put, .put_context = &raw, .timeout_ms = LOG_MS};
    if (!arena_ok(arena, &ignored) || !engine_call(engine, &call, NULL, &ignored))
        return S("");
    for (Str rest = strbuf_str(&raw), part; engine_frames_next(&frames, &rest, &output, &part);)
        strbuf_add(&text, part);
    return strbuf_str(&text);
}

typedef struct LogFrames {
    EngineFrames frames;
    ContainerLogPut *put;
    void *context;
} LogFrames;

static bool log_frames_put(void *context, Str bytes, Error *err)
{
    LogFrames *log = context;
    EngineOutput output = ENGINE_STDOUT;
    for (Str part; engine_frames_next(&log->frames, &bytes, &output, &part);)
        if (part.len && !log->put(log->context, part, err))
            return false;
    return true;
}

bool container_log(Engine *engine, Str name, const ContainerLogSpec *spec, ContainerLogPut *put, void *context,
                   Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    LogFrames log = {.put = put, .context = context};
    Str path =
        str_format(arena, "/containers/%.*s/logs?stdout=true&stderr=true&follow=%s&since=%lld&tail=", STR_ARG(name),
                   spec->must_follow ? "true" : "false", (long long)spec->since_s);
    Str tail = spec->lines ? str_int(arena, spec->lines) : S("all");
    const EngineCall call = {.method = "GET",
                             .path = STR_CONCAT(arena, path, tail),
                             .put = log_frames_put,
                             .put_context = &log,
                             .timeout_ms = spec->timeout_ms,
                             .silence_ms = spec->must_follow ? FOLLOW_SILENCE_MS : 0};
    return arena_ok(arena, err) &&
           (engine_call(engine, &call, NULL, err) || error_wrap(err, "the log of '%.*s' can't be read", STR_ARG(name)));
}

bool container_restart(Engine *engine, Str name, int64_t timeout_s, Error *err)
{
    char query[32];
    (void)snprintf(query, sizeof(query), "?t=%lld", (long long)timeout_s);
    return act(engine, name, "restart", query, timeout_s * 1000 + STOP_EXTRA_MS, err);
}

static bool is_state(const Json *container, const char *key)
{
    return json_kind(json_get(json_get(container, "State"), key)) == JSON_KIND_TRUE;
}

bool is_container_up(const Json *container)
{
    return is_state(container, "Running") || is_state(container, "Restarting");
}

// Engines call one that ends again and again both.
bool is_container_running(const Json *container)
{
    return is_state(container, "Running") && !is_state(container, "Restarting");
}

Str container_health(const Json *container)
{
    const Json *state = json_get(container, "State");
    const Json *health = json_get(state, "Health");
    return json_str(json_get(health ? health : json_get(state, "Healthcheck"), "Status"));    // Podman's older name
}
