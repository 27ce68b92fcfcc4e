// provisioner/spare.c: makes tenants ahead, and removes them whole.
#include "provisioner/spare.h"

#include <pthread.h>

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/migration.h"

enum { SCRIPT_BUDGET = 64 * MIB, NUMBER_TEXT = 24 };

static const char ROLE[] = "create role %.*s nologin;\n"
                           "comment on role %.*s is 'tenant of the cell in database %.*s';\n";
static const char SCHEMA[] = "create schema %.*s authorization cell_owner;\n"
                             "set local role cell_owner;\n"
                             "grant usage on schema %.*s to %.*s, \"%.*s\";\n"
                             "reset role;\n";

static MigrationTarget target_of(Str schema, Str shopd_role)
{
    return (MigrationTarget){.folder = "tenant",
                             .schema = schema,
                             .owner = S("cell_owner"),
                             .tenant_role = schema,
                             .shopd_role = shopd_role};
}

static void schema_script(StrBuf *sql, Str schema, Str shopd_role, MigrationRange range)
{
    MigrationTarget target = target_of(schema, shopd_role);
    strbuf_format(sql, SCHEMA, STR_ARG(schema), STR_ARG(schema), STR_ARG(schema), STR_ARG(shopd_role));
    migration_script(sql, &target, range);
}

void spare_script(StrBuf *sql, int64_t number, Str shopd_role)
{
    Str schema = tenant_schema(number, sql->arena);
    Str database = str_slice(shopd_role, 0, shopd_role.len - MIN(shopd_role.len, S("_shopd").len));
    strbuf_format(sql, ROLE, STR_ARG(schema), STR_ARG(schema), STR_ARG(database));
    schema_script(sql, schema, shopd_role, (MigrationRange){0});
    char version[MIGRATION_VERSION];
    strbuf_format(sql, "insert into cell.tenants (number, state, version) values (%lld, 'spare', '%.*s');\n",
                  (long long)number, STR_ARG(migration_version("tenant", version)));
}

// The schema's comment says whose it is.
static const char COMMENT_KEEP[] = "select set_config('shop.comment', obj_description('%.*s'::regnamespace, "
                                   "'pg_namespace'), true);\n"
                                   "drop schema %.*s cascade;\n";
static const char COMMENT_PUT[] = "do $do$\n"
                                  "begin\n"
                                  "    execute format('comment on schema %.*s is %%L', "
                                  "current_setting('shop.comment'));\n"
                                  "end $do$;\n";

void tenant_script_older(StrBuf *sql, int64_t number, Str shopd_role, Str migration)
{
    Str schema = tenant_schema(number, sql->arena);
    strbuf_format(sql, COMMENT_KEEP, STR_ARG(schema), STR_ARG(schema));
    schema_script(sql, schema, shopd_role, (MigrationRange){.until = migration});
    strbuf_format(sql, COMMENT_PUT, STR_ARG(schema));
}

void tenant_script_newest(StrBuf *sql, int64_t number, Str shopd_role, Str migration)
{
    MigrationTarget target = target_of(tenant_schema(number, sql->arena), shopd_role);
    migration_script(sql, &target, (MigrationRange){.after = migration});
}

bool cell_shopd_role(Db *cell, Arena *arena, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(cell, S("select shopd_role from cell.meta"), NO_PARAMS, &rows, err))
        return false;
    Str role = rows_count(rows) ? str_copy(arena, rows_str(rows, 0, 0)) : S("");
    if (!arena_ok(arena, err))
        return false;
    if (role.len == 0)
        return error_set(err, ERR_STATE, "the cell isn't open yet");
    *out = role;
    return true;
}

// Some spares in one transaction each SPARES_PER_TRANSACTION.
typedef struct Batch {
    Db *db;
    Str shopd_role;
    const int64_t *numbers;
    size_t count;
    bool ok;
    Error err;
} Batch;

static bool batch_run(const Batch *batch, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(SCRIPT_BUDGET);
    for (size_t done = 0; done < batch->count;) {
        arena_reset(arena);
        StrBuf sql = {.arena = arena};
        size_t end = MIN(batch->count, done + SPARES_PER_TRANSACTION);
        for (size_t i = done; i < end; i++)
            spare_script(&sql, batch->numbers[i], batch->shopd_role);
        if (!arena_ok(arena, err) || !db_script(batch->db, strbuf_str(&sql), err))
            return error_wrap(err, "spare tenants can't be made");
        done = end;
    }
    return true;
}

static void *batch_thread(void *context)
{
    Batch *batch = context;
    batch->ok = batch_run(batch, &batch->err);
    return NULL;
}

// Numbers that no role of the cell's server has: another platform may be there, or what is left of one.
static bool numbers_take(Platform *platform, Db *cell, size_t count, Arena *arena, int64_t **out, Error *err)
{
    int64_t *numbers = arena_array(arena, count, int64_t);
    if (!arena_ok(arena, err))
        return false;
    for (size_t taken = 0; taken < count;) {
        CLEANUP(rows_close) Rows *rows = NULL;
        CLEANUP(rows_close) Rows *vacant = NULL;
        char text[NUMBER_TEXT];
        (void)snprintf(text, sizeof(text), "%zu", count - taken);
        if (!db_query(platform_control(platform),
                      S("select array_agg(nextval('control.tenant_numbers')) from generate_series(1, $1::bigint)"),
                      PARAMS(str_of(text)), &rows, err) ||
            !db_query(cell,
                      S("select n from unnest($1::bigint[]) n where not exists (select from pg_roles "
                        "where rolname = 't_' || n) order by n"),
                      PARAMS(rows_str(rows, 0, 0)), &vacant, err))
            return false;
        for (size_t i = 0; i < rows_count(vacant); i++)
            numbers[taken++] = rows_int64(vacant, i, 0);
    }
    *out = numbers;
    return true;
}

bool spares_make(Platform *platform, Str cell_name, size_t count, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *second = NULL;
    Batch batch = {.count = count}, other = {0};
    int64_t *numbers = NULL;
    assert(count > 0);
    if (!platform_cell(platform, cell_name, &batch.db, err) ||
        !cell_shopd_role(batch.db, arena, &batch.shopd_role, err) ||
        !numbers_take(platform, batch.db, count, arena, &numbers, err))
        return false;
    batch.numbers = numbers;
    if (count <= SPARES_PER_TRANSACTION)
        return batch_run(&batch, err);
    if (!platform_cell_open(platform, cell_name, &second, err))
        return false;
    batch.count = count / 2;
    other = (Batch){
        .db = second, .shopd_role = batch.shopd_role, .numbers = numbers + batch.count, .count = count - batch.count};
    pthread_t thread;
    int number = pthread_create(&thread, NULL, batch_thread, &other);
    if (number)
        return error_from_errno(err, number, "a thread can't be started");
    bool ok = batch_run(&batch, err);
    (void)pthread_join(thread, NULL);
    if (ok && !other.ok)
        *err = other.err;
    return ok && other.ok;
}

// How many to make at once for one that has its place in the cell already. Of the locks that the server has room for
// they take an eighth at most, since others make some at the same time.
static bool expected(Platform *platform, Db *cell, Str cell_name, size_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *places = NULL;
    CLEANUP(rows_close) Rows *locks = NULL;
    if (!db_query(platform_control(platform), S("select capacity - placed from control.cells where name = $1"),
                  PARAMS(cell_name), &places, err) ||
        !db_query(cell,
                  S("select current_setting('max_locks_per_transaction')::bigint * "
                    "current_setting('max_connections')::bigint"),
                  NO_PARAMS, &locks, err))
        return false;
    int64_t room = rows_count(places) ? rows_int64(places, 0, 0) : 0;
    int64_t others = MIN(room, MIN((int64_t)SPARES_EXPECTED_MAX, rows_int64(locks, 0, 0) / 8 / SPARE_LOCKS) - 1);
    *out = MIN(platform_expected(platform), 1 + (size_t)MAX(others, INT64_C(0)));
    return true;
}

bool spare_make_taken(Platform *platform, Str cell_name, int64_t operation, int64_t epoch, Str slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(SCRIPT_BUDGET);
    StrBuf sql = {.arena = arena};
    Db *cell = NULL;
    Str shopd_role = S("");
    int64_t *numbers = NULL;
    size_t count = 0;
    char version[MIGRATION_VERSION];
    if (!platform_cell(platform, cell_name, &cell, err) || !cell_shopd_role(cell, arena, &shopd_role, err) ||
        !expected(platform, cell, cell_name, &count, err) || !numbers_take(platform, cell, count, arena, &numbers, err))
        return false;
    for (size_t i = 0; i < count; i++)
        spare_script(&sql, numbers[i], shopd_role);
    strbuf_format(&sql, "select cell.spare_take(%lld, %lld, '%.*s', '%.*s');\n", (long long)operation, (long long)epoch,
                  STR_ARG(slug), STR_ARG(migration_version("tenant", version)));
    return (arena_ok(arena, err) && db_script(cell, strbuf_str(&sql), err)) ||
           error_wrap(err, "a tenant's schema can't be made");
}

static bool missing(Platform *platform, Str cell_name, size_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *wanted = NULL;
    CLEANUP(rows_close) Rows *there = NULL;
    char version[MIGRATION_VERSION];
    Db *cell = NULL;
    if (!platform_cell(platform, cell_name, &cell, err) ||
        !db_query(platform_control(platform),
                  S("select least(spares, capacity - placed) from control.cells where name = $1"), PARAMS(cell_name),
                  &wanted, err) ||
        !db_query(cell, S("select cell.spare_count($1)"), PARAMS(migration_version("tenant", version)), &there, err))
        return false;
    int64_t count = rows_count(wanted) ? rows_int64(wanted, 0, 0) - rows_int64(there, 0, 0) : 0;
    *out = count > 0 ? (size_t)count : 0;
    return true;
}

bool spares_fill(Platform *platform, Str cell_name, int64_t pause_ms, size_t *out_made, Error *err)
{
    *out_made = 0;
    for (;;) {
        size_t count = 0;
        if (!missing(platform, cell_name, &count, err))
            return false;
        if (count == 0)
            return true;
        count = MIN(count, (size_t)SPARES_PER_TRANSACTION);
        if (!spares_make(platform, cell_name, count, err))
            return false;
        *out_made += count;
        clock_sleep_ms(pause_ms);
    }
}

// `drop owned` takes back what was granted to the role outside of its schema and the defaults that it set. All of it is
// in a block of its own since names can't be parameters.
static const char DROP[] = "set local lock_timeout = '15s';\n"
                           "select cell.epoch_check(%lld, %lld);\n"
                           "do $do$\n"
                           "begin\n"
                           "    drop schema if exists %.*s cascade;\n"
                           "    if exists (select from pg_roles where rolname = '%.*s') then\n"
                           "        grant %.*s to current_user;\n"
                           "        drop owned by %.*s;\n"
                           "        drop role %.*s;\n"
                           "    end if;\n"
                           "end $do$;\n"
                           "delete from cell.bell where tenant = '%.*s';\n"
                           "delete from cell.tenants where number = %lld;\n";

bool tenant_drop(Db *cell, int64_t operation, int64_t epoch, int64_t number, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str name = tenant_schema(number, arena);
    Str sql = str_format(arena, DROP, (long long)operation, (long long)epoch, STR_ARG(name), STR_ARG(name),
                         STR_ARG(name), STR_ARG(name), STR_ARG(name), STR_ARG(name), (long long)number);
    if (!arena_ok(arena, err))
        return false;
    return db_script(cell, sql, err) || error_wrap(err, "the tenant '%.*s' can't be removed", STR_ARG(name));
}
