// provisioner/replica_apply.c: makes statements of changes and runs them in batches.
#include "provisioner/replica_apply.h"

#include "base/arena.h"
#include "base/pg_replication.h"
#include "provisioner/slug.h"

enum {
    BUDGET = 64 * MIB,
    BATCH_BUDGET = 64 * MIB,
    BATCH_BYTES = 256 * KIB,
    TOUCHED_BUDGET = 64 * MIB,
    RELATIONS_MAX = 128,
};

// A table as the stream numbers it.
typedef struct Relation {
    uint32_t id;
    size_t table;    // of TenantTables
    size_t count;
    ChangeColumn columns[CHANGE_COLUMNS_MAX];
} Relation;

struct Applier {
    Arena *arena;
    const Operation *operation;
    Db *target;
    const TenantTables *tables;
    Str schema;
    Relation relations[RELATIONS_MAX];
    size_t relation_count;
    Arena *batch_arena;
    StrBuf batch;         // statements that wait
    bool is_open;         // there are some of a transaction at the target that isn't committed
    bool is_skipped;      // the transaction that comes is there already
    uint64_t position;    // committed
    uint64_t waiting;     // will be, with the batch
    Arena *touched_arena;
    ReplicaTouched *touched;
};

bool applier_open(const Operation *operation, Db *target, const TenantTables *tables, uint64_t position, Applier **out,
                  Error *err)
{
    for (size_t i = 0; i < tables->count; i++)
        if (tables->tables[i].key_count == 0 || tables->tables[i].key_count > REPLICA_KEYS_MAX)
            return error_set(err, ERR_STATE, "the table '%.*s' can't be followed: its key has %zu columns",
                             STR_ARG(tables->tables[i].name), tables->tables[i].key_count);
    Arena *arena = arena_open(BUDGET);
    Applier *applier = arena_new(arena, Applier);
    ReplicaTouched *touched = arena_array(arena, tables->count, ReplicaTouched);
    Str schema = tenant_schema(operation->number, arena);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    *applier = (Applier){.arena = arena,
                         .operation = operation,
                         .target = target,
                         .tables = tables,
                         .schema = schema,
                         .batch_arena = arena_open(BATCH_BUDGET),
                         .position = position,
                         .waiting = position,
                         .touched_arena = arena_open(TOUCHED_BUDGET),
                         .touched = touched};
    applier->batch.arena = applier->batch_arena;
    *out = applier;
    return true;
}

void applier_close(Applier **applier)
{
    if (!*applier)
        return;
    Arena *arena = (*applier)->arena;
    arena_close(&(*applier)->batch_arena);
    arena_close(&(*applier)->touched_arena);
    *applier = NULL;
    arena_close(&arena);
}

uint64_t applier_position(const Applier *applier) { return applier->position; }

// ---- the batch

static bool batch_run(Applier *applier, Error *err)
{
    if (!arena_ok(applier->batch_arena, err) || !db_script(applier->target, strbuf_str(&applier->batch), err)) {
        db_rollback(applier->target);
        return error_wrap(err, "the changes of '%.*s' can't be done again in the cell '%.*s'",
                          STR_ARG(applier->operation->slug), STR_ARG(applier->operation->cell));
    }
    arena_reset(applier->batch_arena);
    applier->batch = (StrBuf){.arena = applier->batch_arena};
    return true;
}

static void batch_begin(Applier *applier)
{
    const Operation *op = applier->operation;
    if (applier->is_open)
        return;
    strbuf_format(&applier->batch, "begin; select cell.epoch_check(%lld, %lld, %lld); set local role cell_owner;\n",
                  (long long)op->id, (long long)op->epoch, (long long)op->number);
    applier->is_open = true;
}

bool applier_flush(Applier *applier, Error *err)
{
    char position[WAL_POSITION_TEXT];
    const Operation *op = applier->operation;
    if (!applier->is_open) {
        applier->position = applier->waiting;
        return true;
    }
    strbuf_format(&applier->batch, "select cell.replica_set(%lld, %lld, %lld, '%.*s', false); commit;\n",
                  (long long)op->id, (long long)op->epoch, (long long)op->number,
                  STR_ARG(wal_position_text(applier->waiting, position)));
    if (!batch_run(applier, err))
        return false;
    applier->is_open = false;
    applier->position = applier->waiting;
    return true;
}

// ---- statements

static Relation *relation_find(Applier *applier, uint32_t id)
{
    for (size_t i = 0; i < applier->relation_count; i++)
        if (applier->relations[i].id == id)
            return &applier->relations[i];
    return NULL;
}

static bool relation_take(Applier *applier, const Change *change, Error *err)
{
    const TenantTable *table = tenant_table_find(applier->tables, change->table);
    Relation *relation = relation_find(applier, change->relation);
    if (!table || (!relation && applier->relation_count == RELATIONS_MAX))
        return error_set(err, ERR_STATE, "the table '%.*s' can't be followed: there is none at the target",
                         STR_ARG(change->table));
    if (!relation)
        relation = &applier->relations[applier->relation_count++];
    *relation =
        (Relation){.id = change->relation, .table = (size_t)(table - applier->tables->tables), .count = change->count};
    for (size_t i = 0; i < change->count; i++)
        relation->columns[i] = (ChangeColumn){.name = str_copy(applier->arena, change->columns[i].name),
                                              .is_key = change->columns[i].is_key};
    return arena_ok(applier->arena, err);
}

static void value_add(Applier *applier, const ChangeValue *value)
{
    strbuf_add(&applier->batch,
               value->kind == CHANGE_TEXT ? db_literal(applier->target, applier->batch_arena, value->text) : S("null"));
}

static void column_add(Applier *applier, const Relation *relation, size_t i)
{
    strbuf_add(&applier->batch, db_name(applier->target, applier->batch_arena, relation->columns[i].name));
}

static void table_add(Applier *applier, const Relation *relation, const char *verb)
{
    Str table = applier->tables->tables[relation->table].quoted;
    strbuf_format(&applier->batch, "%s %.*s.%.*s", verb, STR_ARG(applier->schema), STR_ARG(table));
}

static void insert_add(Applier *applier, const Relation *relation, const ChangeValue *row)
{
    table_add(applier, relation, "insert into");
    for (size_t i = 0; i < relation->count; i++) {
        strbuf_add(&applier->batch, i ? S(", ") : S(" ("));
        column_add(applier, relation, i);
    }
    strbuf_add(&applier->batch, S(") overriding system value values ("));
    for (size_t i = 0; i < relation->count; i++) {
        if (i)
            strbuf_add(&applier->batch, S(", "));
        value_add(applier, &row[i]);
    }
    strbuf_add(&applier->batch, S(");\n"));
}

static void where_add(Applier *applier, const Relation *relation, const ChangeValue *row)
{
    Str separator = S(" where ");
    for (size_t i = 0; i < relation->count; i++) {
        if (!relation->columns[i].is_key)
            continue;
        strbuf_add(&applier->batch, separator);
        column_add(applier, relation, i);
        strbuf_add(&applier->batch, S(" = "));
        value_add(applier, &row[i]);
        separator = S(" and ");
    }
    strbuf_add(&applier->batch, S(";\n"));
}

static void update_add(Applier *applier, const Relation *relation, const Change *change)
{
    Str separator = S(" set ");
    table_add(applier, relation, "update");
    for (size_t i = 0; i < relation->count; i++) {
        if (change->after[i].kind == CHANGE_UNCHANGED)
            continue;
        strbuf_add(&applier->batch, separator);
        column_add(applier, relation, i);
        strbuf_add(&applier->batch, S(" = "));
        value_add(applier, &change->after[i]);
        separator = S(", ");
    }
    where_add(applier, relation, change->has_before ? change->before : change->after);
}

static void touch(Applier *applier, const Relation *relation, const ChangeValue *row)
{
    Str keys[CHANGE_COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < relation->count; i++)
        if (relation->columns[i].is_key)
            keys[count++] = row[i].text;
    replica_touch(&applier->touched[relation->table], applier->touched_arena, keys, count);
}

static bool row_take(Applier *applier, const Change *change, Error *err)
{
    const Relation *relation = relation_find(applier, change->relation);
    if (!relation || relation->count != change->count)
        return error_set(err, ERR_MALFORMED, "the stream of changes has a row of an unknown table");
    batch_begin(applier);
    if (change->kind != CHANGE_DELETE)
        touch(applier, relation, change->after);
    if (change->has_before)
        touch(applier, relation, change->before);
    if (change->kind == CHANGE_INSERT) {
        insert_add(applier, relation, change->after);
    } else if (change->kind == CHANGE_UPDATE) {
        update_add(applier, relation, change);
    } else {
        table_add(applier, relation, "delete from");
        where_add(applier, relation, change->before);
    }
    return applier->batch.len < BATCH_BYTES || batch_run(applier, err);
}

bool applier_take(Applier *applier, const Change *change, Error *err)
{
    switch (change->kind) {
    case CHANGE_RELATION: return relation_take(applier, change, err);
    case CHANGE_BEGIN: applier->is_skipped = change->position < applier->position; return true;
    case CHANGE_COMMIT:
        applier->waiting = MAX(applier->waiting, change->position);
        return applier->batch.len < BATCH_BYTES || applier_flush(applier, err);
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE: return applier->is_skipped || row_take(applier, change, err);
    case CHANGE_TRUNCATE:
        return error_set(err, ERR_STATE, "a table of '%.*s' was emptied by TRUNCATE, which can't be followed",
                         STR_ARG(applier->operation->slug));
    case CHANGE_OTHER: return true;
    }
    return true;
}

// ---- what was written

bool applier_touched(Applier *applier, ReplicaTouched **out)
{
    Error ignored = {0};
    *out = applier->touched;
    return arena_ok(applier->touched_arena, &ignored);
}

void applier_forget_touched(Applier *applier)
{
    arena_reset(applier->touched_arena);
    for (size_t i = 0; i < applier->tables->count; i++)
        applier->touched[i] = (ReplicaTouched){.count = 0};
}
