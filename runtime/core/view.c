// runtime/core/view.c: the theme in the binary.
#include "runtime/core/view.h"

#include "base/arena.h"
#include "base/embed.h"
#include "base/mustache.h"

enum { TEMPLATES_MAX = 128, ASSETS_MAX = 64, HASH_LEN = 16, MARKER_LEN = TOKEN_LEN + 1 };

typedef struct Template {
    Str name;
    Mustache *compiled;
} Template;

struct Theme {
    Template templates[TEMPLATES_MAX];    // by name
    size_t template_count;
    Json *words[LANGUAGE_COUNT];
    Json *asset_urls;
    Asset assets[ASSETS_MAX];
    size_t asset_count;
    char marker[MARKER_LEN];    // what no shopper can guess stands where a hole is, before its kind
    char hole_texts[2][MARKER_LEN + 1];
};

static const struct {
    const char *name;
    HoleKind kind;
} HOLES[] = {{"hole_cart_count", HOLE_CART_COUNT}, {"hole_csrf", HOLE_CSRF}};

static const Str HTML_NAMES[] = {S("description_html"), S("hole_cart_count"), S("hole_csrf")};

static const struct {
    Str suffix, content_type;
} CONTENT_TYPES[] = {
    {S(".css"), S("text/css; charset=utf-8")},
    {S(".js"), S("text/javascript; charset=utf-8")},
    {S(".svg"), S("image/svg+xml")},
    {S(".png"), S("image/png")},
    {S(".woff2"), S("font/woff2")},
};

static bool template_find(void *context, Str name, const Mustache **out, Error *err)
{
    (void)err;
    const Theme *theme = context;
    size_t low = 0, high = theme->template_count;
    *out = NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(name, theme->templates[middle].name);
        if (order == 0) {
            *out = theme->templates[middle].compiled;
            return true;
        }
        *(order < 0 ? &high : &low) = order < 0 ? middle : middle + 1;
    }
    return true;
}

static MustacheOptions options_of(const Theme *theme)
{
    return (MustacheOptions){
        .partial = template_find,
        .context = (void *)(uintptr_t)theme,    // read only
        .html_names = HTML_NAMES,
        .html_name_count = COUNT(HTML_NAMES),
    };
}

static bool template_add(Theme *theme, Str file, Str content, Arena *arena, Error *err)
{
    assert(theme->template_count < TEMPLATES_MAX);
    Template *added = &theme->templates[theme->template_count];
    added->name = str_slice(file, 0, file.len - (sizeof(".mustache") - 1));
    if (!mustache_compile(content, added->name, arena, &added->compiled, err))
        return false;
    MustacheOptions options = options_of(theme);
    if (!mustache_check_raw(added->compiled, &options, err))
        return false;
    assert(added == theme->templates || str_compare(added[-1].name, added->name) < 0);    // make sorts the files
    theme->template_count++;
    return true;
}

static bool words_add(Theme *theme, Str file, Str content, Error *err)
{
    Str code = str_slice(file, sizeof("lang/") - 1, file.len - (sizeof(".json") - 1));
    for (Language language = 0; language < LANGUAGE_COUNT; language++)
        if (str_eq(language_code(language), code))
            return json_parse(content, &theme->words[language], err) ||
                   error_wrap(err, "the language file '%.*s' is refused", STR_ARG(file));
    return true;
}

static Str content_type_of(Str name)
{
    for (size_t i = 0; i < COUNT(CONTENT_TYPES); i++)
        if (str_has_suffix(name, CONTENT_TYPES[i].suffix))
            return CONTENT_TYPES[i].content_type;
    return S("application/octet-stream");
}

// assets/shop.css becomes /assets/shop.<hash>.css, and `shop_css` in templates.
static bool asset_add(Theme *theme, Str file, Str content, Arena *arena, Error *err)
{
    assert(theme->asset_count < ASSETS_MAX);
    Str name = str_skip(file, sizeof("assets/") - 1);
    size_t dot = str_find_char(name, '.');
    char hash[SHA256_HEX];
    sha256_hex(content, hash);
    Asset *asset = &theme->assets[theme->asset_count++];
    asset->name = str_format(arena, "%.*s.%.*s%.*s", STR_ARG(str_slice(name, 0, dot)), HASH_LEN, hash,
                             STR_ARG(str_skip(name, dot)));
    asset->content_type = content_type_of(name);
    asset->forms[ENCODING_NONE] = content;
    bool is_text = !str_eq(asset->content_type, S("image/png")) && !str_eq(asset->content_type, S("font/woff2"));
    for (Encoding encoding = ENCODING_NONE + 1; encoding < ENCODING_COUNT; encoding++)
        if (is_text && !encoding_make(content, encoding, arena, &asset->forms[encoding], err))
            return false;
    Str key = str_replace(arena, str_replace(arena, name, '.', '_'), '-', '_');
    Str url = str_format(arena, "/assets/%.*s", STR_ARG(asset->name));
    if (!arena_ok(arena, err))
        return false;
    return json_set(theme->asset_urls, key.data, json_from_str(url), err);
}

static bool theme_fill(Theme *theme, Arena *arena, Error *err)
{
    theme->asset_urls = json_build("{}");
    if (!json_ok(theme->asset_urls, err))
        return false;
    for (const Embedded *file = EMBEDDED_THEME; file->name; file++) {
        Str name = str_of(file->name), content = embedded_content(file);
        bool ok = true;
        if (str_has_suffix(name, S(".mustache")))
            ok = template_add(theme, name, content, arena, err);
        else if (str_has_prefix(name, S("lang/")) && str_has_suffix(name, S(".json")))
            ok = words_add(theme, name, content, err);
        else if (str_has_prefix(name, S("assets/")))
            ok = asset_add(theme, name, content, arena, err);
        if (!ok)
            return error_wrap(err, "the theme can't be used");
    }
    return true;
}

bool theme_open(Arena *arena, const Theme **out, Error *err)
{
    Theme *theme = arena_new(arena, Theme);
    if (!arena_ok(arena, err))
        return false;
    TokenSource source = {0};
    theme->marker[0] = '\x02';
    token_make(&source, theme->marker + 1);
    for (size_t i = 0; i < COUNT(HOLES); i++) {
        memcpy(theme->hole_texts[i], theme->marker, MARKER_LEN);
        theme->hole_texts[i][MARKER_LEN] = (char)('0' + i);
    }
    *out = theme;
    if (theme_fill(theme, arena, err))
        return true;
    theme_close(out);
    return false;
}

void theme_close(const Theme **theme)
{
    Theme *closed = (Theme *)(uintptr_t)*theme;    // its owner's right
    if (!closed)
        return;
    json_close(&closed->asset_urls);
    for (Language language = 0; language < LANGUAGE_COUNT; language++)
        json_close(&closed->words[language]);
    *theme = NULL;
}

Str theme_word(const Theme *theme, Language language, const char *key)
{
    Str word = json_str(json_get(theme->words[language], key));
    return word.len ? word : str_of(key);
}

Json *theme_words(const Theme *theme, Language language) { return theme->words[language]; }
Json *theme_assets(const Theme *theme) { return theme->asset_urls; }

const Asset *theme_asset(const Theme *theme, Str name)
{
    for (size_t i = 0; i < theme->asset_count; i++)
        if (str_eq(theme->assets[i].name, name))
            return &theme->assets[i];
    return NULL;
}

// ---- rendering ----

static size_t holes_count(Str text, Str marker)
{
    size_t count = 0;
    for (size_t at = str_find(text, marker); at < text.len; at = str_find(text, marker)) {
        count++;
        text = str_skip(text, at + marker.len);
    }
    return count;
}

static bool parts_split(const Theme *theme, Str text, Arena *arena, const PagePart **out, size_t *out_count, Error *err)
{
    const Str marker = {theme->marker, MARKER_LEN};
    PagePart *parts = arena_array(arena, 2 * holes_count(text, marker) + 1, PagePart);
    if (!arena_ok(arena, err))
        return false;
    size_t count = 0;
    for (;;) {
        size_t at = str_find(text, marker);
        parts[count++].text = str_slice(text, 0, at);
        if (at + MARKER_LEN >= text.len)
            break;
        size_t kind = (size_t)(text.data[at + MARKER_LEN] - '0');
        assert(kind < COUNT(HOLES));
        parts[count++].hole = HOLES[kind].kind;
        text = str_skip(text, at + MARKER_LEN + 1);
    }
    *out = parts;
    *out_count = count;
    return true;
}

bool theme_render(const Theme *theme, const char *page, Json *data, Arena *arena, const PagePart **parts,
                  size_t *part_count, Error *err)
{
    const Mustache *compiled = NULL;
    Str text;
    MustacheOptions options = options_of(theme);
    if (!template_find(options.context, str_of(page), &compiled, err))
        return false;
    if (!compiled)
        return error_set(err, ERR_FAILED, "the theme has no page '%s'", page);
    for (size_t i = 0; i < COUNT(HOLES); i++)
        if (!json_set(data, HOLES[i].name, json_from_str((Str){theme->hole_texts[i], MARKER_LEN + 1}), err))
            return false;
    return mustache_render(compiled, data, &options, arena, &text, err) &&
           parts_split(theme, text, arena, parts, part_count, err);
}
