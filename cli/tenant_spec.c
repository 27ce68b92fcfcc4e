// cli/tenant_spec.c: what a new shop is made of, out of options or out of a file.
#include "cli/tenant_spec.h"

#include <stddef.h>

#include "base/arena.h"

static const Option OPTIONS[] = {
#include "cli/tenant_spec.def"
    {0},
};

// ---- from the command line ----

static bool list_put(const CommandCall *call, const char *name, Json *object, Error *err)
{
    Json *list = json_build("[]");
    for (size_t i = 0; i < command_count(call, name); i++)
        (void)json_append(list, json_from_str(command_text_at(call, name, i)));
    return json_set(object, name, list, err);
}

bool tenant_spec_pairs(const CommandCall *call, const char *option, Json **out, Error *err)
{
    CLEANUP(json_close) Json *pairs = json_build("{}");
    for (size_t i = 0; i < command_count(call, option); i++) {
        Str key = S(""), value = S("");
        command_pair_at(call, option, i, &key, &value);
        if (json_member(pairs, key)) {
            error_set(err, ERR_USAGE, "--%s names '%.*s' twice", option, STR_ARG(key));
            return error_next(err, "give it once");
        }
        if (!json_set(pairs, str_copy(call->arena, key).data, json_from_str(value), err))
            return false;
    }
    if (!json_ok(pairs, err))
        return false;
    *out = TAKE(pairs);
    return true;
}

static bool pairs_put(const CommandCall *call, const char *name, Json *object, Error *err)
{
    Json *pairs = NULL;
    return tenant_spec_pairs(call, name, &pairs, err) && json_set(object, name, pairs, err);
}

// A file has them in each of its shops, so the table of options can't require them.
static bool required_check(const CommandCall *call, Error *err)
{
    static const char *const REQUIRED[][2] = {{"plan", "PLAN"}, {"email", "ADDRESS"}};
    if (command_argument_count(call) == 0)    // of a file, whose entries say it
        return true;
    for (size_t i = 0; i < COUNT(REQUIRED); i++) {
        if (command_has(call, REQUIRED[i][0]))
            continue;
        error_set(err, ERR_USAGE, "'shopctl tenant %s' needs --%s", call->command->verb, REQUIRED[i][0]);
        return error_next(err, "add --%s %s", REQUIRED[i][0], REQUIRED[i][1]);
    }
    return true;
}

bool tenant_spec_given(const CommandCall *call, Json **out, Error *err)
{
    if (!required_check(call, err))
        return false;
    CLEANUP(json_close) Json *object = json_build("{}");
    if (!json_set(object, "slug", json_from_str(command_argument(call, 0)), err))
        return false;
    for (const Option *option = OPTIONS; option->name; option++) {
        const char *name = option->name;
        if (!command_has(call, name))
            continue;
        bool ok = option->type == OPTION_PAIR ? pairs_put(call, name, object, err)
                  : option->is_repeated
                      ? list_put(call, name, object, err)
                      : json_put(object, name, json_from_str(command_text(call, name))) || json_ok(NULL, err);
        if (!ok)
            return false;
    }
    *out = TAKE(object);
    return true;
}

// ---- from an object ----

// Where the texts of an object go.
static const struct {
    const char *key;
    size_t offset;
} TEXTS[] = {
    {"slug", offsetof(TenantSpec, slug)},         {"name", offsetof(TenantSpec, name)},
    {"email", offsetof(TenantSpec, email)},       {"currency", offsetof(TenantSpec, currency)},
    {"language", offsetof(TenantSpec, language)}, {"country", offsetof(TenantSpec, country)},
    {"cell", offsetof(TenantSpec, cell)},         {"host", offsetof(TenantSpec, host)},
    {"logo", offsetof(TenantSpec, logo)},         {"payment-instructions", offsetof(TenantSpec, payment_instructions)},
};

static bool refused(Str key, const char *why, const char *next, Error *err)
{
    error_set(err, ERR_INVALID, "the shop is refused");
    error_where(err, "%.*s", STR_ARG(key));
    error_why(err, "%s", why);
    return error_next(err, "%s", next);
}

static bool no_text(Str key, Error *err) { return refused(key, "it isn't a text", "write it as a text", err); }

static bool domains_read(const Json *list, Arena *arena, TenantSpec *spec, Error *err)
{
    Str *hosts = arena_array(arena, json_count(list) + 1, Str);
    if (!arena_ok(arena, err))
        return false;
    if (json_kind(list) != JSON_KIND_ARRAY)
        return refused(S("domains"), "it isn't a list of hosts", "write it as [shop.example, www.shop.example]", err);
    for (size_t i = 0; i < json_count(list); i++) {
        hosts[i] = json_str(json_element(list, i));
        if (str_is_empty(hosts[i]))
            return refused(S("domains"), "it isn't a list of hosts", "write it as [shop.example, www.shop.example]",
                           err);
    }
    spec->domains = hosts;
    spec->domain_count = json_count(list);
    return true;
}

static bool pairs_read(Str key, const Json *pairs, const char *example, const Json **out, Error *err)
{
    if (json_kind(pairs) != JSON_KIND_OBJECT)
        return refused(key, "it isn't a mapping", example, err);
    *out = pairs;
    return true;
}

static bool unknown_key(Str key, Error *err)
{
    Str names[COUNT(OPTIONS)] = {S("slug")};
    size_t count = 1;
    for (const Option *option = OPTIONS; option->name; option++)
        names[count++] = str_of(option->name);
    Str nearest = str_nearest(key, names, count);
    error_set(err, ERR_INVALID, "there is no such key");
    error_where(err, "%.*s", STR_ARG(key));
    return nearest.len ? error_next(err, "did you mean '%.*s'?", STR_ARG(nearest))
                       : error_next(err, "use the names of the options of `shopctl tenant create`");
}

bool tenant_spec_member(Str given, const Json *value, const Plans *plans, Arena *arena, TenantSpec *spec, Error *err)
{
    Str key = str_replace(arena, given, '_', '-');    // as in the answers
    if (str_eq(key, S("domains")))
        return domains_read(value, arena, spec, err);
    if (str_eq(key, S("colors")))
        return pairs_read(key, value, "write it as {primary: \"#8a3f26\"}", &spec->colors, err);
    if (str_eq(key, S("labels")))
        return pairs_read(key, value, "write it as {region: eu}", &spec->labels, err);
    if (str_eq(key, S("shipping")))
        return pairs_read(key, value, "write it as {standard: 4.90, pickup: 0}", &spec->shipping, err);
    bool is_text = json_kind(value) == JSON_KIND_STRING;
    if (str_eq(key, S("plan")))
        return is_text ? plans_get(plans, json_str(value), &spec->plan, err) || error_where(err, "plan")
                       : no_text(key, err);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        if (!str_eq(key, str_of(TEXTS[i].key)))
            continue;
        if (!is_text)
            return no_text(key, err);
        *(Str *)((char *)spec + TEXTS[i].offset) = json_str(value);
        return true;
    }
    return unknown_key(given, err);
}

bool tenant_spec_complete(const TenantSpec *spec, Error *err)
{
    if (spec->plan)
        return true;
    error_set(err, ERR_INVALID, "the plan is missing");
    error_where(err, "plan");
    return error_next(err, "add one of `shopctl plan list`");
}

bool tenant_spec_read(const Json *json, const Plans *plans, Arena *arena, TenantSpec *out, Error *err)
{
    TenantSpec spec = {0};
    for (JsonIter it = json_iter(json); json_next(&it);)
        if (!tenant_spec_member(it.key, it.value, plans, arena, &spec, err))
            return false;
    if (!tenant_spec_complete(&spec, err))
        return false;
    *out = spec;
    return true;
}
