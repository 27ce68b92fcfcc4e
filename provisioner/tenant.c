// provisioner/tenant.c: what is done with a tenant.
#include "provisioner/tenant.h"

#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/container_driver.h"
#include "provisioner/lifecycle.h"
#include "provisioner/schema_driver.h"
#include "provisioner/shipping.h"
#include "provisioner/tenant_check.h"

enum { ARENA_BUDGET = 4 * MIB };

// ---- input of operations ----

static Json *text_json(Str text) { return json_build("s%", text.data ? text.data : "", text.len); }

static Json *texts_json(const Str *texts, size_t count)
{
    Json *list = json_build("[]");
    for (size_t i = 0; i < count; i++)
        (void)json_append(list, text_json(texts[i]));
    return list;
}

// Texts and shipping as they go into the record.
static bool spec_input(const TenantSpec *given, Json **out, Error *err)
{
    TenantSpec spec = tenant_spec_filled(given);
    Json *plan = NULL, *shipping = NULL;
    if (!plan_record_json(spec.plan, &plan, err))
        return false;
    CLEANUP(json_close) Json *input = json_build("{s:b, s:o}", "is_new", 1, "plan", plan);
    if (spec.shipping && !shipping_read(spec.shipping, spec.currency, &shipping, err))
        return false;
    const struct {
        const char *key;
        Str text;
        bool is_optional;
    } texts[] = {{"slug", spec.slug, false},
                 {"name", spec.name, false},
                 {"email", spec.email, false},
                 {"currency", spec.currency, false},
                 {"language", spec.language, false},
                 {"country", spec.country, false},
                 {"payment_instructions", str_trim(spec.payment_instructions), false},
                 {"cell", spec.cell, true},
                 {"host", spec.host, true},
                 {"logo", spec.logo, true}};
    bool ok = (!shipping || json_put(input, "shipping", shipping)) &&
              json_put(input, "domains", texts_json(spec.domains, spec.domain_count));
    for (size_t i = 0; ok && i < COUNT(texts); i++)
        ok =
            (texts[i].is_optional && texts[i].text.len == 0) || json_put(input, texts[i].key, text_json(texts[i].text));
    if (ok && spec.colors)
        ok = json_put(input, "colors", json_hold((Json *)spec.colors));
    if (ok && spec.labels)
        ok = json_put(input, "labels", json_hold((Json *)spec.labels));
    if (!json_ok(ok ? input : NULL, err))
        return false;
    *out = TAKE(input);
    return true;
}

// ---- drivers by tier ----

// What is done in another way where a tenant has a cell of its own.
static const struct {
    const Driver *shared, *dedicated;
} TWINS[] = {
    {&SCHEMA_CREATE, &CONTAINER_CREATE},
    {&SCHEMA_DELETE, &CONTAINER_DELETE},
    {&SCHEMA_RESTORE, &CONTAINER_RESTORE},
};

static const Driver *driver_of(const Driver *shared, bool is_dedicated)
{
    for (size_t i = 0; i < COUNT(TWINS) && is_dedicated; i++)
        if (TWINS[i].shared == shared)
            return TWINS[i].dedicated;
    return shared;
}

// Without a plan it is refused before any driver runs.
static const Driver *create_driver(const Plan *plan)
{
    return driver_of(&SCHEMA_CREATE, plan && plan->tier != PLAN_TIER_SHARED);
}

// Of a tenant that is recorded; one that isn't has that of tier shared, whose checks say so.
static bool driver_find(Platform *platform, Slug slug, const Driver *shared, const Driver **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select tier <> 'shared' from control.tenant_tier($1) tier"),
                  PARAMS(slug.text), &rows, err))
        return false;
    *out = driver_of(shared, rows_bool(rows, 0, 0));
    return true;
}

// The operation's input, checked.
static bool input_make(const Platform *platform, const TenantSpec *spec, Json **out, Error *err)
{
    return tenant_spec_check(spec, platform_options(platform)->base_domain, err) && spec_input(spec, out, err);
}

static bool control_run(Platform *platform, Str sql, Params params, Error *err)
{
    return db_run(platform_control(platform), sql, params, err);
}

// Calls a function of the control database with a document as its only parameter.
static bool control_document(Platform *platform, Str sql, const Json *document, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    Str text = S("");
    return json_print(document, 0, arena, &text, err) && control_run(platform, sql, PARAMS(text), err);
}

bool tenant_place_check(Platform *platform, const TenantSpec *spec, Error *err)
{
    CLEANUP(json_close)
    Json *input = json_build("{s:o, s:o}", "slug", text_json(spec->slug), "domains",
                             texts_json(spec->domains, spec->domain_count));
    Json *plan = NULL;
    int64_t left = 0;
    if (input && spec->plan && (!plan_record_json(spec->plan, &plan, err) || !json_put(input, "plan", plan)))
        return err->code ? false : json_ok(NULL, err);
    bool ok = (spec->cell.len == 0 || json_put(input, "cell", text_json(spec->cell))) &&
              (spec->host.len == 0 || json_put(input, "host", text_json(spec->host))) &&
              (!spec->labels || json_put(input, "labels", json_hold((Json *)spec->labels)));
    return json_ok(ok ? input : NULL, err) &&
           operation_left(platform, create_driver(spec->plan), spec->slug, &left, err) &&
           (left || control_document(platform, S("select control.tenant_check_new($1::jsonb)"), input, err));
}

// ---- making ----

bool tenant_create(Platform *platform, const TenantSpec *spec, int64_t *out_id, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    bool is_done = false;
    if (!input_make(platform, spec, &input, err) ||
        !operation_continue(platform, create_driver(spec->plan), spec->slug, &is_done, out_id, err))
        return false;
    return is_done ||
           operation_run(platform,
                         &(OperationSpec){.driver = create_driver(spec->plan), .slug = spec->slug, .input = input},
                         out_id, err);
}

bool tenant_request(Platform *platform, const TenantSpec *spec, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    return input_make(platform, spec, &input, err) &&
           control_document(platform, S("select control.tenant_request($1::jsonb)"), input, err);
}

// The tenant's status, when the table has the transition to `to`.
static bool transition_check(Platform *platform, Slug slug, TenantStatus to, Arena *arena, TenantRecord *out,
                             Error *err)
{
    TenantStatus from;
    return platform_tenant(platform, slug, arena, out, err) && tenant_status_parse(out->status, &from, err) &&
           lifecycle_check(slug.text, from, to, err);
}

static bool decide(Platform *platform, Slug slug, TenantStatus to, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    return transition_check(platform, slug, to, arena, &tenant, err) &&
           control_run(platform, S("select control.tenant_decide($1, $2, $3)"),
                       PARAMS(slug.text, tenant.status, str_of(tenant_status_name(to))), err);
}

static bool run_with(Platform *platform, const Driver *driver, Slug slug, Json *input, Error *err)
{
    CLEANUP(json_close) Json *closed = input;
    return json_ok(closed, err) &&
           operation_run(platform, &(OperationSpec){.driver = driver, .slug = slug.text, .input = closed}, NULL, err);
}

// By an approval that crashed, or found no room.
static bool is_approved(Str status) { return str_eq(status, S("approved")) || str_eq(status, S("provisioning")); }

bool tenant_approve(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    const Driver *driver = NULL;
    bool is_done = false;
    if (!driver_find(platform, slug, &SCHEMA_CREATE, &driver, err) ||
        !operation_continue(platform, driver, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    if (!platform_tenant(platform, slug, arena, &tenant, err))
        return false;
    return (is_approved(tenant.status) || decide(platform, slug, TENANT_APPROVED, err)) &&
           run_with(platform, driver, slug, json_build("{s:b}", "is_new", 0), err);
}

bool tenant_reject(Platform *platform, Slug slug, Error *err) { return decide(platform, slug, TENANT_REJECTED, err); }

// ---- transitions ----

static bool transition(Platform *platform, const Driver *driver, Slug slug, TenantStatus to, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    bool is_done = false;
    if (!operation_continue(platform, driver, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    return transition_check(platform, slug, to, arena, &tenant, err) &&
           run_with(
               platform, driver, slug,
               json_build("{s:s%, s:s}", "from", tenant.status.data, tenant.status.len, "to", tenant_status_name(to)),
               err);
}

bool tenant_suspend(Platform *platform, Slug slug, Error *err)
{
    return transition(platform, &TENANT_SUSPEND, slug, TENANT_SUSPENDED, err);
}

bool tenant_resume(Platform *platform, Slug slug, Error *err)
{
    return transition(platform, &TENANT_RESUME, slug, TENANT_ACTIVE, err);
}

bool tenant_archive(Platform *platform, Slug slug, Error *err)
{
    return transition(platform, &TENANT_ARCHIVE, slug, TENANT_ARCHIVED, err);
}

// That no move of it is half-done: its rows would be in two cells.
static bool settled_check(Platform *platform, Slug slug, Error *err)
{
    return control_run(platform, S("select control.move_check_none($1)"), PARAMS(slug.text), err);
}

// DIR/dumps/SLUG-NUMBER-TIME: another deletion has another one.
static bool dump_place(const Platform *platform, const TenantRecord *tenant, Arena *arena, Str *out, Error *err)
{
    Str data = platform_options(platform)->data;
    char text[CLOCK_TEXT];
    Str time = str_replace(arena, str_slice(clock_rfc3339(clock_unix_ms(), text), 0, sizeof("2026-11-25T01:02:03") - 1),
                           ':', '-');
    if (str_is_empty(data)) {
        error_set(err, ERR_STATE, "there is no place for the dump of '%.*s'", STR_ARG(tenant->slug));
        return error_next(err, "name the platform's directory with --data");
    }
    *out = str_format(arena, "%.*s/dumps/%.*s-%lld-%.*s", STR_ARG(data), STR_ARG(tenant->slug),
                      (long long)tenant->number, STR_ARG(time));
    return arena_ok(arena, err);
}

bool tenant_delete(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    Str path = S("");
    const Driver *driver = NULL;
    bool is_done = false;
    if (!driver_find(platform, slug, &SCHEMA_DELETE, &driver, err) ||
        !operation_continue(platform, driver, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    return transition_check(platform, slug, TENANT_DELETED, arena, &tenant, err) &&
           settled_check(platform, slug, err) && dump_place(platform, &tenant, arena, &path, err) &&
           run_with(platform, driver, slug, json_build("{s:s%}", "dump", path.data, path.len), err);
}

bool tenant_delete_check(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    const Driver *driver = NULL;
    int64_t left = 0;
    return driver_find(platform, slug, &SCHEMA_DELETE, &driver, err) &&
           operation_left(platform, driver, slug.text, &left, err) &&
           (left || (transition_check(platform, slug, TENANT_DELETED, arena, &tenant, err) &&
                     settled_check(platform, slug, err)));
}

// The newest dump of a deleted tenant.
static bool dump_find(Platform *platform, Slug slug, Arena *arena, Str *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    TenantRecord tenant;
    if (!platform_tenant(platform, slug, arena, &tenant, err))
        return false;
    if (!str_eq(tenant.status, S("deleted"))) {
        error_set(err, ERR_FORBIDDEN, "the tenant '%.*s' can't be restored", STR_ARG(slug.text));
        error_why(err, "it is %.*s, not deleted", STR_ARG(tenant.status));
        return error_next(err, "see shopctl tenant show %.*s", STR_ARG(slug.text));
    }
    if (!db_query(platform_control(platform), S("select path from control.dump_newest($1)"), PARAMS(slug.text), &rows,
                  err))
        return false;
    if (rows_count(rows) == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no dump of the tenant '%.*s'", STR_ARG(slug.text));
        return error_why(err, "its plan's retention has passed");
    }
    *out = str_copy(arena, rows_str(rows, 0, 0));
    return arena_ok(arena, err);
}

bool tenant_restore(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    Str path = S("");
    const Driver *driver = NULL;
    bool is_done = false;
    if (!driver_find(platform, slug, &SCHEMA_RESTORE, &driver, err) ||
        !operation_continue(platform, driver, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    return dump_find(platform, slug, arena, &path, err) &&
           run_with(platform, driver, slug,
                    json_build("{s:b, s:s, s:s%}", "is_new", 0, "from", "deleted", "dump", path.data, path.len), err);
}

// ---- what --dry-run says ----

// That beginning an operation wouldn't find another one at work.
static bool turn_check(Platform *platform, Str slug, bool is_new, Error *err)
{
    return control_run(platform, S("select control.lease_check_free($1, $2::boolean)"),
                       PARAMS(slug, is_new ? S("t") : S("f")), err);
}

// That a cell or a host has room, where the operation would choose one.
static bool room_check(Platform *platform, Slug slug, Error *err)
{
    return control_run(platform, S("select control.tenant_place_check($1)"), PARAMS(slug.text), err);
}

static bool approve_check(Platform *platform, Slug slug, Arena *arena, Error *err)
{
    TenantRecord tenant;
    return platform_tenant(platform, slug, arena, &tenant, err) &&
           (is_approved(tenant.status) || transition_check(platform, slug, TENANT_APPROVED, arena, &tenant, err)) &&
           turn_check(platform, slug.text, false, err) && room_check(platform, slug, err);
}

static bool delete_check(Platform *platform, Slug slug, Arena *arena, Error *err)
{
    TenantRecord tenant;
    Str path;
    return transition_check(platform, slug, TENANT_DELETED, arena, &tenant, err) &&
           settled_check(platform, slug, err) && dump_place(platform, &tenant, arena, &path, err) &&
           turn_check(platform, slug.text, false, err);
}

static bool restore_check(Platform *platform, Slug slug, Arena *arena, Error *err)
{
    Str path;
    return dump_find(platform, slug, arena, &path, err) && turn_check(platform, slug.text, false, err) &&
           room_check(platform, slug, err);
}

static const struct Act {
    const char *verb;
    const Driver *driver;                                                      // in tier shared
    bool (*check)(Platform *platform, Slug slug, Arena *arena, Error *err);    // NULL: that of a transition to `to`
    TenantStatus to;
} ACTS[] = {
    {"approve", &SCHEMA_CREATE, approve_check, TENANT_APPROVED},
    {"suspend", &TENANT_SUSPEND, NULL, TENANT_SUSPENDED},
    {"resume", &TENANT_RESUME, NULL, TENANT_ACTIVE},
    {"archive", &TENANT_ARCHIVE, NULL, TENANT_ARCHIVED},
    {"delete", &SCHEMA_DELETE, delete_check, TENANT_DELETED},
    {"restore", &SCHEMA_RESTORE, restore_check, TENANT_PROVISIONING},
};

static bool act_check(Platform *platform, const struct Act *act, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    return act->check ? act->check(platform, slug, arena, err)
                      : transition_check(platform, slug, act->to, arena, &tenant, err) &&
                            turn_check(platform, slug.text, false, err);
}

// {"changes": [...]} of the record's status alone; a new one has none before.
static bool status_change(Str from, TenantStatus to, Json **out, Error *err)
{
    Json *before = from.len ? text_json(from) : json_build("n");
    *out =
        json_build("{s:[{s:s, s:o, s:s}]}", "changes", "key", "status", "from", before, "to", tenant_status_name(to));
    return json_ok(*out, err);
}

static bool reject_preview(Platform *platform, Slug slug, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    return transition_check(platform, slug, TENANT_REJECTED, arena, &tenant, err) &&
           status_change(tenant.status, TENANT_REJECTED, out, err);
}

bool tenant_preview(Platform *platform, const char *verb, Slug slug, Json **out, Error *err)
{
    const struct Act *act = NULL;
    int64_t left = 0;
    if (strcmp(verb, "reject") == 0)
        return reject_preview(platform, slug, out, err);
    for (size_t i = 0; i < COUNT(ACTS); i++)
        if (strcmp(ACTS[i].verb, verb) == 0)
            act = &ACTS[i];
    assert(act);
    const Driver *driver = NULL;
    if (!driver_find(platform, slug, act->driver, &driver, err) ||
        !operation_left(platform, driver, slug.text, &left, err))
        return false;
    return left ? operation_preview(platform, left, false, out, err)
                : act_check(platform, act, slug, err) && tenant_steps(driver->kind, out, err);
}

// That nothing bars a new tenant with this input.
static bool new_check(Platform *platform, const TenantSpec *spec, const Json *input, Error *err)
{
    return turn_check(platform, spec->slug, true, err) &&
           control_document(platform, S("select control.tenant_check_new($1::jsonb)"), input, err);
}

bool tenant_create_preview(Platform *platform, const TenantSpec *spec, Json **out, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    int64_t left = 0;
    const Driver *driver = create_driver(spec->plan);
    if (!input_make(platform, spec, &input, err) || !operation_left(platform, driver, spec->slug, &left, err))
        return false;
    if (left)
        return operation_preview(platform, left, false, out, err);
    return new_check(platform, spec, input, err) && tenant_steps(driver->kind, out, err);
}

bool tenant_request_preview(Platform *platform, const TenantSpec *spec, Json **out, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    return input_make(platform, spec, &input, err) && new_check(platform, spec, input, err) &&
           status_change(S(""), TENANT_REQUESTED, out, err);
}

// ---- changing ----

// The limits of its own after the change: those that it had, with the given ones over them.
static Json *overrides_json(const Json *before, const TenantChange *change)
{
    Json *after = json_build("{}");
    for (JsonIter it = json_iter(before); before && json_next(&it);) {
        bool is_given = false;
        for (size_t i = 0; i < change->limit_count; i++)
            is_given = is_given || str_eq(it.key, str_of(change->limit_names[i]));
        if (!is_given)
            (void)json_put(after, it.key.data, json_hold(it.value));
    }
    for (size_t i = 0; i < change->limit_count; i++)
        if (change->limits[i] >= 0)
            (void)json_put(after, change->limit_names[i], json_from_int(change->limits[i]));
    return after;
}

static bool is_among(Str text, const Str *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(text, texts[i]))
            return true;
    return false;
}

static Json *domains_json(const Json *before, const TenantChange *change)
{
    Json *after = json_build("[]");
    for (size_t i = 0; i < json_count(before); i++) {
        Str host = json_str(json_element(before, i));
        if (!is_among(host, change->domains_removed, change->domains_removed_count) &&
            !is_among(host, change->domains_added, change->domains_added_count))
            (void)json_append(after, text_json(host));
    }
    for (size_t i = 0; i < change->domains_added_count; i++)
        (void)json_append(after, text_json(change->domains_added[i]));
    return after;
}

static Json *kept(const Json *document, const char *key)
{
    const Json *value = json_get(document, key);
    return value ? json_hold((Json *)value) : json_build("n");
}

// Puts a value under "set", and what was there under "before".
static bool put(Json *set, Json *before, const Json *document, const char *key, Json *value)
{
    return json_put(set, key, value) && json_put(before, key, kept(document, key));
}

static bool set_fill(const TenantChange *change, const Json *document, Json *set, Json *before, Error *err)
{
    const struct {
        const char *key;
        Str text;
    } texts[] = {{"name", change->name},
                 {"email", change->email},
                 {"language", change->language},
                 {"country", change->country},
                 {"payment_instructions", change->payment_instructions.data ? str_trim(change->payment_instructions)
                                                                            : change->payment_instructions}};
    Json *shipping = NULL;
    if (change->shipping && !shipping_read(change->shipping, json_str(json_get(document, "currency")), &shipping, err))
        return false;
    bool ok = !shipping || put(set, before, document, "shipping", shipping);
    for (size_t i = 0; ok && i < COUNT(texts); i++)
        ok = !texts[i].text.data || put(set, before, document, texts[i].key, text_json(texts[i].text));
    if (ok && change->logo.data)
        ok = put(set, before, document, "logo", change->logo.len ? text_json(change->logo) : json_build("n"));
    if (ok && change->colors)
        ok = put(set, before, document, "colors", json_hold((Json *)change->colors));
    if (ok && change->limit_count)
        ok = put(set, before, document, "overrides", overrides_json(json_get(document, "overrides"), change));
    if (ok && (change->domains_added_count || change->domains_removed_count))
        ok = put(set, before, document, "domains", domains_json(json_get(document, "domains"), change));
    if (ok && change->plan) {
        Json *plan = NULL;
        if (!plan_record_json(change->plan, &plan, err))
            return false;
        Json *was = json_build("{s:o, s:o}", "name", kept(document, "plan"), "version", kept(document, "plan_version"));
        ok = json_put(set, "plan", plan);
        ok = json_put(before, "plan", was) && ok;    // taken in every case
    }
    return ok || json_ok(NULL, err);
}

// That the hosts that are to go are there.
static bool removed_check(Slug slug, const TenantChange *change, const Json *domains, Error *err)
{
    for (size_t i = 0; i < change->domains_removed_count; i++) {
        bool is_there = false;
        for (size_t at = 0; at < json_count(domains); at++)
            is_there = is_there || str_eq(json_str(json_element(domains, at)), change->domains_removed[i]);
        if (is_there)
            continue;
        error_set(err, ERR_NOT_FOUND, "the tenant '%.*s' has no host '%.*s' of its own", STR_ARG(slug.text),
                  STR_ARG(change->domains_removed[i]));
        error_where(err, "remove-domain");
        return error_next(err, "see domains in shopctl tenant show %.*s", STR_ARG(slug.text));
    }
    return true;
}

// Another tier is another place, with other resources.
static bool plan_change_check(Slug slug, const Plan *plan, Str tier, Error *err)
{
    if (plan->tier == PLAN_TIER_SHARED && str_eq(tier, S("shared")))
        return true;
    error_set(err, ERR_STATE, "the plan of '%.*s' can't be set to '%.*s'", STR_ARG(slug.text), STR_ARG(plan->name));
    error_where(err, "plan");
    error_why(err, "from the tier '%.*s' to '%s' its data has to move", STR_ARG(tier), plan_tier_name(plan->tier));
    return error_next(err, "shopctl tenant set-plan %.*s %.*s", STR_ARG(slug.text), STR_ARG(plan->name));
}

// {"set": {...}, "before": {...}}: the input of the operation. With `is_again` it may have been done already, by a
// command that crashed.
static bool set_input(Platform *platform, Slug slug, const TenantChange *change, bool is_again, Json **out, Error *err)
{
    CLEANUP(json_close) Json *document = NULL;
    if (!tenant_show(platform, slug, &document, err))
        return false;
    Str status = json_str(json_get(document, "status"));
    if (str_eq(status, S("deleted")) || str_eq(status, S("rejected"))) {
        error_set(err, ERR_FORBIDDEN, "the tenant '%.*s' can't be changed", STR_ARG(slug.text));
        error_why(err, "it is %.*s", STR_ARG(status));
        return error_next(err, "see shopctl tenant show %.*s", STR_ARG(slug.text));
    }
    if (!is_again && !removed_check(slug, change, json_get(document, "domains"), err))
        return false;
    if (change->plan && !plan_change_check(slug, change->plan, json_str(json_get(document, "tier")), err))
        return false;
    Json *set = json_build("{}"), *before = json_build("{}");
    CLEANUP(json_close) Json *input = json_build("{s:o, s:o}", "set", set, "before", before);
    if (!json_ok(input, err) || !set_fill(change, document, set, before, err))
        return false;
    *out = TAKE(input);
    return true;
}

bool tenant_set(Platform *platform, Slug slug, const TenantChange *change, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    bool is_done = false;    // an earlier change, perhaps another one: this one follows it
    return tenant_change_check(change, platform_options(platform)->base_domain, err) &&
           operation_continue(platform, &TENANT_SET, slug.text, &is_done, NULL, err) &&
           set_input(platform, slug, change, is_done, &input, err) &&
           operation_run(platform, &(OperationSpec){.driver = &TENANT_SET, .slug = slug.text, .input = input}, NULL,
                         err);
}

bool tenant_set_changes(Platform *platform, Slug slug, const TenantChange *change, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    CLEANUP(json_close) Json *input = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    Json *changes = NULL;
    Str set = S("");
    int64_t left = 0;    // it would be finished first
    if (!tenant_change_check(change, platform_options(platform)->base_domain, err) ||
        !operation_left(platform, &TENANT_SET, slug.text, &left, err) ||
        !set_input(platform, slug, change, left != 0, &input, err) ||
        (!left && !turn_check(platform, slug.text, false, err)) ||
        !json_print(json_get(input, "set"), 0, arena, &set, err) ||
        !db_query(platform_control(platform), S("select control.tenant_changes($1, $2::jsonb)"), PARAMS(slug.text, set),
                  &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &changes, err))
        return false;
    *out = json_build("{s:o}", "changes", changes);
    return json_ok(*out, err);
}

// ---- showing ----

bool tenant_show(Platform *platform, Slug slug, Json **out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select * from control.tenant_show($1, $2)"),
                  PARAMS(slug.text, platform_options(platform)->base_domain), &rows, err))
        return false;
    if (rows_count(rows) > 0)
        return json_parse(rows_str(rows, 0, 0), out, err);
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    if (platform_tenant(platform, slug, arena, &tenant, err))    // it came between the two
        return error_set(err, ERR_BUSY, "the tenant '%.*s' is just being made", STR_ARG(slug.text));
    return false;
}

bool tenant_list(Platform *platform, Str status, Str cell, int64_t limit, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    CLEANUP(rows_close) Rows *counted = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    Str at_most = limit > 0 ? str_int(arena, limit) : SQL_NULL;
    Str of_status = status.len ? status : SQL_NULL, of_cell = cell.len ? cell : SQL_NULL;
    if (!arena_ok(arena, err) ||
        !db_query(platform_control(platform), S("select control.tenant_count($1, $2)"), PARAMS(of_status, of_cell),
                  &counted, err) ||
        !db_query(platform_control(platform), S("select * from control.tenant_list($1, $2, $3::bigint, $4)"),
                  PARAMS(of_status, of_cell, at_most, platform_options(platform)->base_domain), &rows, err))
        return false;
    int64_t total = MAX(rows_int64(counted, 0, 0), (int64_t)rows_count(rows));    // one may have come between the two
    Json *items = json_build("[]");
    CLEANUP(json_close) Json *list = json_build("{s:o, s:I}", "items", items, "total", (json_int)total);
    for (size_t i = 0; list && i < rows_count(rows); i++) {
        Json *item = NULL;
        if (!json_parse(rows_str(rows, i, 0), &item, err))
            return false;
        if (!json_append(items, item))
            json_close(&list);
    }
    if (!json_ok(list, err))
        return false;
    *out = TAKE(list);
    return true;
}

bool tenant_steps(const char *kind, Json **out, Error *err)
{
    Json *names = json_build("[]");
    for (size_t i = 0; DRIVERS[i]; i++)
        for (size_t at = 0; strcmp(DRIVERS[i]->kind, kind) == 0 && at < DRIVERS[i]->count; at++)
            (void)json_append(names, json_from_str(str_of(DRIVERS[i]->steps[at].name)));
    *out = json_build("{s:o}", "steps", names);
    return json_ok(*out, err);
}
