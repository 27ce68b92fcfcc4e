// base/mustache.c: Mustache: a compiler to a flat array of operations, and the loop that runs them.
#include "base/mustache.h"

#include "base/arena.h"

enum { OUTPUT_MAX = 4 * MIB, WORK_MAX = 2000000, OUTPUT_FIRST = 16 * KIB, OPS_FIRST = 16 };

typedef enum OpKind {
    OP_TEXT,
    OP_ESCAPED,
    OP_RAW,
    OP_SECTION,
    OP_INVERTED,
    OP_SECTION_END,
    OP_INVERTED_END,
    OP_PARTIAL,
    OP_END
} OpKind;

typedef struct Op {
    OpKind kind;
    unsigned line;
    unsigned jump;         // of a section: its end; of its end: the first operation inside
    bool is_line_start;    // an indented partial prints its indentation first
    bool is_standalone;    // of a partial: `indent` goes before each of its lines
    unsigned key_count;    // of a name: 0 is the implicit iterator
    const Str *keys;
    Str text;    // the text, or the name as it was written
    Str indent;
} Op;

struct Mustache {
    Str name;
    Op *ops;
    unsigned op_count;
};

// ---- compiling ----

typedef struct Compiler {
    Mustache *template;
    Arena *arena;
    Str source;
    size_t at;
    unsigned line;        // of `counted`
    size_t counted;       // lines are counted up to here
    size_t line_start;    // of the line that `counted` is in
    Str open;             // delimiters
    Str close;
    bool is_line_start;    // the next operation is the first of its line
    unsigned op_capacity;
    unsigned depth;
    unsigned sections[MUSTACHE_DEPTH_MAX];
} Compiler;

typedef struct Tag {
    char sigil;      // one of #^/>!=&, { for three braces, 0 for a plain name
    size_t start;    // of the opening delimiter
    size_t end;      // behind the closing one
    Str content;     // trimmed, without the sigil
} Tag;

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n'; }

static void count_lines(Compiler *c, size_t to)
{
    if (to < c->counted) {
        c->counted = c->line_start = 0;
        c->line = 1;
    }
    for (; c->counted < to; c->counted++)
        if (c->source.data[c->counted] == '\n') {
            c->line++;
            c->line_start = c->counted + 1;
        }
}

static bool refuse(Compiler *c, size_t at, Error *err)
{
    count_lines(c, at);
    error_set(err, ERR_MALFORMED, "the template '%.*s' is refused", STR_ARG(c->template->name));
    return error_where(err, "%.*s:%u:%zu", STR_ARG(c->template->name), c->line, at - c->line_start + 1);
}

static Op *op_add(Compiler *c, OpKind kind, size_t at)
{
    Mustache *template = c->template;
    if (template->op_count == c->op_capacity) {
        unsigned capacity = MAX(c->op_capacity * 2, (unsigned)OPS_FIRST);
        Op *ops = arena_array(c->arena, capacity, Op);
        if (!ops)
            return NULL;
        if (template->op_count)
            memcpy(ops, template->ops, template->op_count * sizeof(Op));
        template->ops = ops;
        c->op_capacity = capacity;
    }
    count_lines(c, at);
    Op *op = &template->ops[template->op_count++];
    *op = (Op){.kind = kind, .text = S(""), .line = c->line, .is_line_start = c->is_line_start};
    c->is_line_start = false;
    return op;
}

static void text_add(Compiler *c, size_t start, size_t end)
{
    if (start == end)
        return;
    Op *op = op_add(c, OP_TEXT, start);
    if (op)
        op->text = str_slice(c->source, start, end);
    c->is_line_start = c->source.data[end - 1] == '\n';
}

// Splits a dotted name. "." alone has no keys.
static bool keys_add(Compiler *c, Op *op, const Tag *tag, Error *err)
{
    op->text = tag->content;
    if (str_eq(tag->content, S(".")))
        return true;
    for (size_t i = 0; i < tag->content.len; i++)
        op->key_count += tag->content.data[i] == '.';
    Str *keys = arena_array(c->arena, ++op->key_count, Str);
    if (!keys)
        return arena_ok(c->arena, err);
    Str rest = tag->content;
    for (unsigned i = 0; i < op->key_count && str_cut(&rest, '.', &keys[i]); i++)
        if (keys[i].len == 0) {
            refuse(c, tag->start, err);
            error_why(err, "the name '%.*s' has an empty part", STR_ARG(tag->content));
            return error_next(err, "write it as in 'product.title'");
        }
    op->keys = keys;
    return true;
}

static bool name_check(Compiler *c, const Tag *tag, Error *err)
{
    if (tag->content.len == 0) {
        refuse(c, tag->start, err);
        return error_why(err, "the tag has no name");
    }
    for (size_t i = 0; i < tag->content.len; i++)
        if (is_space(tag->content.data[i])) {
            refuse(c, tag->start, err);
            error_why(err, "the name has a blank or a line end in it");
            return error_next(err, "close the tag with '%.*s' right after its name", STR_ARG(c->close));
        }
    return true;
}

// The word at the start of *rest, behind blanks.
static Str word_take(Str *rest)
{
    *rest = str_trim(*rest);
    size_t length = 0;
    while (length < rest->len && !is_space(rest->data[length]))
        length++;
    Str word = str_slice(*rest, 0, length);
    *rest = str_skip(*rest, length);
    return word;
}

static bool delimiters_set(Compiler *c, const Tag *tag, Error *err)
{
    Str rest = tag->content;
    Str open = word_take(&rest), close = word_take(&rest);
    const char *why = open.len == 0 || close.len == 0                       ? "it needs two delimiters"
                      : str_trim(rest).len > 0                              ? "it has more than two delimiters"
                      : str_has_char(open, '=') || str_has_char(close, '=') ? "a delimiter has a '=' in it"
                      : MAX(open.len, close.len) > MUSTACHE_DELIMITER_MAX   ? "a delimiter has more than 16 bytes"
                                                                            : NULL;
    if (why) {
        refuse(c, tag->start, err);
        error_why(err, "the tag that sets delimiters is wrong: %s", why);
        return error_next(err, "write it as in '{{=<%% %%>=}}'");
    }
    c->open = open;
    c->close = close;
    return true;
}

// Reads the tag whose opening delimiter is at c->at.
static bool tag_read(Compiler *c, Tag *tag, Error *err)
{
    *tag = (Tag){.start = c->at};
    size_t at = c->at + c->open.len;
    while (at < c->source.len && is_space(c->source.data[at]))
        at++;
    if (at < c->source.len && c->source.data[at] && strchr("#^/>!=&{", c->source.data[at]))
        tag->sigil = c->source.data[at++];
    char ending_text[MUSTACHE_DELIMITER_MAX + 1];
    size_t extra = tag->sigil == '{' || tag->sigil == '=';
    ending_text[0] = tag->sigil == '{' ? '}' : '=';
    memcpy(ending_text + extra, c->close.data, c->close.len);
    Str ending = {ending_text, c->close.len + extra};
    Str rest = str_skip(c->source, at);
    size_t length = str_find(rest, ending);
    if (length == rest.len) {
        refuse(c, tag->start, err);
        error_why(err, "the tag isn't closed");
        return error_next(err, "close it with '%.*s'", STR_ARG(ending));
    }
    tag->content = str_trim(str_slice(rest, 0, length));
    tag->end = at + length + ending.len;
    return true;
}

// Where a line that holds nothing but this tag starts and where the next one does; false when there is more on it.
static bool is_standalone(const Compiler *c, const Tag *tag, size_t *line_start, size_t *next_line)
{
    if (!strchr("#^/>!=", tag->sigil) || tag->sigil == 0)
        return false;
    size_t start = tag->start, end = tag->end;
    while (start > 0 && is_blank(c->source.data[start - 1]))
        start--;
    while (end < c->source.len && is_blank(c->source.data[end]))
        end++;
    if (start > 0 && c->source.data[start - 1] != '\n')
        return false;
    if (end < c->source.len && c->source.data[end] == '\r' && end + 1 < c->source.len &&
        c->source.data[end + 1] == '\n')
        end++;
    if (end < c->source.len && c->source.data[end] != '\n')
        return false;
    *line_start = start;
    *next_line = MIN(end + 1, c->source.len);
    return true;
}

static bool section_open(Compiler *c, const Tag *tag, Error *err)
{
    if (c->depth == MUSTACHE_DEPTH_MAX) {
        refuse(c, tag->start, err);
        return error_why(err, "sections are nested deeper than %d", MUSTACHE_DEPTH_MAX);
    }
    Op *op = op_add(c, tag->sigil == '#' ? OP_SECTION : OP_INVERTED, tag->start);
    if (!op || !keys_add(c, op, tag, err))
        return false;
    c->sections[c->depth++] = c->template->op_count - 1;
    return true;
}

static bool section_close(Compiler *c, const Tag *tag, Error *err)
{
    const Op *open = c->depth ? &c->template->ops[c->sections[c->depth - 1]] : NULL;
    if (!open || !str_eq(open->text, tag->content)) {
        refuse(c, tag->start, err);
        if (!open)
            return error_why(err, "it closes '%.*s', and no section is open", STR_ARG(tag->content));
        return error_why(err, "it closes '%.*s', but the section '%.*s' of line %u is open", STR_ARG(tag->content),
                         STR_ARG(open->text), open->line);
    }
    if (c->is_line_start)    // the close's own place in the line is inside of the section
        (void)op_add(c, OP_TEXT, tag->start);
    unsigned at = c->sections[--c->depth];
    Op *op = op_add(c, c->template->ops[at].kind == OP_SECTION ? OP_SECTION_END : OP_INVERTED_END, tag->start);
    if (!op)
        return false;
    op->jump = at + 1;
    c->template->ops[at].jump = c->template->op_count - 1;
    return true;
}

static bool tag_add(Compiler *c, const Tag *tag, Str indent, bool standalone, Error *err)
{
    if (tag->sigil == '!')
        return true;
    if (tag->sigil == '=')
        return delimiters_set(c, tag, err);
    if (!name_check(c, tag, err))
        return false;
    if (tag->sigil == '#' || tag->sigil == '^')
        return section_open(c, tag, err);
    if (tag->sigil == '/')
        return section_close(c, tag, err);
    if (tag->sigil == '>') {
        Op *op = op_add(c, OP_PARTIAL, tag->start);
        if (op) {
            op->text = tag->content;
            op->indent = indent;
            op->is_standalone = standalone;
        }
        return op;
    }
    Op *op = op_add(c, tag->sigil ? OP_RAW : OP_ESCAPED, tag->start);
    return op && keys_add(c, op, tag, err);
}

static bool compile_all(Compiler *c, Error *err)
{
    while (c->at < c->source.len) {
        size_t text_start = c->at;
        c->at += str_find(str_skip(c->source, c->at), c->open);
        if (c->at == c->source.len) {
            text_add(c, text_start, c->at);
            break;
        }
        Tag tag;
        if (!tag_read(c, &tag, err))
            return false;
        size_t line_start = 0, next_line = 0;
        bool standalone = is_standalone(c, &tag, &line_start, &next_line) && line_start >= text_start;
        text_add(c, text_start, standalone ? line_start : tag.start);
        if (standalone)
            c->is_line_start = false;
        if (!tag_add(c, &tag, standalone ? str_slice(c->source, line_start, tag.start) : S(""), standalone, err))
            return false;
        if (standalone)
            c->is_line_start = true;
        c->at = standalone ? next_line : tag.end;
    }
    if (c->depth > 0) {
        const Op *open = &c->template->ops[c->sections[c->depth - 1]];
        error_set(err, ERR_MALFORMED, "the template '%.*s' is refused", STR_ARG(c->template->name));
        error_where(err, "%.*s:%u", STR_ARG(c->template->name), open->line);
        error_why(err, "the section '%.*s' isn't closed", STR_ARG(open->text));
        return error_next(err, "close it with '{{/%.*s}}'", STR_ARG(open->text));
    }
    return op_add(c, OP_END, c->source.len);
}

bool mustache_compile(Str source, Str name, Arena *arena, Mustache **out, Error *err)
{
    if (source.len > MUSTACHE_SOURCE_MAX) {
        error_set(err, ERR_TOO_LARGE, "the template '%.*s' has %zu bytes", STR_ARG(name), source.len);
        return error_next(err, "split it: a template has at most %d bytes", MUSTACHE_SOURCE_MAX);
    }
    if (!str_is_utf8(source)) {
        error_set(err, ERR_MALFORMED, "the template '%.*s' is refused", STR_ARG(name));
        return error_why(err, "it isn't UTF-8, or has a NUL in it");
    }
    Mustache *template = arena_new(arena, Mustache);
    if (!template)
        return arena_ok(arena, err);
    template->name = str_copy(arena, name);
    Compiler compiler = {.template = template,
                         .arena = arena,
                         .source = str_copy(arena, source),
                         .line = 1,
                         .open = S("{{"),
                         .close = S("}}"),
                         .is_line_start = true};
    if (!compile_all(&compiler, err))
        return err->code == ERR_NONE ? arena_ok(arena, err) : false;
    if (!arena_ok(arena, err))
        return false;
    *out = template;
    return true;
}

// ---- rendering ----

typedef struct Frame {
    const Mustache *template;    // of a partial: whose rendering goes on behind it; NULL for a section
    unsigned back;               // where
    unsigned indent_from;        // what it was outside
    const Json *list;            // of a section over a list
    size_t element;
    Str indent;
} Frame;

typedef struct Renderer {
    const Mustache *template;
    const MustacheOptions *options;
    StrBuf out;
    size_t output_max;
    size_t work_left;
    unsigned depth;
    unsigned scope_count;
    unsigned indent_from;     // the indentation is that of the frames from here on
    unsigned indent_count;    // frames that have one
    Frame frames[MUSTACHE_DEPTH_MAX];
    const Json *scopes[MUSTACHE_DEPTH_MAX + 1];
} Renderer;

static bool stop(const Renderer *r, const Op *op, Error *err)
{
    error_set(err, ERR_INVALID, "the template '%.*s' can't be rendered", STR_ARG(r->template->name));
    return error_where(err, "%.*s:%u", STR_ARG(r->template->name), op->line);
}

static inline void put(Renderer *r, Str text)
{
    StrBuf *out = &r->out;
    if (out->capacity - out->len > text.len) {
        memcpy(out->data + out->len, text.data, text.len);
        out->len += text.len;
    } else {
        strbuf_add(out, text);
    }
}

static const Str ENTITIES[256] = {
    ['&'] = S("&amp;"), ['<'] = S("&lt;"), ['>'] = S("&gt;"), ['"'] = S("&quot;"), ['\''] = S("&#39;"),
};

static void put_escaped(Renderer *r, Str text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        const Str *entity = &ENTITIES[(unsigned char)text.data[i]];
        if (!entity->data)
            continue;
        put(r, (Str){text.data + from, i - from});
        put(r, *entity);
        from = i + 1;
    }
    if (from < text.len)
        put(r, (Str){text.data + from, text.len - from});
}

static void put_indent(Renderer *r)
{
    for (unsigned i = r->indent_from; i < r->depth; i++)
        if (r->frames[i].indent.len)
            put(r, r->frames[i].indent);
}

static void put_text(Renderer *r, Str text)
{
    if (r->indent_count == 0) {
        put(r, text);
        return;
    }
    while (text.len > 0) {
        size_t length = MIN(str_find_char(text, '\n') + 1, text.len);
        put(r, str_slice(text, 0, length));
        text = str_skip(text, length);
        if (text.len > 0)
            put_indent(r);
    }
}

static const Json *look_up(Renderer *r, const Op *op)
{
    if (op->key_count == 0)
        return r->scopes[r->scope_count - 1];
    const Json *value = NULL;
    size_t searched = 0;
    for (unsigned i = r->scope_count; i > 0 && !value; i--, searched++)
        value = json_member(r->scopes[i - 1], op->keys[0]);
    for (unsigned i = 1; i < op->key_count && value; i++, searched++)
        value = json_member(value, op->keys[i]);
    r->work_left -= MIN(searched, r->work_left);
    return value;
}

static void put_value(Renderer *r, const Json *value, bool is_raw)
{
    switch (json_kind(value)) {
    case JSON_KIND_STRING:
        if (is_raw)
            put(r, json_str(value));
        else
            put_escaped(r, json_str(value));
        break;
    case JSON_KIND_NUMBER: put(r, json_number_text(value, r->out.arena)); break;
    case JSON_KIND_TRUE: put(r, S("true")); break;
    case JSON_KIND_FALSE: put(r, S("false")); break;
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT: break;
    }
}

static bool is_true(const Json *value)
{
    switch (json_kind(value)) {
    case JSON_KIND_NULL:
    case JSON_KIND_FALSE: return false;
    case JSON_KIND_NUMBER: return !json_is_int(value) || json_int64(value) != 0;
    case JSON_KIND_STRING: return json_str(value).len > 0;
    case JSON_KIND_ARRAY: return json_count(value) > 0;
    case JSON_KIND_TRUE:
    case JSON_KIND_OBJECT: return true;
    }
    return false;
}

static bool raw_ok(const Mustache *template, const Op *op, const MustacheOptions *options, Error *err)
{
    if (options->is_all_html)
        return true;
    Str leaf = op->key_count ? op->keys[op->key_count - 1] : S(".");
    for (size_t i = 0; i < options->html_name_count; i++)
        if (str_eq(options->html_names[i], leaf))
            return true;
    error_set(err, ERR_INVALID, "the template '%.*s' is refused", STR_ARG(template->name));
    error_where(err, "%.*s:%u", STR_ARG(template->name), op->line);
    error_why(err, "it prints '%.*s' raw, which isn't marked as safe HTML", STR_ARG(op->text));
    return error_next(err, "write '{{%.*s}}'", STR_ARG(op->text));
}

bool mustache_check_raw(const Mustache *template, const MustacheOptions *options, Error *err)
{
    for (unsigned i = 0; i < template->op_count; i++)
        if (template->ops[i].kind == OP_RAW && !raw_ok(template, &template->ops[i], options, err))
            return false;
    return true;
}

static Frame *frame_push(Renderer *r, const Op *op, Error *err)
{
    if (r->depth == MUSTACHE_DEPTH_MAX) {
        stop(r, op, err);
        error_why(err, "sections and partials are nested deeper than %d", MUSTACHE_DEPTH_MAX);
        (void)error_next(err, "look for a partial that includes itself without end");
        return NULL;
    }
    r->frames[r->depth] = (Frame){0};
    return &r->frames[r->depth++];
}

// Each of the following runs one operation and moves *pc on.
static bool run_section(Renderer *r, const Op *op, unsigned *pc, Error *err)
{
    const Json *value = look_up(r, op);
    if (!is_true(value)) {
        *pc = op->jump + 1;
        return true;
    }
    Frame *frame = frame_push(r, op, err);
    if (!frame)
        return false;
    bool is_list = json_kind(value) == JSON_KIND_ARRAY;
    frame->list = is_list ? value : NULL;
    r->scopes[r->scope_count++] = is_list ? json_element(value, 0) : value;
    ++*pc;
    return true;
}

static void run_section_end(Renderer *r, const Op *op, unsigned *pc)
{
    Frame *frame = &r->frames[r->depth - 1];
    if (frame->list && ++frame->element < json_count(frame->list)) {
        r->scopes[r->scope_count - 1] = json_element(frame->list, frame->element);
        *pc = op->jump;
        return;
    }
    r->depth--;
    r->scope_count--;
    ++*pc;
}

static bool run_partial(Renderer *r, const Op *op, unsigned *pc, Error *err)
{
    const Mustache *partial = NULL;
    if (r->options->partial && !r->options->partial(r->options->context, op->text, &partial, err))
        return false;
    ++*pc;
    if (!partial)
        return true;
    Frame *frame = frame_push(r, op, err);
    if (!frame)
        return false;
    *frame = (Frame){.template = r->template, .back = *pc, .indent_from = r->indent_from, .indent = op->indent};
    if (!op->is_standalone)
        r->indent_from = r->depth;
    r->indent_count += op->indent.len > 0;
    r->template = partial;
    *pc = 0;
    return true;
}

static void run_partial_end(Renderer *r, unsigned *pc)
{
    const Frame *frame = &r->frames[--r->depth];
    r->indent_count -= frame->indent.len > 0;
    r->indent_from = frame->indent_from;
    r->template = frame->template;
    *pc = frame->back;
}

static bool within_bounds(const Renderer *r, const Op *op, Error *err)
{
    if (r->out.len > r->output_max) {
        stop(r, op, err);
        return error_why(err, "its output is longer than %zu bytes", r->output_max);
    }
    if (r->work_left == 0) {
        stop(r, op, err);
        return error_why(err, "it takes more than %zu operations",
                         r->options->work_max ? r->options->work_max : (size_t)WORK_MAX);
    }
    return arena_ok(r->out.arena, err);
}

static bool run(Renderer *r, Error *err)
{
    for (unsigned pc = 0;;) {
        const Op *op = &r->template->ops[pc];
        if (!within_bounds(r, op, err))
            return false;
        r->work_left--;
        if (op->is_line_start && r->indent_count > 0 && op->kind != OP_END)
            put_indent(r);
        switch (op->kind) {
        case OP_TEXT:
            put_text(r, op->text);
            pc++;
            break;
        case OP_RAW:
            if (!raw_ok(r->template, op, r->options, err))
                return false;
            put_value(r, look_up(r, op), true);
            pc++;
            break;
        case OP_ESCAPED:
            put_value(r, look_up(r, op), false);
            pc++;
            break;
        case OP_SECTION:
            if (!run_section(r, op, &pc, err))
                return false;
            break;
        case OP_INVERTED: pc = is_true(look_up(r, op)) ? op->jump + 1 : pc + 1; break;
        case OP_SECTION_END: run_section_end(r, op, &pc); break;
        case OP_INVERTED_END: pc++; break;
        case OP_PARTIAL:
            if (!run_partial(r, op, &pc, err))
                return false;
            break;
        case OP_END:
            if (r->depth == 0)
                return true;
            run_partial_end(r, &pc);
            break;
        }
    }
}

bool mustache_render(const Mustache *template, const Json *data, const MustacheOptions *options, Arena *arena, Str *out,
                     Error *err)
{
    Renderer r = {.template = template, .options = options, .out = {.arena = arena}, .scope_count = 1};
    r.output_max = options->output_max_bytes ? options->output_max_bytes : OUTPUT_MAX;
    r.work_left = options->work_max ? options->work_max : WORK_MAX;
    r.scopes[0] = data;
    size_t first = MIN(r.output_max, (size_t)OUTPUT_FIRST) + 1;
    r.out.data = arena_bytes(arena, first);
    if (!r.out.data)
        return arena_ok(arena, err);
    r.out.capacity = first;
    if (!run(&r, err))
        return false;
    Str text = strbuf_str(&r.out);
    if (!arena_ok(arena, err))
        return false;
    *out = text;
    return true;
}
