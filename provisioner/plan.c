// provisioner/plan.c: plans, by one table of fields.
#include "provisioner/plan.h"

#include <dirent.h>
#include <errno.h>

#include "base/arena.h"
#include "base/currency.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/yaml.h"

enum { FIELDS_MAX = 64, KEY_MAX = 80, PLANS_MAX = 256 };

static const char *const PLAN_TIERS[] = {"shared", "container", "server", NULL};
static const char *const PLAN_PERIODS[] = {"month", "year", NULL};
static const char *const PLAN_CUSTOMISATIONS[] = {"colours", "theme", "templates", NULL};
static const char *const PLAN_CHANNELS[] = {"community", "email", "phone", NULL};

const PlanField PLAN_FIELDS[] = {
#define PLAN_FIELD(key_, member, type_, unit_, need_, choices_, min_, max_, initial_, example_, heading, help_, who)   \
    {.key = (key_),                                                                                                    \
     .type = PLAN_##type_,                                                                                             \
     .unit = UNIT_##unit_,                                                                                             \
     .need = PLAN_##need_,                                                                                             \
     .choices = (choices_),                                                                                            \
     .min = (min_),                                                                                                    \
     .max = (max_),                                                                                                    \
     .initial = (initial_),                                                                                            \
     .example = (example_),                                                                                            \
     .help = (help_),                                                                                                  \
     .enforcer = (who),                                                                                                \
     .offset = offsetof(Plan, member)},
#include "provisioner/plan_field.def"
#undef PLAN_FIELD
    {0},
};
_Static_assert(COUNT(PLAN_FIELDS) <= FIELDS_MAX, "FIELDS_MAX is too small");

static int64_t *field_int(const PlanField *field, Plan *plan) { return (int64_t *)((char *)plan + field->offset); }
static Str *field_str(const PlanField *field, Plan *plan) { return (Str *)((char *)plan + field->offset); }
static bool *field_bool(const PlanField *field, Plan *plan) { return (bool *)((char *)plan + field->offset); }

static int64_t choice_index(const char *const *choices, Str text)
{
    for (int64_t i = 0; choices[i]; i++)
        if (str_eq(str_of(choices[i]), text))
            return i;
    return -1;
}

// ---- reading ----

typedef struct PlanReader {
    Arena *arena;
    Faults *faults;
    Plan *plan;
    const YamlNode *nodes[FIELDS_MAX];    // by field: the node that gives it
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
    *field_str(field, reader->plan) = node->text;
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
        *field_int(field, reader->plan) = value;
    }
}

static void choice_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    int64_t index = choice_index(field->choices, node->text);
    if (index >= 0) {
        *field_int(field, reader->plan) = index;
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
    if (!yaml_is_bool(node, field_bool(field, reader->plan)))
        fault_add(reader, node, field->key, S("it is neither true nor false"), S("write true or false"));
}

static const char *const EXPECTED[] = {
    [PLAN_TEXT] = "a text", [PLAN_INT] = "an amount", [PLAN_BOOL] = "true or false", [PLAN_CHOICE] = "a word"};

static void field_read(PlanReader *reader, const PlanField *field, const YamlNode *node)
{
    if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node)) {
        Str why = str_format(reader->arena, "it is %s, not %s", yaml_kind_name(node), EXPECTED[field->type]);
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
static size_t section_names(Str section, Str names[FIELDS_MAX])
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
    Str names[FIELDS_MAX];
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
            reader->nodes[field - PLAN_FIELDS] = node;
            field_read(reader, field, node);
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

static void initial_set(PlanReader *reader, const PlanField *field)
{
    Error impossible = {0};
    Str text = str_of(field->initial);
    switch (field->type) {
    case PLAN_TEXT: *field_str(field, reader->plan) = text; return;
    case PLAN_INT: {
        bool is_read = unit_parse(field->unit, text, field_int(field, reader->plan), &impossible);
        assert(is_read);
        return;
    }
    case PLAN_BOOL: *field_bool(field, reader->plan) = str_eq(text, S("true")); return;
    case PLAN_CHOICE: *field_int(field, reader->plan) = choice_index(field->choices, text); return;
    }
}

static void missing_read(PlanReader *reader, const YamlNode *root)
{
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        const YamlNode *node = reader->nodes[field - PLAN_FIELDS];
        bool is_dedicated = reader->plan->tier != PLAN_TIER_SHARED;
        if (node && field->need == PLAN_DEDICATED && !is_dedicated)
            fault_add(reader, node, field->key, S("tier 'shared' has no resources of its own"),
                      S("leave it out, or use tier container or server"));
        if (node)
            continue;
        if (field->initial) {
            initial_set(reader, field);
        } else if (field->need == PLAN_REQUIRED || is_dedicated) {
            Str why = field->need == PLAN_REQUIRED
                          ? str_format(reader->arena, "the key '%s' is missing", field->key)
                          : str_format(reader->arena, "the key '%s' is missing: tier '%s' needs it", field->key,
                                       PLAN_TIERS[reader->plan->tier]);
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

static const YamlNode *node_of(const PlanReader *reader, size_t offset)
{
    for (size_t i = 0; PLAN_FIELDS[i].key; i++)
        if (PLAN_FIELDS[i].offset == offset)
            return reader->nodes[i];
    return NULL;
}
#define NODE_OF(reader, member) node_of(reader, offsetof(Plan, member))

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
    if (node && plan->tier == PLAN_TIER_SERVER && !plan->is_exclusive)
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

// ---- the plans that there are ----

static int plan_compare(const void *a_, const void *b_)
{
    const Plan *a = a_, *b = b_;
    if (a->tier != b->tier)
        return a->tier < b->tier ? -1 : 1;
    if (a->price_minor != b->price_minor)
        return a->price_minor < b->price_minor ? -1 : 1;
    return str_compare(a->name, b->name);
}

static bool plan_add(Str path, Str text, Arena *arena, Plan *rows, size_t *count, Error *err)
{
    Faults faults = {.arena = arena};
    if (*count == PLANS_MAX)
        return error_set(err, ERR_TOO_LARGE, "there are more than %d plans", PLANS_MAX);
    if (!plan_parse(text, name_of_path(path), arena, &faults, &rows[*count], err) || !faults_none(&faults, path, err))
        return false;
    (*count)++;
    return true;
}

static void directory_close(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
    *directory = NULL;
}

static bool directory_read(Str path, Arena *arena, Plan *rows, size_t *count, Error *err)
{
    CLEANUP(directory_close) DIR *directory = opendir(str_copy(arena, path).data);
    if (!directory)
        return error_from_errno(err, errno, "the folder of plans '%.*s' can't be read", STR_ARG(path));
    for (const struct dirent *entry = NULL; (entry = readdir(directory));) {
        Str name = str_of(entry->d_name), text = S("");
        if (!str_has_suffix(name, S(".yaml")) || str_has_prefix(name, S(".")))
            continue;
        Str file = str_format(arena, "%.*s/%.*s", STR_ARG(path), STR_ARG(name));
        if (!file_read(file, PLAN_BYTES_MAX, arena, &text, err) || !plan_add(file, text, arena, rows, count, err))
            return false;
    }
    return true;
}

bool plans_read(Str directory, Arena *arena, Plans *out, Error *err)
{
    size_t count = 0;
    Plan *rows = arena_array(arena, PLANS_MAX, Plan);
    if (!arena_ok(arena, err))
        return false;
    if (directory.len) {
        if (!directory_read(directory, arena, rows, &count, err))
            return false;
    } else {
        for (const Embedded *file = EMBEDDED_PLANS; file->name; file++)
            if (!plan_add(str_of(file->name), embedded_content(file), arena, rows, &count, err))
                return false;
    }
    qsort(rows, count, sizeof(Plan), plan_compare);
    *out = (Plans){rows, count};
    return true;
}

const Plan *plans_find(const Plans *plans, Str name)
{
    for (size_t i = 0; i < plans->count; i++)
        if (str_eq(plans->rows[i].name, name))
            return &plans->rows[i];
    return NULL;
}

bool plans_get(const Plans *plans, Str name, const Plan **out, Error *err)
{
    const Plan *plan = plans_find(plans, name);
    if (plan) {
        *out = plan;
        return true;
    }
    Str names[PLANS_MAX];
    for (size_t i = 0; i < plans->count; i++)
        names[i] = plans->rows[i].name;
    Str nearest = str_nearest(name, names, plans->count);
    error_set(err, ERR_NOT_FOUND, "there is no plan '%.*s'", STR_ARG(name));
    if (nearest.len)
        return error_next(err, "did you mean '%.*s'?", STR_ARG(nearest));
    return error_next(err, "see `shopctl plan list`");
}

const char *plan_tier_name(int64_t tier)
{
    assert(tier >= PLAN_TIER_SHARED && tier <= PLAN_TIER_SERVER);
    return PLAN_TIERS[tier];
}

// ---- JSON ----

// The object for the key's section, made where it is missing; *key becomes the last part. NULL without memory.
static Json *section_make(Json *object, Str *key, char part[KEY_MAX])
{
    for (;;) {
        size_t end = str_find_char(*key, '.');
        (void)snprintf(part, KEY_MAX, "%.*s", (int)end, key->data);
        if (end == key->len)
            return object;
        if (!json_get(object, part) && !json_put(object, part, json_build("{}")))
            return NULL;
        object = (Json *)json_get(object, part);    // ours: the tree is being built
        *key = str_skip(*key, end + 1);
    }
}

static Json *field_json(const PlanField *field, Plan *plan)
{
    switch (field->type) {
    case PLAN_TEXT: return json_from_str(*field_str(field, plan));
    case PLAN_INT: return json_from_int(*field_int(field, plan));
    case PLAN_BOOL: return json_from_bool(*field_bool(field, plan));
    case PLAN_CHOICE: return json_from_str(str_of(field->choices[*field_int(field, plan)]));
    }
    return NULL;
}

bool plan_to_json(const Plan *plan, Json **out, Error *err)
{
    Plan copy = *plan;    // the fields' accessors give pointers to write to
    CLEANUP(json_close) Json *json = json_build("{}");
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        if (field->need == PLAN_DEDICATED && plan->tier == PLAN_TIER_SHARED)
            continue;
        char part[KEY_MAX];
        Str key = str_of(field->key);
        Json *section = json ? section_make(json, &key, part) : NULL;
        if (!section || !json_put(section, part, field_json(field, &copy)))
            return json_ok(NULL, err);
    }
    *out = TAKE(json);
    return true;
}

static const Json *field_of_json(const Json *json, Str key)
{
    for (Str part = S(""); str_cut(&key, '.', &part);)
        json = json_member(json, part);
    return json;
}

static bool json_field_read(const PlanField *field, const Json *value, Arena *arena, Plan *plan)
{
    JsonKind kind = json_kind(value);
    switch (field->type) {
    case PLAN_TEXT: *field_str(field, plan) = str_copy(arena, json_str(value)); return kind == JSON_KIND_STRING;
    case PLAN_INT: *field_int(field, plan) = json_int64(value); return json_is_int(value);
    case PLAN_BOOL:
        *field_bool(field, plan) = kind == JSON_KIND_TRUE;
        return kind == JSON_KIND_TRUE || kind == JSON_KIND_FALSE;
    case PLAN_CHOICE: {
        int64_t index = choice_index(field->choices, json_str(value));
        *field_int(field, plan) = MAX(index, 0);
        return index >= 0;
    }
    }
    return false;
}

bool plan_from_json(const Json *json, Arena *arena, Plan *out, Error *err)
{
    Plan plan = {0};
    PlanReader reader = {.arena = arena, .plan = &plan};
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        const Json *value = field_of_json(json, str_of(field->key));
        if (!value) {
            if (field->initial)
                initial_set(&reader, field);
        } else if (!json_field_read(field, value, arena, &plan)) {
            error_set(err, ERR_INVALID, "the stored plan is refused");
            error_where(err, "%s", field->key);
            return error_why(err, "it isn't %s of this version of shopctl", EXPECTED[field->type]);
        }
    }
    if (!arena_ok(arena, err))
        return false;
    *out = plan;
    return true;
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t size)
{
    for (const unsigned char *byte = bytes; size > 0; size--, byte++)
        hash = (hash ^ *byte) * 0x100000001b3U;
    return hash;
}

Str plan_checksum(const Plan *plan, char text[PLAN_CHECKSUM_TEXT])
{
    Plan copy = *plan;
    uint64_t hash = 0xcbf29ce484222325U;
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        if (field->type == PLAN_TEXT) {
            const Str *value = field_str(field, &copy);
            hash = fnv1a(fnv1a(hash, &value->len, sizeof(value->len)), value->data, value->len);
        } else {
            int64_t value = field->type == PLAN_BOOL ? *field_bool(field, &copy) : *field_int(field, &copy);
            hash = fnv1a(hash, &value, sizeof(value));
        }
    }
    (void)snprintf(text, PLAN_CHECKSUM_TEXT, "%016llx", (unsigned long long)hash);
    return (Str){text, PLAN_CHECKSUM_TEXT - 1};
}
