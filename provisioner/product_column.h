// provisioner/product_column.h: the columns of a product file, as import and export know them.
#pragma once
#include "base/str.h"

typedef enum ProductColumn {
#define COLUMN(id, use, name, ...) COLUMN_##id,
#include "provisioner/product_column.def"
#undef COLUMN
    COLUMN_COUNT
} ProductColumn;

typedef enum ColumnUse { COLUMN_USE_FIELD, COLUMN_USE_PRODUCT, COLUMN_USE_VARIANT } ColumnUse;

typedef struct ProductColumnRow {
    const char *names[3];    // the first is the one that the export writes
    ColumnUse use;
} ProductColumnRow;
extern const ProductColumnRow PRODUCT_COLUMNS[COLUMN_COUNT];

// The column with one of these names, without regard to case; COLUMN_COUNT for another.
ProductColumn product_column_find(Str name);
