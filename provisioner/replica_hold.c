// provisioner/replica_hold.c: follows a tenant's changes until both cells have the same rows.
#include "provisioner/replica.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/replica_apply.h"
#include "provisioner/replica_slot.h"
#include "provisioner/tenant_steps.h"

enum {
    BUDGET = 4 * MIB,
    WAIT_MS = 5,            // for a message, before the server is asked how far it is
    ASK_AGAIN_MS = 1000,    // where it hasn't answered
    NEAR_MS = 150,          // a round of catching up that took no longer is near enough to close the source
    NEAR_MORE_MS = 50,      // and so much longer with each round: a busy machine comes no nearer
    NEAR_ROUNDS_MAX = 100,
    SILENCE_MS = 60000,    // of a stream that doesn't come nearer
    WRITERS_MS = 10000,    // how long a transaction may still write once the source is closed
    WRITERS_PAUSE_MS = 1,
    IMPORT_MS = 600000,    // how long an import may keep it open before
    IMPORT_PAUSE_MS = 50,
    TRIES_MAX = 3,    // of comparing all while so much is written that it can't be remembered
};

typedef struct Follow {
    Operation *op;
    Arena *arena;
    ReplicaEnd source, target;
    TenantTables tables;
    Db *stream;
    Applier *applier;
    Change change;
    uint64_t sent;       // the server has sent all that was committed before
    int64_t asked_ms;    // when it was asked last how far it is
    bool is_answered;
    uint64_t next;     // of the transaction that was announced and isn't wanted yet; 0: none
    bool is_within;    // a transaction's changes come
} Follow;

static void follow_close(Follow *follow)
{
    applier_close(&follow->applier);
    db_close(&follow->stream);
    db_close(&follow->source.db);
    db_close(&follow->target.db);
}

// What an earlier try found whole may be written again since.
static bool position_take(Follow *follow, uint64_t *out, Error *err)
{
    Str text;
    return cell_value(follow->op, S("select position from cell.replicas where tenant = $1::bigint"),
                      PARAMS(STEP_NUMBER(follow->op->number)), &text, err) &&
           wal_position_read(text, out, err) && replica_position_set(follow->op, follow->target, text, false, err);
}

static bool follow_open(Follow *follow, Error *err)
{
    Operation *op = follow->op;
    Db *fence = NULL;
    uint64_t position = 0;
    return operation_cell(op, &fence, err) && operation_other_cell(op, &fence, err) &&
           platform_cell_open_with(op->platform, op->other_cell, &REPLICA_DB, &follow->source.db, err) &&
           platform_cell_open_with(op->platform, op->cell, &REPLICA_DB, &follow->target.db, err) &&
           replica_session_set(op, follow->source.db, err) && replica_session_set(op, follow->target.db, err) &&
           tenant_tables_read(follow->target.db, op->number, follow->arena, &follow->tables, err) &&
           position_take(follow, &position, err) &&
           applier_open(op, follow->target.db, &follow->tables, position, &follow->applier, err) &&
           replica_stream_open(op->platform, op->other_cell, op->other_number, position, &follow->stream, err);
}

// ---- following

// A transaction that was committed at `until` or later is left for the next call.
static bool change_take(Follow *follow, uint64_t until, Error *err)
{
    const Change *change = &follow->change;
    if (change->kind == CHANGE_BEGIN && change->position >= until) {
        follow->next = change->position;
        return true;
    }
    if (change->kind == CHANGE_BEGIN || change->kind == CHANGE_COMMIT)
        follow->is_within = change->kind == CHANGE_BEGIN;
    if (change->kind == CHANGE_COMMIT)
        follow->sent = MAX(follow->sent, change->position);
    return applier_take(follow->applier, change, err);
}

static bool next_begin(Follow *follow, Error *err)
{
    Change begin = {.kind = CHANGE_BEGIN, .position = follow->next};
    follow->next = 0;
    follow->is_within = true;
    return applier_take(follow->applier, &begin, err);
}

// Commits what there is, and asks how far the server is, unless it has a question to answer: those that are answered
// more slowly than they are asked would queue without end.
static bool ask(Follow *follow, Error *err)
{
    int64_t now_ms = clock_ms();
    if (!follow->is_within && !applier_flush(follow->applier, err))
        return false;
    if (now_ms - follow->asked_ms >= (follow->is_answered ? WAIT_MS : ASK_AGAIN_MS)) {
        follow->asked_ms = now_ms;
        follow->is_answered = false;
        if (!db_replication_confirm(follow->stream, applier_position(follow->applier), err))
            return false;
    }
    return operation_beat(follow->op, err);
}

// Does at the target what was committed at the source before `until`.
static bool follow_until(Follow *follow, uint64_t until, Error *err)
{
    int64_t heard_ms = clock_ms();
    if ((follow->next && follow->next < until && !next_begin(follow, err)) || !ask(follow, err))
        return false;
    while (!follow->next && (follow->is_within || follow->sent < until)) {
        ReplicationMessage message;
        uint64_t before = follow->sent;
        if (!db_replication_next(follow->stream, WAIT_MS, &message, err))
            return false;
        if (message.change.len) {
            if (!change_decode(message.change, &follow->change, err) || !change_take(follow, until, err))
                return false;
            heard_ms = clock_ms();
            if (!operation_beat(follow->op, err))
                return false;
            continue;
        }
        follow->is_answered |= message.position != 0;
        follow->sent = MAX(follow->sent, message.position);
        if (follow->sent > before)
            heard_ms = clock_ms();
        else if (!ask(follow, err))
            return false;
        if (clock_ms() - heard_ms > SILENCE_MS)
            return error_set(err, ERR_UNREACHABLE, "the cell '%.*s' sends no more changes",
                             STR_ARG(follow->op->other_cell));
    }
    return applier_flush(follow->applier, err);
}

// A position behind all that is committed by now; the log is on the disk up to there, which is what a stream has.
static bool barrier_make(Follow *follow, uint64_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(follow->source.db, S("select pg_logical_emit_message(true, 'shopctl', '')"), NO_PARAMS, &rows,
                    err) &&
           wal_position_read(rows_str(rows, 0, 0), out, err);
}

static bool catch_up(Follow *follow, Error *err)
{
    uint64_t barrier = 0;
    return barrier_make(follow, &barrier, err) && follow_until(follow, barrier, err);
}

// Until what is written while a round lasts takes a moment only.
static bool come_near(Follow *follow, Error *err)
{
    for (int round = 0; round < NEAR_ROUNDS_MAX; round++) {
        int64_t from_ms = clock_ms();
        if (!catch_up(follow, err))
            return false;
        if (clock_ms() - from_ms <= NEAR_MS + round * NEAR_MORE_MS)
            return true;
    }
    error_set(err, ERR_BUSY, "the copy of '%.*s' doesn't catch up", STR_ARG(follow->op->slug));
    return error_why(err, "more is written in the cell '%.*s' than can be done again", STR_ARG(follow->op->other_cell));
}

// ---- comparing

// All rows as of one moment at the source, with the target brought to the same moment: the shop sells on meanwhile.
static bool compare_all(Follow *follow, int64_t *out_rows, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *keeper = NULL;
    Operation *op = follow->op;
    Db *db = follow->source.db;
    ReplicationSlot moment;
    if (!replica_snapshot_take(op, op->other_cell, op->other_number, arena, &moment, &keeper, err))
        return false;
    if (!replica_snapshot_begin(db, &moment, err))
        return false;
    bool ok = follow_until(follow, moment.position, err);
    applier_forget_touched(follow->applier);
    ok = ok && replica_compare(follow->source, follow->target, &follow->tables, out_rows, err);
    db_rollback(db);
    return ok;
}

// A shop that sells isn't held for a target that can't go on with it.
static bool target_answers(Operation *op, Error *err)
{
    if (!str_eq(op->context->status, S("active")) || cell_answers(op, err))
        return true;
    if (err->code == ERR_UNREACHABLE) {
        op->is_hopeless = true;
        if (!err->next[0])
            error_next(err, "start it, then move the shop again");
    }
    return false;
}

// Whoever writes by tenant_write (an import) holds the gate open to its end: its changes are followed meanwhile.
static bool gate_close(Follow *follow, Error *err)
{
    const Operation *op = follow->op;
    for (int64_t deadline_ms = clock_ms() + IMPORT_MS; clock_ms() < deadline_ms;) {
        CLEANUP(rows_close) Rows *rows = NULL;
        if (!come_near(follow, err) ||
            !db_query(follow->source.db, S("select cell.gate_close($1::bigint, $2::bigint, $3::bigint)"),
                      PARAMS(OPERATION(op), STEP_NUMBER(op->other_number)), &rows, err))
            return false;
        if (!rows_is_null(rows, 0, 0))
            return true;
        clock_sleep_ms(IMPORT_PAUSE_MS);
    }
    error_set(err, ERR_BUSY, "an import goes on writing in the shop '%.*s'", STR_ARG(op->slug));
    return error_next(err, "let it end, then move the shop again");
}

// Both ends have been compared, the target answers, the gate is closed, and what was written since is known row by row.
static bool come_near_closed(Follow *follow, Error *err)
{
    ReplicaTouched *touched = NULL;
    for (int tried = 0; tried < TRIES_MAX; tried++) {
        int64_t rows = 0;
        if (!come_near(follow, err) || !compare_all(follow, &rows, err) || !target_answers(follow->op, err) ||
            !json_set(follow->op->data, "rows", json_build("I", (json_int)rows), err) || !gate_close(follow, err))
            return false;
        if (applier_touched(follow->applier, &touched))
            return true;
        if (!replica_release(follow->op, err))
            return false;
    }
    return error_set(err, ERR_BUSY, "so much is written in the shop '%.*s' that its copy can't be compared",
                     STR_ARG(follow->op->slug));
}

// ---- the pause

// The next try would only hold the shop still once more.
static bool writers_refuse(Operation *op, Str writers, Error *err)
{
    op->is_hopeless = true;
    error_set(err, ERR_BUSY, "transactions go on writing in the shop '%.*s'", STR_ARG(op->slug));
    error_why(err, "in the cell '%.*s': %.*s", STR_ARG(op->other_cell), STR_ARG(writers));
    return error_next(err, "let them end, then move the shop again");
}

static bool writers_wait(Follow *follow, Error *err)
{
    CLEANUP(rows_close) Rows *writers = NULL;
    int64_t deadline_ms = clock_ms() + WRITERS_MS;
    if (!db_query(follow->source.db, S("select cell.gate_writers($1::bigint)"),
                  PARAMS(STEP_NUMBER(follow->op->other_number)), &writers, err))
        return false;
    for (;;) {
        CLEANUP(rows_close) Rows *left = NULL;
        if (!db_query(follow->source.db, S("select cell.gate_writers_left($1::text[])"),
                      PARAMS(rows_str(writers, 0, 0)), &left, err))
            return false;
        if (rows_is_null(left, 0, 0))
            return true;
        if (clock_ms() > deadline_ms)
            return writers_refuse(follow->op, rows_str(left, 0, 0), err);
        clock_sleep_ms(WRITERS_PAUSE_MS);
    }
}

static bool identities_copy(Follow *follow, Error *err)
{
    CLEANUP(json_close) Json *identities = json_build("[]");
    return json_ok(identities, err) &&
           tenant_identities_read(follow->source.db, follow->source.number, identities, err) &&
           tenant_identities_set(follow->target.db, follow->target.number, identities, err);
}

// The way back: what the target writes from here on belongs to the source as it is now.
static bool way_back_set(Follow *follow, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_query(follow->target.db, S("select pg_current_wal_insert_lsn()"), NO_PARAMS, &rows, err) &&
           replica_position_set(follow->op, follow->source, rows_str(rows, 0, 0), false, err);
}

static bool whole_set(Follow *follow, Error *err)
{
    char position[WAL_POSITION_TEXT];
    return replica_position_set(follow->op, follow->target,
                                wal_position_text(applier_position(follow->applier), position), true, err) &&
           json_set(follow->op->data, "checksums_equal", json_build("b", 1), err);
}

static bool compare_the_rest(Follow *follow, Error *err)
{
    ReplicaTouched *touched = NULL;
    return writers_wait(follow, err) && catch_up(follow, err) &&
           (applier_touched(follow->applier, &touched) ||
            error_set(err, ERR_BUSY, "so much was written in the shop '%.*s' that its copy can't be compared",
                      STR_ARG(follow->op->slug))) &&
           replica_compare_touched(follow->source, follow->target, &follow->tables, touched, err) &&
           identities_copy(follow, err) && way_back_set(follow, err) && whole_set(follow, err);
}

static bool way_back_keep(Follow *follow, Error *err)
{
    CLEANUP(db_close) Db *keeper = NULL;
    Operation *op = follow->op;
    ReplicationSlot slot;
    return replica_slot_make(op, op->cell, op->number, &follow->tables, follow->arena, &slot, &keeper, err);
}

// An earlier try that was killed may have left the source closed, and comparing all takes long.
static bool hold(Follow *follow, Error *err)
{
    if (!follow_open(follow, err) || !replica_release(follow->op, err) || !way_back_keep(follow, err))
        return false;
    if (come_near_closed(follow, err) && compare_the_rest(follow, err))
        return true;
    Error ignored = {0};
    if (!replica_release(follow->op, &ignored))    // whoever goes on with the operation does
        error_clear(&ignored);
    return false;
}

// A copy that differs, or can't take a change, is made anew by the next try. What ends by itself is waited for.
static void copy_give_up(Operation *op, ErrorCode code)
{
    Error ignored = {0};
    if (code == ERR_BUSY || code == ERR_UNREACHABLE || code == ERR_NO_MEMORY)
        return;
    if (!replica_end(op, &ignored))
        error_clear(&ignored);
}

bool replica_hold(Operation *op, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(2 * BUDGET);
    Follow *follow = arena_new(arena, Follow);
    if (!arena_ok(arena, err))
        return false;
    *follow = (Follow){.op = op, .arena = arena, .source.number = op->other_number, .target.number = op->number};
    bool ok = hold(follow, err);
    follow_close(follow);
    if (!ok)
        copy_give_up(op, err->code);
    return ok || error_wrap(err, "the shop '%.*s' can't be held still for its move", STR_ARG(op->slug));
}

bool replica_release(Operation *op, Error *err)
{
    Db *source = NULL;
    return operation_other_cell(op, &source, err) &&
           db_run(source, S("select cell.gate_open($1::bigint, $2::bigint, $3::bigint)"),
                  PARAMS(OPERATION(op), STEP_NUMBER(op->other_number)), err) &&
           replica_position_set(op, (ReplicaEnd){.db = source, .number = op->other_number}, SQL_NULL, false, err);
}
