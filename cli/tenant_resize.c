// cli/tenant_resize.c: `shopctl tenant resize`.
#include "cli/tenant_resize.h"

#include "base/arena.h"
#include "cli/amount.h"
#include "cli/answer.h"
#include "provisioner/tenant_resize.h"

const Option TENANT_RESIZE_OPTIONS[] = {
    {.name = "cpu", .type = OPTION_TEXT, .value = "N", .help = "CPU of both containers together, as in 2 or 1500m."},
    {.name = "memory", .type = OPTION_TEXT, .value = "SIZE", .help = "Memory of both together, as in 4GiB."},
    {.name = "disk", .type = OPTION_TEXT, .value = "SIZE", .help = "Disk that its database may take."},
    {.name = "plan-size", .type = OPTION_FLAG, .help = "What the plan has, and nothing beyond it."},
    {0},
};

const OutputKey TENANT_RESIZE_KEYS[] = {
    {.key = "slug", .type = "text", .help = "The shop's slug.", .heading = "SLUG", .is_name = true},
    {.key = "changed", .type = "boolean", .help = "Whether it had another size before.", .heading = "CHANGED"},
    {.key = "changes", .type = "list", .help = "What is, or with --dry-run would be, another amount."},
    {.key = "changes[].key",
     .type = "text",
     .help = "postgres.cpu, postgres.memory_bytes, postgres.disk_bytes, shopd.cpu or shopd.memory_bytes."},
    {.key = "changes[].from", .type = "number", .help = "Before."},
    {.key = "changes[].to", .type = "number", .help = "From now on."},
    {.key = "away_ms",
     .type = "integer",
     .help = "How long nobody could buy; 0: PostgreSQL wasn't started again.",
     .heading = "AWAY MS",
     .is_right = true},
    {.key = "upgrade_wanted",
     .type = "boolean",
     .help = "Whether shopd has the threads and the cache of another size, until `tenant upgrade`.",
     .heading = "UPGRADE WANTED"},
#include "cli/preview_keys.def"
    {0},
};

static bool size_read(const CommandCall *call, TenantSize *out, Error *err)
{
    *out = (TenantSize){.is_plan = command_flag(call, "plan-size")};
    if (!command_amount(call, "cpu", UNIT_MILLICPU, &out->millicpu, err) ||
        !command_amount(call, "memory", UNIT_BYTES, &out->memory_bytes, err) ||
        !command_amount(call, "disk", UNIT_BYTES, &out->disk_bytes, err))
        return false;
    bool has_amount = out->millicpu || out->memory_bytes || out->disk_bytes;
    if (has_amount != out->is_plan)
        return true;
    error_set(err, ERR_USAGE, has_amount ? "--plan-size goes with no other amount" : "no size is given");
    return error_next(err, "add --cpu, --memory or --disk, or --plan-size alone");
}

bool tenant_resize_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    Slug slug = {0};
    TenantSize size;
    if (!slug_parse(command_argument(call, 0), &slug, err) || !size_read(call, &size, err) ||
        !platform_open(call->settings, &platform, err))
        return false;
    if (call->is_dry_run)
        return tenant_resize_preview(platform, slug, &size, &answer, err) && answer_preview(call, answer, err);
    return tenant_resize(platform, slug, &size, &answer, err) && command_answer(call, answer, err);
}
