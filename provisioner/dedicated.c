// provisioner/dedicated.c: containers, networks and volumes of a cell of its own, as the engine's API wants them.
#include "provisioner/dedicated.h"

#include "base/arena.h"
#include "provisioner/container.h"
#include "provisioner/postgres_settings.h"

#define START_TIMEOUT_MS "120000"    // until its cell is there
#define SUBNETS_PREFIX "10.213."

enum {
    PORT_FIRST = 20000,
    SUBNETS = 4096,
    SUBNET_ADDRESSES = 16,
    POSTGRES_PIDS = 256,
    SHOPD_PIDS = 128,
    CONNECTIONS = 60,
    SHARED_BUFFERS_MIN_MB = 16,
    CACHE_MIN_MB = 4,
    CACHE_MAX_MB = 256,
    ADDRESS_NAMED = 64,
    MILLI = 1000,
    NANO_OF_MILLI = 1000000,
};

Str dedicated_postgres_name(Str platform, Str cell, Arena *arena)
{
    return str_format(arena, "shop-%.*s-%.*s-postgres", STR_ARG(platform), STR_ARG(cell));
}

DedicatedResources dedicated_resources(const Json *resources, const char *program)
{
    const Json *own = json_get(resources, program);
    return (DedicatedResources){.millicpu = json_int64(json_get(own, "millicpu")),
                                .memory_bytes = json_int64(json_get(own, "memory_bytes")),
                                .disk_bytes = json_int64(json_get(own, "disk_bytes"))};
}

// A cell is named after the operation that made it: d17.
static int64_t operation_of(Str cell)
{
    Error ignored = {0};
    int64_t id = 0;
    return str_int64(str_skip(cell, 1), 1, INT64_MAX, &id, &ignored) ? id : 0;
}

static bool cell_read(const Json *record, const PlatformOptions *options, Arena *arena, Dedicated *out, Error *err)
{
    Dedicated cell = {.cell = str_copy(arena, json_str(json_get(record, "cell"))),
                      .host = str_copy(arena, json_str(json_get(record, "host"))),
                      .address = str_copy(arena, json_str(json_get(record, "address"))),
                      .port = json_int64(json_get(record, "port")),
                      .port_next = json_int64(json_get(record, "port_next")),
                      .url = str_copy(arena, json_str(json_get(record, "url"))),
                      .is_open = str_eq(json_str(json_get(record, "state")), S("open")),
                      .postgres = dedicated_resources(json_get(record, "resources"), "postgres"),
                      .shopd = dedicated_resources(json_get(record, "resources"), "shopd"),
                      .tenant = str_copy(arena, json_str(json_get(record, "tenant"))),
                      .platform = str_copy(arena, json_str(json_get(record, "platform"))),
                      .base_domain = str_copy(arena, options->base_domain),
                      .trusted_proxies = str_copy(arena, options->trusted_proxies)};
    cell.operation = operation_of(cell.cell);
    const struct {
        Str *name;
        const char *end;
    } names[] = {{&cell.network, "network"},  {&cell.data_volume, "data"},     {&cell.secrets_volume, "secrets"},
                 {&cell.shopd_name, "shopd"}, {&cell.next_name, "shopd-next"}, {&cell.secrets_name, "keeper"}};
    for (size_t i = 0; i < COUNT(names); i++)
        *names[i].name =
            str_format(arena, "shop-%.*s-%.*s-%s", STR_ARG(cell.platform), STR_ARG(cell.cell), names[i].end);
    cell.postgres_name = dedicated_postgres_name(cell.platform, cell.cell, arena);
    cell.front_network = str_format(arena, "shop-%.*s-front", STR_ARG(cell.platform));
    if (!arena_ok(arena, err))
        return false;
    if (cell.port <= 0 || cell.postgres.memory_bytes <= 0 || cell.shopd.memory_bytes <= 0) {
        error_set(err, ERR_STATE, "the cell '%.*s' can't be made", STR_ARG(cell.cell));
        return error_why(err, "its record has no host, port or resources");
    }
    *out = cell;
    return true;
}

bool dedicated_find(Platform *platform, Str cell, Arena *arena, Dedicated *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *record = NULL;
    *out = (Dedicated){0};
    if (!db_query(platform_control(platform), S("select control.cell_dedicated($1)"), PARAMS(cell), &rows, err))
        return false;
    if (rows_count(rows) == 0 || rows_is_null(rows, 0, 0))
        return true;
    return json_parse(rows_str(rows, 0, 0), &record, err) &&
           cell_read(record, platform_options(platform), arena, out, err);
}

// ---- PostgreSQL's settings

Str dedicated_postgres_conf(const DedicatedResources *resources, Arena *arena)
{
    int64_t memory_mb = resources->memory_bytes / MIB, cpu = MAX((resources->millicpu + MILLI - 1) / MILLI, INT64_C(1));
    int64_t disk_mb = resources->disk_bytes / MIB;
    StrBuf buf = {.arena = arena};
    strbuf_add(&buf, S("# Written by shopctl for the plan's CPU and memory.\n"
                       "listen_addresses = '*'    # of a network with shopd alone\n"
                       "unix_socket_directories = '" IMAGE_SOCKETS "'\n"
                       "password_encryption = 'scram-sha-256'\n"
                       "checkpoint_timeout = 5min\n" POSTGRES_SETTINGS));
    strbuf_format(&buf, "max_connections = %d\n", CONNECTIONS);
    strbuf_format(&buf, "shared_buffers = %lldMB\n", (long long)MAX(memory_mb / 4, (int64_t)SHARED_BUFFERS_MIN_MB));
    strbuf_format(&buf, "effective_cache_size = %lldMB\n", (long long)MAX(memory_mb * 5 / 8, INT64_C(32)));
    strbuf_format(&buf, "work_mem = %lldMB\n", (long long)MAX(memory_mb / 200, INT64_C(1)));
    strbuf_format(&buf, "maintenance_work_mem = %lldMB\n",
                  (long long)MIN(MAX(memory_mb / 16, INT64_C(8)), INT64_C(1024)));
    strbuf_format(&buf, "max_wal_size = %lldMB\n", (long long)MIN(MAX(disk_mb / 20, INT64_C(80)), INT64_C(2048)));
    strbuf_format(&buf, "max_slot_wal_keep_size = %lldMB\n", (long long)MAX(disk_mb / 5, INT64_C(256)));
    strbuf_format(&buf, "min_wal_size = 32MB\nmax_worker_processes = %lld\nmax_parallel_workers = %lld\n",
                  (long long)cpu + 4, (long long)cpu);
    strbuf_format(&buf, "max_parallel_workers_per_gather = %lld\n", (long long)MIN(cpu / 2, INT64_C(2)));
    return strbuf_str(&buf);
}

Str dedicated_hba_conf(Arena *arena)
{
    return str_copy(arena, S("# Written by shopctl: the owner from inside of the container, shopd from its network.\n"
                             "local all shop_owner peer\n"
                             "host cell cell_shopd samenet scram-sha-256\n"));
}

// ---- bodies

static Json *labels(const Dedicated *cell)
{
    char operation[24];
    (void)snprintf(operation, sizeof(operation), "%lld", (long long)cell->operation);
    return json_build("{s:s%, s:s%, s:s%, s:s}", "shopctl.platform", cell->platform.data, cell->platform.len,
                      "shopctl.tenant", cell->tenant.data, cell->tenant.len, "shopctl.cell", cell->cell.data,
                      cell->cell.len, "shopctl.operation", operation);
}

// Engines have room for some thirty networks of their own choice: each of ours gets a small one that follows from the
// port, which no other cell of the host has.
static Json *subnet(const Dedicated *cell)
{
    char text[32];
    unsigned start = (unsigned)((cell->port - PORT_FIRST) % SUBNETS) * SUBNET_ADDRESSES;
    (void)snprintf(text, sizeof(text), SUBNETS_PREFIX "%u.%u/28", start >> 8 & 0xff, start & 0xff);
    return json_build("{s:[{s:s}]}", "Config", "Subnet", text);
}

bool dedicated_is_own_subnet(Str subnet) { return str_has_prefix(subnet, S(SUBNETS_PREFIX)); }

Json *dedicated_network(const Dedicated *cell, bool has_subnet)
{
    Json *body = json_build("{s:s%, s:b, s:b, s:s, s:o}", "Name", cell->network.data, cell->network.len,
                            "CheckDuplicate", 1, "Internal", 1, "Driver", "bridge", "Labels", labels(cell));
    if (body && has_subnet)
        (void)json_put(body, "IPAM", subnet(cell));
    return body;
}

static Json *front_network(const Dedicated *cell, bool is_ours)
{
    Json *body =
        json_build("{s:s%, s:b, s:s, s:{s:s%}, s:{s:s}}", "Name", cell->front_network.data, cell->front_network.len,
                   "CheckDuplicate", 1, "Driver", "bridge", "Labels", "shopctl.platform", cell->platform.data,
                   cell->platform.len, "Options", "com.docker.network.bridge.enable_icc", "false");
    if (body && is_ours)
        (void)json_put(body, "IPAM",
                       json_build("{s:[{s:s, s:s}]}", "Config", "Subnet", "10.212.0.0/20", "Gateway", "10.212.0.1"));
    return body;
}

Json *dedicated_volume(const Dedicated *cell, Str name)
{
    return json_build("{s:s%, s:o}", "Name", name.data, name.len, "Labels", labels(cell));
}

static Json *mount(Str volume, const char *target, bool is_read_only)
{
    return json_build("{s:s, s:s%, s:s, s:b}", "Type", "volume", "Source", volume.data, volume.len, "Target", target,
                      "ReadOnly", (int)is_read_only);
}

// What holds for every container of ours: no rights, no room to write, no more than its plan.
static Json *host_config(const DedicatedResources *resources, int pids)
{
    return json_build("{s:b, s:[s], s:[s], s:i, s:I, s:I, s:I, s:{s:s}, s:{s:s, s:{s:s, s:s}}, s:i}", "ReadonlyRootfs",
                      1, "CapDrop", "ALL", "SecurityOpt", "no-new-privileges", "PidsLimit", pids, "Memory",
                      (json_int)resources->memory_bytes, "MemorySwap", (json_int)resources->memory_bytes, "NanoCpus",
                      (json_int)resources->millicpu * NANO_OF_MILLI, "RestartPolicy", "Name", "unless-stopped",
                      "LogConfig", "Type", "json-file", "Config", "max-size", "10m", "max-file", "3", "OomScoreAdj",
                      500);
}

static Json *container(const Dedicated *cell, Str image, Json *host)
{
    return json_build("{s:s%, s:o, s:o}", "Image", image.data, image.len, "Labels", labels(cell), "HostConfig", host);
}

Json *dedicated_secrets_container(const Dedicated *cell, Str image)
{
    Json *host =
        json_build("{s:[o], s:s}", "Mounts", mount(cell->secrets_volume, IMAGE_SECRETS, false), "NetworkMode", "none");
    return container(cell, image, host);
}

Json *dedicated_postgres_container(const Dedicated *cell, Str image)
{
    Json *host = host_config(&cell->postgres, POSTGRES_PIDS);
    bool ok = json_put(host, "Mounts",
                       json_build("[o, o]", mount(cell->data_volume, IMAGE_DATA, false),
                                  mount(cell->secrets_volume, IMAGE_SECRETS, true))) &&
              json_put(host, "Tmpfs",
                       json_build("{s:s, s:s}", IMAGE_SOCKETS_BEFORE, "mode=1777,size=1m", "/tmp", "size=16m")) &&
              json_put(host, "ShmSize", json_from_int(MAX(cell->postgres.memory_bytes / 4, (int64_t)16 * MIB))) &&
              json_put(host, "NetworkMode", json_from_str(cell->network));
    Json *body = container(cell, image, host);
    Json *network = json_build("{s:[s]}", "Aliases", "postgres");
    if (cell->postgres_address.len)
        ok = ok &&
             json_put(network, "IPAMConfig",
                      json_build("{s:s%}", "IPv4Address", cell->postgres_address.data, cell->postgres_address.len));
    ok = ok && body && json_put(body, "Hostname", json_build("s", "postgres")) &&
         json_put(body, "StopSignal", json_build("s", "SIGINT")) &&
         json_put(body, "NetworkingConfig",
                  json_build("{s:{s%:o}}", "EndpointsConfig", cell->network.data, cell->network.len, network));
    if (!ok)
        json_close(&body);
    return body;
}

Json *dedicated_shopd_command(const Dedicated *cell)
{
    int64_t threads = MAX((cell->shopd.millicpu + MILLI - 1) / MILLI, INT64_C(1));
    int64_t cache_mb = MIN(MAX(cell->shopd.memory_bytes / MIB / 8, (int64_t)CACHE_MIN_MB), (int64_t)CACHE_MAX_MB);
    char threads_text[24], cache_text[24];
    (void)snprintf(threads_text, sizeof(threads_text), "%lld", (long long)threads);
    (void)snprintf(cache_text, sizeof(cache_text), "%lld", (long long)cache_mb * MIB);
    return json_build("[s, s, s, s, s, s, s, s%, s, s, s, s, s, s%]", "--cell",
                      "host=postgres port=5432 dbname=cell user=cell_shopd passfile=" IMAGE_SECRETS "/shopd.pgpass",
                      "--start-timeout", START_TIMEOUT_MS, "--listen", "0.0.0.0:8080", "--base-domain",
                      cell->base_domain.data, cell->base_domain.len, "--threads", threads_text, "--cache-bytes",
                      cache_text, "--trusted-proxies", cell->trusted_proxies.data ? cell->trusted_proxies.data : "",
                      cell->trusted_proxies.len);
}

Json *dedicated_shopd_container(const Dedicated *cell, Str image)
{
    char port[16];
    (void)snprintf(port, sizeof(port), "%lld", (long long)cell->port);
    Json *host = host_config(&cell->shopd, SHOPD_PIDS);
    bool ok = json_put(host, "Mounts", json_build("[o]", mount(cell->secrets_volume, IMAGE_SECRETS, true))) &&
              json_put(host, "Tmpfs", json_build("{s:s}", "/tmp", "size=16m")) &&
              json_put(host, "ShmSize", json_from_int((int64_t)16 * MIB)) &&
              json_put(host, "NetworkMode", json_from_str(cell->front_network)) &&
              json_put(host, "PortBindings",
                       json_build("{s:[{s:s%, s:s}]}", "8080/tcp", "HostIp", cell->address.data, cell->address.len,
                                  "HostPort", port));
    char named[ADDRESS_NAMED] = "";
    (void)snprintf(named, sizeof(named), "postgres:%.*s", STR_ARG(cell->postgres_address));
    if (cell->postgres_address.len)
        ok = ok && json_put(host, "ExtraHosts", json_build("[s]", named));
    Json *body = container(cell, image, host);
    ok = ok && body && json_put(body, "Cmd", dedicated_shopd_command(cell)) &&
         json_put(body, "ExposedPorts", json_build("{s:{}}", "8080/tcp"));
    if (!ok)
        json_close(&body);
    return body;
}

bool dedicated_network_make(Engine *engine, const Dedicated *cell, Error *err)
{
    if (thing_make(engine, THING_NETWORK, cell->network, dedicated_network(cell, true), err))
        return true;
    if (err->code == ERR_UNREACHABLE || err->code == ERR_NO_MEMORY)
        return false;
    error_clear(err);
    return thing_make(engine, THING_NETWORK, cell->network, dedicated_network(cell, false), err);
}

bool dedicated_front_make(Engine *engine, const Dedicated *cell, Error *err)
{
    if (thing_make(engine, THING_NETWORK, cell->front_network, front_network(cell, false), err))
        return true;
    if (err->code == ERR_UNREACHABLE || err->code == ERR_NO_MEMORY)
        return false;
    Error first = *err;
    error_clear(err);
    if (thing_make(engine, THING_NETWORK, cell->front_network, front_network(cell, true), err))
        return true;
    *err = first;
    return error_next(err, "remove networks that nobody uses, or give the engine more address pools");
}
