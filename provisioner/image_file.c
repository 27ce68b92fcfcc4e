// provisioner/image_file.c: images that are given to a shop as files.
#include "provisioner/image_file.h"

#include "base/arena.h"
#include "base/file.h"

enum { WEBP_AT = 8 };

typedef struct Kind {
    Str prefix;
    const char *content_type;
    const char *extension;
} Kind;

static const Kind KINDS[] = {
    {S("\x89PNG\r\n\x1A\n"), "image/png", "png"},
    {S("\xFF\xD8\xFF"), "image/jpeg", "jpg"},
    {S("GIF87a"), "image/gif", "gif"},
    {S("GIF89a"), "image/gif", "gif"},
    {S("RIFF"), "image/webp", "webp"},
};

// Elements that run code, show other documents or change references.
static const Str BAD_ELEMENTS[] = {S("script"), S("foreignobject"), S("iframe"),   S("embed"),
                                   S("object"), S("handler"),       S("listener"), S("audio"),
                                   S("video"),  S("html"),          S("body")};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':';
}

// The name at the start of `text`, and what is behind it.
static Str name_take(Str *text)
{
    size_t length = 0;
    while (length < text->len && is_name_char(text->data[length]))
        length++;
    Str name = str_slice(*text, 0, length);
    *text = str_skip(*text, length);
    return name;
}

static Str local_part(Str name)
{
    size_t colon = str_find_char(name, ':');
    return colon < name.len ? str_skip(name, colon + 1) : name;
}

static bool is_inner_reference(Str value)
{
    static const Str INNER[] = {S("#"), S("data:image/png;base64,"), S("data:image/jpeg;base64,"),
                                S("data:image/webp;base64,"), S("data:image/gif;base64,")};
    for (size_t i = 0; i < COUNT(INNER); i++)
        if (str_has_prefix(value, INNER[i]))
            return true;
    return false;
}

static const char *attribute_fault(Str name, Str value)
{
    name = local_part(name);
    if (str_has_prefix(name, S("on")))
        return "it has an event attribute";
    bool is_reference = str_eq(name, S("href")) || str_eq(name, S("src"));
    if (is_reference && !is_inner_reference(str_trim(value)))
        return "it refers to something outside of the file";
    if (str_eq(name, S("attributename")) && str_has_suffix(value, S("href")))
        return "it changes a reference";
    if (str_find(value, S("&#")) < value.len)
        return "an attribute has a numeric character reference";
    return NULL;
}

static void blanks_skip(Str *text)
{
    while (text->len > 0 && str_trim(str_slice(*text, 0, 1)).len == 0)
        *text = str_skip(*text, 1);
}

// Reads a tag from behind its '<' to behind its '>'.
static const char *tag_fault(Str *rest)
{
    if (str_has_prefix(*rest, S("/")))
        *rest = str_skip(*rest, 1);
    Str element = local_part(name_take(rest));
    for (size_t i = 0; i < COUNT(BAD_ELEMENTS); i++)
        if (str_eq(element, BAD_ELEMENTS[i]))
            return "it has an element that isn't a drawing";
    for (;;) {
        blanks_skip(rest);
        if (str_has_prefix(*rest, S("/>")))
            *rest = str_skip(*rest, 1);
        if (rest->len == 0)
            return "a tag isn't closed";
        if (rest->data[0] == '>') {
            *rest = str_skip(*rest, 1);
            return NULL;
        }
        Str name = name_take(rest);
        blanks_skip(rest);
        if (name.len == 0 || !str_has_prefix(*rest, S("=")))
            return "it isn't well-formed";
        *rest = str_skip(*rest, 1);
        blanks_skip(rest);
        char quote = rest->len ? rest->data[0] : '\0';
        size_t length = str_find_char(str_skip(*rest, 1), quote);
        if ((quote != '"' && quote != '\'') || length + 1 >= rest->len)
            return "it isn't well-formed";
        const char *fault = attribute_fault(name, str_slice(*rest, 1, length + 1));
        if (fault)
            return fault;
        *rest = str_skip(*rest, length + 2);
    }
}

// CSS that fetches something: everywhere, since it may stand in attributes and in style elements.
static const char *css_fault(Str text)
{
    if (str_find(text, S("@import")) < text.len || str_has_char(text, '\\'))
        return "its styles load something, or have an escape in them";
    for (size_t at = 0; (at = str_find(text, S("url("))) < text.len;) {
        text = str_trim(str_skip(text, at + 4));
        while (text.len > 0 && (text.data[0] == '"' || text.data[0] == '\''))
            text = str_skip(text, 1);
        bool is_quoted_entity = str_has_prefix(text, S("&quot;#"));
        if (!is_quoted_entity && !is_inner_reference(text))
            return "it refers to something outside of the file";
    }
    return NULL;
}

// Skips a comment, a declaration or CDATA behind its "<"; false when it is none.
static bool special_skip(Str *rest, const char **fault)
{
    static const struct {
        Str start, end;
    } SKIPPED[] = {{S("!--"), S("-->")}, {S("![cdata["), S("]]>")}, {S("?xml "), S("?>")}, {S("!doctype svg"), S(">")}};
    for (size_t i = 0; i < COUNT(SKIPPED); i++) {
        if (!str_has_prefix(*rest, SKIPPED[i].start))
            continue;
        size_t length = str_find(*rest, SKIPPED[i].end);
        if (str_has_char(str_slice(*rest, 0, length), '[') && SKIPPED[i].start.data[1] == 'd')
            *fault = "its document type declares something";
        *rest = str_skip(*rest, length + SKIPPED[i].end.len);
        return true;
    }
    if (rest->len > 0 && (rest->data[0] == '!' || rest->data[0] == '?'))
        *fault = "it has a declaration or an instruction";
    return *fault;
}

const char *image_svg_fault(Str svg, Arena *arena)
{
    Str text = str_lower(arena, svg);
    if (!str_is_utf8(text))
        return "it isn't UTF-8";
    const char *fault = css_fault(text);
    bool has_style = str_find(text, S("<style")) < text.len;
    if (!fault && has_style && str_find(text, S("&#")) < text.len)
        return "it has styles and numeric character references";
    while (!fault && text.len > 0) {
        text = str_skip(text, str_find_char(text, '<'));
        text = str_skip(text, 1);
        if (text.len > 0 && !special_skip(&text, &fault))
            fault = tag_fault(&text);
    }
    return fault;
}

// Does the text begin with an svg element, behind declarations and comments?
static bool is_svg(Str content, Arena *arena)
{
    Str text = str_lower(arena, content);
    if (str_has_prefix(text, S("\xEF\xBB\xBF")))
        text = str_skip(text, 3);
    const char *fault = NULL;
    for (text = str_trim(text); str_has_prefix(text, S("<")); text = str_trim(text)) {
        text = str_skip(text, 1);
        bool is_special = special_skip(&text, &fault);
        if (fault)
            return str_find(text, S("<svg")) < text.len;
        if (!is_special)
            return str_has_prefix(text, S("svg")) && text.len > 3 && !is_name_char(text.data[3]);
    }
    return false;
}

static bool kind_find(ImageFile *file, Arena *arena)
{
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        if (!str_has_prefix(file->content, KINDS[i].prefix))
            continue;
        if (str_eq(KINDS[i].prefix, S("RIFF")) && !str_has_prefix(str_skip(file->content, WEBP_AT), S("WEBP")))
            continue;
        file->content_type = KINDS[i].content_type;
        file->extension = KINDS[i].extension;
        return true;
    }
    file->content_type = "image/svg+xml";
    file->extension = "svg";
    return is_svg(file->content, arena);
}

bool image_file_read(Str path, Arena *arena, ImageFile *out, Error *err)
{
    ImageFile file = {0};
    if (!file_read(path, IMAGE_FILE_MAX, arena, &file.content, err))
        return false;
    bool is_known = kind_find(&file, arena);
    const char *fault =
        is_known && str_eq(str_of(file.extension), S("svg")) ? image_svg_fault(file.content, arena) : NULL;
    if (!arena_ok(arena, err))
        return false;
    if (!is_known || fault) {
        error_set(err, ERR_INVALID, "the image '%.*s' is refused", STR_ARG(path));
        error_why(err, "%s", fault ? fault : "it is no svg, png, jpeg, webp or gif");
        return fault ? error_next(err, "save it as a plain SVG, or as PNG") : false;
    }
    *out = file;
    return true;
}
