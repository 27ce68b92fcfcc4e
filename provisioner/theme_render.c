// provisioner/theme_render.c: a template rendered with data from a file.
#include "provisioner/theme_render.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mustache.h"

enum { DATA_MAX = 64 * MIB, RENDERED_MAX = 64 * MIB, WORK_MAX = 50000000 };

// A partial that was asked for once; `template` is NULL where there is no such file.
typedef struct Partial {
    struct Partial *next;
    Str name;
    const Mustache *template;
} Partial;

typedef struct Partials {
    Arena *arena;
    Str dir;
    Partial *first;
} Partials;

static bool name_check(Str name, Error *err)
{
    Str rest = name, part;
    bool is_inside = !str_has_char(name, '\\');
    while (str_cut(&rest, '/', &part))
        is_inside = is_inside && part.len > 0 && !str_eq(part, S(".")) && !str_eq(part, S(".."));
    if (is_inside)
        return true;
    error_set(err, ERR_INVALID, "the partial '%.*s' is refused", STR_ARG(name));
    error_why(err, "its name could lead out of the directory of partials");
    return error_next(err, "name a file in that directory, or in one below: 'card' or 'product/card'");
}

static bool template_load(Str path, Arena *arena, Mustache **out, Error *err)
{
    Str source;
    return file_read(path, MUSTACHE_SOURCE_MAX, arena, &source, err) && mustache_compile(source, path, arena, out, err);
}

static bool partial_find(void *context, Str name, const Mustache **out, Error *err)
{
    Partials *partials = context;
    for (const Partial *p = partials->first; p; p = p->next)
        if (str_eq(p->name, name)) {
            *out = p->template;
            return true;
        }
    if (!name_check(name, err))
        return false;
    Partial *partial = arena_new(partials->arena, Partial);
    Str path = str_format(partials->arena, "%.*s/%.*s.mustache", STR_ARG(partials->dir), STR_ARG(name));
    if (!arena_ok(partials->arena, err))
        return false;
    Mustache *template = NULL;
    if (partials->dir.len > 0 && !template_load(path, partials->arena, &template, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        error_clear(err);
    }
    *partial = (Partial){.next = partials->first, .name = name, .template = template};
    partials->first = partial;
    *out = template;
    return true;
}

static bool data_load(Str path, Arena *arena, Json **out, Error *err)
{
    Str text;
    if (!file_read(path, DATA_MAX, arena, &text, err))
        return false;
    return json_parse(text, out, err) || error_wrap(err, "the data in '%.*s' is refused", STR_ARG(path));
}

bool theme_render_files(Str template_path, Str data_path, Str partials_dir, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *data = NULL;
    Mustache *template = NULL;
    if (!template_load(template_path, arena, &template, err) || !data_load(data_path, arena, &data, err))
        return false;
    Partials partials = {.arena = arena, .dir = partials_dir};
    MustacheOptions options = {.partial = partial_find,
                               .context = &partials,
                               .is_all_html = true,
                               .output_max_bytes = RENDERED_MAX,
                               .work_max = WORK_MAX};
    return mustache_render(template, data, &options, arena, out, err);
}
