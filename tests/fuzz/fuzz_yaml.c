// tests/fuzz/fuzz_yaml.c: any bytes read as YAML; what is read prints, and reads back as the same; plans and settings
// take any of it.
#include "base/arena.h"
#include "base/yaml.h"
#include "provisioner/plan.h"

enum { BUDGET = 8 * MIB };

static bool json_of(Str yaml, Arena *arena, Str *out)
{
    Error err = {0};
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    CLEANUP(json_close) Json *json = NULL;
    if (!yaml_parse(yaml, arena, &faults, &root, &err) || faults.count > 0 || !yaml_to_json(root, &json, &err))
        return false;
    Str text = S("");
    if (!yaml_print(json, arena, &text, &err))
        return false;
    *out = text;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str text = {(const char *)data, size}, printed = S(""), again = S("");
    if (json_of(text, arena, &printed)) {
        bool is_read = json_of(printed, arena, &again);
        assert(is_read || !arena_ok(arena, &err));
        assert(!is_read || str_eq(printed, again));
    }
    arena_reset(arena);
    Faults faults = {.arena = arena};
    Plan plan = {0};
    err = (Error){0};
    if (plan_parse(text, S(""), arena, &faults, &plan, &err) && faults.count == 0) {
        CLEANUP(json_close) Json *json = NULL;
        Plan copy = {0};
        char first[PLAN_CHECKSUM_TEXT], second[PLAN_CHECKSUM_TEXT];
        if (plan_to_json(&plan, &json, &err) && plan_from_json(json, arena, &copy, &err))
            assert(str_eq(plan_checksum(&plan, first), plan_checksum(&copy, second)));
    }
    return 0;
}
