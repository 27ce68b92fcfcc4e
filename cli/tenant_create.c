// cli/tenant_create.c: shops made on the command line, one or many at once.
#include "cli/tenant_create.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/answer.h"
#include "cli/gateway_await.h"
#include "cli/progress.h"
#include "cli/tenant_file.h"
#include "provisioner/tenant_check.h"

enum { WORKERS_MAX = 4, WORKER_BUDGET = 64 * MIB, DRAW_MS = 100 };

// One shop of a file: what is asked for, and what came of it.
typedef struct Item {
    const TenantEntry *entry;
    Json *shown;    // NULL when it failed
    Error err;
} Item;

typedef struct Batch {
    const PlatformOptions *options;
    Item *items;
    size_t count;
    atomic_size_t next;
    atomic_size_t done;
} Batch;

static bool item_make(Platform *platform, Item *item)
{
    Slug slug = {0};
    const TenantSpec *spec = &item->entry->spec;
    return slug_parse(spec->slug, &slug, &item->err) && tenant_create(platform, spec, NULL, &item->err) &&
           tenant_show(platform, slug, &item->shown, &item->err);
}

static void *worker_run(void *context)
{
    Batch *batch = context;
    CLEANUP(platform_close) Platform *platform = NULL;
    for (size_t i; (i = atomic_fetch_add(&batch->next, 1)) < batch->count; atomic_fetch_add(&batch->done, 1)) {
        Item *item = &batch->items[i];
        if (!platform && !platform_open_with(batch->options, &platform, &item->err))
            continue;
        platform_expect(platform, 1 + (batch->count - 1 - i) / WORKERS_MAX);
        (void)item_make(platform, item);    // its error stays in the item
    }
    return NULL;
}

// Makes all of them by some workers, this thread drawing how far they are. The main thread alone draws.
static void batch_run(const CommandCall *call, Batch *batch)
{
    pthread_t workers[WORKERS_MAX];
    size_t started = 0;
    CLEANUP(progress_end) Progress progress = progress_start(call, "creating shops", "shops", (int64_t)batch->count);
    while (started < MIN((size_t)WORKERS_MAX, batch->count) &&
           pthread_create(&workers[started], NULL, worker_run, batch) == 0)
        started++;
    if (started == 0)
        (void)worker_run(batch);
    for (; atomic_load(&batch->done) < batch->count; clock_sleep_ms(DRAW_MS))
        progress_show(&progress, (int64_t)atomic_load(&batch->done));
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(workers[i], NULL);
}

// ---- what is wrong ----

static bool is_for_people(const CommandCall *call)
{
    return call->format == OUTPUT_TABLE || call->format == OUTPUT_NAME;
}

// {"slug", "line", "key", "code", "what", "where", "why", "next"}; the key is empty where the shop as a whole failed.
static Json *error_json(Str slug, unsigned line, Str key, const Error *err)
{
    return json_build("{s:s%, s:i, s:s%, s:s, s:s, s:s, s:s, s:s}", "slug", slug.data ? slug.data : "", slug.len,
                      "line", (int)line, "key", key.data ? key.data : "", key.len, "code", error_name(err->code),
                      "what", err->what, "where", err->where, "why", err->why, "next", err->next);
}

// FILE:LINE:COLUMN: KEY: WHAT: WHY; NEXT
static void error_line(StrBuf *buf, Str place, Str key, const Error *err)
{
    strbuf_add(buf, place);
    if (key.len)
        strbuf_format(buf, ": %.*s", STR_ARG(str_visible(buf->arena, key)));
    strbuf_format(buf, ": %s", err->what);
    if (err->why[0])
        strbuf_format(buf, ": %s", err->why);
    if (err->next[0])
        strbuf_format(buf, "; %s", err->next);
    strbuf_add_char(buf, '\n');
}

static Error error_of_fault(const Fault *fault, ErrorCode code)
{
    Error err = {0};
    error_set(&err, code, "%.*s", STR_ARG(fault->what.len ? fault->what : S("it is refused")));
    error_why(&err, "%.*s", STR_ARG(fault->why));
    error_next(&err, "%.*s", STR_ARG(fault->next));
    return err;
}

static Str slug_at(const TenantFile *file, unsigned line)
{
    Str slug = S("");
    for (size_t i = 0; i < file->count && file->entries[i].line <= line; i++)
        slug = file->entries[i].spec.slug;
    return slug;
}

// All faults: for people a line each on stderr, for programs an answer without shops.
static bool faults_say(const CommandCall *call, const TenantFile *file, const Faults *faults, ErrorCode code,
                       Error *err)
{
    Json *errors = json_build("[]");
    CLEANUP(json_close) Json *answer = json_build("{s:[], s:i, s:o}", "items", "total", 0, "errors", errors);
    StrBuf lines = {.arena = call->arena};
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault) {
        Error said = error_of_fault(fault, code);
        Str place = str_format(call->arena, "%.*s:%u:%u", STR_ARG(file->path), fault->line, fault->column);
        error_where(&said, "%.*s", STR_ARG(place));
        error_line(&lines, place, fault->where, &said);
        (void)json_append(errors, error_json(slug_at(file, fault->line), fault->line, fault->where, &said));
    }
    return json_ok(answer, err) && arena_ok(call->arena, err) &&
           (is_for_people(call) ? output_text(strbuf_str(&lines), stderr, err) : command_answer(call, answer, err));
}

static bool first_is_why(Error *err, size_t failures, size_t count, Str slug)
{
    return error_wrap(err, "%zu of %zu shops can't be made, the first is '%.*s'", failures, count, STR_ARG(slug));
}

// {"items": [those that were made], "total": N, "errors": [...]}; the first failure is the command's.
static bool batch_answer(const CommandCall *call, const TenantFile *file, Batch *batch, Error *err)
{
    Json *made = json_build("[]"), *failed = json_build("[]");
    StrBuf lines = {.arena = call->arena};
    const Item *first = NULL;
    size_t failures = 0;
    for (size_t i = 0; i < batch->count; i++) {
        Item *item = &batch->items[i];
        if (item->shown) {
            (void)json_append(made, item->shown);
            continue;
        }
        const TenantEntry *entry = item->entry;
        Str place = str_format(call->arena, "%.*s:%u", STR_ARG(file->path), entry->line);
        error_line(&lines, place, entry->spec.slug, &item->err);
        (void)json_append(failed, error_json(entry->spec.slug, entry->line, S(""), &item->err));
        first = first ? first : item;
        failures++;
    }
    CLEANUP(json_close)
    Json *answer =
        json_build("{s:o, s:I, s:o}", "items", made, "total", (json_int)(batch->count - failures), "errors", failed);
    if (!json_ok(answer, err) || !command_answer(call, answer, err) ||
        (failures > 1 && is_for_people(call) && !output_text(strbuf_str(&lines), stderr, err)))
        return false;
    if (!first)
        return true;
    *err = first->err;
    return first_is_why(err, failures, batch->count, first->entry->spec.slug);
}

// ---- the commands ----

static bool steps_answer(const CommandCall *call, const char *kind, Error *err)
{
    CLEANUP(json_close) Json *steps = NULL;
    return tenant_steps(kind, &steps, err) && command_answer(call, steps, err);
}

// Why shops of a right file can't be made: they are there already, or there is no room.
typedef struct Hindered {
    Faults faults;
    Error first;
    Str first_slug;
} Hindered;

// What only the platform knows. A cell that isn't there, a place that the plan has none of and a host of another shop
// are faults of the file. That a shop is there already isn't: it may have been made by this very command, before it was
// stopped.
static bool platform_check(Platform *platform, const TenantFile *file, Faults *faults, Hindered *hindered, Error *err)
{
    for (size_t i = 0; i < file->count; i++) {
        const TenantEntry *entry = &file->entries[i];
        Error said = {0}, ignored = {0};
        if (!slug_parse(entry->spec.slug, &(Slug){0}, &ignored) || tenant_place_check(platform, &entry->spec, &said))
            continue;
        if (said.code != ERR_NOT_FOUND && said.code != ERR_EXISTS && said.code != ERR_STATE &&
            said.code != ERR_INVALID) {
            *err = said;
            return false;
        }
        bool is_fault = said.code != ERR_STATE && !str_eq(str_of(said.where), S("slug"));
        tenant_entry_fault(entry, &said, is_fault ? faults : &hindered->faults);
        if (!is_fault && hindered->first.code == ERR_NONE) {
            hindered->first = said;
            hindered->first_slug = entry->spec.slug;
        }
    }
    return true;
}

// Where anything is wrong, everything is named, also what hinders right shops. Without faults a dry run fails as the
// run would.
static bool file_is_right(const CommandCall *call, const TenantFile *file, Faults *faults, const Hindered *hindered,
                          Error *err)
{
    bool is_wrong = faults->count > 0, is_hindered = call->is_dry_run && hindered->faults.count > 0;
    if (!is_wrong && !is_hindered)
        return true;
    for (const Fault *fault = hindered->faults.first; is_wrong && fault; fault = fault->next_fault)
        faults_add(faults, fault);
    if (is_wrong)
        return faults_say(call, file, faults, ERR_INVALID, err) && faults_none(faults, file->path, err);
    if (!faults_say(call, file, &hindered->faults, hindered->first.code, err))
        return false;
    *err = hindered->first;
    return first_is_why(err, hindered->faults.count, file->count, hindered->first_slug);
}

static bool batch_make(const CommandCall *call, const TenantFile *file, Platform *platform, Batch *out, Error *err)
{
    *out = (Batch){.options = platform_options(platform), .count = file->count};
    out->items = arena_array(call->arena, file->count + 1, Item);
    if (!arena_ok(call->arena, err))
        return false;
    for (size_t i = 0; i < file->count; i++)
        out->items[i].entry = &file->entries[i];
    return true;
}

// What the command line says for all entries. It is checked here, so that a wrong one isn't a fault of every entry.
static bool defaults_read(const CommandCall *call, const Plans *plans, const Json *given, TenantSpec *out, Error *err)
{
    static const char *const OWN[] = {"name", "email", "domains"};
    TenantSpec spec = {0};
    for (size_t i = 0; i < COUNT(OWN); i++)
        if (command_has(call, OWN[i])) {
            error_set(err, ERR_USAGE, "--%s and --file don't go together", OWN[i]);
            return error_next(err, "write it into the file: each shop has its own");
        }
    for (JsonIter it = json_iter(given); json_next(&it);)
        if (!tenant_spec_member(it.key, it.value, plans, call->arena, &spec, err))
            return false;
    TenantSpec tried = spec;
    tried.slug = S("shop");
    tried.email = S("owner@shop.example");
    spec.slug = S("");
    *out = spec;
    return tenant_spec_check(&tried, setting_text(call->settings, "base_domain"), err);
}

// The one of the highest tier; NULL: none names one.
static const Plan *largest_plan(const TenantFile *file)
{
    const Plan *largest = NULL;
    for (size_t i = 0; i < file->count; i++) {
        const Plan *plan = file->entries[i].spec.plan;
        if (plan && (!largest || plan->tier > largest->tier))
            largest = plan;
    }
    return largest;
}

static bool create_many(CommandCall *call, const Plans *plans, Error *err)
{
    CLEANUP(json_close) Json *given = NULL;
    TenantSpec defaults = {0};
    Faults faults = {.arena = call->arena};
    Hindered hindered = {.faults.arena = call->arena};
    CLEANUP(tenant_file_close) TenantFile file = {0};
    CLEANUP(platform_close) Platform *platform = NULL;
    Batch batch = {0};
    Error closed = {0};
    if (!tenant_spec_given(call, &given, err) || !defaults_read(call, plans, given, &defaults, err) ||
        !tenant_file_read(command_text(call, "file"), &defaults, plans, setting_text(call->settings, "base_domain"),
                          call->arena, &faults, &file, err))
        return false;
    if (platform_open(call->settings, &platform, &closed) && !platform_check(platform, &file, &faults, &hindered, err))
        return false;
    if (!file_is_right(call, &file, &faults, &hindered, err))
        return false;
    if (!platform) {    // the file is right, so that is what is wrong
        *err = closed;
        return false;
    }
    if (call->is_dry_run)
        return steps_answer(call, "create", err);
    if (!batch_make(call, &file, platform, &batch, err))
        return false;
    batch_run(call, &batch);
    gateway_await(call, platform, largest_plan(&file));
    return batch_answer(call, &file, &batch, err);
}

static bool create_one(CommandCall *call, const Plans *plans, Error *err)
{
    CLEANUP(json_close) Json *given = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    TenantSpec spec = {0};
    Slug slug = {0};
    if (!tenant_spec_given(call, &given, err) || !tenant_spec_read(given, plans, call->arena, &spec, err) ||
        !slug_parse(spec.slug, &slug, err) || !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return tenant_create_preview(platform, &spec, &answer, err) && answer_preview(call, answer, err);
    if (!tenant_create(platform, &spec, NULL, err))
        return false;
    gateway_await(call, platform, spec.plan);
    return tenant_show(platform, slug, &answer, err) && command_answer(call, answer, err);
}

bool tenant_create_run(CommandCall *call, Error *err)
{
    Plans plans = {0};
    bool has_slug = command_argument_count(call) > 0, has_file = command_has(call, "file");
    if (has_slug == has_file) {
        error_set(err, ERR_USAGE, has_slug ? "SLUG and --file don't go together" : "SLUG is missing");
        return error_next(err, "name one shop, or a file of shops");
    }
    return plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err) &&
           (has_file ? create_many(call, &plans, err) : create_one(call, &plans, err));
}

bool tenant_request_run(CommandCall *call, Error *err)
{
    CLEANUP(json_close) Json *given = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    Plans plans = {0};
    TenantSpec spec = {0};
    Slug slug = {0};
    if (!plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err) ||
        !tenant_spec_given(call, &given, err) || !tenant_spec_read(given, &plans, call->arena, &spec, err) ||
        !slug_parse(spec.slug, &slug, err) || !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return tenant_request_preview(platform, &spec, &answer, err) && answer_preview(call, answer, err);
    return tenant_request(platform, &spec, err) && tenant_show(platform, slug, &answer, err) &&
           command_answer(call, answer, err);
}
