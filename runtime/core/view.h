// runtime/core/view.h: the theme in the binary: templates, words by language, assets; and pages made of them.
#pragma once
#include "base/json.h"
#include "runtime/core/cache.h"
#include "runtime/core/compress.h"
#include "runtime/core/format.h"

// Compiled once per process, immutable.
typedef struct Theme Theme;

// Compiles every template and language file of EMBEDDED_THEME and compresses its assets. Fails with ERR_MALFORMED,
// naming the file.
MUST_CHECK bool theme_open(Arena *arena, const Theme **out, Error *err);
void theme_close(const Theme **theme);

Str theme_word(const Theme *theme, Language language, const char *key);    // the key itself where there is none
Json *theme_words(const Theme *theme, Language language);                  // borrowed
Json *theme_assets(const Theme *theme);                                    // borrowed: {"shop_css": "/assets/..."}

typedef struct Asset {
    Str name;    // "shop.0123456789abcdef.css"
    Str content_type;
    Str forms[ENCODING_COUNT];    // by Encoding; empty where it isn't smaller
} Asset;
const Asset *theme_asset(const Theme *theme, Str name);    // NULL where there is none

// Renders `page` ("product") with `data`, into which it puts the holes. *parts has the text between holes. Fails with
// ERR_INVALID or ERR_NO_MEMORY.
MUST_CHECK bool theme_render(const Theme *theme, const char *page, Json *data, Arena *arena, const PagePart **parts,
                             size_t *part_count, Error *err);
