// base/text.c: Unicode by utf8proc.
#include "base/text.h"

#include <utf8proc.h>

#include "base/arena.h"

enum { GREEK_START = 0x370 };    // combining marks below are accents of Latin letters, above they are parts of words

static bool map(Str text, utf8proc_option_t options, Arena *arena, Str *out, Error *err)
{
    utf8proc_uint8_t *mapped = NULL;
    const char *data = text.data ? text.data : "";
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)data, (utf8proc_ssize_t)text.len, &mapped, options);
    if (length == UTF8PROC_ERROR_NOMEM)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a text");
    if (length < 0) {
        error_set(err, ERR_MALFORMED, "the text is refused");
        return error_why(err, "it isn't UTF-8");
    }
    Str copy = str_copy(arena, (Str){(const char *)mapped, (size_t)length});
    free(mapped);
    if (!arena_ok(arena, err))
        return false;
    *out = copy;
    return true;
}

static bool is_of_word(utf8proc_int32_t c)
{
    static const utf8proc_category_t KEPT[] = {UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LT,
                                               UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LO, UTF8PROC_CATEGORY_ND,
                                               UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MC};
    utf8proc_category_t category = utf8proc_category(c);
    for (size_t i = 0; i < COUNT(KEPT); i++)
        if (KEPT[i] == category)
            return true;
    return false;
}

static bool is_accent(utf8proc_int32_t c) { return c < GREEK_START && utf8proc_category(c) == UTF8PROC_CATEGORY_MN; }

bool text_slug(Str text, Arena *arena, Str *out, Error *err)
{
    Str mapped = S("");
    utf8proc_option_t options =
        UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_STABLE | UTF8PROC_IGNORE;
    if (!map(text, options, arena, &mapped, err))
        return false;
    StrBuf slug = {.arena = arena};
    bool is_between = false;
    for (size_t at = 0; at < mapped.len;) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)mapped.data + at, (utf8proc_ssize_t)(mapped.len - at), &c);
        assert(length > 0);    // utf8proc_map wrote it
        Str one = str_slice(mapped, at, at + (size_t)length);
        at += (size_t)length;
        if (is_accent(c))
            continue;
        if (!is_of_word(c)) {
            is_between = slug.len > 0;
            continue;
        }
        if (slug.len + is_between + one.len > TEXT_SLUG_MAX)
            break;
        if (is_between)
            strbuf_add_char(&slug, '-');
        strbuf_add(&slug, one);
        is_between = false;
    }
    return text_nfc(strbuf_str(&slug), arena, out, err);
}

bool text_nfc(Str text, Arena *arena, Str *out, Error *err)
{
    return map(text, UTF8PROC_COMPOSE | UTF8PROC_STABLE, arena, out, err);
}
