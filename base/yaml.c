// base/yaml.c: YAML by libyaml, as a tree; what a plain document doesn't need is refused.
#include "base/yaml.h"

#include <yaml.h>

#include "base/arena.h"

enum { MEMBERS_MAX = 1000, EXCERPT_MAX = 60 };

typedef struct Reader {
    yaml_parser_t parser;
    yaml_event_t event;
    Str text;
    Arena *arena;
    Faults *faults;
    size_t node_count;
    bool is_stopped;    // by a fault that leaves no tree
    bool is_out_of_memory;
} Reader;

static void reader_close(Reader *reader)
{
    yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
}

static void fault_at(Reader *reader, yaml_mark_t mark, Str what, Str why, Str next)
{
    faults_add(reader->faults, &(Fault){.line = (unsigned)mark.line + 1,
                                        .column = (unsigned)mark.column + 1,
                                        .what = what,
                                        .why = why,
                                        .next = next});
}

static void *stop_at(Reader *reader, yaml_mark_t mark, Str what, Str why, Str next)
{
    fault_at(reader, mark, what, why, next);
    reader->is_stopped = true;
    return NULL;
}

// By its number from 0; libyaml's index counts characters, not bytes.
static Str line_of(Str text, size_t number)
{
    Str line = S("");
    for (size_t i = 0; i <= number; i++)
        if (!str_cut(&text, '\n', &line))
            return S("");
    return line;
}

// A line without blanks around it, cut.
static Str excerpt(Str line)
{
    line = str_trim(line);
    size_t length = MIN(line.len, (size_t)EXCERPT_MAX);
    while (length > 0 && length < line.len && ((unsigned char)line.data[length] & 0xC0) == 0x80)
        length--;
    return str_is_utf8(line) ? str_slice(line, 0, length) : S("");
}

// libyaml's reader knows the byte alone.
static yaml_mark_t mark_of_offset(Str text, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < MIN(offset, text.len); i++) {
        bool is_break = text.data[i] == '\n', is_inner = ((unsigned char)text.data[i] & 0xC0) == 0x80;
        mark.line += is_break;
        mark.column = is_break ? 0 : mark.column + !is_inner;
    }
    mark.index = offset;
    return mark;
}

static void syntax_fault(Reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    reader->is_stopped = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        reader->is_out_of_memory = true;
        return;
    }
    const char *problem = parser->problem ? parser->problem : "it can't be read as YAML";
    if (parser->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_of_offset(reader->text, parser->problem_offset);
        fault_at(reader, mark, S(""), str_of(problem), S("write the document as UTF-8 without control characters"));
        return;
    }
    Str why = str_of(problem);
    if (parser->context)    // an open bracket is noticed lines later: where it began is what helps
        why = str_format(reader->arena, "%s (%s from line %zu, column %zu)", problem, parser->context,
                         parser->context_mark.line + 1, parser->context_mark.column + 1);
    Str line = line_of(reader->text, parser->problem_mark.line);
    size_t indent = line.len - str_trim(line).len;
    bool has_tab = str_has_char(str_slice(line, 0, indent), '\t');
    fault_at(reader, parser->problem_mark, excerpt(line), why,
             has_tab ? S("indent with blanks, not with tabs") : S(""));
}

// Goes to the next event; false when there is none because of a fault.
static bool reader_next(Reader *reader)
{
    yaml_event_delete(&reader->event);
    if (reader->is_stopped)
        return false;
    if (!yaml_parser_parse(&reader->parser, &reader->event))
        syntax_fault(reader);
    return !reader->is_stopped;
}

static Str event_text(const yaml_event_t *event)
{
    return (Str){(const char *)event->data.scalar.value, event->data.scalar.length};
}

static void properties_check(Reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
    if (anchor)
        fault_at(reader, event->start_mark, str_of((const char *)anchor), S("anchors ('&') are not allowed"),
                 S("write the value out where it is needed"));
    if (tag)
        fault_at(reader, event->start_mark, str_of((const char *)tag), S("tags ('!') are not allowed"),
                 S("leave the tag out; quote what must be a text"));
}

static YamlNode *node_read(Reader *reader, unsigned depth);

static YamlNode *scalar_read(Reader *reader, YamlNode *node)
{
    Str text = event_text(&reader->event);
    node->kind = YAML_KIND_SCALAR;
    node->is_plain = reader->event.data.scalar.plain_implicit;
    node->text = str_copy(reader->arena, text);
    if (str_has_char(text, '\0'))
        fault_at(reader, reader->event.start_mark, S(""), S("the text holds a NUL character"), S("leave it out"));
    return node;
}

static void node_append(YamlNode *parent, YamlNode **last, YamlNode *child)
{
    if (*last)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->count++;
}

static YamlNode *sequence_read(Reader *reader, YamlNode *node, unsigned depth)
{
    node->kind = YAML_KIND_SEQUENCE;
    YamlNode *last = NULL;
    for (;;) {
        if (!reader_next(reader))
            return NULL;
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return node;
        YamlNode *child = node_read(reader, depth + 1);
        if (!child)
            return NULL;
        node_append(node, &last, child);
    }
}

// Whether the key that was just read may stand in the mapping; says why it may not.
static bool key_check(Reader *reader, const YamlNode *mapping, const YamlNode *key, yaml_mark_t mark)
{
    if (key->kind != YAML_KIND_SCALAR || key->text.len == 0) {
        fault_at(reader, mark, S(""), S("a key must be a text that isn't empty"), S("write KEY: VALUE"));
        return false;
    }
    const YamlNode *twin = yaml_member(mapping, key->text);
    if (!twin)
        return true;
    faults_add(reader->faults, &(Fault){.line = key->line,
                                        .column = key->column,
                                        .where = key->text,
                                        .what = key->text,
                                        .why = str_format(reader->arena, "the key '%.*s' stands in line %u already",
                                                          STR_ARG(key->text), twin->key_line),
                                        .next = S("keep one of the two")});
    return false;
}

static YamlNode *mapping_read(Reader *reader, YamlNode *node, unsigned depth)
{
    node->kind = YAML_KIND_MAPPING;
    YamlNode *last = NULL;
    for (;;) {
        if (!reader_next(reader))
            return NULL;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return node;
        yaml_mark_t mark = reader->event.start_mark;
        if (node->count == MEMBERS_MAX)
            return stop_at(reader, mark, S(""), S("a mapping has more than 1,000 keys"), S("split the document"));
        YamlNode *key = node_read(reader, depth + 1);
        if (!key || !reader_next(reader))
            return NULL;
        YamlNode *value = node_read(reader, depth + 1);
        if (!value)
            return NULL;
        if (!key_check(reader, node, key, mark))
            continue;
        value->key = key->text;
        value->key_line = key->line;
        value->key_column = key->column;
        node_append(node, &last, value);
    }
}

// Reads the node whose first event is the current one, and stays at its last event.
static YamlNode *node_read(Reader *reader, unsigned depth)
{
    yaml_mark_t mark = reader->event.start_mark;
    if (depth > YAML_DEPTH_MAX)
        return stop_at(reader, mark, S(""), S("the document is nested deeper than 32 levels"), S("flatten it"));
    if (++reader->node_count > YAML_NODES_MAX)
        return stop_at(reader, mark, S(""), S("the document has more than 200,000 values"), S("split it"));
    properties_check(reader);
    YamlNode *node = arena_new(reader->arena, YamlNode);
    if (!node) {
        reader->is_stopped = reader->is_out_of_memory = true;
        return NULL;
    }
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    if (reader->event.type == YAML_SEQUENCE_START_EVENT)
        return sequence_read(reader, node, depth);
    if (reader->event.type == YAML_MAPPING_START_EVENT)
        return mapping_read(reader, node, depth);
    if (reader->event.type == YAML_SCALAR_EVENT)
        return scalar_read(reader, node);
    fault_at(reader, mark, str_of((const char *)reader->event.data.alias.anchor), S("aliases ('*') are not allowed"),
             S("write the value out where it is needed"));
    return node;
}

static const YamlNode *document_read(Reader *reader)
{
    const YamlNode *root = NULL;
    bool has_document = false;
    while (reader_next(reader) && reader->event.type != YAML_STREAM_END_EVENT) {
        if (reader->event.type != YAML_DOCUMENT_START_EVENT)    // the stream's start, a document's end
            continue;
        if (has_document)
            return stop_at(reader, reader->event.start_mark, S("---"), S("there is a second document"),
                           S("put it into a file of its own"));
        has_document = true;
        if (!reader_next(reader))
            return NULL;
        root = node_read(reader, 1);
    }
    return reader->is_stopped ? NULL : root;
}

bool yaml_parse(Str text, Arena *arena, Faults *faults, const YamlNode **out, Error *err)
{
    CLEANUP(reader_close) Reader reader = {.text = text, .arena = arena, .faults = faults};
    if (!yaml_parser_initialize(&reader.parser))
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a YAML document");
    const YamlNode *root = NULL;
    if (text.len > YAML_BYTES_MAX) {
        stop_at(&reader, (yaml_mark_t){0}, S(""), S("the document has more than 4 MiB"), S("split it"));
    } else {
        yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.data ? text.data : ""), text.len);
        root = document_read(&reader);
    }
    if (!arena_ok(arena, err))
        return false;
    if (reader.is_out_of_memory)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a YAML document");
    bool is_empty = root && root->kind == YAML_KIND_SCALAR && root->is_plain && root->text.len == 0;
    *out = is_empty ? NULL : root;
    return true;
}

const YamlNode *yaml_member(const YamlNode *mapping, Str key)
{
    if (!mapping || mapping->kind != YAML_KIND_MAPPING)
        return NULL;
    for (const YamlNode *member = mapping->first; member; member = member->next)
        if (str_eq(member->key, key))
            return member;
    return NULL;
}

Str yaml_text(const YamlNode *node) { return node && node->kind == YAML_KIND_SCALAR ? node->text : S(""); }

static bool is_plain_text(const YamlNode *node, Str text)
{
    return node->kind == YAML_KIND_SCALAR && node->is_plain && str_eq(node->text, text);
}

bool yaml_is_null(const YamlNode *node)
{
    return !node || is_plain_text(node, S("")) || is_plain_text(node, S("~")) || is_plain_text(node, S("null"));
}

bool yaml_is_bool(const YamlNode *node, bool *out)
{
    if (!node)
        return false;
    bool is_true = is_plain_text(node, S("true"));
    if (!is_true && !is_plain_text(node, S("false")))
        return false;
    *out = is_true;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t digits_end(Str text, size_t at)
{
    while (at < text.len && is_digit(text.data[at]))
        at++;
    return at;
}

// The core schema's numbers: [-+]? (digits .digits? | .digits) exponent?
static bool is_number(Str text, bool *has_fraction)
{
    size_t start = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    size_t end = digits_end(text, start), digit_count = end - start;
    *has_fraction = false;
    if (end < text.len && text.data[end] == '.') {
        size_t fraction_end = digits_end(text, end + 1);
        digit_count += fraction_end - end - 1;
        end = fraction_end;
        *has_fraction = true;
    }
    if (digit_count > 0 && end < text.len && (text.data[end] == 'e' || text.data[end] == 'E')) {
        size_t exponent = end + 1 + (end + 1 < text.len && (text.data[end + 1] == '-' || text.data[end + 1] == '+'));
        size_t exponent_end = digits_end(text, exponent);
        digit_count *= exponent_end > exponent;
        end = exponent_end;
        *has_fraction = true;
    }
    return digit_count > 0 && end == text.len;
}

// A leading zero says that the digits are a code (a postal code), not an amount.
static bool has_leading_zero(Str text) { return text.len > 1 && text.data[0] == '0' && is_digit(text.data[1]); }

bool yaml_is_int(const YamlNode *node, int64_t *out)
{
    bool has_fraction = false;
    if (!node || node->kind != YAML_KIND_SCALAR || !node->is_plain || !is_number(node->text, &has_fraction) ||
        has_fraction || has_leading_zero(node->text))
        return false;
    Str digits = str_skip(node->text, node->text.data[0] == '+');
    Error unused = {0};    // beyond int64: it stays a text
    return str_int64(digits, INT64_MIN, INT64_MAX, out, &unused);
}

const char *yaml_kind_name(const YamlNode *node)
{
    int64_t number = 0;
    bool truth = false;
    if (yaml_is_null(node))
        return "nothing";
    if (node->kind == YAML_KIND_SEQUENCE)
        return "a list";
    if (node->kind == YAML_KIND_MAPPING)
        return "a mapping";
    return yaml_is_int(node, &number) ? "a number" : yaml_is_bool(node, &truth) ? "a truth value" : "a text";
}

static Json *scalar_to_json(const YamlNode *node)
{
    int64_t number = 0;
    bool truth = false, has_fraction = false;
    if (yaml_is_null(node))
        return json_build("n");
    if (yaml_is_bool(node, &truth))
        return json_from_bool(truth);
    if (yaml_is_int(node, &number))
        return json_from_int(number);
    if (node->is_plain && is_number(node->text, &has_fraction) && has_fraction && !has_leading_zero(node->text)) {
        double value = strtod(node->text.data, NULL);    // the arena's texts end in NUL
        if (__builtin_isfinite(value))
            return json_build("f", value);
    }
    return json_from_str(node->text);
}

static Json *node_to_json(const YamlNode *node)
{
    if (!node || node->kind == YAML_KIND_SCALAR)
        return scalar_to_json(node);
    bool is_mapping = node->kind == YAML_KIND_MAPPING;
    CLEANUP(json_close) Json *json = json_build(is_mapping ? "{}" : "[]");
    for (const YamlNode *child = node->first; child; child = child->next) {
        Json *value = node_to_json(child);
        if (!(is_mapping ? json_put(json, child->key.data, value) : json_append(json, value)))
            return NULL;
    }
    return TAKE(json);
}

bool yaml_to_json(const YamlNode *node, Json **out, Error *err)
{
    Json *json = node_to_json(node);
    if (!json_ok(json, err))
        return false;
    *out = json;
    return true;
}

static int print_chunk(void *buf, unsigned char *data, size_t size)
{
    strbuf_add(buf, (Str){(const char *)data, size});
    return 1;
}

// Whether some reader of YAML 1.1 or 1.2 would take the plain text for something else.
static bool is_misread(Str text)
{
    static const Str WORDS[] = {S("~"),   S("null"), S("true"), S("false"), S("yes"), S("no"),
                                S("off"), S("on"),   S("y"),    S("n"),     S("="),   S("<<")};
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (str_eq_nocase(text, WORDS[i]))
            return true;
    return text.len == 0 || is_digit(text.data[0]) || text.data[0] == '.' ||
           ((text.data[0] == '-' || text.data[0] == '+') && text.len > 1);
}

static bool scalar_emit(yaml_emitter_t *emitter, Str text, bool is_text)
{
    yaml_event_t event;
    bool is_quoted = is_text && is_misread(text);
    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text.data, (int)text.len, !is_quoted,
                                        is_text, is_quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE) &&
           yaml_emitter_emit(emitter, &event);
}

// A number that isn't whole by kind stays so: 1.0, not 1.
static Str number_text(const Json *json, Arena *arena)
{
    Str text = json_number_text(json, arena);
    bool looks_whole = !str_has_char(text, '.') && !str_has_char(text, 'e');
    return looks_whole && !json_is_int(json) ? str_format(arena, "%.*s.0", STR_ARG(text)) : text;
}

static bool node_emit(yaml_emitter_t *emitter, const Json *json, Arena *arena)
{
    yaml_event_t event;
    switch (json_kind(json)) {
    case JSON_KIND_NULL: return scalar_emit(emitter, S("null"), false);
    case JSON_KIND_FALSE: return scalar_emit(emitter, S("false"), false);
    case JSON_KIND_TRUE: return scalar_emit(emitter, S("true"), false);
    case JSON_KIND_NUMBER: return scalar_emit(emitter, number_text(json, arena), false);
    case JSON_KIND_STRING: return scalar_emit(emitter, json_str(json), true);
    case JSON_KIND_ARRAY:
        if (!yaml_sequence_start_event_initialize(
                &event, NULL, NULL, 1, json_count(json) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE) ||
            !yaml_emitter_emit(emitter, &event))
            return false;
        for (size_t i = 0; i < json_count(json); i++)
            if (!node_emit(emitter, json_element(json, i), arena))
                return false;
        return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
    case JSON_KIND_OBJECT:
        if (!yaml_mapping_start_event_initialize(
                &event, NULL, NULL, 1, json_count(json) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE) ||
            !yaml_emitter_emit(emitter, &event))
            return false;
        for (JsonIter it = json_iter(json); json_next(&it);)
            if (!scalar_emit(emitter, it.key, true) || !node_emit(emitter, it.value, arena))
                return false;
        return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
    }
    return false;
}

static bool document_emit(yaml_emitter_t *emitter, const Json *json, Arena *arena)
{
    yaml_event_t event;
    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && yaml_emitter_emit(emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && yaml_emitter_emit(emitter, &event) &&
           node_emit(emitter, json, arena) && yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

bool yaml_print(const Json *json, Arena *arena, Str *out, Error *err)
{
    StrBuf buf = {.arena = arena};
    CLEANUP(yaml_emitter_delete) yaml_emitter_t emitter = {0};
    if (!yaml_emitter_initialize(&emitter))
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory to print a YAML document");
    yaml_emitter_set_output(&emitter, print_chunk, &buf);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool is_printed = document_emit(&emitter, json, arena);
    Str text = strbuf_str(&buf);
    if (!arena_ok(arena, err))
        return false;
    if (!is_printed)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory to print a YAML document");
    *out = text;
    return true;
}
