// provisioner/operation.h: one change to the platform, made of steps; recorded before and after each, so that it can be
// resumed or reverted after a crash at any instruction.
#pragma once
#include "base/json.h"
#include "base/pg.h"
#include "provisioner/platform.h"

// One that is under way in this process. Members are for reading by steps.
typedef struct Operation {
    Platform *platform;
    const struct Driver *driver;
    Arena *arena;    // of this run
    int64_t id;
    int64_t epoch;    // rises with each process that takes it up; a write with a lower one is refused
    Str slug;
    Json *input;       // what was asked for; never changes
    Json *data;        // what steps hand on to later ones; kept with the record of each step
    int64_t number;    // the tenant's; 0 until it has one
    Str cell;          // the cell's name; empty until it is placed
    Str other_cell;    // the other end of a move (see Driver), and the tenant's number there; empty and 0: none
    int64_t other_number;
    bool is_taken;           // another process had it before
    bool is_fenced;          // and can write into the cell no more
    bool is_other_fenced;    // nor into the other one
    bool is_revert;
    bool is_hopeless;    // set by a step whose error is to take the operation back, though it may pass
    int64_t beat_ms;     // when the record last heard of it
    const struct TenantContext *context;    // see tenant_steps.h; NULL until a step read it
} Operation;

// `probe` asks the world (the cell, the file system, the control database), never the operation's record, whether the
// step is done; `apply` does it, and nothing when it is done; `revert` takes it back, and does nothing when there is
// nothing to take back. Each waits in place with a timeout. A step without `revert` can't be taken back: once it is
// done, the operation only goes forward.
typedef struct Step {
    const char *name;
    bool (*probe)(Operation *operation, bool *out_done, Error *err);
    bool (*apply)(Operation *operation, Error *err);
    bool (*revert)(Operation *operation, Error *err);
} Step;

// The steps of one kind of operation, in order.
typedef struct Driver {
    const char *kind;    // "create"
    const Step *steps;
    size_t count;
    const char
        *side;    // which end of the tenant's move it works at, "target" or "source"; NULL: where the tenant lives
    bool (*begin)(Operation *operation, Error *err);    // reads what its steps need, before any of them; NULL: they do
    bool (*prepare)(Operation *operation, Error *err);    // ... and brings up what they need, not for a preview
} Driver;

extern const Driver *const DRIVERS[];    // every kind that there is; ends with NULL

typedef enum EventPhase {
    EVENT_BEGUN,       // recorded; step is NULL
    EVENT_BEFORE,      // the step is recorded as begun, its act comes next
    EVENT_AFTER,       // its act is done, the record comes next
    EVENT_REVERTED,    // the step is taken back, the record comes next
    EVENT_ENDED        // step is NULL; state says how
} EventPhase;

struct Event {
    int64_t id;
    const char *kind;
    Str slug;
    const char *step;
    size_t position;    // of the step, from 0
    size_t count;       // of steps
    EventPhase phase;
    bool is_revert;
    const char *state;    // of EVENT_ENDED: "done", "failed", "reverted"
};

typedef struct OperationSpec {
    const Driver *driver;
    Str slug;
    const Json *input;    // NULL: {}
} OperationSpec;

// Records an operation and runs it to its end. One unfinished operation of the same kind for this slug whose process is
// gone is resumed instead; one that is alive is ERR_BUSY. What can be tried again (ERR_UNREACHABLE, ERR_BUSY,
// ERR_NO_MEMORY, unless its step calls it hopeless) leaves it "failed", for `operation resume` or the controller; any
// other failure reverts it. In both cases the step's error is returned. *out_id may be NULL.
MUST_CHECK bool operation_run(Platform *platform, const OperationSpec *spec, int64_t *out_id, Error *err);

// The unfinished operation of this kind for this slug whose process is gone; *out is 0 where there is none.
MUST_CHECK bool operation_left(Platform *platform, const Driver *driver, Str slug, int64_t *out, Error *err);

// Finishes what a crashed command of this kind left for this slug, so that the same command again goes on whatever the
// tenant's status is by now. *out_done is true when it went forward to its end, false where there was nothing or it was
// being reverted. One whose process is alive is left alone. *out_id (may be NULL) is set where there was one.
MUST_CHECK bool operation_continue(Platform *platform, const Driver *driver, Str slug, bool *out_done, int64_t *out_id,
                                   Error *err);

// Goes on with an operation, whoever had it before: a process that still works on it is refused its next write. Fails
// with ERR_NOT_FOUND, or ERR_STATE when it has ended.
MUST_CHECK bool operation_resume(Platform *platform, int64_t id, Error *err);
// Takes back what was done, in reverse order. ERR_STATE also where a step without revert is done.
MUST_CHECK bool operation_revert(Platform *platform, int64_t id, Error *err);

// What operation_resume would do (or operation_revert, with `is_revert`), with their refusals and changing nothing:
// {"id","kind","tenant","would_do":[...]} with the steps that aren't done, or {...,"would_revert":[...]} with those
// that were begun, the last one first. The caller closes *out.
MUST_CHECK bool operation_preview(Platform *platform, int64_t id, bool is_revert, Json **out, Error *err);

// Takes up one operation that said nothing for the takeover time: forward where that can succeed, else back. *out_id is
// 0 where there is none.
MUST_CHECK bool operation_adopt(Platform *platform, int64_t *out_id, Error *err);

// Says that a long step is alive; cheap when called often. Fails with ERR_BUSY when another process took over.
MUST_CHECK bool operation_beat(Operation *operation, Error *err);

// The platform's own connection to the operation's cell; to the other end of a move.
MUST_CHECK bool operation_cell(Operation *operation, Db **out, Error *err);
MUST_CHECK bool operation_other_cell(Operation *operation, Db **out, Error *err);

// For scripts: {"id","kind","tenant","state","steps":[{"name","state"}],...}. The caller closes *out.
MUST_CHECK bool operation_show(Platform *platform, int64_t id, Json **out, Error *err);
// {"items":[...],"total":N}, the newest first; `limit` 0: all, N counts those beyond it too; an empty tenant or state:
// any.
MUST_CHECK bool operation_list(Platform *platform, Str tenant, Str state, int64_t limit, Json **out, Error *err);
