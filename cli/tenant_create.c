// cli/tenant_create.c: shops made on the command line, one or many at once.
#include "cli/tenant_create.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/progress.h"
#include "cli/tenant_spec.h"

enum { WORKERS_MAX = 4, WORKER_BUDGET = 64 * MIB, DRAW_MS = 100 };

// One shop of a file: what is asked for, and what came of it.
typedef struct Item {
    TenantSpec spec;
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
    return slug_parse(item->spec.slug, &slug, &item->err) && tenant_create(platform, &item->spec, NULL, &item->err) &&
           tenant_show(platform, slug, &item->shown, &item->err);
}

static void *worker_run(void *context)
{
    Batch *batch = context;
    CLEANUP(platform_close) Platform *platform = NULL;
    for (size_t i; (i = atomic_fetch_add(&batch->next, 1)) < batch->count; atomic_fetch_add(&batch->done, 1)) {
        Item *item = &batch->items[i];
        if (platform || platform_open_with(batch->options, &platform, &item->err))
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

static Json *error_json(const Item *item)
{
    Str slug = item->spec.slug;
    return json_build("{s:s%, s:s, s:s, s:s, s:s, s:s}", "slug", slug.data ? slug.data : "", slug.len, "code",
                      error_name(item->err.code), "what", item->err.what, "where", item->err.where, "why",
                      item->err.why, "next", item->err.next);
}

// {"items": [those that were made], "total": N, "errors": [...]}; the first failure is the command's.
static bool batch_answer(const CommandCall *call, Batch *batch, Error *err)
{
    Json *made = json_build("[]"), *failed = json_build("[]");
    const Item *first = NULL;
    size_t failures = 0;
    for (size_t i = 0; i < batch->count; i++) {
        Item *item = &batch->items[i];
        if (item->shown) {
            (void)json_append(made, item->shown);
            continue;
        }
        (void)json_append(failed, error_json(item));
        first = first ? first : item;
        failures++;
    }
    CLEANUP(json_close)
    Json *answer =
        json_build("{s:o, s:I, s:o}", "items", made, "total", (json_int)(batch->count - failures), "errors", failed);
    if (!json_ok(answer, err) || !command_answer(call, answer, err))
        return false;
    if (!first)
        return true;
    *err = first->err;
    return error_wrap(err, "%zu of %zu shops can't be made, the first is '%.*s'", failures, batch->count,
                      STR_ARG(first->spec.slug));
}

static bool specs_read(const Json *list, const Plans *plans, Arena *arena, Str path, Batch *batch, Error *err)
{
    batch->count = json_count(list);
    batch->items = arena_array(arena, batch->count + 1, Item);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < batch->count; i++)
        if (!tenant_spec_read(json_element(list, i), plans, arena, &batch->items[i].spec, err)) {
            char where[ERROR_TEXT];
            (void)snprintf(where, sizeof(where), "%s", err->where);
            return error_where(err, "%.*s: shop %zu: %s", STR_ARG(path), i + 1, where);
        }
    return true;
}

static bool steps_answer(const CommandCall *call, const char *kind, Error *err)
{
    CLEANUP(json_close) Json *steps = NULL;
    return tenant_steps(kind, &steps, err) && command_answer(call, steps, err);
}

static bool all_checked(Platform *platform, const Batch *batch, Error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        CLEANUP(json_close) Json *input = NULL;
        if (!tenant_check(platform, &batch->items[i].spec, &input, err))
            return false;
    }
    return true;
}

static bool create_many(CommandCall *call, const Plans *plans, Error *err)
{
    Str path = command_text(call, "file");
    CLEANUP(json_close) Json *list = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    Batch batch = {0};
    if (!tenant_spec_file(path, call->arena, &list, err) || !specs_read(list, plans, call->arena, path, &batch, err) ||
        !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return all_checked(platform, &batch, err) && steps_answer(call, "create", err);
    batch.options = platform_options(platform);
    batch_run(call, &batch);
    return batch_answer(call, &batch, err);
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
        return tenant_check(platform, &spec, &answer, err) && steps_answer(call, "create", err);
    return tenant_create(platform, &spec, NULL, err) && tenant_show(platform, slug, &answer, err) &&
           command_answer(call, answer, err);
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
        return tenant_check(platform, &spec, &answer, err) &&
               command_print(call, str_format(call->arena, "would record the wish\n"), err);
    return tenant_request(platform, &spec, err) && tenant_show(platform, slug, &answer, err) &&
           command_answer(call, answer, err);
}
