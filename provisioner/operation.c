// provisioner/operation.c: the engine that runs operations step by step, forward or back, and what it records.
#include "provisioner/operation.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/process.h"

enum { BUDGET = 64 * MIB, NUMBER_TEXT = 24, BEAT_MS = 10000, ATTEMPTS_MAX = 5, HOLDER_PARTS = 3 };

typedef struct NumberText {
    char text[NUMBER_TEXT];
} NumberText;

static Str number(int64_t value, NumberText *text)
{
    int length = snprintf(text->text, sizeof(text->text), "%lld", (long long)value);
    return (Str){text->text, (size_t)length};
}
#define NUMBER(value) number(value, &(NumberText){{0}})

// ---- who holds an operation: HOST PID START

static Str holder_self(Arena *arena)
{
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    Process self = {0};
    Error ignored = {0};
    uint64_t started = process_open_pid((int)getpid(), &self, &ignored) ? self.started : 0;
    process_close(&self);
    return str_format(arena, "%s %d %llu", host, (int)getpid(), (unsigned long long)started);
}

// Whether the process is known to be gone: it was one of this machine, and its number is free or another one's.
static bool is_gone(Str holder)
{
    Str parts[HOLDER_PARTS] = {0};
    for (size_t i = 0; i < HOLDER_PARTS; i++)
        if (!str_cut(&holder, ' ', &parts[i]))
            return i == 0;    // nobody
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    int64_t pid = 0, started = 0;
    Error ignored = {0};
    if (!str_eq(parts[0], str_of(host)) || !str_int64(parts[1], 1, INT32_MAX, &pid, &ignored) ||
        !str_int64(parts[2], 0, INT64_MAX, &started, &ignored))
        return false;
    Process process = {0};
    if (!process_open_pid((int)pid, &process, &ignored))
        return false;
    bool is_same = process.pid && process.started == (uint64_t)started;
    process_close(&process);
    return !is_same;
}

// ---- the record

static bool data_text(const Operation *op, Str *out, Error *err)
{
    return json_print(op->data, 0, op->arena, out, err);
}

enum { NO_STEP = -1 };

typedef struct StepRecord {
    int ended, next;    // positions; NO_STEP: none
    const char *ended_state, *next_state;
} StepRecord;

static Str position(int value, NumberText *text) { return value == NO_STEP ? SQL_NULL : number(value, text); }

static bool record_step(Operation *op, StepRecord record, Error *err)
{
    NumberText ended, next;
    Str data;
    if (!data_text(op, &data, err) ||
        !db_run(platform_control(op->platform),
                S("select control.operation_step($1::bigint, $2::bigint, $3::integer, $4, $5::integer, $6, $7::jsonb)"),
                PARAMS(NUMBER(op->id), NUMBER(op->epoch), position(record.ended, &ended), str_of(record.ended_state),
                       position(record.next, &next), str_of(record.next_state), data),
                err))
        return false;
    op->beat_ms = clock_ms();
    return true;
}

static Json *error_json(const Error *failure)
{
    return json_build("{s:s, s:s, s:s, s:s}", "code", error_name(failure->code), "what", failure->what, "why",
                      failure->why, "next", failure->next);
}

typedef struct EndRecord {
    int position;
    const char *step_state;
    const char *state;
    const Error *failure;    // NULL: none
} EndRecord;

static bool record_end(Operation *op, EndRecord record, Error *err)
{
    CLEANUP(json_close) Json *failure = record.failure ? error_json(record.failure) : NULL;
    Str failure_text = SQL_NULL, data;
    NumberText at;
    if ((failure && !json_print(failure, 0, op->arena, &failure_text, err)) || !data_text(op, &data, err) ||
        !platform_reconnect(op->platform, err))
        return false;
    return db_run(platform_control(op->platform),
                  S("select control.operation_end($1::bigint, $2::bigint, $3::integer, $4, $5, $6::boolean, $7::jsonb, "
                    "$8::jsonb)"),
                  PARAMS(NUMBER(op->id), NUMBER(op->epoch), position(record.position, &at), str_of(record.step_state),
                         str_of(record.state), op->is_revert ? S("t") : S("f"), failure_text, data),
                  err);
}

static void emit(const Operation *op, size_t at, EventPhase phase, const char *state)
{
    assert(op->driver);
    bool is_step = phase != EVENT_BEGUN && phase != EVENT_ENDED;
    platform_emit(op->platform, &(Event){.id = op->id,
                                         .kind = op->driver->kind,
                                         .slug = op->slug,
                                         .step = is_step ? op->driver->steps[at].name : NULL,
                                         .position = at,
                                         .count = op->driver->count,
                                         .phase = phase,
                                         .is_revert = op->is_revert,
                                         .state = state});
}

// ---- running

static bool can_try_again(ErrorCode code)
{
    return code == ERR_UNREACHABLE || code == ERR_BUSY || code == ERR_NO_MEMORY;
}

// The record says what `err` says; that it can't be written changes nothing for the caller: the lease runs out then. A
// connection that broke unnoticed is opened again for it.
static bool fail(Operation *op, size_t at, const char *step_state, Error *err)
{
    EndRecord record = {.position = (int)at, .step_state = step_state, .state = "failed", .failure = err};
    Error trouble = {0}, ignored = {0};
    if (!record_end(op, record, &trouble) && trouble.code == ERR_UNREACHABLE && !record_end(op, record, &ignored))
        error_clear(&ignored);
    emit(op, at, EVENT_ENDED, "failed");
    if (err->next[0] == '\0' && can_try_again(err->code))
        error_next(err, "go on with: shopctl operation resume %lld, or take it back: shopctl operation revert %lld",
                   (long long)op->id, (long long)op->id);
    return false;
}

// Refuses to go back over a step that can't be taken back.
static bool check_revertible(Operation *op, Error *err)
{
    for (size_t i = 0; i < op->driver->count; i++) {
        const Step *step = &op->driver->steps[i];
        bool is_done = false;
        if (step->revert)
            continue;
        if (!step->probe(op, &is_done, err))
            return false;
        if (!is_done)
            continue;
        error_set(err, ERR_STATE, "operation %lld can't be taken back", (long long)op->id);
        error_why(err, "its step '%s' is done, which only goes forward", step->name);
        return error_next(err, "finish it: shopctl operation resume %lld", (long long)op->id);
    }
    return true;
}

static bool run_back(Operation *op, size_t from, const Error *failure, Error *err)
{
    op->is_revert = true;
    for (size_t i = from + 1; i-- > 0;) {
        const Step *step = &op->driver->steps[i];
        if (!record_step(op,
                         (StepRecord){.ended = i == from ? NO_STEP : (int)i + 1,
                                      .ended_state = "reverted",
                                      .next = (int)i,
                                      .next_state = "reverting"},
                         err))
            return fail(op, i, "failed", err);
        emit(op, i, EVENT_BEFORE, NULL);
        if (step->revert && !step->revert(op, err)) {
            error_wrap(err, "the step '%s' can't be taken back", step->name);
            return fail(op, i, "failed", err);
        }
        emit(op, i, EVENT_REVERTED, NULL);
    }
    if (!record_end(op, (EndRecord){.position = 0, .step_state = "reverted", .state = "reverted", .failure = failure},
                    err))
        return false;
    emit(op, 0, EVENT_ENDED, "reverted");
    return true;
}

// What can't go on is reverted; the caller gets the step's error.
static bool give_up(Operation *op, size_t at, Error *err)
{
    Error failure = *err, trouble = {0};
    if (can_try_again(err->code) && !op->is_hopeless)
        return fail(op, at, "failed", err);
    if (!check_revertible(op, &trouble))
        return fail(op, at, "failed", err);
    if (!run_back(op, at, &failure, &trouble))
        error_why(err, "%s; and it couldn't be taken back: %s", failure.why, trouble.what);
    return false;
}

static bool step_run(Operation *op, const Step *step, size_t at, Error *err)
{
    bool is_done = false;
    if (op->is_taken && !step->probe(op, &is_done, err))
        return false;
    emit(op, at, EVENT_BEFORE, NULL);
    if (!is_done && !step->apply(op, err))
        return false;
    emit(op, at, EVENT_AFTER, NULL);
    return true;
}

static bool run_forward(Operation *op, Error *err)
{
    size_t count = op->driver->count;
    for (size_t i = 0; i < count; i++) {
        bool is_recorded = i == 0 && !op->is_taken;    // as its operation began
        if (!is_recorded && !record_step(op,
                                         (StepRecord){.ended = i == 0 ? NO_STEP : (int)i - 1,
                                                      .ended_state = "done",
                                                      .next = (int)i,
                                                      .next_state = "running"},
                                         err))
            return fail(op, i, "failed", err);
        if (!step_run(op, &op->driver->steps[i], i, err))
            return give_up(op, i, err);
    }
    if (!record_end(op, (EndRecord){.position = (int)count - 1, .step_state = "done", .state = "done"}, err))
        return error_wrap(err, "operation %lld is done, but its record isn't", (long long)op->id);
    emit(op, count - 1, EVENT_ENDED, "done");
    return true;
}

static bool driver_begin(Operation *op, Error *err) { return !op->driver->begin || op->driver->begin(op, err); }

static bool run(Operation *op, Error *err)
{
    emit(op, 0, EVENT_BEGUN, NULL);
    if (!driver_begin(op, err) || (op->driver->prepare && !op->driver->prepare(op, err)))
        return fail(op, 0, "failed", err);
    if (!op->is_revert)
        return run_forward(op, err);
    if (!check_revertible(op, err)) {
        op->is_revert = false;
        return fail(op, 0, "failed", err);
    }
    return run_back(op, op->driver->count - 1, NULL, err);
}

// ---- taking one up

static const Driver *driver_find(Str kind)
{
    for (size_t i = 0; DRIVERS[i]; i++)
        if (str_eq(str_of(DRIVERS[i]->kind), kind))
            return DRIVERS[i];
    return NULL;
}

typedef struct Take {
    int64_t id;
    int64_t quiet_ms;    // 0: in any case
    Str revert;          // "t", "f", or null: as it was going
} Take;

// What is recorded of the operation, from this column on: kind, slug, is_revert, input, data.
static bool operation_read(Operation *op, const Rows *rows, size_t column, Error *err)
{
    op->driver = driver_find(rows_str(rows, 0, column));
    op->slug = str_copy(op->arena, rows_str(rows, 0, column + 1));
    op->is_revert = rows_bool(rows, 0, column + 2);
    if (!op->driver) {
        error_set(err, ERR_STATE, "operation %lld is of an unknown kind", (long long)op->id);
        error_why(err, "its kind is '%.*s'", STR_ARG(rows_str(rows, 0, column)));
        return error_next(err, "use the newer program");
    }
    return json_parse(rows_str(rows, 0, column + 3), &op->input, err) &&
           json_parse(rows_str(rows, 0, column + 4), &op->data, err) && arena_ok(op->arena, err);
}

// Makes the operation ours.
static bool take(Platform *platform, const Take *how, Arena *arena, Operation *op, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!platform_reconnect(platform, err) ||
        !db_query(platform_control(platform),
                  S("select epoch, kind, slug, is_revert, input, data "
                    "from control.operation_take($1::bigint, $2, $3::bigint, $4::boolean)"),
                  PARAMS(NUMBER(how->id), holder_self(arena), NUMBER(how->quiet_ms), how->revert), &rows, err))
        return false;
    *op = (Operation){.platform = platform,
                      .arena = arena,
                      .id = how->id,
                      .epoch = rows_int64(rows, 0, 0),
                      .is_taken = true,
                      .beat_ms = clock_ms()};
    return operation_read(op, rows, 1, err);
}

static void operation_close(Operation *op)
{
    json_close(&op->input);
    json_close(&op->data);
}

static bool take_and_run(Platform *platform, const Take *how, bool *out_reverted, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(operation_close) Operation op = {0};
    if (!take(platform, how, arena, &op, err))
        return false;
    bool ok = run(&op, err);
    *out_reverted = op.is_revert;
    return ok;
}

bool operation_resume(Platform *platform, int64_t id, Error *err)
{
    bool is_reverted = false;
    return take_and_run(platform, &(Take){.id = id, .revert = SQL_NULL}, &is_reverted, err);
}

bool operation_revert(Platform *platform, int64_t id, Error *err)
{
    bool is_reverted = false;
    return take_and_run(platform, &(Take){.id = id, .revert = S("t")}, &is_reverted, err);
}

// The steps from the first one on that the world says isn't done.
static bool undone_list(Operation *op, Json *list, Error *err)
{
    bool is_done = true;
    for (size_t i = 0; i < op->driver->count; i++) {
        const Step *step = &op->driver->steps[i];
        if (is_done && !step->probe(op, &is_done, err))
            return false;
        if (!is_done && !json_append(list, json_from_str(str_of(step->name))))
            return json_ok(NULL, err);
    }
    return true;
}

bool operation_preview(Platform *platform, int64_t id, bool is_revert, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *steps = NULL;
    CLEANUP(operation_close) Operation op = {.platform = platform, .arena = arena, .id = id};
    if (!db_query(platform_control(platform),
                  S("select kind, slug, is_revert, input, data, begun from control.operation_peek($1::bigint)"),
                  PARAMS(NUMBER(id)), &rows, err) ||
        !operation_read(&op, rows, 0, err) || !driver_begin(&op, err))
        return false;
    op.is_revert = op.is_revert || is_revert;
    if (op.is_revert ? !check_revertible(&op, err) || !json_parse(rows_str(rows, 0, 5), &steps, err)
                     : !json_ok(steps = json_build("[]"), err) || !undone_list(&op, steps, err))
        return false;
    *out = json_build("{s:I, s:s, s:s%, s:O}", "id", (json_int)id, "kind", op.driver->kind, "tenant", op.slug.data,
                      op.slug.len, op.is_revert ? "would_revert" : "would_do", steps);
    return json_ok(*out, err);
}

bool operation_adopt(Platform *platform, int64_t *out_id, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    int64_t quiet_ms = platform_options(platform)->takeover_ms;
    *out_id = 0;
    if (!db_query(platform_control(platform), S("select id, attempts from control.operation_abandoned($1::bigint)"),
                  PARAMS(NUMBER(quiet_ms)), &rows, err))
        return false;
    if (rows_count(rows) == 0)
        return true;
    *out_id = rows_int64(rows, 0, 0);
    // One that failed again and again is taken back. Where that can't be, it goes on forward at every other attempt.
    int64_t attempts = rows_int64(rows, 0, 1);
    bool gives_up = attempts >= ATTEMPTS_MAX && (attempts - ATTEMPTS_MAX) % 2 == 0;
    bool is_reverted = false;
    return take_and_run(platform, &(Take){.id = *out_id, .quiet_ms = quiet_ms, .revert = gives_up ? S("t") : SQL_NULL},
                        &is_reverted, err);
}

// ---- a new one

static bool begin(Platform *platform, const OperationSpec *spec, Arena *arena, Operation *op, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    StrBuf steps = {.arena = arena};
    for (size_t i = 0; i < spec->driver->count; i++)
        strbuf_format(&steps, "%s%s", i ? "," : "{", spec->driver->steps[i].name);
    strbuf_add_char(&steps, '}');
    Str input = S("{}");
    *op = (Operation){.platform = platform,
                      .arena = arena,
                      .driver = spec->driver,
                      .slug = str_copy(arena, spec->slug),
                      .input = spec->input ? json_hold((Json *)spec->input) : json_build("{}"),
                      .data = json_build("{}"),
                      .beat_ms = clock_ms()};
    if (!json_ok(op->input, err) || !json_ok(op->data, err) || !json_print(op->input, 0, arena, &input, err) ||
        !arena_ok(arena, err) ||
        !db_query(platform_control(platform),
                  S("select id, epoch from control.operation_begin($1, $2, $3::jsonb, $4::text[], $5, $6)"),
                  PARAMS(str_of(spec->driver->kind), spec->slug, input, strbuf_str(&steps), holder_self(arena),
                         platform_options(platform)->operator_name),
                  &rows, err))
        return false;
    op->id = rows_int64(rows, 0, 0);
    op->epoch = rows_int64(rows, 0, 1);
    return true;
}

bool operation_left(Platform *platform, const Driver *driver, Str slug, int64_t *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    *out = 0;
    if (!db_query(platform_control(platform),
                  S("select id, kind, state, holder, quiet_ms from control.operation_of($1)"), PARAMS(slug), &rows,
                  err))
        return false;
    if (rows_count(rows) == 0 || !str_eq(rows_str(rows, 0, 1), str_of(driver->kind)))
        return true;
    if (str_eq(rows_str(rows, 0, 2), S("failed")) || is_gone(rows_str(rows, 0, 3)) ||
        rows_int64(rows, 0, 4) >= platform_options(platform)->takeover_ms)
        *out = rows_int64(rows, 0, 0);
    return true;
}

bool operation_continue(Platform *platform, const Driver *driver, Str slug, bool *out_done, int64_t *out_id, Error *err)
{
    int64_t orphan = 0;
    bool is_reverted = false;
    *out_done = false;
    if (!operation_left(platform, driver, slug, &orphan, err))
        return false;
    if (orphan == 0)
        return true;
    if (out_id)
        *out_id = orphan;
    if (!take_and_run(platform, &(Take){.id = orphan, .revert = SQL_NULL}, &is_reverted, err))
        return false;
    *out_done = !is_reverted;
    return true;
}

bool operation_run(Platform *platform, const OperationSpec *spec, int64_t *out_id, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(operation_close) Operation op = {0};
    bool has_begun = begin(platform, spec, arena, &op, err);
    if (!has_begun && err->code == ERR_BUSY) {
        int64_t orphan = 0;
        Error trouble = {0};
        if (!operation_left(platform, spec->driver, spec->slug, &orphan, &trouble) || orphan == 0)
            return false;
        error_clear(err);
        if (out_id)
            *out_id = orphan;
        bool is_reverted = false;
        if (!take_and_run(platform, &(Take){.id = orphan, .revert = SQL_NULL}, &is_reverted, err))
            return false;
        if (!is_reverted)
            return true;
        operation_close(&op);    // what was in the way is taken back: now this one
        has_begun = begin(platform, spec, arena, &op, err);
    }
    if (!has_begun)
        return false;
    if (out_id)
        *out_id = op.id;
    return run(&op, err);
}

// ---- for steps

bool operation_beat(Operation *op, Error *err)
{
    bool is_previewed = op->epoch == 0;    // nobody has taken it
    if (is_previewed || clock_ms() - op->beat_ms < BEAT_MS)
        return true;
    if (!db_run(platform_control(op->platform), S("select control.operation_beat($1::bigint, $2::bigint)"),
                PARAMS(NUMBER(op->id), NUMBER(op->epoch)), err))
        return false;
    op->beat_ms = clock_ms();
    return true;
}

static bool cell_fenced(Operation *op, Str cell, bool *is_fenced, Db **out, Error *err)
{
    assert(cell.len > 0);
    if (!platform_cell(op->platform, cell, out, err))
        return false;
    if (!op->is_taken || *is_fenced)
        return true;
    *is_fenced = db_run(*out, S("select cell.fence_raise($1::bigint, $2::bigint)"),
                        PARAMS(NUMBER(op->id), NUMBER(op->epoch)), err);
    return *is_fenced;
}

bool operation_cell(Operation *op, Db **out, Error *err) { return cell_fenced(op, op->cell, &op->is_fenced, out, err); }

bool operation_other_cell(Operation *op, Db **out, Error *err)
{
    return cell_fenced(op, op->other_cell, &op->is_other_fenced, out, err);
}

// ---- what is shown

bool operation_show(Platform *platform, int64_t id, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select control.operation_show($1::bigint)"), PARAMS(NUMBER(id)), &rows,
                  err))
        return false;
    if (rows_count(rows) == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no operation %lld", (long long)id);
        return error_next(err, "see shopctl operation list");
    }
    return json_parse(rows_str(rows, 0, 0), out, err);
}

bool operation_list(Platform *platform, Str tenant, Str state, int64_t limit, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(
            platform_control(platform),
            S("select json_build_object('items', coalesce(json_agg(o), '[]'), 'total', control.operation_count($1, "
              "$2)) "
              "from control.operation_list($1, $2, $3::bigint) o"),
            PARAMS(tenant.len ? tenant : SQL_NULL, state.len ? state : SQL_NULL, limit ? NUMBER(limit) : SQL_NULL),
            &rows, err))
        return false;
    return json_parse(rows_str(rows, 0, 0), out, err);
}
