// provisioner/tenant.c: what is done with a tenant.
#include "provisioner/tenant.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/currency.h"
#include "provisioner/lifecycle.h"
#include "provisioner/schema_driver.h"

enum { ARENA_BUDGET = 4 * MIB, EMAIL_MAX = 254, NAME_MAX_BYTES = 200, HOST_MAX = 253, LABEL_MAX = 63 };

// ---- what may stand in a record ----

static bool refused(Error *err, const char *field, Str value, const char *why)
{
    error_set(err, ERR_INVALID, "the %s '%.*s' is refused", field, STR_ARG(value));
    error_where(err, "%s", field);
    return error_why(err, "%s", why);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool name_check(Str name, Error *err)
{
    if (name.len > NAME_MAX_BYTES)
        return refused(err, "name", str_slice(name, 0, 40), "it has more than 200 bytes");
    return str_is_utf8(name) || refused(err, "name", S(""), "it isn't UTF-8");
}

static bool email_check(Str email, Error *err)
{
    size_t at = str_find_char(email, '@');
    Str domain = str_skip(email, at + 1);
    bool is_plain = str_is_utf8(email);
    for (size_t i = 0; i < email.len; i++)
        is_plain = is_plain && (unsigned char)email.data[i] > ' ' && email.data[i] != 0x7F;
    if (is_plain && at > 0 && domain.len > 0 && !str_has_char(domain, '@') && email.len <= EMAIL_MAX)
        return true;
    refused(err, "email", email, email.len ? "it isn't an address" : "it is missing");
    return error_next(err, "write it as owner@shop.example");
}

static bool language_check(Str language, Error *err)
{
    if (str_eq(language, S("en")) || str_eq(language, S("es")))
        return true;
    refused(err, "language", language, "the storefront doesn't speak it");
    return error_next(err, "use en or es");
}

static bool country_check(Str country, Error *err)
{
    bool is_code = country.len == 2;
    for (size_t i = 0; i < country.len; i++)
        is_code = is_code && country.data[i] >= 'A' && country.data[i] <= 'Z';
    if (is_code)
        return true;
    refused(err, "country", country, "it isn't two capital letters");
    return error_next(err, "use an ISO 3166-1 code, as in ES");
}

static bool currency_check(Str currency, Error *err)
{
    if (currency_digits(currency) >= 0)
        return true;
    refused(err, "currency", currency, "it isn't a currency of ISO 4217");
    return error_next(err, "use a code such as EUR");
}

static bool is_label(Str label)
{
    bool is_fit = label.len > 0 && label.len <= LABEL_MAX && label.data[0] != '-' && label.data[label.len - 1] != '-';
    for (size_t i = 0; i < label.len; i++)
        is_fit = is_fit &&
                 ((label.data[i] >= 'a' && label.data[i] <= 'z') || is_digit(label.data[i]) || label.data[i] == '-');
    return is_fit;
}

static bool host_check(const Platform *platform, Str host, Error *err)
{
    Str rest = host, label = S(""), base = platform_options(platform)->base_domain;
    bool is_host = host.len <= HOST_MAX && str_has_char(host, '.');
    while (str_cut(&rest, '.', &label))
        is_host = is_host && is_label(label);
    if (!is_host) {
        refused(err, "domains", host, "it isn't a host name in small letters");
        return error_next(err, "write it as shop.example, without scheme and port");
    }
    if (str_has_suffix(host, base) && host.len > base.len && host.data[host.len - base.len - 1] == '.')
        return refused(err, "domains", host, "hosts of the platform's own domain follow from slugs");
    return true;
}

static bool hosts_check(const Platform *platform, const Str *hosts, size_t count, Error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!host_check(platform, hosts[i], err))
            return false;
    return true;
}

static bool is_colour(Str text)
{
    bool is_hex = text.len == 7 && text.data[0] == '#';
    for (size_t i = 1; i < text.len; i++)
        is_hex = is_hex && (is_digit(text.data[i]) || (is_letter(text.data[i]) && (text.data[i] | 0x20) <= 'f'));
    return is_hex;
}

static bool colors_check(const Json *colors, Error *err)
{
    static const Str ROLES[] = {S("primary"), S("on_primary"), S("accent"), S("background"), S("surface"), S("text")};
    for (JsonIter it = json_iter(colors); colors && json_next(&it);) {
        if (!is_colour(json_str(it.value))) {
            refused(err, "colors", json_str(it.value), "it isn't a colour");
            return error_next(err, "write it as #8a3f26");
        }
        bool is_role = false;
        for (size_t i = 0; i < COUNT(ROLES); i++)
            is_role = is_role || str_eq(it.key, ROLES[i]);
        if (!is_role) {
            refused(err, "colors", it.key, "the theme has no such colour");
            return error_next(err, "use primary, on_primary, accent, background, surface or text");
        }
    }
    return true;
}

static bool logo_check(Str logo, Error *err)
{
    if (str_is_empty(logo) || str_has_prefix(logo, S("https://")) || str_has_prefix(logo, S("/media/")))
        return true;
    refused(err, "logo", logo, "it is neither an https:// address nor a path under /media/");
    return error_next(err, "host it where browsers reach it by https");
}

// ---- input of operations ----

static Json *text_json(Str text) { return json_build("s%", text.data ? text.data : "", text.len); }

static Json *texts_json(const Str *texts, size_t count)
{
    Json *list = json_build("[]");
    for (size_t i = 0; i < count; i++)
        (void)json_append(list, text_json(texts[i]));
    return list;
}

static bool plan_json(const Plan *plan, Json **out, Error *err)
{
    char checksum[PLAN_CHECKSUM_TEXT];
    Json *document = NULL;
    if (!plan_to_json(plan, &document, err))
        return false;
    Str sum = plan_checksum(plan, checksum);
    *out = json_build("{s:s%, s:s%, s:o}", "name", plan->name.data, plan->name.len, "checksum", sum.data, sum.len,
                      "document", document);
    return json_ok(*out, err);
}

static Str or_default(Str text, Str otherwise) { return text.len ? text : otherwise; }

static bool spec_check(const Platform *platform, const TenantSpec *spec, Error *err)
{
    Slug slug;
    return slug_parse(spec->slug, &slug, err) && name_check(spec->name, err) && email_check(spec->email, err) &&
           currency_check(or_default(spec->currency, S("EUR")), err) &&
           language_check(or_default(spec->language, S("en")), err) &&
           country_check(or_default(spec->country, S("US")), err) && logo_check(spec->logo, err) &&
           colors_check(spec->colors, err) && hosts_check(platform, spec->domains, spec->domain_count, err);
}

static bool tier_check(const Plan *plan, Error *err)
{
    if (plan->tier == PLAN_TIER_SHARED)
        return true;
    error_set(err, ERR_NOT_IMPLEMENTED, "a shop of the plan '%.*s' can't be made", STR_ARG(plan->name));
    error_why(err, "its tier '%s' has no driver in this version", plan_tier_name(plan->tier));
    return error_next(err, "choose a plan of tier shared: shopctl plan list");
}

static bool spec_input(const TenantSpec *spec, Json **out, Error *err)
{
    Json *plan = NULL;
    if (!plan_json(spec->plan, &plan, err))
        return false;
    Str name = or_default(spec->name, spec->slug);
    const struct {
        const char *key;
        Str text;
    } texts[] = {{"slug", spec->slug},
                 {"name", name},
                 {"email", spec->email},
                 {"currency", or_default(spec->currency, S("EUR"))},
                 {"language", or_default(spec->language, S("en"))},
                 {"country", or_default(spec->country, S("US"))}};
    CLEANUP(json_close) Json *input = json_build("{s:b, s:o}", "is_new", 1, "plan", plan);
    bool ok = input && json_put(input, "domains", texts_json(spec->domains, spec->domain_count));
    for (size_t i = 0; ok && i < COUNT(texts); i++)
        ok = json_put(input, texts[i].key, text_json(texts[i].text));
    if (ok && spec->cell.len)
        ok = json_put(input, "cell", text_json(spec->cell));
    if (ok && spec->logo.len)
        ok = json_put(input, "logo", text_json(spec->logo));
    if (ok && spec->colors)
        ok = json_put(input, "colors", json_hold((Json *)spec->colors));
    if (!json_ok(ok ? input : NULL, err))
        return false;
    *out = TAKE(input);
    return true;
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

bool tenant_check(Platform *platform, const TenantSpec *spec, Json **out, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    if (!spec_check(platform, spec, err) || !tier_check(spec->plan, err) || !spec_input(spec, &input, err) ||
        !control_document(platform, S("select control.tenant_check_new($1::jsonb)"), input, err))
        return false;
    *out = TAKE(input);
    return true;
}

// ---- making ----

bool tenant_create(Platform *platform, const TenantSpec *spec, int64_t *out_id, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    bool is_done = false;
    if (!spec_check(platform, spec, err) || !tier_check(spec->plan, err) || !spec_input(spec, &input, err) ||
        !operation_continue(platform, &SCHEMA_CREATE, spec->slug, &is_done, out_id, err))
        return false;
    return is_done ||
           operation_run(platform, &(OperationSpec){.driver = &SCHEMA_CREATE, .slug = spec->slug, .input = input},
                         out_id, err);
}

bool tenant_request(Platform *platform, const TenantSpec *spec, Error *err)
{
    CLEANUP(json_close) Json *input = NULL;
    return spec_check(platform, spec, err) && tier_check(spec->plan, err) && spec_input(spec, &input, err) &&
           control_document(platform, S("select control.tenant_insert($1::jsonb, 'requested', null)"), input, err);
}

// The tenant's status, when the table has the move to `to`.
static bool move_check(Platform *platform, Slug slug, TenantStatus to, Arena *arena, TenantRecord *out, Error *err)
{
    TenantStatus from;
    return platform_tenant(platform, slug, arena, out, err) && tenant_status_parse(out->status, &from, err) &&
           lifecycle_check(slug.text, from, to, err);
}

static bool decide(Platform *platform, Slug slug, TenantStatus to, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    return move_check(platform, slug, to, arena, &tenant, err) &&
           control_run(platform, S("select control.tenant_decide($1, $2, $3)"),
                       PARAMS(slug.text, tenant.status, str_of(tenant_status_name(to))), err);
}

static bool run_with(Platform *platform, const Driver *driver, Slug slug, Json *input, Error *err)
{
    CLEANUP(json_close) Json *closed = input;
    return json_ok(closed, err) &&
           operation_run(platform, &(OperationSpec){.driver = driver, .slug = slug.text, .input = closed}, NULL, err);
}

bool tenant_approve(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    bool is_done = false;
    if (!operation_continue(platform, &SCHEMA_CREATE, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    if (!platform_tenant(platform, slug, arena, &tenant, err))
        return false;
    bool is_decided =
        str_eq(tenant.status, S("approved")) || str_eq(tenant.status, S("provisioning"));    // an approval that crashed
    return (is_decided || decide(platform, slug, TENANT_APPROVED, err)) &&
           run_with(platform, &SCHEMA_CREATE, slug, json_build("{s:b}", "is_new", 0), err);
}

bool tenant_reject(Platform *platform, Slug slug, Error *err) { return decide(platform, slug, TENANT_REJECTED, err); }

// ---- moving ----

static bool move(Platform *platform, const Driver *driver, Slug slug, TenantStatus to, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    TenantRecord tenant;
    bool is_done = false;
    if (!operation_continue(platform, driver, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    return move_check(platform, slug, to, arena, &tenant, err) &&
           run_with(
               platform, driver, slug,
               json_build("{s:s%, s:s}", "from", tenant.status.data, tenant.status.len, "to", tenant_status_name(to)),
               err);
}

bool tenant_suspend(Platform *platform, Slug slug, Error *err)
{
    return move(platform, &TENANT_SUSPEND, slug, TENANT_SUSPENDED, err);
}

bool tenant_resume(Platform *platform, Slug slug, Error *err)
{
    return move(platform, &TENANT_RESUME, slug, TENANT_ACTIVE, err);
}

bool tenant_archive(Platform *platform, Slug slug, Error *err)
{
    return move(platform, &TENANT_ARCHIVE, slug, TENANT_ARCHIVED, err);
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
    bool is_done = false;
    if (!operation_continue(platform, &SCHEMA_DELETE, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    return move_check(platform, slug, TENANT_DELETED, arena, &tenant, err) &&
           dump_place(platform, &tenant, arena, &path, err) &&
           run_with(platform, &SCHEMA_DELETE, slug, json_build("{s:s%}", "dump", path.data, path.len), err);
}

bool tenant_restore(Platform *platform, Slug slug, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(ARENA_BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    TenantRecord tenant;
    bool is_done = false;
    if (!operation_continue(platform, &SCHEMA_RESTORE, slug.text, &is_done, NULL, err) || is_done)
        return is_done;
    if (!platform_tenant(platform, slug, arena, &tenant, err))
        return false;
    if (!str_eq(tenant.status, S("deleted"))) {
        error_set(err, ERR_STATE, "the tenant '%.*s' can't be restored", STR_ARG(slug.text));
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
    Str path = rows_str(rows, 0, 0);
    return run_with(platform, &SCHEMA_RESTORE, slug,
                    json_build("{s:b, s:s, s:s%}", "is_new", 0, "from", "deleted", "dump", path.data, path.len), err);
}

// ---- changing ----

static bool change_check(const Platform *platform, const TenantChange *change, Error *err)
{
    return (!change->name.data || name_check(change->name, err)) &&
           (!change->email.data || email_check(change->email, err)) &&
           (!change->language.data || language_check(change->language, err)) &&
           (!change->country.data || country_check(change->country, err)) &&
           (!change->logo.data || logo_check(change->logo, err)) && colors_check(change->colors, err) &&
           (!change->plan || tier_check(change->plan, err)) &&
           hosts_check(platform, change->domains_added, change->domains_added_count, err);
}

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
    } texts[] = {
        {"name", change->name}, {"email", change->email}, {"language", change->language}, {"country", change->country}};
    bool ok = true;
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
        if (!plan_json(change->plan, &plan, err))
            return false;
        Json *was = json_build("{s:o, s:o}", "name", kept(document, "plan"), "version", kept(document, "plan_version"));
        ok = json_put(set, "plan", plan) && json_put(before, "plan", was);
    }
    return ok || json_ok(NULL, err);
}

bool tenant_set(Platform *platform, Slug slug, const TenantChange *change, Error *err)
{
    CLEANUP(json_close) Json *document = NULL;
    bool is_done = false;    // an earlier change, perhaps another one: this one follows it
    if (!change_check(platform, change, err) ||
        !operation_continue(platform, &TENANT_SET, slug.text, &is_done, NULL, err) ||
        !tenant_show(platform, slug, &document, err))
        return false;
    Str status = json_str(json_get(document, "status"));
    if (str_eq(status, S("deleted")) || str_eq(status, S("rejected"))) {
        error_set(err, ERR_STATE, "the tenant '%.*s' can't be changed", STR_ARG(slug.text));
        error_why(err, "it is %.*s", STR_ARG(status));
        return error_next(err, "see shopctl tenant show %.*s", STR_ARG(slug.text));
    }
    Json *set = json_build("{}"), *before = json_build("{}");
    CLEANUP(json_close) Json *input = json_build("{s:o, s:o}", "set", set, "before", before);
    return json_ok(input, err) && set_fill(change, document, set, before, err) &&
           operation_run(platform, &(OperationSpec){.driver = &TENANT_SET, .slug = slug.text, .input = input}, NULL,
                         err);
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
    CLEANUP(rows_close) Rows *rows = NULL;
    Str at_most = limit > 0 ? str_format(arena, "%lld", (long long)limit) : SQL_NULL;
    if (!db_query(platform_control(platform), S("select * from control.tenant_list($1, $2, $3::bigint, $4)"),
                  PARAMS(status.len ? status : SQL_NULL, cell.len ? cell : SQL_NULL, at_most,
                         platform_options(platform)->base_domain),
                  &rows, err))
        return false;
    Json *items = json_build("[]");
    CLEANUP(json_close) Json *list = json_build("{s:o, s:I}", "items", items, "total", (json_int)rows_count(rows));
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
