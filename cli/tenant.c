// cli/tenant.c: `shopctl tenant`: shops, from the wish to the dump.
#include "base/arena.h"
#include "cli/answer.h"
#include "cli/gateway_await.h"
#include "cli/prompt.h"
#include "cli/tenant_container.h"
#include "cli/tenant_create.h"
#include "cli/tenant_move.h"
#include "cli/tenant_resize.h"
#include "cli/tenant_spec.h"
#include "cli/tenant_upgrade.h"
#include "provisioner/dedicated_state.h"

enum { LISTS_MAX = 32 };

static const OutputKey KEYS[] = {
    {.key = "slug", .type = "text", .help = "Its short name.", .heading = "SLUG", .is_name = true},
    {.key = "name", .type = "text", .help = "What shoppers read.", .heading = "NAME", .is_cut = true},
    {.key = "status",
     .type = "text",
     .help = "requested, rejected, approved, provisioning, active, suspended, archived or deleted.",
     .heading = "STATUS"},
    {.key = "plan", .type = "text", .help = "Its plan.", .heading = "PLAN"},
    {.key = "plan_version", .type = "integer", .help = "The version of the plan that it bought."},
    {.key = "tier", .type = "text", .help = "shared, container or server."},
    {.key = "cell", .type = "text", .help = "The cell that holds it.", .heading = "CELL"},
    {.key = "kept_cell", .type = "text", .help = "Where it was before a move that isn't finalized, or null."},
    {.key = "schema", .type = "text", .help = "Its schema and role in the cell's database."},
    {.key = "number", .type = "integer", .help = "Its number, which its schema is named after, or null."},
    {.key = "url", .type = "text", .help = "Where shoppers find it.", .heading = "URL"},
    {.key = "domains", .type = "list", .help = "Hosts of its own."},
    {.key = "email", .type = "text", .help = "Its owner's address."},
    {.key = "currency", .type = "text", .help = "ISO 4217."},
    {.key = "language", .type = "text", .help = "Of its storefront."},
    {.key = "country", .type = "text", .help = "ISO 3166-1."},
    {.key = "colors", .type = "object", .help = "Colours by their role."},
    {.key = "logo", .type = "text", .help = "Its logo's address, or null."},
    {.key = "payment_instructions", .type = "text", .help = "Where to pay by bank transfer."},
    {.key = "shipping", .type = "list", .help = "Its ways of shipping, in the checkout's order."},
    {.key = "shipping[].code", .type = "text", .help = "What orders call it."},
    {.key = "shipping[].price", .type = "money", .help = "What it costs."},
    {.key = "limits", .type = "object", .help = "What its cell enforces; 0 is no limit."},
    {.key = "overrides", .type = "object", .help = "Those of them that were set for it alone."},
    {.key = "resources",
     .type = "object",
     .help = "CPU (in thousandths), memory and disk (in bytes) of its containers; null in tier shared."},
    {.key = "host", .type = "text", .help = "Of show, in the tiers container and server: the host that it runs on."},
    {.key = "containers", .type = "list", .help = "What runs there for it alone."},
    {.key = "containers[].id", .type = "text", .help = "The engine's id."},
    {.key = "containers[].name", .type = "text", .help = "Its name."},
    {.key = "containers[].role", .type = "text", .help = "postgres or shopd."},
    {.key = "containers[].state", .type = "text", .help = "running, exited ..., or missing."},
    {.key = "containers[].health", .type = "text", .help = "starting, healthy or unhealthy."},
    {.key = "containers[].image", .type = "text", .help = "What it was made of."},
    {.key = "containers[].cpu", .type = "number", .help = "CPU cores that it may use."},
    {.key = "containers[].memory_bytes", .type = "integer", .help = "Memory that it may use."},
    {.key = "containers[].memory_used_bytes", .type = "integer", .help = "Memory that it uses, or null."},
    {.key = "containers[].restarts", .type = "integer", .help = "How often the engine started it again."},
    {.key = "containers[].started_at", .type = "time", .help = "When it was started last."},
    {.key = "database", .type = "object", .help = "Its PostgreSQL, or null where it doesn't answer."},
    {.key = "database.version", .type = "text", .help = "Of PostgreSQL."},
    {.key = "database.bytes", .type = "integer", .unit = UNIT_BYTES, .help = "Disk that the database takes."},
    {.key = "database.is_full",
     .type = "boolean",
     .help = "Whether it has used the disk of its plan: it is read, and nothing can be written."},
    {.key = "database.connections", .type = "integer", .help = "Connections to it."},
    {.key = "database.connections_max", .type = "integer", .help = "As many as there may be."},
    {.key = "problem", .type = "text", .help = "Why something of this couldn't be asked, or null."},
    {.key = "operation", .type = "integer", .help = "Its last operation, or null."},
    {.key = "created_at", .type = "time", .help = "When it was asked for."},
    {.key = "updated_at", .type = "time", .help = "When its record changed last."},
    {.key = "steps", .type = "list", .help = "With --dry-run: the steps that would be taken."},
    {.key = "changes", .type = "list", .help = "With --dry-run of set, request and reject: what would change."},
    {.key = "changes[].key", .type = "text", .help = "The key, as in limits.products."},
    {.key = "changes[].from", .type = "text", .help = "Its value now, of the key's own type."},
    {.key = "changes[].to", .type = "text", .help = "Its value then."},
#include "cli/preview_keys.def"
    {0},
};

static const OutputKey RESTART_KEYS[] = {
    {.key = "slug", .type = "text", .help = "The shop's slug.", .heading = "SLUG", .is_name = true},
    {.key = "away_ms",
     .type = "integer",
     .help = "How long it took until the shop was ready again; null with --dry-run.",
     .heading = "AWAY MS",
     .is_right = true},
    {0},
};

static const char *const CONTAINERS[] = {"shopd", "postgres", NULL};

static const Argument SLUG[] = {
    {.name = "SLUG", .is_required = true, .names = "tenant list", .help = "The shop's slug."}, {0}};

static bool show(const CommandCall *call, Platform *platform, Slug slug, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(json_close) Json *state = NULL;
    if (!tenant_show(platform, slug, &answer, err) ||
        !dedicated_state(platform, json_str(json_get(answer, "cell")), &state, err))
        return false;
    for (JsonIter it = json_iter(state); state && json_next(&it);)
        if (!json_set(answer, str_copy(call->arena, it.key).data, json_hold(it.value), err))
            return false;
    return command_answer(call, answer, err);
}

static bool open_for(const CommandCall *call, Platform **out_platform, Slug *out_slug, Error *err)
{
    return slug_parse(command_argument(call, 0), out_slug, err) && platform_open(call->settings, out_platform, err);
}

static bool list_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return platform_open(call->settings, &platform, err) &&
           tenant_list(platform, command_text(call, "status"), command_text(call, "cell"), command_int(call, "limit"),
                       &answer, err) &&
           command_answer(call, answer, err);
}

static bool show_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    CLEANUP(platform_close) Platform *platform = NULL;
    return open_for(call, &platform, &slug, err) && show(call, platform, slug, err);
}

// ---- transitions ----

typedef bool TenantAct(Platform *platform, Slug slug, Error *err);

// With --dry-run says what the command `verb` would do, or fails as it would; else acts and shows what became of the
// shop.
static bool act_run(CommandCall *call, const char *verb, TenantAct *act, Error *err)
{
    Slug slug = {0};
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    if (!open_for(call, &platform, &slug, err))
        return false;
    if (call->is_dry_run)
        return tenant_preview(platform, verb, slug, &answer, err) && answer_preview(call, answer, err);
    platform_warned(platform, answer_warned, call);
    if (!act(platform, slug, err))
        return false;
    if (act == tenant_approve || act == tenant_restore)    // what may make a cell
        gateway_await_shop(call, platform, slug);
    return show(call, platform, slug, err);
}

static bool approve_run(CommandCall *call, Error *err) { return act_run(call, "approve", tenant_approve, err); }
static bool reject_run(CommandCall *call, Error *err) { return act_run(call, "reject", tenant_reject, err); }
static bool suspend_run(CommandCall *call, Error *err) { return act_run(call, "suspend", tenant_suspend, err); }
static bool resume_run(CommandCall *call, Error *err) { return act_run(call, "resume", tenant_resume, err); }
static bool archive_run(CommandCall *call, Error *err) { return act_run(call, "archive", tenant_archive, err); }
static bool restore_run(CommandCall *call, Error *err) { return act_run(call, "restore", tenant_restore, err); }

// Before a person is asked to type the slug of what can't be deleted.
static bool delete_check(const CommandCall *call, Error *err)
{
    Slug slug = {0};
    CLEANUP(platform_close) Platform *platform = NULL;
    return open_for(call, &platform, &slug, err) && tenant_delete_check(platform, slug, err);
}

static bool delete_run(CommandCall *call, Error *err)
{
    Str slug = command_argument(call, 0);
    Str question =
        str_format(call->arena, "this deletes the shop '%.*s'; a dump is kept for its plan's retention", STR_ARG(slug));
    bool is_asked = !call->is_yes && !call->is_dry_run;
    return (!is_asked || delete_check(call, err)) && prompt_word(call, question, slug, err) &&
           act_run(call, "delete", tenant_delete, err);
}

// ---- changes ----

static const char *const LIMITS[] = {"products", "requests_per_second", "requests_burst", NULL};

static bool limit_read(const CommandCall *call, size_t i, TenantChange *change, Error *err)
{
    Str name = S(""), value = S("");
    Str names[COUNT(LIMITS) - 1];
    command_pair_at(call, "limit", i, &name, &value);
    for (size_t at = 0; at < COUNT(names); at++)
        names[at] = str_of(LIMITS[at]);
    for (size_t at = 0; at < COUNT(names); at++) {
        if (!str_eq(name, names[at]))
            continue;
        if (change->limit_count == COUNT(change->limits))
            break;
        change->limit_names[change->limit_count] = LIMITS[at];
        if (str_eq(value, S("plan"))) {
            change->limits[change->limit_count++] = -1;
            return true;
        }
        return str_int64(value, 0, INT32_MAX, &change->limits[change->limit_count++], err) ||
               error_next(err, "write --limit %s=N, 0 for none, or =plan for the plan's own", LIMITS[at]);
    }
    error_set(err, ERR_USAGE, "there is no limit '%.*s' that can be set", STR_ARG(name));
    Str nearest = str_nearest(name, names, COUNT(names));
    return error_next(err, "use %s", nearest.len ? nearest.data : "products, requests_per_second or requests_burst");
}

static Str text_or_absent(const CommandCall *call, const char *option)
{
    return command_has(call, option) ? command_text(call, option) : (Str){0};
}

static size_t hosts_read(const CommandCall *call, const char *option, Str hosts[LISTS_MAX])
{
    size_t count = MIN(command_count(call, option), (size_t)LISTS_MAX);
    for (size_t i = 0; i < count; i++)
        hosts[i] = command_text_at(call, option, i);
    return count;
}

static bool changes_show(const CommandCall *call, Platform *platform, Slug slug, const TenantChange *change, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_set_changes(platform, slug, change, &answer, err) && answer_changes(call, answer, err);
}

static bool set_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    Plans plans = {0};
    Str added[LISTS_MAX], removed[LISTS_MAX];
    CLEANUP(json_close) Json *colors = NULL;
    CLEANUP(json_close) Json *shipping = NULL;
    CLEANUP(platform_close) Platform *platform = NULL;
    TenantChange change = {
        .name = text_or_absent(call, "name"),
        .email = text_or_absent(call, "email"),
        .language = text_or_absent(call, "language"),
        .country = text_or_absent(call, "country"),
        .logo = text_or_absent(call, "logo"),
        .payment_instructions = text_or_absent(call, "payment-instructions"),
        .domains_added = added,
        .domains_added_count = hosts_read(call, "add-domain", added),
        .domains_removed = removed,
        .domains_removed_count = hosts_read(call, "remove-domain", removed),
    };
    if ((command_has(call, "colors") && !tenant_spec_pairs(call, "colors", &colors, err)) ||
        (command_has(call, "shipping") && !tenant_spec_pairs(call, "shipping", &shipping, err)))
        return false;
    change.colors = colors;
    change.shipping = shipping;
    for (size_t i = 0; i < command_count(call, "limit"); i++)
        if (!limit_read(call, i, &change, err))
            return false;
    if (command_has(call, "plan") && (!plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err) ||
                                      !plans_get(&plans, command_text(call, "plan"), &change.plan, err)))
        return false;
    if (!open_for(call, &platform, &slug, err))
        return false;
    if (call->is_dry_run)
        return changes_show(call, platform, slug, &change, err);
    if (!tenant_set(platform, slug, &change, err))
        return false;
    if (change.domains_added_count + change.domains_removed_count > 0)
        gateway_await(call, platform, NULL);
    return show(call, platform, slug, err);
}

static const Option SET_OPTIONS[] = {
    {.name = "limit",
     .type = OPTION_PAIR,
     .value = "NAME=N",
     .is_repeated = true,
     .help = "products, requests_per_second or requests_burst; 0: none; plan: the plan's own."},
    {.name = "name", .type = OPTION_TEXT, .value = "NAME", .help = "What shoppers read."},
    {.name = "email", .type = OPTION_TEXT, .value = "ADDRESS", .help = "Its owner's address."},
    {.name = "language", .type = OPTION_TEXT, .value = "CODE", .help = "en or es."},
    {.name = "country", .type = OPTION_TEXT, .value = "CODE", .help = "ISO 3166-1."},
    {.name = "logo", .type = OPTION_TEXT, .value = "URL", .help = "Its logo's address; empty: none."},
    {.name = "colors", .type = OPTION_PAIR, .value = "ROLE=COLOUR", .is_repeated = true, .help = "All of its colours."},
    {.name = "payment-instructions",
     .type = OPTION_TEXT,
     .value = "TEXT",
     .help = "Where to pay by bank transfer, in lines; empty: none."},
    {.name = "shipping",
     .type = OPTION_PAIR,
     .value = "CODE=PRICE",
     .is_repeated = true,
     .help = "All of its ways of shipping, in the checkout's order."},
    {.name = "plan",
     .type = OPTION_TEXT,
     .value = "PLAN",
     .names = "plan list",
     .help = "Another plan of tier shared; see set-plan."},
    {.name = "add-domain",
     .type = OPTION_TEXT,
     .value = "HOST",
     .is_repeated = true,
     .help = "One more host of its own."},
    {.name = "remove-domain", .type = OPTION_TEXT, .value = "HOST", .is_repeated = true, .help = "One host less."},
    {0},
};

static const Option LIST_OPTIONS[] = {
    {.name = "status",
     .type = OPTION_CHOICE,
     .value = "STATUS",
     .choices = (const char *const[]){"requested", "rejected", "approved", "provisioning", "active", "suspended",
                                      "archived", "deleted", NULL},
     .help = "In this status alone; deleted and rejected ones are listed only so."},
    {.name = "cell", .type = OPTION_TEXT, .value = "CELL", .names = "cell list", .help = "In this cell alone."},
    {.name = "limit",
     .type = OPTION_INT,
     .value = "N",
     .max = INT32_MAX,
     .initial = "0",
     .help = "At most so many; 0: all."},
    {0},
};

static const Option CREATE_OPTIONS[] = {
#include "cli/tenant_spec.def"
    {.name = "file",
     .letter = 'f',
     .type = OPTION_TEXT,
     .value = "FILE",
     .help = "Makes every shop of a YAML list or of JSON lines with these keys and slug; - is the standard input."},
    {0},
};

static const Option REQUEST_OPTIONS[] = {
#include "cli/tenant_spec.def"
    {0},
};

static const Argument SLUG_AND_PLAN[] = {
    {.name = "SLUG", .is_required = true, .names = "tenant list", .help = "The shop's slug."},
    {.name = "PLAN", .is_required = true, .names = "plan list", .help = "The plan that it gets."},
    {0}};

#define EXAMPLE(command, meaning) ((const Example[]){{command, meaning}, {0}})

const Command TENANT_COMMANDS[] = {
    {.verb = "create",
     .summary = "makes a shop",
     .description =
         "Requests and approves a shop, and returns when it answers. Run again after a crash it goes on.\n\nWith "
         "--file it makes many at once, and answers a list. Keys of the file are slug and the names of the options; "
         "domains is a list, colors and shipping are mappings, as in `shipping: {standard: 4.90, pickup: 0}`. Options "
         "beside --file are for entries that don't name them; name, email and domains are each shop's own. When "
         "anything is wrong in it, every wrong key is named with file, line and column, and no shop is made. "
         "One that is there already is an error of its own, and the others are made.",
     .arguments = (const Argument[]){{.name = "SLUG", .help = "3 to 40 of a-z, 0-9 and inner hyphens."}, {0}},
     .options = CREATE_OPTIONS,
     .examples =
         (const Example[]){
             {"shopctl tenant create acme --plan standard --name Acme --email owner@acme.example --currency EUR "
              "--language es --country ES",
              "Makes a shop."},
             {"shopctl tenant create -f shops.yaml", "Makes every shop of a file."},
             {0}},
     .keys = KEYS,
     .changes = true,
     .run = tenant_create_run},
    {.verb = "request",
     .summary = "records the wish for a shop",
     .arguments =
         (const Argument[]){{.name = "SLUG", .is_required = true, .help = "3 to 40 of a-z, 0-9 and inner hyphens."},
                            {0}},
     .options = REQUEST_OPTIONS,
     .examples =
         EXAMPLE("shopctl tenant request acme --plan free --email owner@acme.example", "Waits for an approval."),
     .keys = KEYS,
     .changes = true,
     .run = tenant_request_run},
    {.verb = "approve",
     .summary = "makes a shop that was requested",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant approve acme", "Makes it, and returns when it answers."),
     .keys = KEYS,
     .changes = true,
     .run = approve_run},
    {.verb = "reject",
     .summary = "refuses a shop that was requested",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant reject acme", "Its slug is free again."),
     .keys = KEYS,
     .changes = true,
     .run = reject_run},
    {.verb = "list",
     .summary = "lists shops",
     .options = LIST_OPTIONS,
     .examples = EXAMPLE("shopctl tenant list --status suspended -o name", "Prints the slugs of the suspended ones."),
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows one shop",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant show acme -o json", "Prints everything about it."),
     .keys = KEYS,
     .run = show_run},
    {.verb = "set",
     .summary = "changes a shop",
     .arguments = SLUG,
     .options = SET_OPTIONS,
     .description = "With --dry-run it prints what would change, a line each: KEY: OLD -> NEW.",
     .examples =
         (const Example[]){
             {"shopctl tenant set acme --limit requests_per_second=500", "Overrides a limit of its plan."},
             {"shopctl tenant set acme --shipping standard=4.90 --shipping express=9.90 --shipping pickup=0",
              "Offers three ways of shipping, at prices in the shop's currency."},
             {"shopctl tenant set acme --payment-instructions \"$(cat bank.txt)\"",
              "Says where to pay by bank transfer."},
             {0}},
     .keys = KEYS,
     .changes = true,
     .run = set_run},
    {.verb = "suspend",
     .summary = "lets a shop answer that it is closed",
     .description = "The shop answers 503 with a page that says so; its data stays.",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant suspend acme", "Closes it at once."),
     .keys = KEYS,
     .changes = true,
     .run = suspend_run},
    {.verb = "resume",
     .summary = "opens a suspended shop again",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant resume acme", "Opens it at once."),
     .keys = KEYS,
     .changes = true,
     .run = resume_run},
    {.verb = "archive",
     .summary = "takes a suspended shop off its address",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant archive acme", "Its address answers 404; its data stays."),
     .keys = KEYS,
     .changes = true,
     .run = archive_run},
    {.verb = "delete",
     .summary = "deletes an archived shop",
     .description =
         "Asks for the slug, unless --yes. Writes a dump, which is kept for its plan's retention, then removes "
         "everything else.",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant delete acme --yes", "Leaves its dump alone."),
     .keys = KEYS,
     .changes = true,
     .run = delete_run},
    {.verb = "restore",
     .summary = "brings a deleted shop back from its dump",
     .description =
         "The shop goes into the cell where it was, when that is open, has an address and room, and so keeps "
         "its address; else into the cell with the most room.",
     .arguments = SLUG,
     .examples = EXAMPLE("shopctl tenant restore acme", "Brings back slug, hosts and data."),
     .keys = KEYS,
     .changes = true,
     .run = restore_run},
    {.verb = "move",
     .summary = "takes a shop with all its data to another cell, while it sells",
     .description =
         "A shop of tier shared goes to another shared cell, one of the tiers container and server to another host. "
         "Its rows are copied while shoppers buy, what they write meanwhile is done again, and all is compared by "
         "checksums; then nothing can be written for a moment, in which pages are served, and the shop goes on in its "
         "new cell.\n\nThe old place stays, and can be gone back to, with all that was "
         "written since, until --finalize gives it up. Both end a set-plan, too; without a move that is pending they "
         "change nothing.",
     .arguments = SLUG,
     .options = TENANT_MOVE_OPTIONS,
     .examples = (const Example[]){{"shopctl tenant move acme", "Moves it to where there is most room."},
                                   {"shopctl tenant move acme --host eu2", "Moves it onto that host."},
                                   {"shopctl tenant move acme --finalize", "Gives its old place up."},
                                   {"shopctl tenant move acme --rollback", "Goes back to it."},
                                   {0}},
     .keys = TENANT_MOVE_KEYS,
     .changes = true,
     .run = tenant_move_run},
    {.verb = "set-plan",
     .summary = "gives a shop another plan, and moves it where the plan needs another place",
     .description =
         "Between plans of tier shared the record changes alone. Every other change moves the shop as "
         "`tenant move` does, into a cell with the CPU and memory of the plan; `tenant move SLUG --finalize` "
         "or --rollback ends it.",
     .arguments = SLUG_AND_PLAN,
     .options = TENANT_SET_PLAN_OPTIONS,
     .examples =
         (const Example[]){{"shopctl tenant set-plan acme premium", "Gives it a PostgreSQL and a shopd of its own."},
                           {0}},
     .keys = TENANT_MOVE_KEYS,
     .changes = true,
     .run = tenant_set_plan_run},
    {.verb = "logs",
     .summary = "prints what a shop's containers said",
     .description = "Of a shop with containers of its own: its shopd's log, or PostgreSQL's.",
     .arguments = SLUG,
     .options = (const Option[]){{.name = "follow",
                                  .letter = 'f',
                                  .type = OPTION_FLAG,
                                  .help = "Goes on until it, or the container, is stopped."},
                                 {.name = "since",
                                  .type = OPTION_TEXT,
                                  .value = "TIME",
                                  .help = "Only what came since then, as 10min, 2h or 2026-11-25T08:00:00Z."},
                                 {.name = "tail",
                                  .type = OPTION_INT,
                                  .value = "N",
                                  .max = 1000000,
                                  .initial = "0",
                                  .help = "Only the last lines; 0: all."},
                                 {.name = "container",
                                  .type = OPTION_CHOICE,
                                  .value = "ROLE",
                                  .choices = CONTAINERS,
                                  .initial = "shopd",
                                  .help = "Whose."},
                                 {0}},
     .examples =
         (const Example[]){{"shopctl tenant logs acme -f --since 10min", "Shows the last ten minutes and goes on."},
                           {0}},
     .run = tenant_logs_run},
    {.verb = "psql",
     .summary = "opens psql on a shop's own database",
     .description =
         "Runs psql in the container of the shop's PostgreSQL, as the owner, with the shop's schema in the search "
         "path. From a pipe it reads statements until its end. Ends with psql's exit code.",
     .arguments = SLUG,
     .options =
         (const Option[]){
             {.name = "command", .letter = 'c', .type = OPTION_TEXT, .value = "SQL", .help = "Runs this alone."}, {0}},
     .examples =
         (const Example[]){{"shopctl tenant psql acme -c 'select count(*) from orders'", "Counts its orders."}, {0}},
     .run = tenant_psql_run},
    {.verb = "restart",
     .summary = "restarts a shop's shopd, and perhaps its PostgreSQL",
     .description =
         "Of a shop with containers of its own. Requests that are under way are answered first; until shopd is back, "
         "shoppers can't reach the shop.",
     .arguments = SLUG,
     .options =
         (const Option[]){{.name = "postgres", .type = OPTION_FLAG, .help = "PostgreSQL first, then shopd."}, {0}},
     .examples = (const Example[]){{"shopctl tenant restart acme", "Restarts its shopd."}, {0}},
     .keys = RESTART_KEYS,
     .changes = true,
     .run = tenant_restart_run},
    {.verb = "resize",
     .summary = "gives a shop other CPU, memory and disk",
     .description =
         "Of a shop with containers of its own. CPU and memory are those of PostgreSQL and shopd together, which share "
         "them as the plan's own are shared; what isn't named stays. The running containers get them; PostgreSQL's "
         "settings follow, and where one of them (shared_buffers, worker processes) is taken in only at its start, "
         "PostgreSQL is started again: the answer says for how long the shop was away. What a shop has beyond its plan "
         "is kept through restarts, deletion and restoration.",
     .arguments = SLUG,
     .options = TENANT_RESIZE_OPTIONS,
     .examples =
         (const Example[]){{"shopctl tenant resize acme --cpu 2 --memory 4GiB", "Gives it two cores and 4 GiB."},
                           {"shopctl tenant resize acme --plan-size", "Gives it what its plan has."},
                           {0}},
     .keys = TENANT_RESIZE_KEYS,
     .changes = true,
     .run = tenant_resize_run},
    {.verb = "upgrade",
     .summary = "brings a shop's containers and schema to this version",
     .description =
         "Of a shop with containers of its own, after a new shopctl and shopd, a new minor version of PostgreSQL, or "
         "another size of shopd. What is of this version stays as it is. A second shopd is started beside the first "
         "one "
         "and asked for a page. With the platform's gateway it then takes over at a port of its own: the gateway is "
         "told, "
         "the first one ends what it has begun, and no request is lost. Without a gateway the port is the shop's "
         "address "
         "and stays: the first one goes, the other comes, and `away_ms` is how long there was none, unless --new-port. "
         "PostgreSQL is replaced on its volume: shopd serves the pages that it keeps meanwhile, and `write_pause_ms` "
         "is "
         "how long nobody could buy.",
     .arguments = (const Argument[]){{.name = "SLUG", .names = "tenant list", .help = "The shop's slug."}, {0}},
     .options = TENANT_UPGRADE_OPTIONS,
     .examples = (const Example[]){{"shopctl tenant upgrade acme", "Brings one shop to this version."},
                                   {"shopctl tenant upgrade --all --dry-run", "Says what of which shop is another's."},
                                   {0}},
     .keys = TENANT_UPGRADE_KEYS,
     .changes = true,
     .run = tenant_upgrade_run},
    {0},
};
