// base/faults.c: the list of what is wrong in a document.
#include "base/faults.h"

#include "base/arena.h"

enum { KEPT_DEFAULT = 1000 };

void faults_add(Faults *faults, const Fault *fault)
{
    size_t kept_max = faults->kept_max ? faults->kept_max : KEPT_DEFAULT;
    if (faults->count++ >= kept_max)
        return;
    Fault *copy = arena_new(faults->arena, Fault);
    if (!copy)
        return;
    *copy = (Fault){
        .line = fault->line,
        .column = fault->column,
        .where = str_copy(faults->arena, fault->where),
        .what = str_copy(faults->arena, fault->what),
        .why = str_copy(faults->arena, fault->why),
        .next = str_copy(faults->arena, fault->next),
        .members = str_copy(faults->arena, fault->members),
    };
    if (faults->last)
        faults->last->next_fault = copy;
    else
        faults->first = copy;
    faults->last = copy;
}

void faults_add_error(Faults *faults, const Error *err, unsigned line, unsigned column)
{
    faults_add(faults, &(Fault){.line = line,
                                .column = column,
                                .where = str_of(err->where),
                                .what = str_of(err->what),
                                .why = str_of(err->why),
                                .next = str_of(err->next)});
}

bool faults_none(const Faults *faults, Str document, Error *err)
{
    if (faults->count == 0)
        return true;
    error_set(err, ERR_INVALID, "'%.*s' is refused: %zu %s", STR_ARG(document), faults->count,
              faults->count == 1 ? "fault" : "faults");
    const Fault *first = faults->first;
    if (!first)
        return false;
    if (first->line)
        error_where(err, "%.*s:%u:%u", STR_ARG(document), first->line, first->column);
    else
        error_where(err, "%.*s", STR_ARG(first->where));
    bool names_field = first->line && first->where.len;
    error_why(err, "%.*s%s%.*s", STR_ARG(names_field ? first->where : S("")), names_field ? ": " : "",
              STR_ARG(first->why.len ? first->why : first->what));
    return error_next(err, "%.*s", STR_ARG(first->next));
}
