// provisioner/dedicated_state.c: asks a cell's host and its database.
#include "provisioner/dedicated_state.h"

#include "base/arena.h"
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/host.h"

enum { BUDGET = MIB, STATS_MS = 5000 };

// Memory in use, without what the kernel keeps of files (cgroup v1: total_inactive_file; v2: inactive_file).
static int64_t memory_used(Engine *engine, Str name, Arena *arena)
{
    CLEANUP(json_close) Json *stats = NULL;
    Error ignored = {0};
    Str path = str_format(arena, "/containers/%.*s/stats?stream=false&one-shot=true", STR_ARG(name));
    if (!arena_ok(arena, &ignored) ||
        !engine_call(engine, &(EngineCall){.method = "GET", .path = path, .timeout_ms = STATS_MS}, &stats, &ignored))
        return -1;
    const Json *memory = json_get(stats, "memory_stats"), *details = json_get(memory, "stats");
    const Json *files = json_get(details, "total_inactive_file");
    return json_int64(json_get(memory, "usage")) - json_int64(files ? files : json_get(details, "inactive_file"));
}

static bool text_put(Json *object, const char *key, Str text)
{
    return json_put(object, key, text.len ? json_from_str(text) : json_build("n"));
}

static bool container_add(Engine *engine, Str name, const char *role, Arena *arena, Json *list, Error *err)
{
    CLEANUP(json_close) Json *there = NULL;
    if (!thing_find(engine, THING_CONTAINER, name, &there, err))
        return false;
    const Json *state = json_get(there, "State"), *limits = json_get(there, "HostConfig");
    Json *item = json_build("{s:s%, s:s}", "name", name.data, name.len, "role", role);
    bool ok = text_put(item, "id", json_str(json_get(there, "Id"))) &&
              text_put(item, "state", there ? json_str(json_get(state, "Status")) : S("missing")) &&
              text_put(item, "health", container_health(there)) &&
              text_put(item, "image", json_str(json_get(json_get(there, "Config"), "Image"))) &&
              json_put(item, "cpu", json_build("f", (double)json_int64(json_get(limits, "NanoCpus")) / 1e9)) &&
              json_put(item, "memory_bytes", json_from_int(json_int64(json_get(limits, "Memory"))));
    int64_t used = ok && is_container_running(there) ? memory_used(engine, name, arena) : -1;
    ok = ok && json_put(item, "memory_used_bytes", used < 0 ? json_build("n") : json_from_int(used)) &&
         json_put(item, "restarts", json_from_int(json_int64(json_get(there, "RestartCount")))) &&
         text_put(item, "started_at", json_str(json_get(state, "StartedAt")));
    if (!ok)
        json_close(&item);
    return json_append(list, item) || json_ok(NULL, err);
}

static bool containers_read(Platform *platform, const Dedicated *cell, Arena *arena, Json *list, Error *err)
{
    Host *host = NULL;
    return platform_host(platform, cell->host, &host, err) &&
           container_add(host_engine(host), cell->postgres_name, "postgres", arena, list, err) &&
           container_add(host_engine(host), cell->shopd_name, "shopd", arena, list, err);
}

static bool database_read(Platform *platform, const Dedicated *cell, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *db = NULL;
    return platform_cell(platform, cell->cell, &db, err) &&
           db_query(db,
                    S("select json_build_object('version', current_setting('server_version'), 'bytes', "
                      "pg_database_size(current_database()), 'is_full', exists (select from cell.full_disks), "
                      "'connections', (select count(*) from pg_stat_activity where "
                      "datname = current_database()), 'connections_max', current_setting('max_connections')::integer)"),
                    NO_PARAMS, &rows, err) &&
           json_parse(rows_str(rows, 0, 0), out, err);
}

bool dedicated_state(Platform *platform, Str cell_name, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Dedicated cell = {0};
    Error failure = {0};
    Json *database = NULL, *containers = json_build("[]");
    *out = NULL;
    if (!dedicated_find(platform, cell_name, arena, &cell, err) || cell.host.len == 0) {
        json_close(&containers);
        return err->code == ERR_NONE;
    }
    bool is_whole = containers_read(platform, &cell, arena, containers, &failure) &&
                    database_read(platform, &cell, &database, &failure);
    CLEANUP(json_close)
    Json *state = json_build("{s:s%, s:o}", "host", cell.host.data, cell.host.len, "containers", containers);
    if (!json_put(state, "database", database ? database : json_build("n")) ||
        !text_put(state, "problem", is_whole ? S("") : str_of(failure.what)))
        json_close(&state);
    *out = TAKE(state);
    return json_ok(*out, err);
}
