// provisioner/replica.c: copies a tenant's rows from one cell to another.
#include "provisioner/replica.h"

#include "base/arena.h"
#include "provisioner/replica_compare.h"
#include "provisioner/replica_slot.h"
#include "provisioner/tenant_steps.h"

enum { BUDGET = 4 * MIB };

// ---- questions

bool replica_is_copied(Operation *op, bool *out, Error *err)
{
    Db *source = NULL;
    ReplicaSlotState state = REPLICA_SLOT_NONE;
    *out = false;
    if (!operation_other_cell(op, &source, err) || !replica_slot_state(source, op->other_number, &state, err))
        return false;
    return state != REPLICA_SLOT_KEPT ||
           cell_is(op, S("select exists (select from cell.replicas where tenant = $1::bigint)"),
                   PARAMS(STEP_NUMBER(op->number)), out, err);
}

static bool source_query(Operation *op, Str sql, Rows **out, Error *err)
{
    Db *source = NULL;
    return operation_other_cell(op, &source, err) &&
           db_query(source, sql, PARAMS(STEP_NUMBER(op->other_number)), out, err);
}

bool replica_is_held(Operation *op, bool *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    *out = false;
    if (!source_query(op, S("select exists (select from cell.gates where tenant = $1::bigint)"), &rows, err))
        return false;
    return !rows_bool(rows, 0, 0) ||
           cell_is(op, S("select exists (select from cell.replicas where tenant = $1::bigint and is_whole)"),
                   PARAMS(STEP_NUMBER(op->number)), out, err);
}

bool replica_pause_ms(Operation *op, int64_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!source_query(op,
                      S("select (extract(epoch from clock_timestamp() - closed_at) * 1000)::bigint from cell.gates "
                        "where tenant = $1::bigint"),
                      &rows, err))
        return false;
    *out = rows_count(rows) ? rows_int64(rows, 0, 0) : 0;
    return true;
}

// ---- the record of a copy

bool replica_position_set(const Operation *op, ReplicaEnd end, Str position, bool is_whole, Error *err)
{
    return db_run(end.db, S("select cell.replica_set($1::bigint, $2::bigint, $3::bigint, $4::pg_lsn, $5::boolean)"),
                  PARAMS(OPERATION(op), STEP_NUMBER(end.number), position, is_whole ? S("t") : S("f")), err);
}

bool replica_end(Operation *op, Error *err)
{
    Db *target = NULL;
    return operation_cell(op, &target, err) &&
           replica_position_set(op, (ReplicaEnd){.db = target, .number = op->number}, SQL_NULL, false, err);
}

// ---- the copy

typedef struct Copying {
    Operation *op;
    ReplicaEnd source, target;
    int64_t bytes;
} Copying;

static bool chunk_put(void *context, Str bytes, Error *err)
{
    Copying *copying = context;
    copying->bytes += (int64_t)bytes.len;
    return db_copy_put(copying->target.db, bytes, err) && operation_beat(copying->op, err);
}

static Str copy_sql(Arena *arena, int64_t number, const TenantTable *table, const char *direction)
{
    return str_format(arena, "copy %.*s.%.*s (%.*s) %s", STR_ARG(tenant_schema(number, arena)), STR_ARG(table->quoted),
                      STR_ARG(table->columns), direction);
}

static bool table_copy(Copying *copying, const TenantTable *table, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str from = copy_sql(arena, copying->source.number, table, "to stdout");
    Str to = copy_sql(arena, copying->target.number, table, "from stdin");
    return (arena_ok(arena, err) && db_copy_in(copying->target.db, to, err) &&
            db_copy_out(copying->source.db, from, chunk_put, copying, err) &&
            db_copy_in_end(copying->target.db, NULL, err)) ||
           error_wrap(err, "the table '%.*s' can't be copied", STR_ARG(table->name));
}

static bool version_read(ReplicaEnd end, Rows **out, Error *err)
{
    return db_query(end.db, S("select version from cell.tenants where number = $1::bigint"),
                    PARAMS(STEP_NUMBER(end.number)), out, err) &&
           (rows_count(*out) || error_set(err, ERR_STATE, "the cell has no tenant %lld", (long long)end.number));
}

static bool versions_check(const Copying *copying, Error *err)
{
    CLEANUP(rows_close) Rows *there = NULL;
    CLEANUP(rows_close) Rows *here = NULL;
    if (!version_read(copying->source, &there, err) || !version_read(copying->target, &here, err))
        return false;
    if (str_eq(rows_str(there, 0, 0), rows_str(here, 0, 0)))
        return true;
    error_set(err, ERR_STATE, "the cells '%.*s' and '%.*s' are of different versions", STR_ARG(copying->op->other_cell),
              STR_ARG(copying->op->cell));
    return error_next(err, "bring both to this version: shopctl up, or shopctl cell add NAME");
}

static bool rows_copy(Copying *copying, const TenantTables *tables, Error *err)
{
    const Operation *op = copying->op;
    CLEANUP(json_close) Json *identities = json_build("[]");
    bool ok = json_ok(identities, err) && tenant_triggers_switch(copying->target.db, op->number, tables, false, err) &&
              tenant_tables_empty(copying->target.db, op->number, tables, err);
    for (size_t i = 0; ok && i < tables->count; i++)
        ok = table_copy(copying, &tables->tables[i], err);
    return ok && tenant_identities_read(copying->source.db, op->other_number, identities, err) &&
           tenant_identities_set(copying->target.db, op->number, identities, err) &&
           tenant_triggers_switch(copying->target.db, op->number, tables, true, err);
}

// What PostgreSQL knows of the rows: without it the first pages would wait for autovacuum.
static bool statistics_make(const Copying *copying, const TenantTables *tables, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    Str schema = tenant_schema(copying->target.number, arena);
    for (size_t i = 0; i < tables->count; i++)
        strbuf_format(&sql, "analyze %.*s.%.*s;", STR_ARG(schema), STR_ARG(tables->tables[i].quoted));
    return arena_ok(arena, err) && db_script(copying->target.db, strbuf_str(&sql), err);
}

// The target's position comes last: it holds a lock on the cell's fences to the end of its transaction, and takeovers
// of other operations wait for that.
static bool copy_at(Copying *copying, const TenantTables *tables, const ReplicationSlot *slot, Error *err)
{
    char position[WAL_POSITION_TEXT];
    return replica_snapshot_begin(copying->source.db, slot, err) &&
           db_script(copying->source.db, S("set local role cell_owner"), err) && db_begin(copying->target.db, err) &&
           db_script(copying->target.db, S("set local role cell_owner"), err) && rows_copy(copying, tables, err) &&
           replica_position_set(copying->op, copying->target, wal_position_text(slot->position, position), false,
                                err) &&
           db_commit(copying->target.db, err) && db_commit(copying->source.db, err) &&
           statistics_make(copying, tables, err);
}

bool replica_copy(Operation *op, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *source = NULL;
    CLEANUP(db_close) Db *target = NULL;
    CLEANUP(db_close) Db *keeper = NULL;
    Db *fence = NULL;
    TenantTables tables;
    ReplicationSlot slot;
    if (!operation_cell(op, &fence, err) || !operation_other_cell(op, &fence, err) ||
        !platform_cell_open_with(op->platform, op->other_cell, &REPLICA_DB, &source, err) ||
        !platform_cell_open_with(op->platform, op->cell, &REPLICA_DB, &target, err))
        return false;
    Copying copying = {
        .op = op, .source = {.db = source, .number = op->other_number}, .target = {.db = target, .number = op->number}};
    return (versions_check(&copying, err) && replica_session_set(op, source, err) &&
            replica_session_set(op, target, err) && tenant_tables_read(source, op->other_number, arena, &tables, err) &&
            replica_position_set(op, copying.target, SQL_NULL, false,
                                 err) &&    // of an earlier copy: the new slot doesn't go back that far
            replica_slot_make(op, op->other_cell, op->other_number, &tables, arena, &slot, &keeper, err) &&
            copy_at(&copying, &tables, &slot, err) &&
            json_set(op->data, "bytes", json_build("I", (json_int)copying.bytes), err)) ||
           error_wrap(err, "the tenant '%.*s' can't be copied to the cell '%.*s'", STR_ARG(op->slug),
                      STR_ARG(op->cell));
}
