// provisioner/plan_read.c: a plan's file, read and checked; all that is wrong with it is told with its place.
#include "base/arena.h"
#include "base/currency.h"
#include "base/file.h"
#include "base/yaml.h"
#include "provisioner/plan_field.h"

typedef struct PlanReader {
    Arena *arena;
    Faults *faults;
    Plan *plan;
    const YamlNode *nodes[PLAN_FIELDS_MAX];    // by field: the node that gives it
    bool is_refused[PLAN_FIELDS_MAX];          // by field: what it gives is wrong, so nothing follows from it
} PlanReader;

static void fault_add(PlanReader *reader, const YamlNode *node, const char *key, Str why, Str next)
{
    faults_add(reader->faults, &(Fault){.line = node->line,
                                        .column = node->column,
                                        .where = str_of(key),
                                        .what = yaml_text(node),
                                        .why = why,
                                        .next = next});
}

static Str choices_text(Arena *arena, const char *const *choices)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; choices[i]; i++)
        strbuf_format(&buf, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
    return strbuf_str(&buf);
}

static Str like(PlanReader *reader, const PlanField *field)
{
    return str_format(reader->arena, "write it as in '%s'", field->example);
}

static void text_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    int64_t length = (int64_t)node->text.len;
    if (length < field->min || length > field->max) {
        Str why = str_format(reader->arena, "it has %lld bytes, not %lld to %lld", (long long)length,
                             (long long)field->min, (long long)field->max);
        fault_add(reader, node, field->key, why, like(reader, field));
        return;
    }
    *plan_field_str(field, reader->plan) = node->text;
}

static void int_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    Error wrong = {0};
    int64_t value = 0;
    if (!node->is_plain) {
        fault_add(reader, node, field->key, S("it is a quoted text, not an amount"), S("take the quotes off"));
    } else if (!unit_parse(field->unit, node->text, &value, &wrong)) {
        Str next = field->unit == UNIT_NONE ? like(reader, field) : str_of(wrong.next);
        fault_add(reader, node, field->key, str_of(wrong.why), next);
    } else if (value < field->min || value > field->max) {
        Str low = unit_text(field->unit, field->min, reader->arena);
        Str high = unit_text(field->unit, field->max, reader->arena);
        Str why = str_format(reader->arena, "it isn't from %.*s to %.*s", STR_ARG(low), STR_ARG(high));
        fault_add(reader, node, field->key, why, like(reader, field));
    } else {
        *plan_field_int(field, reader->plan) = value;
    }
}

static void choice_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    int64_t index = plan_choice_index(field->choices, node->text);
    if (index >= 0) {
        *plan_field_int(field, reader->plan) = index;
        return;
    }
    Str choices = choices_text(reader->arena, field->choices);
    Str names[8];
    size_t count = 0;
    for (; field->choices[count]; count++)
        names[count] = str_of(field->choices[count]);
    Str nearest = str_nearest(node->text, names, count);
    Str next = nearest.len ? str_format(reader->arena, "did you mean '%.*s'?", STR_ARG(nearest)) : like(reader, field);
    fault_add(reader, node, field->key, str_format(reader->arena, "it isn't %.*s", STR_ARG(choices)), next);
}

static void bool_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    if (!yaml_is_bool(node, plan_field_bool(field, reader->plan)))
        fault_add(reader, node, field->key, S("it is neither true nor false"), S("write true or false"));
}

static void field_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node)) {
        Str why = str_format(reader->arena, "it is %s, not %s", yaml_kind_name(node), plan_field_expected(field));
        fault_add(reader, node, field->key, why, like(reader, field));
        return;
    }
    switch (field->type) {
    case PLAN_TEXT: text_read(reader, field, node); return;
    case PLAN_INT: int_read(reader, field, node); return;
    case PLAN_BOOL: bool_read(reader, field, node); return;
    case PLAN_CHOICE: choice_read(reader, field, node); return;
    }
}

// The names that may stand in the section ("" or "limits."), each once.
static size_t section_names(Str section, Str names[PLAN_FIELDS_MAX])
{
    size_t count = 0;
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        Str rest = str_of(field->key);
        if (!str_has_prefix(rest, section))
            continue;
        rest = str_skip(rest, section.len);
        Str name = str_slice(rest, 0, str_find_char(rest, '.'));
        if (count == 0 || !str_eq(names[count - 1], name))
            names[count++] = name;
    }
    return count;
}

static void unknown_key(PlanReader *reader, Str section, const YamlNode *node)
{
    Str names[PLAN_FIELDS_MAX];
    size_t count = section_names(section, names);
    Str nearest = str_nearest(node->key, names, count);
    Str next = nearest.len
                   ? str_format(reader->arena, "did you mean '%.*s'?", STR_ARG(nearest))
                   : str_format(reader->arena, "use %.*s", STR_ARG(str_join(reader->arena, names, count, S(", "))));
    faults_add(reader->faults,
               &(Fault){.line = node->key_line,
                        .column = node->key_column,
                        .where = str_format(reader->arena, "%.*s%.*s", STR_ARG(section), STR_ARG(node->key)),
                        .what = node->key,
                        .why = section.len ? str_format(reader->arena, "there is no key '%.*s' in '%.*s'",
                                                        STR_ARG(node->key), (int)section.len - 1, section.data)
                                           : str_format(reader->arena, "there is no key '%.*s'", STR_ARG(node->key)),
                        .next = next});
}

static void section_read(PlanReader *reader, Str section, const YamlNode *mapping)
{
    for (const YamlNode *node = mapping->first; node; node = node->next) {
        Str key = str_format(reader->arena, "%.*s%.*s", STR_ARG(section), STR_ARG(node->key));
        Str inner = str_format(reader->arena, "%.*s.", STR_ARG(key));
        const PlanField *field = PLAN_FIELDS;
        while (field->key && !str_eq(str_of(field->key), key) && !str_has_prefix(str_of(field->key), inner))
            field++;
        if (!field->key) {
            unknown_key(reader, section, node);
        } else if (str_eq(str_of(field->key), key)) {
            size_t before = reader->faults->count;
            reader->nodes[field - PLAN_FIELDS] = node;
            field_read(reader, field, node);
            reader->is_refused[field - PLAN_FIELDS] = reader->faults->count > before;
        } else if (node->kind != YAML_KIND_MAPPING) {
            Str why = str_format(reader->arena, "it is %s, not a mapping", yaml_kind_name(node));
            fault_add(reader, node, key.data, why, S("write its keys below it, indented"));
        } else {
            section_read(reader, inner, node);
        }
    }
}

// The innermost section of the document that the key would stand in.
static const YamlNode *section_of(const YamlNode *root, Str key)
{
    const YamlNode *section = root;
    for (Str part = S(""); str_cut(&key, '.', &part) && key.data;) {
        const YamlNode *inner = yaml_member(section, part);
        if (!inner || inner->kind != YAML_KIND_MAPPING)
            break;
        section = inner;
    }
    return section;
}

// The node of a value that other fields may be held against; NULL where it is missing or refused.
static const YamlNode *node_of(const PlanReader *reader, size_t offset)
{
    for (size_t i = 0; PLAN_FIELDS[i].key; i++)
        if (PLAN_FIELDS[i].offset == offset)
            return reader->is_refused[i] ? NULL : reader->nodes[i];
    return NULL;
}
#define NODE_OF(reader, member) node_of(reader, offsetof(Plan, member))

static bool is_given_wrong(const PlanReader *reader, size_t offset)
{
    for (size_t i = 0; PLAN_FIELDS[i].key; i++)
        if (PLAN_FIELDS[i].offset == offset)
            return reader->is_refused[i];
    return false;
}

static void missing_read(PlanReader *reader, const YamlNode *root)
{
    bool has_tier = NODE_OF(reader, tier) != NULL;
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        const YamlNode *node = reader->nodes[field - PLAN_FIELDS];
        bool is_dedicated = has_tier && reader->plan->tier != PLAN_TIER_SHARED;
        if (node && field->need == PLAN_DEDICATED && has_tier && !is_dedicated)
            fault_add(reader, node, field->key, S("tier 'shared' has no resources of its own"),
                      S("leave it out, or use tier container or server"));
        if (node)
            continue;
        if (field->initial) {
            plan_field_initial(field, reader->plan);
        } else if (field->need == PLAN_REQUIRED || is_dedicated) {
            Str why = field->need == PLAN_REQUIRED
                          ? str_format(reader->arena, "the key '%s' is missing", field->key)
                          : str_format(reader->arena, "the key '%s' is missing: tier '%s' needs it", field->key,
                                       plan_tier_name(reader->plan->tier));
            Str next = str_format(reader->arena, "add it, as in '%s'", field->example);
            const YamlNode *section = section_of(root, str_of(field->key));
            faults_add(reader->faults, &(Fault){.line = section->line,
                                                .column = section->column,
                                                .where = str_of(field->key),
                                                .why = why,
                                                .next = next});
        }
    }
}

static bool is_plan_name(Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_inner = i > 0 && i < name.len - 1;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && is_inner)))
            return false;
    }
    return name.len > 0;
}

// What no single field can tell.
static void plan_check(PlanReader *reader, Str name)
{
    const Plan *plan = reader->plan;
    const YamlNode *node = NODE_OF(reader, name);
    if (node && plan->name.len && !is_plan_name(plan->name))
        fault_add(reader, node, "name", S("it has other characters than a-z, 0-9 and inner hyphens"),
                  S("write it as in 'standard'"));
    else if (node && plan->name.len && name.len && !str_eq(plan->name, name))
        fault_add(reader, node, "name", str_format(reader->arena, "the file is named '%.*s'", STR_ARG(name)),
                  S("give both the same name"));
    node = NODE_OF(reader, price_currency);
    if (node && plan->price_currency.len && currency_digits(plan->price_currency) < 0)
        fault_add(reader, node, "price.currency", S("it is no currency of ISO 4217"), S("write it as in 'EUR'"));
    node = NODE_OF(reader, requests_burst);
    if (node && plan->requests_burst && plan->requests_burst < plan->requests_per_second)
        fault_add(reader, node, "limits.requests_burst", S("it is less than limits.requests_per_second"),
                  S("raise it, or leave it out"));
    node = NODE_OF(reader, backup_retention_s);
    if (node && plan->backup_interval_s && plan->backup_retention_s < plan->backup_interval_s)
        fault_add(reader, node, "backup.retention", S("it is less than backup.interval: at times there is no backup"),
                  S("keep backups for at least one interval"));
    node = NODE_OF(reader, tier);
    if (node && plan->tier == PLAN_TIER_SERVER && !plan->is_exclusive &&
        !is_given_wrong(reader, offsetof(Plan, is_exclusive)))
        fault_add(reader, node, "tier", S("tier 'server' is a host of the tenant's own"), S("add 'exclusive: true'"));
}

bool plan_parse(Str text, Str name, Arena *arena, Faults *faults, Plan *out, Error *err)
{
    const YamlNode *root = NULL;
    Plan plan = {0};
    PlanReader reader = {.arena = arena, .faults = faults, .plan = &plan};
    size_t faults_before = faults->count;
    if (!yaml_parse(text, arena, faults, &root, err))
        return false;
    if (root && root->kind == YAML_KIND_MAPPING) {
        section_read(&reader, S(""), root);
        missing_read(&reader, root);
        plan_check(&reader, name);
    } else if (faults->count == faults_before) {
        Str why = str_format(arena, "the document is %s, not a mapping of a plan's keys", yaml_kind_name(root));
        faults_add(faults, &(Fault){.line = root ? root->line : 1,
                                    .column = root ? root->column : 1,
                                    .why = why,
                                    .next = S("begin with 'name: NAME'; see plan(5)")});
    }
    if (!arena_ok(arena, err))
        return false;
    if (faults->count == faults_before)
        *out = plan;
    return true;
}

// plans/free.yaml: free
static Str name_of_path(Str path)
{
    Str name = path;
    while (str_has_char(name, '/'))
        name = str_skip(name, str_find_char(name, '/') + 1);
    return str_has_suffix(name, S(".yaml")) ? str_slice(name, 0, name.len - strlen(".yaml")) : S("");
}

bool plan_read(Str path, Arena *arena, Faults *faults, Plan *out, Error *err)
{
    Str text = S("");
    return file_read(path, PLAN_BYTES_MAX, arena, &text, err) &&
           plan_parse(text, name_of_path(path), arena, faults, out, err);
}
