// provisioner/host_drain.c: moves of all shops of a host.
#include "provisioner/host_drain.h"

#include "base/arena.h"
#include "provisioner/slug.h"
#include "provisioner/tenant_move.h"

// What a shop has on the host: itself, the place that a move has kept, or both.
typedef struct Share {
    Slug slug;
    bool lives_there;
    bool has_place_kept;
} Share;
typedef bool MoveOff(Platform *platform, const Share *share, Json **out, Error *err);

// The place that was kept goes first: until then the shop can't move again.
static bool move_off(Platform *platform, const Share *share, Json **out, Error *err)
{
    CLEANUP(json_close) Json *before = NULL;
    CLEANUP(json_close) Json *after = NULL;
    return (!share->has_place_kept || tenant_move_finalize(platform, share->slug, &before, err)) &&
           (!share->lives_there || (tenant_move(platform, share->slug, &(TenantMove){.plan = NULL}, out, err) &&
                                    tenant_move_finalize(platform, share->slug, &after, err) &&
                                    json_set(*out, "is_pending", json_from_bool(false), err)));
}

static bool move_off_preview(Platform *platform, const Share *share, Json **out, Error *err)
{
    CLEANUP(json_close) Json *steps = NULL;
    Slug slug = share->slug;
    if (!(share->has_place_kept ? tenant_move_end_preview(platform, slug, false, &steps, err)
                                : tenant_move_preview(platform, slug, &(TenantMove){.plan = NULL}, &steps, err)))
        return false;
    *out = json_build("{s:s%}", "slug", slug.text.data, slug.text.len);
    return json_ok(*out, err);
}

static Json *problem_json(Str slug, const Error *err)
{
    return json_build("{s:s%, s:s, s:s, s:s}", "slug", slug.data, slug.len, "what", err->what, "why", err->why, "next",
                      err->next);
}

static bool each_moves_off(Platform *platform, Str name, MoveOff *off, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    CLEANUP(json_close) Json *moved = json_build("[]");
    CLEANUP(json_close) Json *problems = json_build("[]");
    if (!json_ok(moved, err) || !json_ok(problems, err) ||
        !db_query(platform_control(platform),
                  S("select slug, lives_there, has_place_kept from control.host_tenants($1)"), PARAMS(name), &rows,
                  err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        CLEANUP(json_close) Json *answer = NULL;
        Share share = {.lives_there = rows_bool(rows, i, 1), .has_place_kept = rows_bool(rows, i, 2)};
        Error failure = {0};
        bool ok = slug_parse(rows_str(rows, i, 0), &share.slug, &failure) && off(platform, &share, &answer, &failure);
        if (failure.code == ERR_NO_MEMORY) {
            *err = failure;
            return false;
        }
        if ((answer && !json_append(moved, json_hold(answer))) ||
            (!ok && !json_append(problems, problem_json(share.slug.text, &failure))))
            return json_ok(NULL, err);
    }
    *out = json_build("{s:O, s:O}", "moved", moved, "problems", problems);
    return json_ok(*out, err);
}

bool host_empty(Platform *platform, Str name, Json **out, Error *err)
{
    return each_moves_off(platform, name, move_off, out, err);
}

bool host_empty_preview(Platform *platform, Str name, Json **out, Error *err)
{
    return each_moves_off(platform, name, move_off_preview, out, err);
}
