// cli/table.h: cells in columns on a terminal.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct TableColumn {
    const char *heading;
    bool is_right;
} TableColumn;

typedef struct TableLook {
    bool has_headings;
    bool is_coloured;
} TableLook;

// Prints `row_count` rows of `column_count` cells each, row by row in `cells`; every cell's text ends in NUL. Control
// characters come out as \xNN. No cell is cut: a row that is too long for the terminal goes on in its next line. Fails
// with ERR_NO_MEMORY.
MUST_CHECK bool table_print(const TableColumn *columns, size_t column_count, const Str *cells, size_t row_count,
                            TableLook look, FILE *file, Error *err);
