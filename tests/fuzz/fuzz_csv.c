// tests/fuzz/fuzz_csv.c: any bytes read as CSV; the rows are the same whatever the pieces, and read back when written.
#include "base/arena.h"
#include "base/csv.h"

enum { BUDGET = 16 * MIB, PIECE = 3 };

static bool take(void *context, const CsvRow *row, Error *err)
{
    (void)err;
    CsvWriter *writer = context;
    for (size_t i = 0; i < row->count && !row->fault; i++)
        csv_put(writer, row->fields[i]);
    if (!row->fault)
        csv_row_end(writer);
    return true;
}

static bool take_written(void *context, const CsvRow *row, Error *err)
{
    (void)err;
    CsvWriter *writer = context;
    assert(!row->fault);
    for (size_t i = 0; i < row->count; i++)
        csv_put(writer, csv_unguard(row->fields[i]));
    csv_row_end(writer);
    return true;
}

static bool read_in_pieces(Str text, size_t piece, CsvTake *to, StrBuf *buf)
{
    Error err = {0};
    CLEANUP(csv_close) Csv *csv = NULL;
    CsvWriter writer = {.buf = buf};
    const CsvOptions options = {.delimiter = ','};
    if (!csv_open(&options, to, &writer, &csv, &err))
        return false;
    for (size_t at = 0; at < text.len; at += piece)
        if (!csv_feed(csv, str_slice(text, at, at + piece), &err))
            return false;
    return csv_end(csv, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf whole = {.arena = arena}, pieces = {.arena = arena}, again = {.arena = arena};
    Str text = {(const char *)data, size};
    strbuf_add(&whole, S("h\r\n"));    // a mark of byte order is one only at the start of a file
    strbuf_add(&pieces, S("h\r\n"));
    bool ok = read_in_pieces(text, size + 1, take, &whole);
    assert(ok == read_in_pieces(text, PIECE, take, &pieces));
    assert(str_eq(strbuf_str(&whole), strbuf_str(&pieces)));
    if (ok) {
        assert(read_in_pieces(strbuf_str(&whole), size + 1, take_written, &again));
        assert(str_eq(strbuf_str(&whole), strbuf_str(&again)));
    }
    return 0;
}
