// base/html.c: HTML of strangers, taken apart and written again from what is allowed.
//
// A tree as browsers build it isn't needed, and would cost time and memory beyond any bound for hostile input. All that
// comes out was written here, every text and value escaped, so a wrong reading of the input can lose content only.
#include "base/html.h"

#include "base/arena.h"

enum {
    NAME_MAX_LENGTH = 32,
    SPAN_MAX = 1000,
    SIZE_MAX_PX = 10000,
    C1_START = 0x80,
    C1_END = 0x9F,
    ATTRIBUTES_MAX = 16
};

typedef enum TagKind {
    TAG_INLINE,
    TAG_BLOCK,      // closes an open paragraph
    TAG_HEADING,    // a block that closes an open heading
    TAG_VOID,
    TAG_VOID_BLOCK,
    TAG_LINK,
    TAG_IMAGE,
    TAG_LIST,
    TAG_ITEM,
    TAG_TABLE,
    TAG_TABLE_PART,
    TAG_ROW,
    TAG_CELL,
    TAG_DROPPED,    // with its content, which may hold such elements again
    TAG_RAW         // dropped with its content, which ends at the first end tag of its name
} TagKind;

typedef struct Tag {
    Str name;
    TagKind kind;
    Str written;    // where it isn't the name
} Tag;

static const Tag TAGS[] = {
    {S("p"), TAG_BLOCK, S("")},          {S("br"), TAG_VOID, S("")},          {S("b"), TAG_INLINE, S("")},
    {S("strong"), TAG_INLINE, S("")},    {S("i"), TAG_INLINE, S("")},         {S("em"), TAG_INLINE, S("")},
    {S("u"), TAG_INLINE, S("")},         {S("s"), TAG_INLINE, S("")},         {S("span"), TAG_INLINE, S("")},
    {S("code"), TAG_INLINE, S("")},      {S("sub"), TAG_INLINE, S("")},       {S("sup"), TAG_INLINE, S("")},
    {S("a"), TAG_LINK, S("")},           {S("img"), TAG_IMAGE, S("")},        {S("ul"), TAG_LIST, S("")},
    {S("ol"), TAG_LIST, S("")},          {S("li"), TAG_ITEM, S("")},          {S("h1"), TAG_HEADING, S("h2")},
    {S("h2"), TAG_HEADING, S("")},       {S("h3"), TAG_HEADING, S("")},       {S("h4"), TAG_HEADING, S("")},
    {S("h5"), TAG_HEADING, S("")},       {S("h6"), TAG_HEADING, S("")},       {S("div"), TAG_BLOCK, S("")},
    {S("blockquote"), TAG_BLOCK, S("")}, {S("pre"), TAG_BLOCK, S("")},        {S("hr"), TAG_VOID_BLOCK, S("")},
    {S("table"), TAG_TABLE, S("")},      {S("thead"), TAG_TABLE_PART, S("")}, {S("tbody"), TAG_TABLE_PART, S("")},
    {S("tr"), TAG_ROW, S("")},           {S("th"), TAG_CELL, S("")},          {S("td"), TAG_CELL, S("")},
    {S("script"), TAG_RAW, S("")},       {S("style"), TAG_RAW, S("")},        {S("iframe"), TAG_RAW, S("")},
    {S("noscript"), TAG_RAW, S("")},     {S("noembed"), TAG_RAW, S("")},      {S("noframes"), TAG_RAW, S("")},
    {S("textarea"), TAG_RAW, S("")},     {S("title"), TAG_RAW, S("")},        {S("xmp"), TAG_RAW, S("")},
    {S("plaintext"), TAG_RAW, S("")},    {S("svg"), TAG_DROPPED, S("")},      {S("math"), TAG_DROPPED, S("")},
    {S("object"), TAG_DROPPED, S("")},   {S("applet"), TAG_DROPPED, S("")},   {S("template"), TAG_DROPPED, S("")},
    {S("select"), TAG_DROPPED, S("")},   {S("button"), TAG_DROPPED, S("")},   {S("audio"), TAG_DROPPED, S("")},
    {S("video"), TAG_DROPPED, S("")},    {S("canvas"), TAG_DROPPED, S("")},
};

typedef struct Entity {
    Str name;
    unsigned code;
} Entity;

// What editors write for letters that UTF-8 has as well; others stay as they are.
static const Entity ENTITIES[] = {
    {S("amp"), '&'},       {S("lt"), '<'},       {S("gt"), '>'},        {S("quot"), '"'},     {S("apos"), '\''},
    {S("nbsp"), 0xA0},     {S("iexcl"), 0xA1},   {S("cent"), 0xA2},     {S("pound"), 0xA3},   {S("curren"), 0xA4},
    {S("yen"), 0xA5},      {S("brvbar"), 0xA6},  {S("sect"), 0xA7},     {S("uml"), 0xA8},     {S("copy"), 0xA9},
    {S("ordf"), 0xAA},     {S("laquo"), 0xAB},   {S("not"), 0xAC},      {S("shy"), 0xAD},     {S("reg"), 0xAE},
    {S("macr"), 0xAF},     {S("deg"), 0xB0},     {S("plusmn"), 0xB1},   {S("sup2"), 0xB2},    {S("sup3"), 0xB3},
    {S("acute"), 0xB4},    {S("micro"), 0xB5},   {S("para"), 0xB6},     {S("middot"), 0xB7},  {S("cedil"), 0xB8},
    {S("sup1"), 0xB9},     {S("ordm"), 0xBA},    {S("raquo"), 0xBB},    {S("frac14"), 0xBC},  {S("frac12"), 0xBD},
    {S("frac34"), 0xBE},   {S("iquest"), 0xBF},  {S("Agrave"), 0xC0},   {S("Aacute"), 0xC1},  {S("Acirc"), 0xC2},
    {S("Atilde"), 0xC3},   {S("Auml"), 0xC4},    {S("Aring"), 0xC5},    {S("AElig"), 0xC6},   {S("Ccedil"), 0xC7},
    {S("Egrave"), 0xC8},   {S("Eacute"), 0xC9},  {S("Ecirc"), 0xCA},    {S("Euml"), 0xCB},    {S("Igrave"), 0xCC},
    {S("Iacute"), 0xCD},   {S("Icirc"), 0xCE},   {S("Iuml"), 0xCF},     {S("ETH"), 0xD0},     {S("Ntilde"), 0xD1},
    {S("Ograve"), 0xD2},   {S("Oacute"), 0xD3},  {S("Ocirc"), 0xD4},    {S("Otilde"), 0xD5},  {S("Ouml"), 0xD6},
    {S("times"), 0xD7},    {S("Oslash"), 0xD8},  {S("Ugrave"), 0xD9},   {S("Uacute"), 0xDA},  {S("Ucirc"), 0xDB},
    {S("Uuml"), 0xDC},     {S("Yacute"), 0xDD},  {S("THORN"), 0xDE},    {S("szlig"), 0xDF},   {S("agrave"), 0xE0},
    {S("aacute"), 0xE1},   {S("acirc"), 0xE2},   {S("atilde"), 0xE3},   {S("auml"), 0xE4},    {S("aring"), 0xE5},
    {S("aelig"), 0xE6},    {S("ccedil"), 0xE7},  {S("egrave"), 0xE8},   {S("eacute"), 0xE9},  {S("ecirc"), 0xEA},
    {S("euml"), 0xEB},     {S("igrave"), 0xEC},  {S("iacute"), 0xED},   {S("icirc"), 0xEE},   {S("iuml"), 0xEF},
    {S("eth"), 0xF0},      {S("ntilde"), 0xF1},  {S("ograve"), 0xF2},   {S("oacute"), 0xF3},  {S("ocirc"), 0xF4},
    {S("otilde"), 0xF5},   {S("ouml"), 0xF6},    {S("divide"), 0xF7},   {S("oslash"), 0xF8},  {S("ugrave"), 0xF9},
    {S("uacute"), 0xFA},   {S("ucirc"), 0xFB},   {S("uuml"), 0xFC},     {S("yacute"), 0xFD},  {S("thorn"), 0xFE},
    {S("yuml"), 0xFF},     {S("OElig"), 0x152},  {S("oelig"), 0x153},   {S("ndash"), 0x2013}, {S("mdash"), 0x2014},
    {S("lsquo"), 0x2018},  {S("rsquo"), 0x2019}, {S("sbquo"), 0x201A},  {S("ldquo"), 0x201C}, {S("rdquo"), 0x201D},
    {S("bdquo"), 0x201E},  {S("bull"), 0x2022},  {S("hellip"), 0x2026}, {S("prime"), 0x2032}, {S("lsaquo"), 0x2039},
    {S("rsaquo"), 0x203A}, {S("euro"), 0x20AC},  {S("trade"), 0x2122},  {S("larr"), 0x2190},  {S("rarr"), 0x2192},
    {S("minus"), 0x2212},  {S("le"), 0x2264},    {S("ge"), 0x2265},
};

// What &#128; to &#159; mean: Windows-1252, as browsers read them.
static const uint16_t WINDOWS_1252[] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                        0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

typedef struct Attribute {
    Str name;
    Str value;    // as it was written
} Attribute;

typedef struct Reader {
    Arena *arena;
    StrBuf out;
    Str html;
    size_t at;
    bool is_text;         // html_text: no tags, single blanks
    bool is_blank_due;    // of html_text
    const Tag *dropping;
    unsigned dropping_depth;
    unsigned depth;
    const Tag *open[HTML_DEPTH_MAX];
} Reader;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const Tag *tag_find(Str name)
{
    for (size_t i = 0; i < COUNT(TAGS); i++)
        if (str_eq_nocase(TAGS[i].name, name))
            return &TAGS[i];
    return NULL;
}

static Str tag_written(const Tag *tag) { return tag->written.len ? tag->written : tag->name; }

// ---- text ----

static size_t utf8_encode(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char FIRST[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(FIRST[length] | code);
    return length;
}

static unsigned number_of(Str digits, unsigned base, size_t *length)
{
    unsigned value = 0;
    size_t i = 0;
    for (; i < digits.len; i++) {
        char c = digits.data[i];
        unsigned digit = is_digit(c) ? (unsigned)(c - '0') : is_letter(c) ? (unsigned)((c | 0x20) - 'a') + 10 : base;
        if (digit >= base)
            break;
        value = MIN(value * base + digit, 0x110000U);
    }
    *length = i;
    return value;
}

// Reads the reference at the start of `text`: its length, 0 where there is none. *code is 0 for a name that isn't
// known.
static size_t reference_read(Str text, unsigned *code)
{
    size_t at = 1, length = 0;
    if (at < text.len && text.data[at] == '#') {
        bool is_hex = ++at < text.len && (text.data[at] | 0x20) == 'x';
        at += is_hex;
        unsigned value = number_of(str_skip(text, at), is_hex ? 16 : 10, &length);
        if (length == 0)
            return 0;
        at += length;
        if (value >= C1_START && value <= C1_END)
            value = WINDOWS_1252[value - C1_START];
        bool is_char = value > 0 && value < 0x110000 && (value < 0xD800 || value > 0xDFFF);
        *code = is_char ? value : 0xFFFD;
        return at + (at < text.len && text.data[at] == ';');
    }
    while (at + length < text.len && length <= NAME_MAX_LENGTH &&
           (is_letter(text.data[at + length]) || (length > 0 && is_digit(text.data[at + length]))))
        length++;
    if (length == 0 || at + length >= text.len || text.data[at + length] != ';')
        return 0;
    *code = 0;
    for (size_t i = 0; i < COUNT(ENTITIES); i++)
        if (str_eq(ENTITIES[i].name, str_slice(text, at, at + length)))
            *code = ENTITIES[i].code;
    return at + length + 1;
}

static void put_char(Reader *r, Str c)
{
    bool is_control = c.len == 1 && (unsigned char)c.data[0] < ' ' && !is_space(c.data[0]);
    bool is_blank = is_space(c.data[0]) || str_eq(c, S("\xC2\xA0"));
    if (is_control || c.data[0] == '\x7F')
        return;
    if (r->is_text && is_blank) {
        r->is_blank_due = r->out.len > 0;
        return;
    }
    if (r->is_blank_due)
        strbuf_add_char(&r->out, ' ');
    r->is_blank_due = false;
    bool is_raw = r->is_text;
    Str entity = is_raw             ? S("")
                 : c.data[0] == '&' ? S("&amp;")
                 : c.data[0] == '<' ? S("&lt;")
                 : c.data[0] == '>' ? S("&gt;")
                 : c.data[0] == '"' ? S("&quot;")
                                    : S("");
    strbuf_add(&r->out, entity.len ? entity : c);
}

// Text or an attribute's value: references to characters become these, and what has a meaning is escaped.
static void put_text(Reader *r, Str text)
{
    while (text.len > 0) {
        unsigned code = 0;
        size_t length = text.data[0] == '&' ? reference_read(text, &code) : 0;
        char encoded[4];
        if (length > 0 && code > 0) {
            put_char(r, (Str){encoded, utf8_encode(code, encoded)});
        } else if (length > 0 && !r->is_text) {
            strbuf_add(&r->out, str_slice(text, 0, length));
        } else {
            length = 1;
            while (length < text.len && ((unsigned char)text.data[length] & 0xC0) == 0x80)
                length++;
            put_char(r, str_slice(text, 0, length));
        }
        text = str_skip(text, length);
    }
}

// ---- addresses ----

// An address as a browser would take it: references resolved, blanks outside and line ends inside gone. Empty where it
// has control characters, references that aren't known here, or a scheme that isn't allowed.
static Str url_clean(Reader *r, Str value, bool is_link)
{
    StrBuf url = {.arena = r->arena};
    while (value.len > 0) {
        unsigned code = (unsigned char)value.data[0];
        char encoded[4] = {value.data[0]};
        size_t length = code == '&' ? reference_read(value, &code) : 0, size = 1;
        if (length > 0 && code == 0)
            return S("");
        if (length > 0)
            size = utf8_encode(code, encoded);
        if (encoded[0] != '\n' && encoded[0] != '\r' && encoded[0] != '\t')
            strbuf_add(&url, (Str){encoded, size});
        value = str_skip(value, MAX(length, (size_t)1));
    }
    Str text = str_trim(strbuf_str(&url));
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == '\x7F')
            return S("");
    size_t colon = str_find_char(text, ':');
    for (size_t i = 0; i < colon && colon < text.len; i++)
        if (strchr("/?#", text.data[i]))
            colon = text.len;
    Str scheme = str_slice(text, 0, colon);
    bool is_allowed = colon == text.len || str_eq_nocase(scheme, S("https")) || str_eq_nocase(scheme, S("http")) ||
                      (is_link && str_eq_nocase(scheme, S("mailto")));
    return is_allowed ? text : S("");
}

static void put_url(Reader *r, Str url)
{
    for (size_t i = 0; i < url.len; i++) {
        char c = url.data[i];
        strbuf_add(&r->out, c == '&'   ? S("&amp;")
                            : c == '<' ? S("&lt;")
                            : c == '>' ? S("&gt;")
                            : c == '"' ? S("&quot;")
                                       : (Str){&url.data[i], 1});
    }
}

// ---- elements ----

static void blank_due(Reader *r) { r->is_blank_due = r->is_blank_due || r->out.len > 0; }

static void close_top(Reader *r)
{
    Str name = tag_written(r->open[--r->depth]);
    strbuf_format(&r->out, "</%.*s>", STR_ARG(name));
}

static void close_to(Reader *r, unsigned depth)
{
    while (r->depth > depth)
        close_top(r);
}

static bool is_cell_border(const Tag *tag)
{
    return tag->kind == TAG_CELL || tag->kind == TAG_ROW || tag->kind == TAG_TABLE_PART || tag->kind == TAG_TABLE;
}

// The place of the innermost open element of a kind, counted from 1, not looking beyond a table's cell; 0 for none.
static unsigned open_of_kind(const Reader *r, TagKind kind)
{
    for (unsigned i = r->depth; i > 0; i--) {
        if (r->open[i - 1]->kind == kind)
            return i;
        if (is_cell_border(r->open[i - 1]))
            return 0;
    }
    return 0;
}

static unsigned open_of_name(const Reader *r, Str name)
{
    for (unsigned i = r->depth; i > 0; i--) {
        if (str_eq(tag_written(r->open[i - 1]), name))
            return i;
        if (is_cell_border(r->open[i - 1]))
            return 0;
    }
    return 0;
}

// Closes what can't go on around an element; false when it has no place here.
static bool make_place(Reader *r, const Tag *tag)
{
    unsigned at = 0;
    switch (tag->kind) {
    case TAG_HEADING:
        at = open_of_kind(r, TAG_HEADING);
        if (at)
            close_to(r, at - 1);
        break;
    case TAG_LINK:
        at = open_of_kind(r, TAG_LINK);
        if (at)
            close_to(r, at - 1);
        return true;
    case TAG_ITEM:
        at = open_of_kind(r, TAG_LIST);
        close_to(r, at ? at : r->depth);
        return at;
    case TAG_TABLE_PART:
    case TAG_ROW:
    case TAG_CELL:
        for (at = r->depth; at > 0; at--) {
            TagKind kind = r->open[at - 1]->kind;
            if (kind == TAG_TABLE || (kind == TAG_TABLE_PART && tag->kind == TAG_ROW) ||
                (kind == TAG_ROW && tag->kind == TAG_CELL))
                break;
        }
        if (at == 0 || (tag->kind == TAG_CELL && r->open[at - 1]->kind == TAG_TABLE))
            return false;
        close_to(r, at);
        return true;
    case TAG_INLINE:
    case TAG_VOID:
    case TAG_IMAGE: return true;
    case TAG_BLOCK:
    case TAG_VOID_BLOCK:
    case TAG_LIST:
    case TAG_TABLE:
    case TAG_DROPPED:
    case TAG_RAW: break;
    }
    at = open_of_name(r, S("p"));
    if (at)
        close_to(r, at - 1);
    return true;
}

static Str attribute_find(const Attribute *attributes, size_t count, Str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(attributes[i].name, name))
            return attributes[i].value;
    return S("");
}

static void put_number(Reader *r, const char *name, Str value, unsigned max)
{
    size_t length = 0;
    unsigned number = number_of(value, 10, &length);
    if (length > 0 && length == value.len && number > 0 && number <= max)
        strbuf_format(&r->out, " %s=\"%u\"", name, number);
}

static void put_link(Reader *r, const Tag *tag, Str href)
{
    if (href.len == 0 || r->depth == HTML_DEPTH_MAX || !make_place(r, tag) || r->depth == HTML_DEPTH_MAX)
        return;
    r->open[r->depth++] = tag;
    strbuf_add(&r->out, S("<a href=\""));
    put_url(r, href);
    strbuf_add(&r->out, S("\" rel=\"nofollow noopener\">"));
}

static void put_image(Reader *r, const Attribute *attributes, size_t count)
{
    Str src = url_clean(r, attribute_find(attributes, count, S("src")), false);
    if (src.len == 0)
        return;
    strbuf_add(&r->out, S("<img src=\""));
    put_url(r, src);
    strbuf_add(&r->out, S("\" alt=\""));
    put_text(r, attribute_find(attributes, count, S("alt")));
    strbuf_add_char(&r->out, '"');
    put_number(r, "width", attribute_find(attributes, count, S("width")), SIZE_MAX_PX);
    put_number(r, "height", attribute_find(attributes, count, S("height")), SIZE_MAX_PX);
    strbuf_add_char(&r->out, '>');
}

static void put_element(Reader *r, const Tag *tag, const Attribute *attributes, size_t count)
{
    if (tag->kind == TAG_LINK) {
        put_link(r, tag, url_clean(r, attribute_find(attributes, count, S("href")), true));
        return;
    }
    if (tag->kind == TAG_IMAGE) {
        put_image(r, attributes, count);
        return;
    }
    bool is_void = tag->kind == TAG_VOID || tag->kind == TAG_VOID_BLOCK;
    if ((!is_void && r->depth == HTML_DEPTH_MAX) || !make_place(r, tag))
        return;
    if (!is_void)
        r->open[r->depth++] = tag;
    Str name = tag_written(tag);
    strbuf_format(&r->out, "<%.*s", STR_ARG(name));
    if (tag->kind == TAG_CELL) {
        put_number(r, "colspan", attribute_find(attributes, count, S("colspan")), SPAN_MAX);
        put_number(r, "rowspan", attribute_find(attributes, count, S("rowspan")), SPAN_MAX);
    }
    strbuf_add_char(&r->out, '>');
}

static void end_element(Reader *r, const Tag *tag)
{
    Str name = tag_written(tag);
    unsigned at = 0;
    if (is_cell_border(tag)) {
        for (at = r->depth; at > 0 && !str_eq(tag_written(r->open[at - 1]), name); at--)
            if (r->open[at - 1]->kind == TAG_TABLE)    // not beyond its own table
                return;
    } else {
        at = open_of_name(r, name);
    }
    if (at > 0)
        close_to(r, at - 1);
}

// ---- reading ----

static void skip_past(Reader *r, Str ending)
{
    Str rest = str_skip(r->html, r->at);
    r->at = MIN(r->at + str_find(rest, ending) + ending.len, r->html.len);
}

// To the end tag of this name, which is left to be read; to the end where there is none.
static void skip_raw(Reader *r, Str name)
{
    for (; r->at < r->html.len; r->at++) {
        r->at += str_find(str_skip(r->html, r->at), S("</"));
        Str end = str_slice(r->html, r->at + 2, r->at + 2 + name.len);
        size_t behind = r->at + 2 + name.len;
        if (str_eq_nocase(end, name) && behind < r->html.len &&
            (is_space(r->html.data[behind]) || r->html.data[behind] == '/' || r->html.data[behind] == '>'))
            return;
    }
    r->at = r->html.len;
}

static char now(const Reader *r) { return r->at < r->html.len ? r->html.data[r->at] : '\0'; }

static Str read_until(Reader *r, const char *ends)
{
    size_t start = r->at;
    while (r->at < r->html.len && !is_space(now(r)) && !strchr(ends, now(r)))
        r->at++;
    return str_slice(r->html, start, r->at);
}

static void skip_spaces(Reader *r)
{
    while (is_space(now(r)))
        r->at++;
}

static Str read_value(Reader *r)
{
    skip_spaces(r);
    char quote = now(r);
    if (quote != '"' && quote != '\'')
        return read_until(r, ">");
    Str rest = str_skip(r->html, ++r->at);
    size_t length = str_find_char(rest, quote);
    r->at = MIN(r->at + length + 1, r->html.len);
    return str_slice(rest, 0, length);
}

// Reads a tag's attributes and its end, keeping the first of those that an element may have; false when the document
// ends before.
static bool read_attributes(Reader *r, Attribute *attributes, size_t *count, bool *is_closed)
{
    static const Str KEPT[] = {S("href"), S("src"), S("alt"), S("width"), S("height"), S("colspan"), S("rowspan")};
    *count = 0;
    *is_closed = false;
    for (;;) {
        skip_spaces(r);
        if (r->at == r->html.len)
            return false;
        if (now(r) == '>') {
            r->at++;
            return true;
        }
        *is_closed = now(r) == '/';
        if (*is_closed) {
            r->at++;
            continue;
        }
        Attribute attribute = {.name = str_slice(r->html, r->at, r->at + 1)};
        size_t start = r->at++;    // a '=' here is part of the name
        (void)read_until(r, "/>=");
        attribute.name = str_slice(r->html, start, r->at);
        skip_spaces(r);
        if (now(r) == '=') {
            r->at++;
            attribute.value = read_value(r);
        }
        for (size_t i = 0; i < COUNT(KEPT); i++)
            if (str_eq_nocase(KEPT[i], attribute.name) && *count < ATTRIBUTES_MAX)
                attributes[(*count)++] = attribute;
    }
}

static void start_tag(Reader *r, const Tag *tag, const Attribute *attributes, size_t count, bool is_closed)
{
    if (r->dropping) {
        r->dropping_depth += tag == r->dropping && !is_closed;
        return;
    }
    if (!tag)
        return;
    if (tag->kind == TAG_RAW) {
        skip_raw(r, tag->name);
    } else if (tag->kind == TAG_DROPPED) {
        if (is_closed)
            return;
        r->dropping = tag;
        r->dropping_depth = 1;
    } else if (r->is_text) {
        if (tag->kind != TAG_INLINE && tag->kind != TAG_LINK)
            blank_due(r);
    } else {
        put_element(r, tag, attributes, count);
    }
}

static void end_tag(Reader *r, const Tag *tag)
{
    if (r->dropping) {
        if (tag == r->dropping && --r->dropping_depth == 0)
            r->dropping = NULL;
    } else if (tag && r->is_text) {
        if (tag->kind != TAG_INLINE && tag->kind != TAG_LINK)
            blank_due(r);
    } else if (tag) {
        end_element(r, tag);
    }
}

// Reads the tag, comment or declaration at a '<'; false when it is but a sign in a text.
static bool read_markup(Reader *r)
{
    Str rest = str_skip(r->html, r->at);
    char next = rest.len > 1 ? rest.data[1] : '\0';
    bool is_end = next == '/' && rest.len > 2 && is_letter(rest.data[2]);
    if (str_has_prefix(rest, S("<!--"))) {
        r->at += 2;    // "<!-->" is a whole comment
        skip_past(r, S("-->"));
    } else if (next == '!' || next == '?' || (next == '/' && !is_end && rest.len > 2)) {
        skip_past(r, S(">"));
    } else if (is_letter(next) || is_end) {
        r->at += is_end ? 2 : 1;
        const Tag *tag = tag_find(read_until(r, "/>"));
        Attribute attributes[ATTRIBUTES_MAX];
        size_t count = 0;
        bool is_closed = false;
        if (!read_attributes(r, attributes, &count, &is_closed))
            return true;
        if (is_end)
            end_tag(r, tag);
        else
            start_tag(r, tag, attributes, count, is_closed);
    } else {
        return false;
    }
    return true;
}

static bool read_all(Str html, bool is_text, Arena *arena, Str *out, Error *err)
{
    if (html.len > HTML_MAX) {
        error_set(err, ERR_TOO_LARGE, "the HTML has %zu bytes", html.len);
        return error_why(err, "at most %d are read", HTML_MAX);
    }
    if (!str_is_utf8(html)) {
        error_set(err, ERR_MALFORMED, "the HTML is refused");
        return error_why(err, "it isn't UTF-8, or has a NUL in it");
    }
    Reader r = {.arena = arena, .out = {.arena = arena}, .html = html, .is_text = is_text};
    while (r.at < html.len) {
        if (now(&r) == '<' && read_markup(&r))
            continue;
        size_t start = r.at++;
        while (r.at < html.len && now(&r) != '<')
            r.at++;
        if (!r.dropping)
            put_text(&r, str_slice(html, start, r.at));
    }
    close_to(&r, 0);
    Str text = str_trim(strbuf_str(&r.out));
    text = str_copy(arena, text);
    if (!arena_ok(arena, err))
        return false;
    *out = text;
    return true;
}

bool html_sanitise(Str html, Arena *arena, Html *out, Error *err)
{
    return read_all(html, false, arena, &out->text, err);
}

bool html_text(Str html, Arena *arena, Str *out, Error *err) { return read_all(html, true, arena, out, err); }
