// provisioner/replica_slot.c: publications and slots of tenants.
#include "provisioner/replica_slot.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/replica.h"
#include "provisioner/replica_compare.h"
#include "provisioner/slug.h"

enum { BUDGET = MIB, END_MS = 10000, END_PAUSE_MS = 20 };

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

static bool slot_make(Platform *platform, Str cell_name, Str name, bool is_temporary, Arena *arena,
                      ReplicationSlot *out, Db **out_connection, Error *err)
{
    CLEANUP(db_close) Db *connection = NULL;
    if (!platform_cell_replication(platform, cell_name, &REPLICA_DB, &connection, err) ||
        !db_replication_slot_make(connection, name, is_temporary, arena, out, err))
        return error_wrap(err, "the cell '%.*s' can't keep changes", STR_ARG(cell_name));
    *out_connection = TAKE(connection);
    return true;
}

bool replica_slot_make(Platform *platform, Str cell_name, int64_t number, const TenantTables *tables, Arena *arena,
                       ReplicationSlot *out, Db **out_connection, Error *err)
{
    Db *cell = NULL;
    Str name = name_of(number, arena);
    return arena_ok(arena, err) && platform_cell(platform, cell_name, &cell, err) &&
           replica_forget(cell, number, err) && publication_make(cell, name, number, tables, err) &&
           slot_make(platform, cell_name, name, false, arena, out, out_connection, err);
}

bool replica_snapshot_take(Platform *platform, Str cell_name, int64_t number, Arena *arena, ReplicationSlot *out,
                           Db **out_connection, Error *err)
{
    Db *cell = NULL;
    Str name = str_format(arena, "%.*s_check", STR_ARG(name_of(number, arena)));
    return arena_ok(arena, err) && platform_cell(platform, cell_name, &cell, err) && reader_end(cell, name, err) &&
           slot_make(platform, cell_name, name, true, arena, out, out_connection, err);
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
        !replica_session_set(stream, err) || !db_script(stream, S("set wal_sender_timeout = 0"), err) ||
        !db_replication_start(stream, name, name, position, err))
        return error_wrap(err, "the changes in the cell '%.*s' can't be read", STR_ARG(cell_name));
    *out = TAKE(stream);
    return true;
}
