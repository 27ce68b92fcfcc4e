// provisioner/replica_compare.c: compares a tenant's rows by checksums that PostgreSQL makes: the sum of the hashes of
// all rows as texts, in whatever order they come.
#include "provisioner/replica_compare.h"

#include "base/arena.h"
#include "provisioner/slug.h"

enum { BUDGET = 256 * MIB };

static bool beat(void *op, Error *err) { return operation_beat(op, err); }

bool replica_session_set(Operation *op, Db *db, Error *err)
{
    if (op)
        db_while_waiting(db, beat, op);
    return db_script(db,
                     S("set datestyle = 'ISO'; set timezone = 'UTC'; set intervalstyle = 'postgres';"
                       "set extra_float_digits = 3; set bytea_output = 'hex'"),
                     err);
}

void replica_touch(ReplicaTouched *touched, Arena *arena, const Str *keys, size_t key_count)
{
    for (size_t i = 0; i < key_count; i++) {
        StrBuf *buf = &touched->keys[i];
        buf->arena = arena;
        strbuf_add(buf, touched->count ? S(",\"") : S("\""));
        for (size_t k = 0; k < keys[i].len; k++) {
            if (keys[i].data[k] == '"' || keys[i].data[k] == '\\')
                strbuf_add_char(buf, '\\');
            strbuf_add_char(buf, keys[i].data[k]);
        }
        strbuf_add_char(buf, '"');
    }
    touched->count++;
}

#define SUMS "select count(*), coalesce(sum(hashtextextended(row(%.*s)::text, 0)::numeric), 0) from "

typedef struct Sums {
    int64_t rows;
    Str checksum;    // in the arena
} Sums;

static bool sums_read(Db *db, Str sql, Params params, Arena *arena, Sums *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!arena_ok(arena, err) || !db_query(db, sql, params, &rows, err))
        return false;
    *out = (Sums){.rows = rows_int64(rows, 0, 0), .checksum = str_copy(arena, rows_str(rows, 0, 1))};
    return arena_ok(arena, err);
}

static bool same(const TenantTable *table, const Sums *source, const Sums *target, Error *err)
{
    if (source->rows == target->rows && str_eq(source->checksum, target->checksum))
        return true;
    error_set(err, ERR_FAILED, "the copy of the table '%.*s' isn't what it was made from", STR_ARG(table->name));
    if (source->rows != target->rows)
        return error_why(err, "it has %lld rows of %lld", (long long)target->rows, (long long)source->rows);
    return error_why(err, "the checksums of its %lld rows differ", (long long)source->rows);
}

static bool table_sums(ReplicaEnd end, const TenantTable *table, Arena *arena, Sums *out, Error *err)
{
    Str sql = str_format(arena, SUMS "%.*s.%.*s x", STR_ARG(table->row), STR_ARG(tenant_schema(end.number, arena)),
                         STR_ARG(table->quoted));
    return sums_read(end.db, sql, NO_PARAMS, arena, out, err);
}

bool replica_compare(ReplicaEnd source, ReplicaEnd target, const TenantTables *tables, int64_t *out_rows, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    *out_rows = 0;
    for (size_t i = 0; i < tables->count; i++) {
        const TenantTable *table = &tables->tables[i];
        Sums there, here;
        if (!table_sums(source, table, arena, &there, err) || !table_sums(target, table, arena, &here, err) ||
            !same(table, &there, &here, err))
            return false;
        *out_rows += here.rows;
    }
    return true;
}

// "$1::bigint[], $2::smallint[]"
static Str parameters(const TenantTable *table, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    Str rest = table->key_types, type = S("");
    for (size_t i = 1; str_cut(&rest, ',', &type); i++)
        strbuf_format(&buf, "%s$%zu::%.*s[]", i > 1 ? ", " : "", i, STR_ARG(str_trim(type)));
    return strbuf_str(&buf);
}

static bool touched_sums(ReplicaEnd end, const TenantTable *table, const ReplicaTouched *touched, Arena *arena,
                         Sums *out, Error *err)
{
    Str arrays[REPLICA_KEYS_MAX];
    Str sql = str_format(arena, SUMS "(select distinct * from unnest(%.*s) k (%.*s)) k join %.*s.%.*s x using (%.*s)",
                         STR_ARG(table->row), STR_ARG(parameters(table, arena)), STR_ARG(table->keys),
                         STR_ARG(tenant_schema(end.number, arena)), STR_ARG(table->quoted), STR_ARG(table->keys));
    for (size_t i = 0; i < table->key_count; i++)
        arrays[i] = str_format(arena, "{%.*s}", (int)touched->keys[i].len, touched->keys[i].data);
    return sums_read(end.db, sql, (Params){.values = arrays, .count = table->key_count}, arena, out, err);
}

bool replica_compare_touched(ReplicaEnd source, ReplicaEnd target, const TenantTables *tables, ReplicaTouched *touched,
                             Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    for (size_t i = 0; i < tables->count; i++) {
        const TenantTable *table = &tables->tables[i];
        Sums there, here;
        if (touched[i].count == 0)
            continue;
        if (!touched_sums(source, table, &touched[i], arena, &there, err) ||
            !touched_sums(target, table, &touched[i], arena, &here, err) || !same(table, &there, &here, err))
            return false;
    }
    return true;
}
