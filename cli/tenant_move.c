// cli/tenant_move.c: shops that go to another cell, and what ends that.
#include "cli/tenant_move.h"

#include "cli/answer.h"
#include "cli/gateway_await.h"
#include "cli/tenant_spec.h"
#include "provisioner/tenant_move.h"

const OutputKey TENANT_MOVE_KEYS[] = {
    {.key = "slug", .type = "text", .help = "The shop's slug.", .heading = "SLUG", .is_name = true},
    {.key = "plan", .type = "text", .help = "Its plan.", .heading = "PLAN"},
    {.key = "cell", .type = "text", .help = "The cell that it lives in.", .heading = "CELL"},
    {.key = "is_pending",
     .type = "bool",
     .help = "Its old place is kept, until --finalize or --rollback.",
     .heading = "PENDING"},
    {.key = "rows", .type = "integer", .help = "Rows that were moved.", .heading = "ROWS", .is_right = true},
    {.key = "bytes",
     .type = "integer",
     .unit = UNIT_BYTES,
     .help = "What was copied of them at first.",
     .heading = "COPIED",
     .is_right = true},
    {.key = "checksums_equal", .type = "bool", .help = "They were compared before the switch.", .heading = "EQUAL"},
    {.key = "write_pause_ms",
     .type = "integer",
     .help = "How long nothing could be written, in milliseconds; pages were served meanwhile.",
     .heading = "PAUSE MS",
     .is_right = true},
    {.key = "duration_ms",
     .type = "integer",
     .help = "How long all of it took, in milliseconds.",
     .heading = "TOOK MS",
     .is_right = true},
    {.key = "operation", .type = "integer", .help = "The operation that moved it, or null."},
    {.key = "steps", .type = "list", .help = "With --dry-run: the steps that would be taken."},
    {.key = "changes", .type = "list", .help = "With --dry-run: what would change where nothing has to move."},
    {.key = "changes[].key", .type = "text", .help = "The key, as in limits.products."},
    {.key = "changes[].from", .type = "text", .help = "Its value now, of the key's own type."},
    {.key = "changes[].to", .type = "text", .help = "Its value then."},
#include "cli/preview_keys.def"
    {0},
};

#define PLACE_OPTIONS                                                                                                  \
    {.name = "cell", .type = OPTION_TEXT, .value = "CELL", .names = "cell list", .help = "Into this shared cell."},    \
        {.name = "host",                                                                                               \
         .type = OPTION_TEXT,                                                                                          \
         .value = "HOST",                                                                                              \
         .names = "host list",                                                                                         \
         .help = "Onto this host, in the tiers container and server."},                                                \
    {                                                                                                                  \
        .name = "labels", .type = OPTION_PAIR, .value = "KEY=VALUE", .is_repeated = true,                              \
        .help = "Onto a host that has these labels."                                                                   \
    }

const Option TENANT_MOVE_OPTIONS[] = {
    PLACE_OPTIONS,
    {.name = "finalize", .type = OPTION_FLAG, .help = "Gives the old place up."},
    {.name = "rollback", .type = OPTION_FLAG, .help = "Goes back to it, with all that was written since."},
    {0},
};

const Option TENANT_SET_PLAN_OPTIONS[] = {PLACE_OPTIONS, {0}};

static bool place_read(const CommandCall *call, TenantMove *out, Json **labels, Error *err)
{
    out->cell = command_text(call, "cell");
    out->host = command_text(call, "host");
    if (command_has(call, "labels") && !tenant_spec_pairs(call, "labels", labels, err))
        return false;
    out->labels = *labels;
    return true;
}

static bool moved_answer(const CommandCall *call, const Json *answer, Error *err)
{
    if (json_kind(json_get(answer, "is_pending")) == JSON_KIND_TRUE)
        command_note(call,
                     "its old place is kept: look at the shop, then shopctl tenant move %.*s --finalize, or --rollback",
                     STR_ARG(command_argument(call, 0)));
    return command_answer(call, answer, err);
}

static bool end_run(const CommandCall *call, Platform *platform, Slug slug, Json **out, Error *err)
{
    bool is_rollback = command_flag(call, "rollback");
    if (call->is_dry_run)
        return tenant_move_end_preview(platform, slug, is_rollback, out, err);
    return is_rollback ? tenant_move_rollback(platform, slug, out, err)
                       : tenant_move_finalize(platform, slug, out, err);
}

static bool options_check(const CommandCall *call, Error *err)
{
    bool is_end = command_flag(call, "finalize") || command_flag(call, "rollback");
    bool is_placed = command_has(call, "cell") || command_has(call, "host") || command_has(call, "labels");
    if (!(command_flag(call, "finalize") && command_flag(call, "rollback")) && !(is_end && is_placed))
        return true;
    error_set(err, ERR_USAGE, "these options don't go together");
    return error_next(err, "use --finalize, or --rollback, or say where to move it");
}

bool tenant_move_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    CLEANUP(json_close) Json *labels = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    TenantMove move = {0};
    if (!options_check(call, err) || !place_read(call, &move, &labels, err) ||
        !slug_parse(command_argument(call, 0), &slug, err) || !platform_open(call->settings, &platform, err))
        return false;
    platform_warned(platform, answer_warned, call);
    bool is_end = command_flag(call, "finalize") || command_flag(call, "rollback");
    if (is_end ? !end_run(call, platform, slug, &answer, err)
               : !(call->is_dry_run ? tenant_move_preview(platform, slug, &move, &answer, err)
                                    : tenant_move(platform, slug, &move, &answer, err)))
        return false;
    return call->is_dry_run ? answer_preview(call, answer, err) : moved_answer(call, answer, err);
}

bool tenant_set_plan_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    Plans plans = {0};
    CLEANUP(json_close) Json *labels = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    TenantMove move = {0};
    if (!place_read(call, &move, &labels, err) || !slug_parse(command_argument(call, 0), &slug, err) ||
        !plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err) ||
        !plans_get(&plans, command_argument(call, 1), &move.plan, err) ||
        !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return tenant_set_plan_preview(platform, slug, &move, &answer, err) && answer_preview(call, answer, err);
    platform_warned(platform, answer_warned, call);
    if (!tenant_set_plan(platform, slug, &move, &answer, err))
        return false;
    gateway_await(call, platform, move.plan);
    return moved_answer(call, answer, err);
}
