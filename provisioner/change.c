// provisioner/change.c: reads messages of pgoutput.
#include "provisioner/change.h"

// What is left of a message; once something is missing, all that follows is.
typedef struct Reader {
    Str rest;
    bool is_short;
} Reader;

static Str bytes_take(Reader *reader, size_t count)
{
    reader->is_short = reader->is_short || reader->rest.len < count;
    if (reader->is_short)
        return S("");
    Str bytes = str_slice(reader->rest, 0, count);
    reader->rest = str_skip(reader->rest, count);
    return bytes;
}

static uint64_t number_take(Reader *reader, size_t size)
{
    Str bytes = bytes_take(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    return value;
}

static char letter_take(Reader *reader) { return (char)number_take(reader, 1); }

static Str name_take(Reader *reader)
{
    Str name = bytes_take(reader, str_find_char(reader->rest, '\0'));
    (void)bytes_take(reader, 1);
    return name;
}

static void values_take(Reader *reader, ChangeValue values[CHANGE_COLUMNS_MAX], size_t *out_count)
{
    size_t count = number_take(reader, 2);
    reader->is_short = reader->is_short || count > CHANGE_COLUMNS_MAX;
    for (size_t i = 0; i < count && !reader->is_short; i++) {
        char kind = letter_take(reader);
        values[i] = (ChangeValue){.kind = kind == 'u' ? CHANGE_UNCHANGED : CHANGE_NULL};
        if (kind == 't')
            values[i] = (ChangeValue){.kind = CHANGE_TEXT, .text = bytes_take(reader, number_take(reader, 4))};
        else
            reader->is_short = reader->is_short || (kind != 'n' && kind != 'u');
    }
    *out_count = count;
}

static void relation_take(Reader *reader, Change *out)
{
    enum { IS_KEY = 1 };
    out->relation = (uint32_t)number_take(reader, 4);
    out->schema = name_take(reader);
    out->table = name_take(reader);
    (void)letter_take(reader);    // which columns identify a row
    out->count = number_take(reader, 2);
    reader->is_short = reader->is_short || out->count > CHANGE_COLUMNS_MAX;
    for (size_t i = 0; i < out->count && !reader->is_short; i++) {
        out->columns[i].is_key = number_take(reader, 1) & IS_KEY;
        out->columns[i].name = name_take(reader);
        (void)bytes_take(reader, 4 + 4);    // type and its modifier
    }
}

// 'K' or 'O' says that what identified the row before follows, 'N' the new row.
static void row_take(Reader *reader, Change *out)
{
    out->relation = (uint32_t)number_take(reader, 4);
    char part = letter_take(reader);
    out->has_before = part == 'K' || part == 'O';
    if (out->has_before)
        values_take(reader, out->before, &out->count);
    if (out->kind == CHANGE_DELETE) {
        reader->is_short = reader->is_short || !out->has_before;
        return;
    }
    if (out->has_before)
        part = letter_take(reader);
    size_t before_count = out->count;
    reader->is_short = reader->is_short || part != 'N';
    values_take(reader, out->after, &out->count);
    reader->is_short = reader->is_short || (out->has_before && out->count != before_count);
}

bool change_decode(Str message, Change *out, Error *err)
{
    static const struct {
        char letter;
        ChangeKind kind;
    } KINDS[] = {{'B', CHANGE_BEGIN},  {'C', CHANGE_COMMIT}, {'R', CHANGE_RELATION}, {'I', CHANGE_INSERT},
                 {'U', CHANGE_UPDATE}, {'D', CHANGE_DELETE}, {'T', CHANGE_TRUNCATE}};
    Reader reader = {.rest = message};
    char letter = letter_take(&reader);
    *out = (Change){.kind = CHANGE_OTHER};
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (KINDS[i].letter == letter)
            out->kind = KINDS[i].kind;
    switch (out->kind) {
    case CHANGE_BEGIN: out->position = number_take(&reader, 8); break;
    case CHANGE_COMMIT:
        (void)bytes_take(&reader, 1 + 8);    // flags, the commit itself
        out->position = number_take(&reader, 8);
        break;
    case CHANGE_RELATION: relation_take(&reader, out); break;
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE: row_take(&reader, out); break;
    case CHANGE_TRUNCATE:
    case CHANGE_OTHER: break;
    }
    return !reader.is_short ||
           error_set(err, ERR_MALFORMED, "a message '%.*s' of replication isn't as PostgreSQL documents it",
                     STR_ARG(str_slice(message, 0, 1)));
}
