// cli/output.c: answers as tables, JSON, YAML or names.
#include "cli/output.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/arena.h"
#include "base/currency.h"
#include "base/yaml.h"
#include "cli/table.h"

enum { JSON_INDENT = 2, COLUMNS_MAX = 32, CUT_TO = 24 };    // so much of a cell that is cut is left at least

bool output_is_coloured(FILE *file)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(file)) && (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;
}

bool output_text(Str text, FILE *file, Error *err)
{
    bool is_written = fwrite(text.data ? text.data : "", 1, text.len, file) == text.len;
    if (fflush(file) == 0 && is_written)
        return true;
    return error_from_errno(err, errno, "the answer can't be written");
}

static const OutputKey *key_find(const OutputKey *keys, Str key)
{
    for (; keys && keys->key; keys++)
        if (str_eq(str_of(keys->key), key))
            return keys;
    return NULL;
}

static const Json *value_at(const Json *item, Str key)
{
    for (Str part = S(""); str_cut(&key, '.', &part);)
        item = json_member(item, part);
    return item;
}

static bool is_money(const Json *value)
{
    return json_count(value) == 2 && json_is_int(json_get(value, "amount")) &&
           json_kind(json_get(value, "currency")) == JSON_KIND_STRING;
}

static Str money_text(const Json *value, Arena *arena)
{
    Str currency = json_str(json_get(value, "currency"));
    if (currency_digits(currency) < 0)
        return str_format(arena, "%lld %.*s", (long long)json_int64(json_get(value, "amount")), STR_ARG(currency));
    Str amount = currency_text(json_int64(json_get(value, "amount")), currency, arena);
    return str_format(arena, "%.*s %.*s", STR_ARG(amount), STR_ARG(currency));
}

// `key` is the value's row, or NULL.
static Str cell_text(const Json *value, const OutputKey *key, Arena *arena)
{
    UnitKind unit = key ? key->unit : UNIT_NONE;
    switch (json_kind(value)) {
    case JSON_KIND_NULL: return S("");
    case JSON_KIND_FALSE: return S("no");
    case JSON_KIND_TRUE: return S("yes");
    case JSON_KIND_NUMBER:
        return unit != UNIT_NONE && json_is_int(value) ? unit_text(unit, json_int64(value), arena)
                                                       : json_number_text(value, arena);
    case JSON_KIND_STRING: return json_str(value);
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT: break;
    }
    if (is_money(value) || (key && strcmp(key->type, "money") == 0))
        return money_text(value, arena);
    StrBuf buf = {.arena = arena};    // members in a row: "reserve  done"
    if (json_kind(value) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_count(value); i++) {
            strbuf_add(&buf, i ? S(", ") : S(""));
            strbuf_add(&buf, cell_text(json_element(value, i), key, arena));
        }
    } else {
        for (JsonIter it = json_iter(value); json_next(&it);) {
            strbuf_add(&buf, buf.len ? S("  ") : S(""));
            strbuf_add(&buf, cell_text(it.value, NULL, arena));
        }
    }
    return strbuf_str(&buf);
}

static Str line_text(const Json *value, const OutputKey *key, Arena *arena)
{
    return str_replace(arena, cell_text(value, key, arena), '\n', ' ');
}

Str output_value(const Json *value, Arena *arena) { return str_visible(arena, line_text(value, NULL, arena)); }

static TableLook look_of(FILE *file, bool has_headings)
{
    return (TableLook){.has_headings = has_headings, .is_coloured = output_is_coloured(file)};
}

// ---- the width of a terminal ----

// 0: it is no terminal, or doesn't say.
static size_t terminal_width(FILE *file)
{
    struct winsize size = {0};
    return isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// The columns that the text takes; *out_cut (may be NULL) is how many bytes of it fit into `most` columns.
static size_t text_width(Str text, size_t most, size_t *out_cut)
{
    size_t width = 0;
    mbstate_t state = {0};
    for (size_t at = 0; at < text.len;) {
        wchar_t letter = 0;
        size_t length = mbrtowc(&letter, text.data + at, text.len - at, &state);
        if (length == 0 || length > text.len - at)    // no letter in this locale: libsmartcols prints it as \xNN
            length = 1, letter = 0, state = (mbstate_t){0};
        int columns = letter ? wcwidth(letter) : -1;
        width += columns < 0 ? strlen("\\x00") * length : (size_t)columns;
        at += length;
        if (out_cut && width <= most)
            *out_cut = at;
    }
    return width;
}

typedef struct Cells {
    const OutputKey *shown[COLUMNS_MAX];
    size_t column_count;
    Str *texts;
    size_t row_count;
    Arena *arena;
} Cells;

static size_t column_width(const Cells *cells, size_t column)
{
    size_t width = text_width(str_of(cells->shown[column]->heading), 0, NULL);
    for (size_t row = 0; row < cells->row_count; row++)
        width = MAX(width, text_width(cells->texts[row * cells->column_count + column], 0, NULL));
    return width;
}

static void column_cut(Cells *cells, size_t column, size_t most)
{
    for (size_t row = 0; row < cells->row_count; row++) {
        Str *text = &cells->texts[row * cells->column_count + column];
        size_t end = 0;
        if (text_width(*text, most - 1, &end) > most)
            *text = str_format(cells->arena, "%.*s…", STR_ARG(str_trim(str_slice(*text, 0, end))));
    }
}

// Cuts prose as far as the rows are too long; what isn't prose is never cut.
static void cells_fit(Cells *cells, size_t terminal)
{
    size_t total = cells->column_count ? cells->column_count - 1 : 0;
    for (size_t i = 0; i < cells->column_count; i++)
        total += column_width(cells, i);
    for (size_t i = 0; i < cells->column_count && total > terminal; i++) {
        if (!cells->shown[i]->is_cut)
            continue;
        size_t width = column_width(cells, i);
        size_t cut = MAX(width - MIN(total - terminal, width), (size_t)CUT_TO);
        if (cut < width) {
            column_cut(cells, i, cut);
            total -= width - cut;
        }
    }
}

// ---- tables ----

static bool list_print(const Json *items, const OutputKey *keys, FILE *file, Arena *arena, Error *err)
{
    TableColumn columns[COLUMNS_MAX];
    Cells cells = {.row_count = json_count(items), .arena = arena};
    for (const OutputKey *key = keys; key && key->key; key++) {
        if (!key->heading)
            continue;
        assert(cells.column_count < COLUMNS_MAX);
        columns[cells.column_count] = (TableColumn){.heading = key->heading, .is_right = key->is_right};
        cells.shown[cells.column_count++] = key;
    }
    cells.texts = arena_array(arena, cells.row_count * cells.column_count, Str);
    if (!arena_ok(arena, err))
        return false;
    for (size_t row = 0; row < cells.row_count; row++)
        for (size_t i = 0; i < cells.column_count; i++)
            cells.texts[row * cells.column_count + i] =
                line_text(value_at(json_element(items, row), str_of(cells.shown[i]->key)), cells.shown[i], arena);
    size_t terminal = terminal_width(file);
    if (terminal)
        cells_fit(&cells, terminal);
    return arena_ok(arena, err) &&
           table_print(columns, cells.column_count, cells.texts, cells.row_count, look_of(file, true), file, err);
}

// The lines of an object: a key and a value each, in `cells`.
typedef struct Lines {
    const OutputKey *keys;
    Arena *arena;
    Str *cells;
    size_t count;
    size_t capacity;
} Lines;

static void line_add(Lines *lines, Str key, Str value)
{
    if (lines->count == lines->capacity) {
        size_t capacity = MAX(lines->capacity * 2, (size_t)32);
        Str *cells = arena_array(lines->arena, 2 * capacity, Str);
        if (!cells)
            return;
        if (lines->count)
            memcpy(cells, lines->cells, 2 * lines->count * sizeof(Str));
        lines->cells = cells;
        lines->capacity = capacity;
    }
    lines->cells[2 * lines->count] = key;
    lines->cells[2 * lines->count + 1] = value;
    lines->count++;
}

// A text of several lines has a row for each; the line's end behind the last one makes none.
static void text_add(Lines *lines, Str key, Str text)
{
    Str line = S(""), rest = str_trim(text).len ? text : S("");
    while (rest.len && rest.data[rest.len - 1] == '\n')
        rest.len--;
    if (!str_has_char(rest, '\n')) {
        line_add(lines, key, str_copy(lines->arena, rest));
        return;
    }
    for (bool is_first = true; str_cut(&rest, '\n', &line); is_first = false)
        line_add(lines, is_first ? key : S(""), str_copy(lines->arena, line));
}

// A row for each of the list's objects, with their members in columns.
static void objects_add(Lines *lines, Str name, const Json *list)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < json_count(list); i++) {
        size_t column = 0;
        for (JsonIter it = json_iter(json_element(list, i)); json_next(&it) && column < COLUMNS_MAX; column++)
            widths[column] = MAX(widths[column], text_width(line_text(it.value, NULL, lines->arena), 0, NULL));
    }
    for (size_t i = 0; i < json_count(list); i++) {
        StrBuf buf = {.arena = lines->arena};
        size_t column = 0, blanks = 0;
        for (JsonIter it = json_iter(json_element(list, i)); json_next(&it); column++) {
            Str text = line_text(it.value, NULL, lines->arena);
            if (text.len > 0) {
                strbuf_format(&buf, "%*s%.*s", (int)blanks, "", STR_ARG(text));
                blanks = 0;
            }
            if (column < COLUMNS_MAX)
                blanks += widths[column] - text_width(text, 0, NULL);
            blanks += 2;
        }
        line_add(lines, i == 0 ? name : S(""), strbuf_str(&buf));
    }
}

static void object_lines(Lines *lines, Str prefix, const Json *object)
{
    for (JsonIter it = json_iter(object); json_next(&it);) {
        Str name = prefix.len ? str_format(lines->arena, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(it.key))
                              : str_copy(lines->arena, it.key);
        const OutputKey *key = key_find(lines->keys, name);
        bool is_list = json_kind(it.value) == JSON_KIND_ARRAY;
        bool has_objects = is_list && json_kind(json_element(it.value, 0)) == JSON_KIND_OBJECT;
        if (json_kind(it.value) == JSON_KIND_OBJECT && !is_money(it.value)) {
            object_lines(lines, name, it.value);
        } else if (has_objects) {
            objects_add(lines, name, it.value);
        } else {
            text_add(lines, name, cell_text(it.value, key, lines->arena));
        }
    }
}

static bool object_print(const Json *object, const OutputKey *keys, FILE *file, Arena *arena, Error *err)
{
    static const TableColumn COLUMNS[] = {{.heading = "KEY"}, {.heading = "VALUE"}};
    Lines lines = {.keys = keys, .arena = arena};
    object_lines(&lines, S(""), object);
    return arena_ok(arena, err) &&
           table_print(COLUMNS, COUNT(COLUMNS), lines.cells, lines.count, look_of(file, false), file, err);
}

static bool names_print(const Json *answer, const Json *items, const OutputKey *keys, FILE *file, Arena *arena,
                        Error *err)
{
    const OutputKey *name = keys;
    for (const OutputKey *key = keys; key && key->key; key++)
        if (key->is_name)
            name = key;
    assert(name && name->key);
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < (items ? json_count(items) : 1); i++) {
        const Json *item = items ? json_element(items, i) : answer;
        const Json *value = value_at(item, str_of(name->key));
        if (!value)    // as in the answer of a dry run, which is about no thing that has a name
            continue;
        strbuf_add(&buf, str_visible(arena, cell_text(value, NULL, arena)));
        strbuf_add_char(&buf, '\n');
    }
    return arena_ok(arena, err) && output_text(strbuf_str(&buf), file, err);
}

bool output_print(const Json *answer, const OutputKey *keys, OutputFormat format, FILE *file, Arena *arena, Error *err)
{
    const Json *items = json_get(answer, "items");
    Str text = S("");
    switch (format) {
    case OUTPUT_TABLE:
        if (items ? !list_print(items, keys, file, arena, err) : !object_print(answer, keys, file, arena, err))
            return false;
        break;
    case OUTPUT_JSON:
        if (!json_print(answer, JSON_INDENT, arena, &text, err))
            return false;
        text = str_format(arena, "%.*s\n", STR_ARG(text));
        break;
    case OUTPUT_YAML:
        if (!yaml_print(answer, arena, &text, err))
            return false;
        break;
    case OUTPUT_NAME: return names_print(answer, items, keys, file, arena, err);
    }
    return arena_ok(arena, err) && output_text(text, file, err);
}
