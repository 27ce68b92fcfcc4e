// provisioner/platform.c: the connections of one thread to the control database and to cells.
#include "provisioner/platform.h"

#include <pwd.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "provisioner/dedicated.h"
#include "provisioner/gateway.h"
#include "provisioner/host.h"
#include "provisioner/launch.h"
#include "provisioner/migration.h"
#include "provisioner/relay.h"

enum {
    TAKEOVER_MS = 60000,
    SMOKE_MS = 10000,
    READY_MS = 120000,
    WRITERS_MS = 60000,
    CELLS_MAX = 256,
    HOSTS_MAX = 1024,
    BUDGET = 16 * MIB,
    NUMBER_START = 1001,
    WARNING_MAX = KIB,
};

typedef struct CellConnection {
    Str name;
    Db *db;
    Relay *relay;    // the way to the PostgreSQL of a cell of its own
} CellConnection;

typedef struct HostConnection {
    Str name;
    Host *host;
    int64_t record;    // a hash of what the record said of the way to it when it was opened
} HostConnection;

struct Platform {
    Arena *arena;
    PlatformOptions options;
    Db *control;
    CellConnection cells[CELLS_MAX];
    size_t cell_count;
    HostConnection hosts[HOSTS_MAX];
    size_t host_count;
    size_t expected;
    PlatformObserver *observer;
    void *observer_context;
    PlatformWarned *warned;
    void *warned_context;
};

static const DbOptions DB_OPTIONS = {.application = "shopctl"};

static Str user_name(Arena *arena)
{
    struct passwd entry, *found = NULL;
    char buffer[4 * KIB];
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        return str_copy(arena, str_of(found->pw_name));
    return str_format(arena, "uid %u", (unsigned)getuid());
}

bool platform_open_with(const PlatformOptions *options, Platform **out, Error *err)
{
    Arena *arena = arena_open(BUDGET);
    Platform *platform = arena_new(arena, Platform);
    if (!platform) {
        bool ok = arena_ok(arena, err);
        arena_close(&arena);
        return ok;
    }
    platform->arena = arena;
    platform->expected = 1;
    platform->options = (PlatformOptions){
        .control_dsn = str_copy(arena, options->control_dsn),
        .data = str_copy(arena, options->data),
        .trusted_proxies = str_copy(arena, options->trusted_proxies),
        .base_domain = str_copy(arena, options->base_domain.len ? options->base_domain : S("localhost")),
        .operator_name = options->operator_name.len ? str_copy(arena, options->operator_name) : user_name(arena),
        .takeover_ms = options->takeover_ms ? options->takeover_ms : TAKEOVER_MS,
        .smoke_ms = options->smoke_ms ? options->smoke_ms : SMOKE_MS,
        .ready_ms = options->ready_ms ? options->ready_ms : READY_MS,
        .writers_ms = options->writers_ms ? options->writers_ms : WRITERS_MS,
        .access = {.ssh_key = str_copy(arena, options->access.ssh_key),
                   .ssh_passphrase_file = str_copy(arena, options->access.ssh_passphrase_file),
                   .ssh_known_hosts = str_copy(arena, options->access.ssh_known_hosts),
                   .ask = options->access.ask,
                   .ask_context = options->access.ask_context},
        .images = {.directory = str_copy(arena, options->images.directory),
                   .shopd = str_copy(arena, options->images.shopd),
                   .postgres_bin = str_copy(arena, options->images.postgres_bin),
                   .postgres_image = str_copy(arena, options->images.postgres_image),
                   .shopd_image = str_copy(arena, options->images.shopd_image),
                   .credentials = str_copy(arena, options->images.credentials)},
        .gateway = {.directory = str_copy(arena, options->gateway.directory),
                    .listen = str_copy(arena, options->gateway.listen),
                    .certificates = str_copy(arena, options->gateway.certificates),
                    .tls_listen = str_copy(arena, options->gateway.tls_listen),
                    .user = str_copy(arena, options->gateway.user),
                    .group = options->gateway.group,
                    .held = options->gateway.held}};
    if (arena_ok(arena, err) && db_open(platform->options.control_dsn, &DB_OPTIONS, &platform->control, err)) {
        *out = platform;
        return true;
    }
    platform_close(&platform);
    return false;
}

bool platform_control_dsn(const Settings *settings, Arena *arena, Str *out, Error *err)
{
    Str dsn = setting_text(settings, "control_dsn");
    if (dsn.len) {
        *out = str_copy(arena, dsn);
        return arena_ok(arena, err);
    }
    Place place = {0};
    CLEANUP(json_close) Json *record = NULL;
    if (!launch_place(settings, arena, &place, err) || !place_record_read(&place, &record, err))
        return false;
    dsn = json_str(json_get(json_get(record, "control"), "dsn"));
    if (dsn.len == 0) {
        error_set(err, ERR_UNREACHABLE, "there is no platform in '%.*s'", STR_ARG(place.data));
        return error_next(err, "start one: shopctl up, or name its directory with --data or SHOPCTL_DATA");
    }
    *out = str_copy(arena, dsn);
    return arena_ok(arena, err);
}

bool platform_options_read(const Settings *settings, Arena *arena, PlatformOptions *out, Error *err)
{
    Place place = {0};
    if (!launch_place(settings, arena, &place, err))
        return false;
    Str known_hosts = setting_text(settings, "ssh_known_hosts");
    *out = (PlatformOptions){
        .data = place.data,
        .base_domain = setting_text(settings, "base_domain"),
        .trusted_proxies = setting_text(settings, "trusted_proxies"),
        .takeover_ms = setting_int(settings, "controller_takeover_s") * 1000,
        .access = {.ssh_key = setting_text(settings, "ssh_key"),
                   .ssh_passphrase_file = setting_text(settings, "ssh_passphrase_file"),
                   .ssh_known_hosts =
                       known_hosts.len ? known_hosts : str_format(arena, "%.*s/known_hosts", STR_ARG(place.data))},
        .images = {.directory = str_format(arena, "%.*s/images", STR_ARG(place.data)),
                   .postgres_bin = setting_text(settings, "postgres_bin"),
                   .postgres_image = setting_text(settings, "postgres_image"),
                   .shopd_image = setting_text(settings, "shopd_image"),
                   .credentials = setting_text(settings, "registry_auth")}};
    Error absent = {0};    // without HAProxy there is no gateway to be told
    if (!gateway_options_read(settings, S(""), arena, &out->gateway, &absent))
        out->gateway = (GatewayOptions){.directory = S("")};
    return launch_shopd(settings, arena, &out->images.shopd, err);
}

bool platform_open(const Settings *settings, Platform **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    PlatformOptions options = {0};
    Str control_dsn = S("");
    if (!platform_control_dsn(settings, arena, &control_dsn, err) ||
        !platform_options_read(settings, arena, &options, err))
        return false;
    options.control_dsn = control_dsn;
    if (platform_open_with(&options, out, err))
        return true;
    if (err->code == ERR_UNREACHABLE && err->next[0] == '\0')
        error_next(err, "start it: shopctl up");
    return false;
}

static void cell_disconnect(CellConnection *cell)
{
    db_close(&cell->db);
    relay_close(&cell->relay);
}

void platform_close(Platform **platform)
{
    if (!*platform)
        return;
    db_close(&(*platform)->control);
    for (size_t i = 0; i < (*platform)->cell_count; i++)
        cell_disconnect(&(*platform)->cells[i]);
    for (size_t i = 0; i < (*platform)->host_count; i++)
        host_close(&(*platform)->hosts[i].host);
    Arena *arena = (*platform)->arena;
    *platform = NULL;
    arena_close(&arena);
}

const PlatformOptions *platform_options(const Platform *platform) { return &platform->options; }

Db *platform_control(Platform *platform) { return platform->control; }

// What the record says of the way to a host, as a number.
#define HOST_RECORD "hashtextextended(concat_ws(' ', url, tls_directory, created_at), 0)"

// A host that was removed, or is another machine by now, isn't to be reached by the way that it had.
static bool hosts_refresh(Platform *platform, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (platform->host_count == 0)
        return true;
    if (!db_query(platform->control, S("select name, " HOST_RECORD " from control.hosts"), NO_PARAMS, &rows, err))
        return false;
    for (size_t i = 0; i < platform->host_count; i++) {
        const HostConnection *host = &platform->hosts[i];
        size_t row = 0;
        while (row < rows_count(rows) && !str_eq(rows_str(rows, row, 0), host->name))
            row++;
        if (host->host && (row == rows_count(rows) || rows_int64(rows, row, 1) != host->record))
            platform_host_forget(platform, host->name);
    }
    return true;
}

static bool host_connect(Platform *platform, HostConnection *host, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform->control, S("select " HOST_RECORD " from control.hosts where name = $1"), PARAMS(host->name),
                  &rows, err))
        return false;
    host->record = rows_count(rows) ? rows_int64(rows, 0, 0) : 0;    // opening says that there is none
    return host_open(platform, host->name, &host->host, err);
}

bool platform_reconnect(Platform *platform, Error *err)
{
    for (size_t i = 0; i < platform->cell_count; i++)
        if (platform->cells[i].db && db_is_broken(platform->cells[i].db))
            db_close(&platform->cells[i].db);
    if (db_is_broken(platform->control)) {
        Db *db = NULL;
        if (!db_open(platform->options.control_dsn, &DB_OPTIONS, &db, err))
            return false;
        db_close(&platform->control);
        platform->control = db;
    }
    return hosts_refresh(platform, err);
}

bool platform_cell_dsn(Platform *platform, Str kept, Arena *arena, Str *out, Error *err)
{
    return dsn_complete(kept, platform->options.control_dsn, arena, out, err);
}

bool platform_host(Platform *platform, Str name, Host **out, Error *err)
{
    size_t i = 0;
    while (i < platform->host_count && !str_eq(platform->hosts[i].name, name))
        i++;
    if (i == HOSTS_MAX) {    // a loop over very many hosts: the oldest connection makes room
        i = 0;
        host_close(&platform->hosts[0].host);
        platform->hosts[0].name = str_copy(platform->arena, name);
    } else if (i == platform->host_count) {
        platform->hosts[platform->host_count++].name = str_copy(platform->arena, name);
    }
    HostConnection *host = &platform->hosts[i];
    if (!arena_ok(platform->arena, err) || (!host->host && !host_connect(platform, host, err)))
        return false;
    *out = host->host;
    return true;
}

void platform_host_forget(Platform *platform, Str name)
{
    for (size_t i = 0; i < platform->cell_count; i++)
        if (platform->cells[i].relay)
            cell_disconnect(&platform->cells[i]);
    for (size_t i = 0; i < platform->host_count; i++)
        if (str_eq(platform->hosts[i].name, name))
            host_close(&platform->hosts[i].host);
}

// Where the cell's connections are kept, one place each.
static CellConnection *cell_place(Platform *platform, Str name)
{
    size_t i = 0;
    while (i < platform->cell_count && !str_eq(platform->cells[i].name, name))
        i++;
    if (i == CELLS_MAX) {    // a loop over very many cells: the oldest connection makes room
        i = 0;
        cell_disconnect(&platform->cells[0]);
        platform->cells[0].name = str_copy(platform->arena, name);
    } else if (i == platform->cell_count) {
        platform->cells[platform->cell_count++].name = str_copy(platform->arena, name);
    }
    return &platform->cells[i];
}

static bool relay_find(Platform *platform, Str cell_name, Str host_name, Str own_name, Relay **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB);
    CellConnection *cell = cell_place(platform, cell_name);
    Host *host = NULL;
    if (!cell->relay) {
        Str container = dedicated_postgres_name(own_name, cell_name, arena);
        if (!arena_ok(arena, err) || !arena_ok(platform->arena, err) ||
            !platform_host(platform, host_name, &host, err) ||
            !relay_open(host_engine(host), container, &cell->relay, err))
            return false;
    }
    *out = cell->relay;
    return true;
}

typedef struct CellWay {
    Str dsn;
    Relay *relay;    // NULL: it is reached as its DSN says
} CellWay;

static bool cell_way(Platform *platform, Str cell_name, Arena *arena, CellWay *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform->control,
                  S("select c.dsn, c.host, p.name from control.cells c, control.platforms p where c.name = $1"),
                  PARAMS(cell_name), &rows, err))
        return false;
    if (rows_count(rows) == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no cell '%.*s'", STR_ARG(cell_name));
        return error_next(err, "see shopctl cell list");
    }
    out->relay = NULL;
    if (rows_is_null(rows, 0, 1))
        return platform_cell_dsn(platform, rows_str(rows, 0, 0), arena, &out->dsn, err);
    return relay_find(platform, cell_name, rows_str(rows, 0, 1), rows_str(rows, 0, 2), &out->relay, err) &&
           dsn_with(rows_str(rows, 0, 0), "host", relay_directory(out->relay), arena, &out->dsn, err);
}

static bool way_open(const CellWay *way, Str dsn, const DbOptions *options, Db **out, Error *err)
{
    if (db_open(dsn, options, out, err))
        return true;
    return way->relay && err->code == ERR_UNREACHABLE ? relay_explain(way->relay, err) : false;
}

bool platform_cell_open_with(Platform *platform, Str cell_name, const DbOptions *options, Db **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CellWay way = {0};
    return cell_way(platform, cell_name, arena, &way, err) && way_open(&way, way.dsn, options, out, err);
}

bool platform_cell_replication(Platform *platform, Str cell_name, const DbOptions *options, Db **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CellWay way = {0};
    Str dsn = S("");
    if (cell_way(platform, cell_name, arena, &way, err) &&
        dsn_with(way.dsn, "replication", S("database"), arena, &dsn, err) && way_open(&way, dsn, options, out, err))
        return true;
    return err->code == ERR_FORBIDDEN
               ? error_next(err, "let the platform's login replicate: alter role NAME replication")
               : false;
}

bool platform_cell_database(Platform *platform, Str cell_name, Str database, Db **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CellWay way = {0};
    Str dsn = S("");
    return cell_way(platform, cell_name, arena, &way, err) && dsn_with_database(way.dsn, database, arena, &dsn, err) &&
           way_open(&way, dsn, &DB_OPTIONS, out, err);
}

bool platform_cell_open(Platform *platform, Str cell_name, Db **out, Error *err)
{
    return platform_cell_open_with(platform, cell_name, &DB_OPTIONS, out, err);
}

bool platform_cell(Platform *platform, Str cell_name, Db **out, Error *err)
{
    CellConnection *cell = cell_place(platform, cell_name);
    if (cell->db && db_is_broken(cell->db))
        db_close(&cell->db);
    if (!arena_ok(platform->arena, err) || (!cell->db && !platform_cell_open(platform, cell_name, &cell->db, err)))
        return false;
    *out = cell->db;
    return true;
}

void platform_ask(Platform *platform, PlatformAsk *ask, void *context)
{
    platform->options.access.ask = ask;
    platform->options.access.ask_context = context;
}

void platform_expect(Platform *platform, size_t shops) { platform->expected = MAX(shops, (size_t)1); }
size_t platform_expected(const Platform *platform) { return platform->expected; }

void platform_observe(Platform *platform, PlatformObserver *observer, void *context)
{
    platform->observer = observer;
    platform->observer_context = context;
}

void platform_emit(Platform *platform, const Event *event)
{
    if (platform->observer)
        platform->observer(platform->observer_context, event);
}

void platform_warned(Platform *platform, PlatformWarned *warned, void *context)
{
    platform->warned = warned;
    platform->warned_context = context;
}

void platform_warn(Platform *platform, const char *format, ...)
{
    char text[WARNING_MAX];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (platform->warned)
        platform->warned(platform->warned_context, text);
}

static const MigrationTarget TARGET = {.folder = "control", .schema = {"control", 7}};

bool platform_pending(Db *control, size_t *out, Error *err) { return migration_pending(control, &TARGET, out, err); }

bool platform_migrate(Str control_dsn, int64_t number_start, Error *err)
{
    CLEANUP(db_close) Db *db = NULL;
    if (!db_open(control_dsn, &DB_OPTIONS, &db, err))
        return false;
    if (!db_script(db, S("create schema if not exists control"), err)) {
        if (err->code != ERR_EXISTS)    // another one made it at the same moment
            return false;
        error_clear(err);
    }
    size_t applied = 0;
    if (!migration_run(db, &TARGET, &applied, err))
        return false;
    if (number_start == 0 || number_start == NUMBER_START)
        return true;
    char start[32];
    (void)snprintf(start, sizeof(start), "%lld", (long long)number_start);
    return db_run(db,
                  S("select setval('control.tenant_numbers', $1::bigint, false) from control.tenant_numbers "
                    "where not is_called"),
                  PARAMS(str_of(start)), err);
}

static bool not_found(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform->control, S("select control.tenant_slugs_like($1)"), PARAMS(slug.text), &rows, err))
        return false;
    size_t count = rows_count(rows);
    Str *names = arena_array(arena, count + 1, Str);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < count; i++)
        names[i] = rows_str(rows, i, 0);
    Str nearest = str_nearest(slug.text, names, count);
    error_set(err, ERR_NOT_FOUND, "there is no tenant '%.*s'", STR_ARG(slug.text));
    if (nearest.len)
        return error_next(err, "did you mean '%.*s'?", STR_ARG(nearest));
    return error_next(err, "see shopctl tenant list");
}

bool platform_tenant(Platform *platform, Slug slug, Arena *arena, TenantRecord *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform->control,
                  S("select d ->> 'slug', d ->> 'name', d ->> 'email', d ->> 'status', d ->> 'plan', d ->> 'tier', "
                    "d ->> 'cell', d ->> 'schema', d ->> 'url', d ->> 'currency', d ->> 'language', d ->> 'country', "
                    "d ->> 'created_at', d ->> 'number', d ->> 'plan_version' from control.tenant_show($1, $2) d"),
                  PARAMS(slug.text, platform->options.base_domain), &rows, err))
        return false;
    if (rows_count(rows) == 0)
        return not_found(platform, slug, err);
    TenantRecord record = {0};
    Str *texts[] = {&record.slug,     &record.name,    &record.email,     &record.status, &record.plan,
                    &record.tier,     &record.cell,    &record.schema,    &record.url,    &record.currency,
                    &record.language, &record.country, &record.created_at};
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = str_copy(arena, rows_str(rows, 0, i));
    record.number = rows_int64(rows, 0, COUNT(texts));
    record.plan_version = rows_int64(rows, 0, COUNT(texts) + 1);
    if (!arena_ok(arena, err))
        return false;
    *out = record;
    return true;
}
