// provisioner/plan.c: the plans that there are, from a folder or out of the program itself.
#include "provisioner/plan.h"

#include <dirent.h>
#include <errno.h>

#include "base/arena.h"
#include "base/embed.h"

enum { PLANS_MAX = 256 };

static int plan_compare(const void *a_, const void *b_)
{
    const Plan *a = a_, *b = b_;
    if (a->tier != b->tier)
        return a->tier < b->tier ? -1 : 1;
    if (a->price_minor != b->price_minor)
        return a->price_minor < b->price_minor ? -1 : 1;
    return str_compare(a->name, b->name);
}

// Reads one more plan: the file at `path`, or the one that is part of the program.
static bool plan_add(Str path, const Embedded *embedded, Arena *arena, Plan *rows, size_t *count, Error *err)
{
    Faults faults = {.arena = arena};
    if (*count == PLANS_MAX)
        return error_set(err, ERR_TOO_LARGE, "there are more than %d plans", PLANS_MAX);
    Plan *plan = &rows[*count];
    Str name = str_slice(path, 0, str_find_char(path, '.'));
    bool is_read = embedded ? plan_parse(embedded_content(embedded), name, arena, &faults, plan, err)
                            : plan_read(path, arena, &faults, plan, err);
    if (!is_read || !faults_none(&faults, path, err))
        return false;
    (*count)++;
    return true;
}

static void directory_close(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
    *directory = NULL;
}

static bool directory_read(Str path, Arena *arena, Plan *rows, size_t *count, Error *err)
{
    Str name = str_copy(arena, path);
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(directory_close) DIR *directory = opendir(name.data);
    if (!directory)
        return error_from_errno(err, errno, "the folder of plans '%.*s' can't be read", STR_ARG(path));
    for (const struct dirent *entry = NULL; (entry = readdir(directory));) {
        Str entry_name = str_of(entry->d_name);
        if (!str_has_suffix(entry_name, S(".yaml")) || str_has_prefix(entry_name, S(".")))
            continue;
        Str file = str_format(arena, "%.*s/%.*s", STR_ARG(path), STR_ARG(entry_name));
        if (!plan_add(file, NULL, arena, rows, count, err))
            return false;
    }
    return true;
}

bool plans_read(Str directory, Arena *arena, Plans *out, Error *err)
{
    size_t count = 0;
    Plan *rows = arena_array(arena, PLANS_MAX, Plan);
    if (!arena_ok(arena, err))
        return false;
    if (directory.len) {
        if (!directory_read(directory, arena, rows, &count, err))
            return false;
    } else {
        for (const Embedded *file = EMBEDDED_PLANS; file->name; file++)
            if (!plan_add(str_of(file->name), file, arena, rows, &count, err))
                return false;
    }
    qsort(rows, count, sizeof(Plan), plan_compare);
    *out = (Plans){rows, count};
    return true;
}

const Plan *plans_find(const Plans *plans, Str name)
{
    for (size_t i = 0; i < plans->count; i++)
        if (str_eq(plans->rows[i].name, name))
            return &plans->rows[i];
    return NULL;
}

bool plans_get(const Plans *plans, Str name, const Plan **out, Error *err)
{
    const Plan *plan = plans_find(plans, name);
    if (plan) {
        *out = plan;
        return true;
    }
    Str names[PLANS_MAX];
    for (size_t i = 0; i < plans->count; i++)
        names[i] = plans->rows[i].name;
    Str nearest = str_nearest(name, names, plans->count);
    error_set(err, ERR_NOT_FOUND, "there is no plan '%.*s'", STR_ARG(name));
    if (nearest.len)
        return error_next(err, "did you mean '%.*s'?", STR_ARG(nearest));
    return error_next(err, "see `shopctl plan list`");
}
