// provisioner/replica_slot.c: publications and slots of tenants.
#include "provisioner/replica_slot.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/replica.h"
#include "provisioner/replica_compare.h"
#include "provisioner/slug.h"

enum {
    BUDGET = MIB,
    END_MS = 10000,
    END_PAUSE_MS = 20,
    SLOT_WAIT_MS = 250,
    SLOT_SILENT_MS = 3000,    // until an operator hears whom a slot waits for
};

static Str name_of(int64_t number, Arena *arena)
{
    return str_format(arena, "shop_%.*s", STR_ARG(tenant_schema(number, arena)));
}

bool replica_slot_state(Db *cell, int64_t number, ReplicaSlotState *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    Str name = name_of(number, arena);
    if (!arena_ok(arena, err) ||
        !db_query(cell, S("select wal_status = 'lost' from pg_replication_slots where slot_name = $1"), PARAMS(name),
                  &rows, err))
        return false;
    *out = rows_count(rows) == 0 ? REPLICA_SLOT_NONE : rows_bool(rows, 0, 0) ? REPLICA_SLOT_LOST : REPLICA_SLOT_KEPT;
    return true;
}

// A process that was killed may still be connected as far as the server knows.
static bool reader_end(Db *cell, Str name, Error *err)
{
    int64_t deadline_ms = clock_ms() + END_MS;
    for (;;) {
        CLEANUP(rows_close) Rows *rows = NULL;
        if (!db_query(cell,
                      S("select pg_terminate_backend(active_pid) from pg_replication_slots "
                        "where slot_name = $1 and active_pid is not null"),
                      PARAMS(name), &rows, err))
            return false;
        if (rows_count(rows) == 0)
            return true;
        if (clock_ms() > deadline_ms)
            return error_set(err, ERR_BUSY, "the replication slot '%.*s' is in use", STR_ARG(name));
        clock_sleep_ms(END_PAUSE_MS);
    }
}

bool replica_forget(Db *cell, int64_t number, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str name = name_of(number, arena);
    Str drop = str_format(arena, "drop publication if exists %.*s", STR_ARG(name));
    return arena_ok(arena, err) && reader_end(cell, name, err) &&
           db_run(cell, S("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1"),
                  PARAMS(name), err) &&
           db_script(cell, drop, err);
}

static bool publication_make(Db *cell, Str name, int64_t number, const TenantTables *tables, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    Str schema = tenant_schema(number, arena);
    strbuf_format(&sql, "create publication %.*s for table ", STR_ARG(name));
    for (size_t i = 0; i < tables->count; i++)
        strbuf_format(&sql, "%s%.*s.%.*s", i ? ", " : "", STR_ARG(schema), STR_ARG(tables->tables[i].quoted));
    return arena_ok(arena, err) && db_script(cell, strbuf_str(&sql), err);
}

// ---- slots

typedef struct SlotMaking {
    Operation *op;
    Str cell_name;
    Db *cell;          // asked whom the server waits for
    Db *connection;    // of the slot
} SlotMaking;

static bool next_transaction_read(Db *cell, Arena *arena, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(cell, S("select pg_snapshot_xmax(pg_current_snapshot())::xid"), NO_PARAMS, &rows, err))
        return false;
    *out = str_copy(arena, rows_str(rows, 0, 0));
    return arena_ok(arena, err);
}

// Those that write since before `since`, by name; empty: nobody.
static bool writers_read(const SlotMaking *making, Str since, Arena *arena, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Str pid = str_int(arena, db_pid(making->connection));
    if (!arena_ok(arena, err) ||
        !db_query(making->cell, S("select cell.slot_awaits($1::integer, $2::xid)"), PARAMS(pid, since), &rows, err))
        return false;
    *out = str_copy(arena, rows_str(rows, 0, 0));
    return arena_ok(arena, err);
}

static bool writers_refuse(const SlotMaking *making, Str writers, Error *err)
{
    making->op->is_hopeless = true;
    error_set(err, ERR_BUSY, "transactions that a move has to wait for go on writing");
    error_why(err, "in the server of the cell '%.*s': %.*s", STR_ARG(making->cell_name), STR_ARG(writers));
    return error_next(err, "let them end, then move the shop again");
}

static bool slot_wait(const SlotMaking *making, Str since, Arena *arena, ReplicationSlot *out, Error *err)
{
    int64_t from_ms = clock_ms(), limit_ms = platform_options(making->op->platform)->writers_ms;
    bool is_made = false, is_said = false;
    Str writers = S("");
    for (;;) {
        if (!db_replication_slot_wait(making->connection, SLOT_WAIT_MS, arena, out, &is_made, err))
            return false;
        if (is_made)
            return true;
        bool is_over = clock_ms() - from_ms > limit_ms;
        if (!operation_beat(making->op, err) || ((is_over || (!is_said && clock_ms() - from_ms > SLOT_SILENT_MS)) &&
                                                 !writers_read(making, since, arena, &writers, err)))
            return false;
        if (is_over)
            return writers_refuse(making, writers, err);
        if (!is_said && writers.len)
            platform_warn(making->op->platform, "the move of '%.*s' waits for who writes in the cell '%.*s': %.*s",
                          STR_ARG(making->op->slug), STR_ARG(making->cell_name), STR_ARG(writers));
        is_said = is_said || writers.len;
    }
}

// Nothing of a slot that isn't made stays: the server ends what it is at.
static void slot_give_up(Db *connection)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB);
    ReplicationSlot ignored_slot;
    Error ignored = {0};
    bool is_made = false;
    if (db_is_broken(connection))
        return;
    db_cancel(connection);
    if (!db_replication_slot_wait(connection, END_MS, arena, &ignored_slot, &is_made, &ignored))
        error_clear(&ignored);
}

static bool slot_make(SlotMaking *making, Str name, bool is_temporary, Arena *arena, ReplicationSlot *out, Error *err)
{
    Str since;
    if (next_transaction_read(making->cell, arena, &since, err) &&
        platform_cell_replication(making->op->platform, making->cell_name, &REPLICA_DB, &making->connection, err) &&
        db_replication_slot_begin(making->connection, name, is_temporary, err)) {
        if (slot_wait(making, since, arena, out, err))
            return true;
        slot_give_up(making->connection);
    }
    db_close(&making->connection);
    return error_wrap(err, "the cell '%.*s' can't keep changes", STR_ARG(making->cell_name));
}

bool replica_slot_make(Operation *op, Str cell_name, int64_t number, const TenantTables *tables, Arena *arena,
                       ReplicationSlot *out, Db **out_connection, Error *err)
{
    SlotMaking making = {.op = op, .cell_name = cell_name};
    Str name = name_of(number, arena);
    if (!arena_ok(arena, err) || !platform_cell(op->platform, cell_name, &making.cell, err) ||
        !replica_forget(making.cell, number, err) || !publication_make(making.cell, name, number, tables, err) ||
        !slot_make(&making, name, false, arena, out, err))
        return false;
    *out_connection = making.connection;
    return true;
}

bool replica_snapshot_take(Operation *op, Str cell_name, int64_t number, Arena *arena, ReplicationSlot *out,
                           Db **out_connection, Error *err)
{
    SlotMaking making = {.op = op, .cell_name = cell_name};
    Str name = str_format(arena, "%.*s_check", STR_ARG(name_of(number, arena)));
    if (!arena_ok(arena, err) || !platform_cell(op->platform, cell_name, &making.cell, err) ||
        !reader_end(making.cell, name, err) || !slot_make(&making, name, true, arena, out, err))
        return false;
    *out_connection = making.connection;
    return true;
}

bool replica_snapshot_begin(Db *db, const ReplicationSlot *slot, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str sql = str_format(arena, "begin isolation level repeatable read read only; set transaction snapshot %.*s",
                         STR_ARG(db_literal(db, arena, slot->snapshot)));
    return arena_ok(arena, err) && db_script(db, sql, err);
}

bool replica_stream_open(Platform *platform, Str cell_name, int64_t number, uint64_t position, Db **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *stream = NULL;
    Db *cell = NULL;
    Str name = name_of(number, arena);
    // Whoever reads is we: comparing a big shop takes longer than the server would wait for a sign of life.
    if (!arena_ok(arena, err) || !platform_cell(platform, cell_name, &cell, err) || !reader_end(cell, name, err) ||
        !platform_cell_replication(platform, cell_name, &REPLICA_DB, &stream, err) ||
        !replica_session_set(NULL, stream, err) || !db_script(stream, S("set wal_sender_timeout = 0"), err) ||
        !db_replication_start(stream, name, name, position, err))
        return error_wrap(err, "the changes in the cell '%.*s' can't be read", STR_ARG(cell_name));
    *out = TAKE(stream);
    return true;
}
