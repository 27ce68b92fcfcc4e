// base/csv.c: comma-separated values by libcsv.
#include "base/csv.h"

#include <csv.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { ROW_MAX = 1 * MIB, FIELDS_MAX = 2000, HEAD_MAX = 64 * KIB, READ_STEP = 64 * KIB, BLOCK = 1 * KIB };

typedef enum Skip { SKIP_NOTHING, SKIP_LINE, SKIP_ROW } Skip;

struct Csv {
    struct csv_parser parser;
    CsvOptions options;
    CsvTake *take;
    void *context;
    Error *err;           // of the call under way
    Arena *head_arena;    // what is read before the delimiter is known
    StrBuf head;
    Arena *row_arena;
    StrBuf text;     // the fields of the row under way, one behind the other
    size_t *ends;    // where each ends
    Str *fields;
    size_t field_count;
    size_t row_bytes;
    unsigned line;
    unsigned row_line;
    bool is_started;    // the delimiter is known
    bool is_row_begun;
    bool is_quoted;    // an odd number of quotes stood in the row so far
    Skip skip;         // what of the row under way isn't read: it is broken, or too large
    bool was_cr;
};

static const char QUOTE_ALL[] = "put the whole field into quotes, and write each quote in it twice";
static const char CLOSE_QUOTE[] = "look for a quote in that line that isn't closed";

static bool line_ends(char c) { return c == '\n' || c == '\r'; }

static void row_reset(Csv *csv)
{
    arena_reset(csv->row_arena);
    csv->text = (StrBuf){.arena = csv->row_arena};
    csv->field_count = 0;
    csv->row_bytes = 0;
    csv->is_row_begun = false;
    csv->is_quoted = false;
}

static void field_take(void *data, size_t size, void *context)
{
    Csv *csv = context;
    if (csv->field_count < csv->options.field_max_count) {
        strbuf_add(&csv->text, (Str){data, size});
        csv->ends[csv->field_count] = csv->text.len;
    }
    csv->field_count++;
}

static void row_give(Csv *csv, CsvRow *row)
{
    row->line = csv->row_line;
    if (csv->err->code == ERR_NONE && arena_ok(csv->row_arena, csv->err) && !csv->take(csv->context, row, csv->err))
        assert(csv->err->code != ERR_NONE);
    row_reset(csv);
}

static void row_take(int end, void *context)
{
    (void)end;
    Csv *csv = context;
    CsvRow row = {.fields = csv->fields, .count = MIN(csv->field_count, csv->options.field_max_count)};
    size_t start = 0;
    for (size_t i = 0; i < row.count; start = csv->ends[i++]) {
        csv->fields[i] = csv->ends[i] > start ? (Str){csv->text.data + start, csv->ends[i] - start} : S("");
        if (!row.fault && !str_is_utf8(csv->fields[i])) {
            bool has_nul = str_has_char(csv->fields[i], '\0');
            row.fault = has_nul ? "it has a NUL byte in it" : "it isn't UTF-8";
            row.next = has_nul ? "save the file as plain text" : "save the file as CSV UTF-8";
            row.fault_field = i;
            row.fault_text = csv->fields[i];
        }
    }
    if (csv->field_count > csv->options.field_max_count) {
        row.fault = "the row has too many fields";
        row.next = CLOSE_QUOTE;
        row.fault_field = csv->options.field_max_count;
        row.fault_text = S("");
    }
    row_give(csv, &row);
}

static bool parser_open(Csv *csv)
{
    if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
        return false;
    csv_set_delim(&csv->parser, (unsigned char)csv->options.delimiter);
    csv_set_blk_size(&csv->parser, BLOCK);
    return true;
}

// `rest` is what follows the field's part that is read: the character that broke it, or nothing.
static bool broken_give(Csv *csv, const char *fault, const char *next, Str rest)
{
    CsvRow row = {.fault = fault, .next = next, .fault_field = csv->field_count};
    csv->text.len = 0;
    strbuf_add(&csv->text, (Str){(const char *)csv->parser.entry_buf, csv->parser.entry_pos});
    strbuf_add(&csv->text, rest);
    row.fault_text = strbuf_str(&csv->text);
    row_give(csv, &row);
    csv_free(&csv->parser);
    if (!parser_open(csv) && csv->err->code == ERR_NONE)
        error_set(csv->err, ERR_NO_MEMORY, "there isn't enough memory to read on");
    return csv->err->code == ERR_NONE;
}

static bool quotes_are_odd(Str text)
{
    bool odd = false;
    for (Str rest = text; str_has_char(rest, '"'); rest = str_skip(rest, str_find_char(rest, '"') + 1))
        odd = !odd;
    return odd;
}

// A line with its end, or a part of one.
static bool feed_line(Csv *csv, Str part)
{
    bool ends = line_ends(part.data[part.len - 1]);
    csv->is_quoted ^= quotes_are_odd(part);
    if (csv->skip) {
        if (ends && (csv->skip == SKIP_LINE || !csv->is_quoted)) {
            csv->skip = SKIP_NOTHING;
            csv->is_quoted = false;
        }
        return true;
    }
    if (!csv->is_row_begun) {
        if (str_trim(part).len == 0 && !str_has_char(part, csv->options.delimiter))
            return true;
        csv->row_line = csv->line;
        csv->is_row_begun = true;
    }
    csv->row_bytes += part.len;
    if (csv->row_bytes > csv->options.row_max_bytes) {
        bool is_quoted = csv->is_quoted;
        csv->skip = ends && !is_quoted ? SKIP_NOTHING : SKIP_ROW;
        bool ok = broken_give(csv, "the row is too large", CLOSE_QUOTE, S(""));
        csv->is_quoted = is_quoted && csv->skip;
        return ok;
    }
    size_t parsed = csv_parse(&csv->parser, part.data, part.len, field_take, row_take, csv);
    if (parsed == part.len)
        return csv->err->code == ERR_NONE;
    if (csv->err->code != ERR_NONE)
        return false;
    if (csv_error(&csv->parser) != CSV_EPARSE)
        return error_set(csv->err, ERR_NO_MEMORY, "there isn't enough memory to read a row");
    csv->skip = ends ? SKIP_NOTHING : SKIP_LINE;
    return broken_give(csv, "a quote stands inside of a field, or a field goes on behind its closing quote", QUOTE_ALL,
                       str_slice(part, parsed, parsed + 1));
}

static bool feed_lines(Csv *csv, Str bytes)
{
    while (bytes.len > 0) {
        size_t length = 0;
        while (length < bytes.len && !line_ends(bytes.data[length]))
            length++;
        length = MIN(length + 1, bytes.len);
        char last = bytes.data[length - 1];
        if (!feed_line(csv, str_slice(bytes, 0, length)))
            return false;
        if (last == '\r' || (last == '\n' && !(csv->was_cr && length == 1)))
            csv->line++;
        csv->was_cr = last == '\r';
        bytes = str_skip(bytes, length);
    }
    return true;
}

static char delimiter_of(Str head)
{
    size_t commas = 0, semicolons = 0, tabs = 0;
    bool quoted = false;
    for (size_t i = 0; i < head.len && (quoted || !line_ends(head.data[i])); i++) {
        quoted ^= head.data[i] == '"';
        commas += !quoted && head.data[i] == ',';
        semicolons += !quoted && head.data[i] == ';';
        tabs += !quoted && head.data[i] == '\t';
    }
    return commas >= MAX(semicolons, tabs) ? ',' : (char)(semicolons >= tabs ? ';' : '\t');
}

// Excel's way to name the delimiter: a first line sep=;
static char delimiter_named(Str head)
{
    enum { LENGTH = 6 };
    return str_has_prefix(head, S("sep=")) && head.len >= LENGTH && line_ends(head.data[LENGTH - 1])
               ? head.data[LENGTH - 2]
               : '\0';
}

// The first character is in ASCII, or a byte order mark is there.
static bool is_utf_16_or_32(Str head)
{
    return str_has_prefix(head, S("\xFF\xFE")) || str_has_prefix(head, S("\xFE\xFF")) ||
           str_has_char(str_slice(head, 0, 2), '\0');
}

static bool start(Csv *csv)
{
    Str head = strbuf_str(&csv->head);
    if (!arena_ok(csv->head_arena, csv->err))
        return false;
    csv->is_started = true;
    if (is_utf_16_or_32(head)) {
        error_set(csv->err, ERR_MALFORMED, "the file is UTF-16 or UTF-32");
        return error_next(csv->err, "save it as CSV UTF-8");
    }
    if (str_has_prefix(head, S("\xEF\xBB\xBF")))
        head = str_skip(head, 3);
    char named = csv->options.delimiter ? '\0' : delimiter_named(head);
    if (named)
        head = str_skip(head, str_find_char(head, named) + 1);    // its line end stays, and is counted
    if (!csv->options.delimiter)
        csv->options.delimiter = named ? named : delimiter_of(head);
    csv_set_delim(&csv->parser, (unsigned char)csv->options.delimiter);
    return feed_lines(csv, head);
}

bool csv_open(const CsvOptions *options, CsvTake *take, void *context, Csv **out, Error *err)
{
    Csv *csv = calloc(1, sizeof(Csv));
    if (!csv)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory to read a CSV file");
    *csv = (Csv){.options = *options, .take = take, .context = context, .line = 1};
    if (!csv->options.row_max_bytes)
        csv->options.row_max_bytes = ROW_MAX;
    if (!csv->options.field_max_count)
        csv->options.field_max_count = FIELDS_MAX;
    size_t count = csv->options.field_max_count;
    csv->head_arena = arena_open((size_t)4 * HEAD_MAX + count * (sizeof(size_t) + sizeof(Str)));
    csv->row_arena = arena_open(4 * csv->options.row_max_bytes + HEAD_MAX);
    csv->head = (StrBuf){.arena = csv->head_arena};
    csv->ends = arena_array(csv->head_arena, count, size_t);
    csv->fields = arena_array(csv->head_arena, count, Str);
    row_reset(csv);
    bool is_ok = parser_open(csv);
    if (!arena_ok(csv->head_arena, err) || !is_ok) {
        csv_close(&csv);
        return err->code ? false : error_set(err, ERR_NO_MEMORY, "there isn't enough memory to read a CSV file");
    }
    *out = csv;
    return true;
}

bool csv_feed(Csv *csv, Str bytes, Error *err)
{
    assert(csv);
    csv->err = err;
    if (csv->is_started)
        return feed_lines(csv, bytes);
    Str part = str_slice(bytes, 0, HEAD_MAX - csv->head.len);
    strbuf_add(&csv->head, part);
    Str head = {csv->head.data, csv->head.len};
    if (!str_has_char(head, '\n') && !str_has_char(head, '\r') && head.len < HEAD_MAX)
        return arena_ok(csv->head_arena, err);
    return start(csv) && feed_lines(csv, str_skip(bytes, part.len));
}

bool csv_end(Csv *csv, Error *err)
{
    assert(csv);
    csv->err = err;
    if (!csv->is_started && !start(csv))
        return false;
    if (csv_fini(&csv->parser, field_take, row_take, csv) == 0 || err->code != ERR_NONE)
        return err->code == ERR_NONE;
    return broken_give(csv, "a quote isn't closed before the end of the file", QUOTE_ALL, S(""));
}

void csv_close(Csv **csv)
{
    if (!*csv)
        return;
    csv_free(&(*csv)->parser);
    arena_close(&(*csv)->head_arena);
    arena_close(&(*csv)->row_arena);
    free(*csv);
    *csv = NULL;
}

static bool feed_file(Csv *csv, int fd, Str path, Error *err)
{
    char step[READ_STEP];
    for (Str bytes = S("");;) {
        if (!file_step(fd, path, step, sizeof(step), &bytes, err))
            return false;
        if (bytes.len == 0)
            return csv_end(csv, err);
        if (!csv_feed(csv, bytes, err))
            return false;
    }
}

bool csv_read_file(Str path, const CsvOptions *options, CsvTake *take, void *context, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(path.len + BLOCK);
    CLEANUP(csv_close) Csv *csv = NULL;
    Str name = str_copy(arena, path);
    if (!arena_ok(arena, err) || !csv_open(options, take, context, &csv, err))
        return false;
    CLEANUP(fd_close)
    int fd = str_eq(path, S("-")) ? dup(STDIN_FILENO) : open(name.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be opened", STR_ARG(path));
    return feed_file(csv, fd, path, err);
}

// ---- writing ----

static bool is_guarded_kind(Str text)
{
    size_t i = 0;
    while (i < text.len && text.data[i] == '\'')
        i++;
    return i < text.len && text.data[i] && strchr("=+-@\t\r", text.data[i]);
}

Str csv_guard(Arena *arena, Str text)
{
    return is_guarded_kind(text) ? str_format(arena, "'%.*s", STR_ARG(text)) : text;
}

Str csv_unguard(Str text)
{
    return text.len > 0 && text.data[0] == '\'' && is_guarded_kind(text) ? str_skip(text, 1) : text;
}

static bool needs_quotes(Str text)
{
    bool has_outer_blank = text.len > 0 && str_trim(text).len < text.len;
    for (size_t i = 0; i < text.len; i++)
        if (strchr("\",;\t\r\n", text.data[i]))
            return true;
    return has_outer_blank;
}

void csv_put(CsvWriter *writer, Str field)
{
    if (writer->field_count++ > 0)
        strbuf_add_char(writer->buf, ',');
    bool guarded = is_guarded_kind(field), quoted = needs_quotes(field);
    if (quoted)
        strbuf_add_char(writer->buf, '"');
    if (guarded)
        strbuf_add_char(writer->buf, '\'');
    while (quoted && str_has_char(field, '"')) {
        size_t length = str_find_char(field, '"') + 1;
        strbuf_add(writer->buf, str_slice(field, 0, length));
        strbuf_add_char(writer->buf, '"');
        field = str_skip(field, length);
    }
    strbuf_add(writer->buf, field);
    if (quoted)
        strbuf_add_char(writer->buf, '"');
}

void csv_put_int(CsvWriter *writer, int64_t value)
{
    strbuf_format(writer->buf, writer->field_count++ > 0 ? ",%lld" : "%lld", (long long)value);
}

void csv_row_end(CsvWriter *writer)
{
    const StrBuf *buf = writer->buf;
    if (writer->field_count == 1 && (buf->len == 0 || buf->data[buf->len - 1] == '\n'))
        strbuf_add(writer->buf, S("\"\""));    // one empty field: a blank line wouldn't be a row
    strbuf_add(writer->buf, S("\r\n"));
    writer->field_count = 0;
}
