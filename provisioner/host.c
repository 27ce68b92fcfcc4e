// provisioner/host.c: the record of hosts, and the way to each.
#include "provisioner/host.h"

#include <sys/statvfs.h>

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/certificate.h"
#include "provisioner/host_url.h"
#include "provisioner/name.h"
#include "provisioner/ssh.h"

enum {
    BUDGET = MIB,
    CLOCK_AHEAD_MAX_MS = 2000,
    DISK_FREE_MIN_MIB = 2048,
};

struct Host {
    Arena *arena;
    Ssh *ssh;    // NULL unless it is reached by SSH
    Engine *engine;
};

// What it takes to reach a host.
typedef struct HostWay {
    Str name;    // empty: an URL alone is known
    Str url_text;
    HostUrl url;
    Str tls_directory;
    bool is_recorded;
} HostWay;

// ---- the way to a host

// The controller has nobody to ask for a passphrase.
static bool pair_check(Str directory, Arena *arena, Error *err)
{
    Str certificate = str_format(arena, "%.*s/cert.pem", STR_ARG(directory)),
        key = str_format(arena, "%.*s/key.pem", STR_ARG(directory));
    if (!arena_ok(arena, err))
        return false;
    if (certificate_pair_check(certificate, key, err))
        return true;
    return err->code != ERR_INVALID
               ? false
               : error_next(err, "write the key that belongs to it, without a passphrase, to '%.*s'", STR_ARG(key));
}

static bool tls_check(const HostWay *way, Arena *arena, Error *err)
{
    static const char *const FILES[] = {"ca.pem", "cert.pem", "key.pem"};
    bool is_tcp = way->url.transport == HOST_TCP;
    if (is_tcp != (way->tls_directory.len > 0)) {
        error_set(err, ERR_INVALID, "the host '%.*s' is refused", STR_ARG(way->name));
        error_where(err, "tls-dir");
        error_why(err, is_tcp ? "tcp:// goes by mutual TLS, and nobody said where the certificates are"
                              : "certificates belong to tcp:// alone");
        return error_next(err, is_tcp ? "add --tls-dir DIR, with ca.pem, cert.pem and key.pem" : "leave --tls-dir out");
    }
    for (size_t i = 0; i < COUNT(FILES) && is_tcp; i++) {
        Str path = str_format(arena, "%.*s/%s", STR_ARG(way->tls_directory), FILES[i]);
        if (!arena_ok(arena, err))
            return false;
        if (file_exists(path))
            continue;
        error_set(err, ERR_NOT_FOUND, "there is no file '%.*s'", STR_ARG(path));
        return error_next(err, "put ca.pem, cert.pem and key.pem into the directory that --tls-dir names");
    }
    return !is_tcp || pair_check(way->tls_directory, arena, err);
}

static bool way_find(Platform *platform, Str name, Arena *arena, HostWay *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select url, tls_directory from control.host_get($1)"), PARAMS(name),
                  &rows, err))
        return false;
    *out = (HostWay){.name = str_copy(arena, name),
                     .url_text = str_copy(arena, rows_str(rows, 0, 0)),
                     .tls_directory = str_copy(arena, rows_str(rows, 0, 1)),
                     .is_recorded = true};
    return arena_ok(arena, err) && host_url_parse(out->url_text, arena, &out->url, err);
}

static Str way_title(const HostWay *way, Arena *arena)
{
    Str name = way->name.len ? way->name : way->url_text;
    return str_format(arena, "the host '%.*s'", STR_ARG(name));
}

static SshServer ssh_server(const Platform *platform, const HostWay *way, Arena *arena)
{
    const HostAccess *access = &platform_options(platform)->access;
    Str name = way->is_recorded ? way->name : way->url_text;
    return (SshServer){.name = way_title(way, arena),
                       .host = way->url.host,
                       .port = way->url.port,
                       .user = way->url.user,
                       .known_hosts = access->ssh_known_hosts,
                       .key_file = access->ssh_key,
                       .passphrase_file = access->ssh_passphrase_file,
                       .ask = access->ask,
                       .ask_context = access->ask_context,
                       .trust_command = str_format(arena, "shopctl host trust %.*s", STR_ARG(name))};
}

static bool explain(void *context, Error *err) { return ssh_explain(context, err); }

static bool way_open(Platform *platform, const HostWay *way, Host **out, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    Host *host = arena_new(arena, Host);
    if (!host) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    host->arena = arena;
    const HostUrl *url = &way->url;
    HttpServer server = {.name = str_format(arena, "the engine of %.*s", STR_ARG(way_title(way, arena))),
                         .url = S("http://engine"),
                         .socket = url->socket,
                         .tls_directory = way->tls_directory};
    if (url->transport == HOST_TCP)
        server.url = str_format(arena, str_has_char(url->host, ':') ? "https://[%.*s]:%lld" : "https://%.*s:%lld",
                                STR_ARG(url->host), (long long)url->port);
    SshServer ssh = ssh_server(platform, way, arena);
    bool ok = arena_ok(arena, err);
    if (ok && url->transport == HOST_SSH) {
        ok = ssh_open(&ssh, &host->ssh, err) && ssh_forward(host->ssh, url->socket, &server.socket, err);
        server.explain = explain;
        server.explain_context = host->ssh;
    }
    if (ok && engine_open(&server, &host->engine, err)) {
        *out = host;
        return true;
    }
    host_close(&host);
    return false;
}

bool host_open(Platform *platform, Str name, Host **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    HostWay way;
    return way_find(platform, name, arena, &way, err) && way_open(platform, &way, out, err);
}

void host_close(Host **host)
{
    if (!*host)
        return;
    engine_close(&(*host)->engine);
    ssh_close(&(*host)->ssh);
    Arena *arena = (*host)->arena;
    *host = NULL;
    arena_close(&arena);
}

Engine *host_engine(Host *host) { return host->engine; }

// ---- adding

// Of a host that is recorded, its directory of certificates stays unless another one is given.
static bool spec_way(Platform *platform, const HostSpec *spec, Arena *arena, HostWay *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!name_check("host", spec->name, err) || !host_url_parse(spec->url, arena, &out->url, err) ||
        !db_query(platform_control(platform), S("select tls_directory from control.hosts where name = $1 and url = $2"),
                  PARAMS(spec->name, spec->url), &rows, err))
        return false;
    out->name = spec->name;
    out->url_text = spec->url;
    out->tls_directory = spec->tls_directory.len ? spec->tls_directory
                         : rows_count(rows)      ? str_copy(arena, rows_str(rows, 0, 0))
                                                 : S("");
    return arena_ok(arena, err) && tls_check(out, arena, err);
}

static Json *number_or_null(int64_t value) { return value ? json_from_int(value) : json_build("n"); }

static Json *text_or_null(Str text) { return text.len ? json_from_str(text) : json_build("n"); }

// Whole MiB, which people can read.
static int64_t rounded(int64_t bytes) { return bytes / MIB * MIB; }

static Json *facts_json(const EngineFacts *facts)
{
    Json *json = json_build("{s:I, s:I}", "millicpu", (json_int)facts->cpu_count * 1000, "memory_bytes",
                            (json_int)rounded(facts->memory_bytes));
    bool ok = json_put(json, "engine", json_from_str(facts->engine)) &&
              json_put(json, "engine_id", json_from_str(facts->id)) &&
              json_put(json, "api_version", json_from_str(facts->api_version));
    if (!ok)
        json_close(&json);
    return json;
}

static Json *given_json(const HostSpec *spec, const HostWay *way)
{
    Str address = spec->address.len ? spec->address : way->url.transport == HOST_UNIX ? S("127.0.0.1") : way->url.host;
    Json *json = json_build("{s:b}", "is_address_given", (int)(spec->address.len > 0));
    bool ok = json_put(json, "address", json_from_str(address)) &&
              json_put(json, "tls_directory", text_or_null(spec->tls_directory)) &&
              json_put(json, "millicpu", number_or_null(spec->millicpu)) &&
              json_put(json, "memory_bytes", number_or_null(spec->memory_bytes)) &&
              json_put(json, "disk_bytes", number_or_null(spec->disk_bytes)) &&
              (!spec->labels || json_put(json, "labels", json_hold((Json *)spec->labels)));
    if (!ok)
        json_close(&json);
    return json;
}

// Asks the engine, and gives the parameters of host_add and host_changes.
static bool spec_ask(Platform *platform, const HostSpec *spec, Arena *arena, Str *out_facts, Str *out_given, Error *err)
{
    CLEANUP(host_close) Host *host = NULL;
    CLEANUP(json_close) Json *facts_document = NULL;
    CLEANUP(json_close) Json *given = NULL;
    HostWay way = {0};
    EngineFacts facts;
    if (!spec_way(platform, spec, arena, &way, err) || !way_open(platform, &way, &host, err) ||
        !engine_facts(host->engine, arena, &facts, err))
        return false;
    facts_document = facts_json(&facts);
    given = given_json(spec, &way);
    return json_ok(facts_document, err) && json_ok(given, err) &&
           json_print(facts_document, 0, arena, out_facts, err) && json_print(given, 0, arena, out_given, err);
}

bool host_add(Platform *platform, const HostSpec *spec, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str facts, given;
    return spec_ask(platform, spec, arena, &facts, &given, err) &&
           db_run(platform_control(platform), S("select control.host_add($1, $2, $3::jsonb, $4::jsonb)"),
                  PARAMS(spec->name, spec->url, facts, given), err);
}

bool host_preview(Platform *platform, const HostSpec *spec, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *changes = NULL;
    Str facts, given;
    if (!spec_ask(platform, spec, arena, &facts, &given, err) ||
        !db_query(platform_control(platform), S("select control.host_changes($1, $2, $3::jsonb, $4::jsonb)"),
                  PARAMS(spec->name, spec->url, facts, given), &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &changes, err))
        return false;
    *out = json_build("{s:s%, s:O}", "name", spec->name.data, spec->name.len, "changes", changes);
    return json_ok(*out, err);
}

// ---- showing

bool host_show(Platform *platform, Str name, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *known = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(platform_control(platform), S("select from control.host_get($1)"), PARAMS(name), &known, err) &&
           db_query(platform_control(platform), S("select control.host_list($1)"), PARAMS(name), &rows, err) &&
           json_parse(rows_str(rows, 0, 0), out, err);
}

bool host_list(Platform *platform, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(platform_control(platform),
                    S("select json_build_object('items', coalesce(json_agg(h), '[]'), 'total', count(*)) "
                      "from control.host_list(null) h"),
                    NO_PARAMS, &rows, err) &&
           json_parse(rows_str(rows, 0, 0), out, err);
}

// ---- checking

static void problem_add(Json *problems, Str what, const char *next)
{
    (void)json_append(problems, json_build("{s:s%, s:s}", "what", what.data, what.len, "next", next));
}

// Bytes that are free where the engine keeps its images and volumes; -1 where nobody can say.
static int64_t disk_free(Platform *platform, const HostWay *way, Str directory, Arena *arena)
{
    struct statvfs status;
    Error ignored = {0};
    CLEANUP(ssh_close) Ssh *ssh = NULL;
    SshServer server = ssh_server(platform, way, arena);
    Str output = S("");
    int64_t bytes = -1;
    if (directory.len == 0 || str_has_char(directory, '\''))
        return -1;
    if (way->url.transport == HOST_UNIX && statvfs(directory.data, &status) == 0)
        return rounded((int64_t)status.f_bavail * (int64_t)status.f_frsize);
    if (way->url.transport != HOST_SSH)
        return -1;
    Str command = str_format(arena, "df -B1 --output=avail '%.*s' | tail -n 1", STR_ARG(directory));
    if (!arena_ok(arena, &ignored) || !ssh_open(&server, &ssh, &ignored) ||
        !ssh_run(ssh, command.data, arena, &output, &ignored) ||
        !str_int64(str_trim(output), 0, INT64_MAX, &bytes, &ignored))
        return -1;
    return rounded(bytes);
}

static void problems_find(const EngineFacts *facts, int64_t disk_free_bytes, Arena *arena, Json *problems)
{
    static const struct {
        size_t offset;
        const char *what;
    } LIMITS[] = {{offsetof(EngineFacts, has_cpu_limit), "CPU"},
                  {offsetof(EngineFacts, has_memory_limit), "memory"},
                  {offsetof(EngineFacts, has_pids_limit), "the number of processes"}};
    for (size_t i = 0; i < COUNT(LIMITS); i++)
        if (!*(const bool *)((const char *)facts + LIMITS[i].offset))
            problem_add(problems, str_format(arena, "the engine can't limit %s", LIMITS[i].what),
                        "give its kernel the cgroup controllers cpu, memory and pids");
    if (facts->has_clock && (facts->clock_ahead_ms > CLOCK_AHEAD_MAX_MS || facts->clock_ahead_ms < -CLOCK_AHEAD_MAX_MS))
        problem_add(problems,
                    str_format(arena, "its clock is %lld ms %s ours", (long long)llabs(facts->clock_ahead_ms),
                               facts->clock_ahead_ms > 0 ? "ahead of" : "behind"),
                    "have both follow the same time servers");
    if (disk_free_bytes >= 0 && disk_free_bytes / MIB < DISK_FREE_MIN_MIB)
        problem_add(problems, str_format(arena, "only %lld MiB of disk are free", (long long)(disk_free_bytes / MIB)),
                    "make room where the engine keeps its images and volumes");
}

static Json *check_json(const HostWay *way, const EngineFacts *facts, int64_t disk_free_bytes, Json *problems)
{
    Json *json =
        json_build("{s:s%, s:s%, s:s, s:I, s:I, s:I}", "name", way->name.data, way->name.len, "url", way->url_text.data,
                   way->url_text.len, "state", "answers", "cpu", (json_int)facts->cpu_count, "memory_bytes",
                   (json_int)rounded(facts->memory_bytes), "round_trip_us", (json_int)facts->round_trip_us);
    const struct {
        const char *key;
        Str text;
    } texts[] = {{"engine", facts->engine},
                 {"api_version", facts->api_version},
                 {"system", facts->system},
                 {"architecture", facts->architecture},
                 {"storage_driver", facts->storage_driver}};
    bool ok =
        json_put(json, "clock_ahead_ms", facts->has_clock ? json_from_int(facts->clock_ahead_ms) : json_build("n")) &&
        json_put(json, "disk_free_bytes", disk_free_bytes < 0 ? json_build("n") : json_from_int(disk_free_bytes));
    for (size_t i = 0; ok && i < COUNT(texts); i++)
        ok = json_put(json, texts[i].key, json_from_str(texts[i].text));
    if (!ok || !json_put(json, "problems", json_hold(problems)))
        json_close(&json);
    return json;
}

static bool unreachable_json(const HostWay *way, const Error *failure, Json **out, Error *err)
{
    char what[2 * ERROR_TEXT + sizeof(": ")];
    (void)snprintf(what, sizeof(what), "%s%s%s", failure->what, failure->why[0] ? ": " : "", failure->why);
    *out = json_build("{s:s%, s:s%, s:s, s:[{s:s, s:s}]}", "name", way->name.data, way->name.len, "url",
                      way->url_text.data, way->url_text.len, "state", "unreachable", "problems", "what", what, "next",
                      failure->next[0] ? failure->next : "see that it runs, and that the way to it is free");
    return json_ok(*out, err);
}

bool host_check(Platform *platform, Str name, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(host_close) Host *host = NULL;
    CLEANUP(json_close) Json *problems = json_build("[]");
    HostWay way;
    EngineFacts facts;
    Error failure = {0};
    if (!json_ok(problems, err) || !way_find(platform, name, arena, &way, err))
        return false;
    if (!way_open(platform, &way, &host, &failure) || !engine_facts(host->engine, arena, &facts, &failure))
        return unreachable_json(&way, &failure, out, err);
    int64_t disk_free_bytes = disk_free(platform, &way, facts.root_directory, arena);
    problems_find(&facts, disk_free_bytes, arena, problems);
    *out = check_json(&way, &facts, disk_free_bytes, problems);
    return arena_ok(arena, err) && json_ok(*out, err) &&
           db_run(platform_control(platform), S("select control.host_heard($1, $2, $3, $4)"),
                  PARAMS(name, facts.engine, facts.id, facts.api_version), err);
}

// ---- trust

static bool trust_way(Platform *platform, Str name, Arena *arena, HostWay *out, Error *err)
{
    *out = (HostWay){.url_text = name};
    if (!(str_find(name, S("://")) < name.len ? host_url_parse(name, arena, &out->url, err)
                                              : way_find(platform, name, arena, out, err)))
        return false;
    if (out->url.transport == HOST_SSH)
        return true;
    error_set(err, ERR_STATE, "there is nothing to trust about '%.*s'", STR_ARG(name));
    return error_why(err, "it isn't reached by SSH");
}

static bool key_ask(Platform *platform, Str name, Arena *arena, SshServer *out_server, SshHostKey *out, Error *err)
{
    HostWay way;
    if (!trust_way(platform, name, arena, &way, err))
        return false;
    *out_server = ssh_server(platform, &way, arena);
    return arena_ok(arena, err) && ssh_host_key(out_server, arena, out, err);
}

bool host_key(Platform *platform, Str name, Arena *arena, HostKey *out, Error *err)
{
    SshServer server;
    SshHostKey key;
    if (!key_ask(platform, name, arena, &server, &key, err))
        return false;
    *out = (HostKey){.type = key.type,
                     .fingerprint = key.fingerprint,
                     .before = key.before,
                     .file = server.known_hosts,
                     .is_known = key.is_known};
    return true;
}

bool host_trust(Platform *platform, Str name, Str fingerprint, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    SshServer server;
    SshHostKey key;
    if (!key_ask(platform, name, arena, &server, &key, err))
        return false;
    if (str_eq(key.fingerprint, fingerprint))
        return ssh_trust(&server, &key, err);
    error_set(err, ERR_FORBIDDEN, "the key of '%.*s' isn't trusted", STR_ARG(name));
    return error_why(err, "it shows %.*s, not %.*s", STR_ARG(key.fingerprint), STR_ARG(fingerprint));
}

// ---- draining and removing

bool host_drain(Platform *platform, Str name, bool is_undone, Error *err)
{
    return db_run(platform_control(platform), S("select control.host_state_set($1, $2)"),
                  PARAMS(name, is_undone ? S("ready") : S("draining")), err);
}

bool host_remove(Platform *platform, Str name, Error *err)
{
    return db_run(platform_control(platform), S("select control.host_remove($1)"), PARAMS(name), err);
}

bool host_remove_check(Platform *platform, Str name, Error *err)
{
    return db_run(platform_control(platform), S("select control.host_check_removable($1)"), PARAMS(name), err);
}
