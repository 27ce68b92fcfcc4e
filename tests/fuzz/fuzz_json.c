// tests/fuzz/fuzz_json.c: any bytes read as JSON; what is read prints, and reads back as the same.
#include "base/arena.h"
#include "base/json.h"

enum { BUDGET = 32 * MIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned depth_of(const Json *json)
{
    unsigned deepest = 0;
    for (size_t i = 0; json_kind(json) == JSON_KIND_ARRAY && i < json_count(json); i++)
        deepest = MAX(deepest, depth_of(json_element(json, i)));
    for (JsonIter it = json_iter(json); json_kind(json) == JSON_KIND_OBJECT && json_next(&it);)
        deepest = MAX(deepest, depth_of(it.value));
    return deepest + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *first = NULL;
    CLEANUP(json_close) Json *second = NULL;
    Error err = {0};
    Str printed = S(""), again = S("");
    if (!json_parse((Str){(const char *)data, size}, &first, &err)) {
        assert(err.code == ERR_MALFORMED && err.why[0] && err.where[0]);
        return 0;
    }
    assert(depth_of(first) <= JSON_DEPTH_MAX + 1);
    if (!json_print(first, 0, arena, &printed, &err))
        return 0;
    assert(str_is_utf8(printed) && !str_has_char(printed, '\0'));
    assert(json_parse(printed, &second, &err) && json_print(second, 0, arena, &again, &err));
    assert(str_eq(printed, again));
    if (json_kind(first) == JSON_KIND_NUMBER)
        assert(json_number_text(first, arena).len > 0);
    return 0;
}
