// tests/fuzz/fuzz_cookie.c: any bytes as a Cookie header, a form and a query string.
#include "base/arena.h"
#include "runtime/core/request.h"

enum { BUDGET = 4 * MIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(Str part, Str whole)
{
    return !part.data || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str text = {(const char *)data, size};
    Error err = {0};
    Form form;
    assert(is_within(cookie_find(text, S("shop")), text));
    if (form_parse(text, arena, &form, &err)) {
        assert(form.count <= REQUEST_PARAMETERS_MAX);
        for (size_t i = 0; i < form.count; i++)
            assert(str_is_utf8(form.fields[i].name) && str_is_utf8(form.fields[i].value));
    }
    Request r = {.arena = arena, .query = text};
    Str value;
    error_clear(&err);
    if (request_parameter(&r, S("q"), &value, &err))
        assert(!value.data || str_is_utf8(value));
    else
        assert(err.code == ERR_INVALID || err.code == ERR_NO_MEMORY);
    return 0;
}
