// cli/tenant_spec.c: what a new shop is made of, out of options or out of a file.
#include "cli/tenant_spec.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/yaml.h"

enum { FILE_MAX = 16 * MIB };

static const Option OPTIONS[] = {
#include "cli/tenant_spec.def"
    {0},
};

// ---- from the command line ----

static bool list_put(const CommandCall *call, const char *name, Json *object)
{
    Json *list = json_build("[]");
    for (size_t i = 0; i < command_count(call, name); i++)
        (void)json_append(list, json_from_str(command_text_at(call, name, i)));
    return json_put(object, name, list);
}

static bool pairs_put(const CommandCall *call, const char *name, Json *object)
{
    Json *pairs = json_build("{}");
    for (size_t i = 0; i < command_count(call, name); i++) {
        Str key = S(""), value = S("");
        command_pair_at(call, name, i, &key, &value);
        (void)json_put(pairs, str_copy(call->arena, key).data, json_from_str(value));
    }
    return json_put(object, name, pairs);
}

bool tenant_spec_given(const CommandCall *call, Json **out, Error *err)
{
    CLEANUP(json_close) Json *object = json_build("{}");
    bool ok = json_put(object, "slug", json_from_str(command_argument(call, 0)));
    for (const Option *option = OPTIONS; ok && option->name; option++) {
        if (!command_has(call, option->name))
            continue;
        ok = option->type == OPTION_PAIR ? pairs_put(call, option->name, object)
             : option->is_repeated       ? list_put(call, option->name, object)
                                   : json_put(object, option->name, json_from_str(command_text(call, option->name)));
    }
    if (!json_ok(ok ? object : NULL, err))
        return false;
    *out = TAKE(object);
    return true;
}

// ---- from a file ----

static bool lines_parse(Str text, Str path, Json *list, Error *err)
{
    Str line = S("");
    for (unsigned number = 1; str_cut(&text, '\n', &line); number++) {
        line = str_trim(line);
        if (str_is_empty(line))
            continue;
        Json *item = NULL;
        if (!json_parse(line, &item, err)) {
            char place[ERROR_TEXT];
            (void)snprintf(place, sizeof(place), "%s", err->where);
            return error_where(err, "%.*s:%u (%s)", STR_ARG(path), number, place);
        }
        if (!json_append(list, item))
            return json_ok(NULL, err);
    }
    return true;
}

static bool yaml_list_parse(Str text, Str path, Arena *arena, Json **out, Error *err)
{
    Faults faults = {.arena = arena};
    const YamlNode *node = NULL;
    if (!yaml_parse(text, arena, &faults, &node, err) || !faults_none(&faults, path, err))
        return false;
    if (node && node->kind == YAML_KIND_SEQUENCE)
        return yaml_to_json(node, out, err);
    error_set(err, ERR_INVALID, "'%.*s' is refused", STR_ARG(path));
    error_where(err, "%.*s:%u:%u", STR_ARG(path), node ? node->line : 1, node ? node->column : 1);
    error_why(err, "it is %s, not a list of shops", node ? yaml_kind_name(node) : "empty");
    return error_next(err, "write a YAML list with a slug in each item, or a JSON object per line");
}

bool tenant_spec_file(Str path, Arena *arena, Json **out, Error *err)
{
    Str text = S("");
    if (!file_read(path, FILE_MAX, arena, &text, err))
        return false;
    if (!str_has_prefix(str_trim(text), S("{")))
        return yaml_list_parse(text, path, arena, out, err);
    CLEANUP(json_close) Json *list = json_build("[]");
    if (!json_ok(list, err) || !lines_parse(text, path, list, err))
        return false;
    *out = TAKE(list);
    return true;
}

// ---- both ----

// Where the texts of an object go.
static const struct {
    const char *key;
    size_t offset;
} TEXTS[] = {
    {"slug", offsetof(TenantSpec, slug)},         {"name", offsetof(TenantSpec, name)},
    {"email", offsetof(TenantSpec, email)},       {"currency", offsetof(TenantSpec, currency)},
    {"language", offsetof(TenantSpec, language)}, {"country", offsetof(TenantSpec, country)},
    {"cell", offsetof(TenantSpec, cell)},         {"logo", offsetof(TenantSpec, logo)},
};

static bool refused(Str key, const char *why, Error *err)
{
    error_set(err, ERR_INVALID, "the shop is refused");
    error_where(err, "%.*s", STR_ARG(key));
    return error_why(err, "%s", why);
}

static bool domains_read(const Json *list, Arena *arena, TenantSpec *spec, Error *err)
{
    Str *hosts = arena_array(arena, json_count(list) + 1, Str);
    if (!arena_ok(arena, err))
        return false;
    if (json_kind(list) != JSON_KIND_ARRAY)
        return refused(S("domains"), "it isn't a list of hosts", err);
    for (size_t i = 0; i < json_count(list); i++) {
        hosts[i] = json_str(json_element(list, i));
        if (str_is_empty(hosts[i]))
            return refused(S("domains"), "it isn't a list of hosts", err);
    }
    spec->domains = hosts;
    spec->domain_count = json_count(list);
    return true;
}

static bool colors_read(const Json *colors, TenantSpec *spec, Error *err)
{
    if (json_kind(colors) != JSON_KIND_OBJECT)
        return refused(S("colors"), "it isn't a mapping of roles to colours", err);
    spec->colors = colors;
    return true;
}

static bool unknown_key(Str key, Error *err)
{
    Str names[COUNT(OPTIONS)] = {S("slug")};
    size_t count = 1;
    for (const Option *option = OPTIONS; option->name; option++)
        names[count++] = str_of(option->name);
    Str nearest = str_nearest(key, names, count);
    refused(key, "there is no such key", err);
    return nearest.len ? error_next(err, "did you mean '%.*s'?", STR_ARG(nearest))
                       : error_next(err, "use the names of the options of `shopctl tenant create`");
}

static bool member_read(Str key, const Json *value, const Plans *plans, Arena *arena, TenantSpec *spec, Error *err)
{
    if (str_eq(key, S("domains")))
        return domains_read(value, arena, spec, err);
    if (str_eq(key, S("colors")))
        return colors_read(value, spec, err);
    bool is_text = json_kind(value) == JSON_KIND_STRING;
    if (str_eq(key, S("plan")))
        return is_text ? plans_get(plans, json_str(value), &spec->plan, err) : refused(key, "it isn't a text", err);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        if (!str_eq(key, str_of(TEXTS[i].key)))
            continue;
        if (!is_text)
            return refused(key, "it isn't a text", err);
        *(Str *)((char *)spec + TEXTS[i].offset) = json_str(value);
        return true;
    }
    return unknown_key(key, err);
}

bool tenant_spec_read(const Json *json, const Plans *plans, Arena *arena, TenantSpec *out, Error *err)
{
    TenantSpec spec = {0};
    if (json_kind(json) != JSON_KIND_OBJECT)
        return refused(S("slug"), "it isn't a mapping with a slug", err);
    for (JsonIter it = json_iter(json); json_next(&it);)
        if (!member_read(it.key, it.value, plans, arena, &spec, err))
            return false;
    if (!spec.plan) {
        refused(S("plan"), "it is missing", err);
        return error_next(err, "add one of `shopctl plan list`");
    }
    *out = spec;
    return true;
}
