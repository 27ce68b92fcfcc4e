// cli/table.c: tables by libsmartcols.
#include "cli/table.h"

#include <libsmartcols/libsmartcols.h>

static void table_close(struct libscols_table **table)
{
    scols_unref_table(*table);
    *table = NULL;
}

static bool columns_add(struct libscols_table *table, const TableColumn *columns, size_t count, TableLook look)
{
    for (size_t i = 0; i < count; i++) {
        struct libscols_column *column =
            scols_table_new_column(table, columns[i].heading, 0, columns[i].is_right ? SCOLS_FL_RIGHT : 0);
        if (!column)
            return false;
        if (look.is_coloured && scols_cell_set_color(scols_column_get_header(column), "bold") != 0)
            return false;
    }
    return true;
}

static bool rows_add(struct libscols_table *table, size_t column_count, const Str *cells, size_t row_count)
{
    for (size_t row = 0; row < row_count; row++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        for (size_t i = 0; i < column_count; i++)
            if (!line || scols_line_set_data(line, i, cells[row * column_count + i].data) != 0)
                return false;
    }
    return true;
}

bool table_print(const TableColumn *columns, size_t column_count, const Str *cells, size_t row_count, TableLook look,
                 FILE *file, Error *err)
{
    CLEANUP(table_close) struct libscols_table *table = scols_new_table();
    bool is_printed = table && scols_table_enable_colors(table, look.is_coloured) == 0 &&
                      scols_table_enable_noheadings(table, !look.has_headings) == 0 &&
                      scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER) == 0 &&
                      scols_table_set_stream(table, file) == 0 && columns_add(table, columns, column_count, look) &&
                      rows_add(table, column_count, cells, row_count) && scols_print_table(table) == 0;
    return is_printed || error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a table");
}
