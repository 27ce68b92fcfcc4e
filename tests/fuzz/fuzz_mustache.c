// tests/fuzz/fuzz_mustache.c: any bytes as template, also as its own partial, rendered within bounds.
#include "base/arena.h"
#include "base/mustache.h"

enum { BUDGET = 4 * MIB, OUTPUT_MAX = 64 * KIB, WORK_MAX = 20000 };

static bool itself(void *context, Str name, const Mustache **out, Error *err)
{
    (void)name;
    (void)err;
    *out = context;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *values = NULL;
    Error err = {0};
    Mustache *template = NULL;
    if (!json_parse(S("{\"a\":[1,2.5,{\"b\":\"<\"}],\"b\":{\"a\":[\"x\\ny\"],\"c\":null},\"c\":\"\"}"), &values,
                    &err) ||
        !mustache_compile((Str){(const char *)data, size}, S("fuzz"), arena, &template, &err))
        return 0;
    Str out = S("");
    MustacheOptions options = {.partial = itself,
                               .context = template,
                               .is_all_html = true,
                               .output_max_bytes = OUTPUT_MAX,
                               .work_max = WORK_MAX};
    if (mustache_render(template, values, &options, arena, &out, &err))
        assert(out.len <= OUTPUT_MAX);
    return 0;
}
