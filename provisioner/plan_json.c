// provisioner/plan_json.c: plans as the control database keeps them.
#include "base/arena.h"
#include "provisioner/plan_field.h"

enum { KEY_MAX = 80 };

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
    case PLAN_TEXT: return json_from_str(*plan_field_str(field, plan));
    case PLAN_INT: return json_from_int(*plan_field_int(field, plan));
    case PLAN_BOOL: return json_from_bool(*plan_field_bool(field, plan));
    case PLAN_CHOICE: return json_from_str(str_of(field->choices[*plan_field_int(field, plan)]));
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
    case PLAN_TEXT: *plan_field_str(field, plan) = str_copy(arena, json_str(value)); return kind == JSON_KIND_STRING;
    case PLAN_INT: *plan_field_int(field, plan) = json_int64(value); return json_is_int(value);
    case PLAN_BOOL:
        *plan_field_bool(field, plan) = kind == JSON_KIND_TRUE;
        return kind == JSON_KIND_TRUE || kind == JSON_KIND_FALSE;
    case PLAN_CHOICE: {
        int64_t index = plan_choice_index(field->choices, json_str(value));
        *plan_field_int(field, plan) = MAX(index, 0);
        return index >= 0;
    }
    }
    return false;
}

bool plan_from_json(const Json *json, Arena *arena, Plan *out, Error *err)
{
    Plan plan = {0};
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        const Json *value = field_of_json(json, str_of(field->key));
        if (!value) {
            if (field->initial)
                plan_field_initial(field, &plan);
        } else if (!json_field_read(field, value, arena, &plan)) {
            error_set(err, ERR_INVALID, "the stored plan is refused");
            error_where(err, "%s", field->key);
            return error_why(err, "it isn't %s of this version of shopctl", plan_field_expected(field));
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
            const Str *value = plan_field_str(field, &copy);
            hash = fnv1a(fnv1a(hash, &value->len, sizeof(value->len)), value->data, value->len);
        } else {
            int64_t value = field->type == PLAN_BOOL ? *plan_field_bool(field, &copy) : *plan_field_int(field, &copy);
            hash = fnv1a(hash, &value, sizeof(value));
        }
    }
    (void)snprintf(text, PLAN_CHECKSUM_TEXT, "%016llx", (unsigned long long)hash);
    return (Str){text, PLAN_CHECKSUM_TEXT - 1};
}

bool plan_record_json(const Plan *plan, Json **out, Error *err)
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
