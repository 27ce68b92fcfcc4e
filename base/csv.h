// base/csv.h: comma-separated values (RFC 4180), read as a stream and written so that spreadsheets run nothing of them.
#pragma once
#include "base/error.h"
#include "base/str.h"

// One row, borrowed for the call that gets it. Unquoted fields come without outer blanks; blank lines aren't rows.
typedef struct CsvRow {
    const Str *fields;    // empty ones have length 0
    size_t count;
    unsigned line;         // 1-based, of the row's first line; CR LF, CR and LF end one
    const char *fault;     // why this row can't be used (then there may be no fields), or NULL
    const char *next;      // what to do about it, with `fault`
    size_t fault_field;    // which field is to blame, from 0
    Str fault_text;        // what stands there, up to where it broke; any bytes
} CsvRow;

// Gets each row in order. False ends the reading with its error.
typedef bool CsvTake(void *context, const CsvRow *row, Error *err);

// Zero is the default.
typedef struct CsvOptions {
    char delimiter;    // 0: what the first line says (sep=; as Excel writes it) or has most: commas, semicolons, tabs
    size_t row_max_bytes;      // 0: 1 MiB
    size_t field_max_count;    // 0: 2,000
} CsvOptions;

// A reader that is fed in pieces of any size. Takes off a UTF-8 byte order mark and Excel's line sep=; . A row with a
// broken quote, NUL or text that isn't UTF-8, or beyond the limits, comes with its fault. Reading goes on with the next
// line, behind a row that is too large with the next one outside of its quotes.
typedef struct Csv Csv;
MUST_CHECK bool csv_open(const CsvOptions *options, CsvTake *take, void *context, Csv **out, Error *err);
// Both fail as `take` does, with ERR_MALFORMED for UTF-16 and UTF-32, and ERR_NO_MEMORY. After a failure the reader can
// only be closed.
MUST_CHECK bool csv_feed(Csv *csv, Str bytes, Error *err);
MUST_CHECK bool csv_end(Csv *csv, Error *err);    // the document is whole: the last row may come
void csv_close(Csv **csv);

// Reads a file ("-" is the standard input) as a stream. Fails as these do, and as file_read does.
MUST_CHECK bool csv_read_file(Str path, const CsvOptions *options, CsvTake *take, void *context, Error *err);

// Writes rows that end in CR LF into a buffer; fields are quoted where they must be.
typedef struct CsvWriter {
    StrBuf *buf;
    size_t field_count;    // of the row under way
} CsvWriter;
void csv_put(CsvWriter *writer, Str field);    // guarded by csv_guard
void csv_put_int(CsvWriter *writer, int64_t value);
void csv_row_end(CsvWriter *writer);

// A spreadsheet takes a cell for a formula when it begins with = + - @ tab or CR. csv_guard puts a ' before such a
// text, and before one that has only ' in front of such a sign; csv_unguard takes exactly that off:
// csv_unguard(csv_guard(text)) is text for every text.
Str csv_guard(Arena *arena, Str text);
Str csv_unguard(Str text);    // a view
