// cli/tenant_upgrade.c: `shopctl tenant upgrade`.
#include "cli/tenant_upgrade.h"

#include "base/arena.h"
#include "cli/answer.h"
#include "provisioner/tenant.h"
#include "provisioner/tenant_upgrade.h"

const Option TENANT_UPGRADE_OPTIONS[] = {
    {.name = "all", .type = OPTION_FLAG, .help = "Every shop with containers of its own, one after the other."},
    {.name = "new-port",
     .type = OPTION_FLAG,
     .help = "Without a gateway: the shop's address gets another port, and no request to either is lost."},
    {0},
};

const OutputKey TENANT_UPGRADE_KEYS[] = {
    {.key = "slug", .type = "text", .help = "The shop's slug.", .heading = "SLUG", .is_name = true},
    {.key = "changed", .type = "boolean", .help = "Whether something was another version's.", .heading = "CHANGED"},
    {.key = "changes", .type = "list", .help = "What was, or with --dry-run is, another version's."},
    {.key = "changes[].key", .type = "text", .help = "postgres, schema or shopd."},
    {.key = "changes[].from", .type = "text", .help = "Its image or arguments before, or null."},
    {.key = "changes[].to", .type = "text", .help = "Its image or arguments from now on, or what was to be migrated."},
    {.key = "url", .type = "text", .help = "Where its shopd is.", .heading = "URL"},
    {.key = "write_pause_ms",
     .type = "integer",
     .help = "How long nobody could buy while PostgreSQL was replaced; 0: it wasn't.",
     .heading = "WRITE PAUSE MS",
     .is_right = true},
    {.key = "away_ms",
     .type = "integer",
     .help = "How long there was no shopd; 0: there always was one.",
     .heading = "AWAY MS",
     .is_right = true},
#include "cli/preview_keys.def"
    {0},
};

static bool slug_run(const CommandCall *call, Platform *platform, Str text, Json **out, Error *err)
{
    Slug slug = {0};
    return slug_parse(text, &slug, err) &&
           (call->is_dry_run ? tenant_upgrade_preview(platform, slug, out, err)
                             : tenant_upgrade(platform, slug, command_flag(call, "new-port"), out, err));
}

static bool item_add(Json *items, Str slug, Json *item, Error *err)
{
    if (!json_get(item, "slug") && !json_set(item, "slug", json_from_str(slug), err))
        return false;
    return json_append(items, json_hold(item)) || json_ok(NULL, err);
}

// Ends at the first one that fails, so that what is wrong with a version is met by one shop alone.
static bool all_run(const CommandCall *call, Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *list = NULL;
    CLEANUP(json_close) Json *items = json_build("[]");
    if (!json_ok(items, err) || !tenant_list(platform, S(""), S(""), 0, &list, err))
        return false;
    for (size_t i = 0; i < json_count(json_get(list, "items")); i++) {
        const Json *tenant = json_element(json_get(list, "items"), i);
        Str slug = json_str(json_get(tenant, "slug"));
        CLEANUP(json_close) Json *item = NULL;
        if (json_kind(json_get(tenant, "resources")) != JSON_KIND_OBJECT)
            continue;
        if (!slug_run(call, platform, slug, &item, err))
            return error_wrap(err, "the shop '%.*s' can't be upgraded", STR_ARG(slug));
        if (!item_add(items, slug, item, err))
            return false;
        command_note(call, "%.*s is at this version", STR_ARG(slug));
    }
    CLEANUP(json_close)
    Json *answer = json_build("{s:O, s:I}", "items", items, "total", (json_int)json_count(items));
    return json_ok(answer, err) && command_answer(call, answer, err);
}

bool tenant_upgrade_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    bool is_all = command_flag(call, "all"), has_slug = command_argument_count(call) > 0;
    if (is_all == has_slug) {
        error_set(err, ERR_USAGE, is_all ? "--all goes without a shop" : "no shop is named");
        return error_next(err, "name a SLUG, or add --all");
    }
    if (!platform_open(call->settings, &platform, err))
        return false;
    if (is_all)
        return all_run(call, platform, err);
    if (!slug_run(call, platform, command_argument(call, 0), &answer, err))
        return false;
    return call->is_dry_run ? answer_preview(call, answer, err) : command_answer(call, answer, err);
}
