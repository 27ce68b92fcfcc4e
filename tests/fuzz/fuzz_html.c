// tests/fuzz/fuzz_html.c: any text sanitised is its own sanitised form and holds nothing that acts.
#include "base/arena.h"
#include "base/html.h"

enum { BUDGET = 32 * MIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Html clean = {0}, again = {0};
    Str text = {0}, html = {(const char *)data, size};
    if (!html_sanitise(html, arena, &clean, &err) || !html_text(html, arena, &text, &err))
        return 0;
    Str lower = str_lower(arena, clean.text);
    assert(str_find(lower, S("<script")) == lower.len && str_find(lower, S("href=\"javascript:")) == lower.len);
    assert(html_sanitise(clean.text, arena, &again, &err));
    assert(str_eq(clean.text, again.text));
    return 0;
}
