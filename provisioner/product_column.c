// provisioner/product_column.c: the columns of a product file.
#include "provisioner/product_column.h"

const ProductColumnRow PRODUCT_COLUMNS[COLUMN_COUNT] = {
#define COLUMN(id, use_, ...) [COLUMN_##id] = {.names = {__VA_ARGS__}, .use = COLUMN_USE_##use_},
#include "provisioner/product_column.def"
#undef COLUMN
};

ProductColumn product_column_find(Str name)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        for (size_t k = 0; k < COUNT(PRODUCT_COLUMNS[i].names); k++)
            if (name.len > 0 && str_eq_nocase(name, str_of(PRODUCT_COLUMNS[i].names[k])))
                return (ProductColumn)i;
    return COLUMN_COUNT;
}
