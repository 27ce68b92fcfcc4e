// provisioner/product_export.c: the catalogue as Shopify's product CSV.
#include "provisioner/product_export.h"

#include "base/arena.h"
#include "base/csv.h"
#include "base/currency.h"
#include "base/json.h"
#include "base/text.h"
#include "provisioner/product_column.h"
#include "provisioner/tenant_path.h"

enum { PIECE_BUDGET = 64 * MIB };

typedef struct Export {
    const Rows *rows;
    size_t row;
    Arena *arena;    // of the piece under way
    Str currency;
    StrBuf buf;
    CsvWriter writer;
    Json *attributes[2];    // of product and variant
    Json *option_names;
    Json *option_values;
    Str collections;
    bool is_first;    // line of its product
    bool has_variant;
    bool has_image;
} Export;

static Str text(const Export *ex, const char *name) { return rows_str(ex->rows, ex->row, rows_column(ex->rows, name)); }
static int64_t number(const Export *ex, const char *name)
{
    return rows_int64(ex->rows, ex->row, rows_column(ex->rows, name));
}
static bool flag(const Export *ex, const char *name)
{
    return rows_bool(ex->rows, ex->row, rows_column(ex->rows, name));
}

static Str flag_text(const Export *ex, const char *name) { return flag(ex, name) ? S("true") : S("false"); }

static Str price(const Export *ex, const char *name)
{
    return rows_is_null(ex->rows, ex->row, rows_column(ex->rows, name))
               ? S("")
               : currency_text(number(ex, name), ex->currency, ex->arena);
}

static bool json_of(const Export *ex, const char *name, Json **out, Error *err)
{
    Str source = text(ex, name);
    return json_parse(source.len ? source : S("null"), out, err);
}

// Titles of the categories that the product's type doesn't make; a handle where ';' would part a title.
static bool collections_join(Export *ex, Error *err)
{
    CLEANUP(json_close) Json *handles = NULL;
    CLEANUP(json_close) Json *titles = NULL;
    Str own = S("");
    StrBuf buf = {.arena = ex->arena};
    if (!json_of(ex, "handles_json", &handles, err) || !json_of(ex, "titles_json", &titles, err) ||
        !text_slug(text(ex, "product_type"), ex->arena, &own, err))
        return false;
    for (size_t i = 0; i < json_count(handles); i++) {
        Str handle = json_str(json_element(handles, i)), title = json_str(json_element(titles, i));
        if (str_eq(handle, own))
            continue;
        strbuf_add(&buf, buf.len ? S("; ") : S(""));
        strbuf_add(&buf, str_has_char(title, ';') ? handle : title);
    }
    ex->collections = strbuf_str(&buf);
    return true;
}

static Str option_name(const Export *ex, size_t i)
{
    bool is_nameless = json_count(ex->option_names) == 0 && i == 0 && ex->has_variant;
    return is_nameless ? S("Title") : json_str(json_element(ex->option_names, i));
}

static Str option_value(const Export *ex, size_t i)
{
    bool is_nameless = json_count(ex->option_values) == 0 && i == 0 && ex->has_variant;
    return is_nameless ? S("Default Title") : json_str(json_element(ex->option_values, i));
}

static Str product_cell(const Export *ex, ProductColumn column)
{
    if (column == COLUMN_HANDLE)
        return text(ex, "handle");
    if (!ex->is_first)
        return S("");
    if (column == COLUMN_TITLE)
        return text(ex, "title");
    if (column == COLUMN_BODY)
        return text(ex, "description");
    if (column == COLUMN_VENDOR)
        return text(ex, "vendor");
    if (column == COLUMN_TYPE)
        return text(ex, "product_type");
    if (column == COLUMN_COLLECTION)
        return ex->collections;
    if (column == COLUMN_TAGS)
        return text(ex, "tags");
    if (column == COLUMN_PUBLISHED)
        return flag_text(ex, "is_published");
    if (column == COLUMN_STATUS)
        return flag(ex, "is_published") ? S("active") : S("draft");
    if (column == COLUMN_OPTION1_NAME)
        return option_name(ex, 0);
    if (column == COLUMN_OPTION2_NAME)
        return option_name(ex, 1);
    if (column == COLUMN_OPTION3_NAME)
        return option_name(ex, 2);
    if (column == COLUMN_SEO_TITLE)
        return text(ex, "seo_title");
    return column == COLUMN_SEO_DESCRIPTION ? text(ex, "seo_description") : S("");
}

static Str variant_cell(const Export *ex, ProductColumn column)
{
    if (!ex->has_variant)
        return S("");
    if (column == COLUMN_OPTION1_VALUE)
        return option_value(ex, 0);
    if (column == COLUMN_OPTION2_VALUE)
        return option_value(ex, 1);
    if (column == COLUMN_OPTION3_VALUE)
        return option_value(ex, 2);
    if (column == COLUMN_SKU)
        return text(ex, "sku");
    if (column == COLUMN_BARCODE)
        return text(ex, "barcode");
    if (column == COLUMN_GRAMS)
        return text(ex, "weight_grams");
    if (column == COLUMN_TRACKER)
        return flag(ex, "is_tracked") ? S("shopify") : S("");
    if (column == COLUMN_POLICY)
        return flag(ex, "is_backorder") ? S("continue") : S("deny");
    if (column == COLUMN_PRICE)
        return price(ex, "price_minor");
    if (column == COLUMN_COMPARE_AT_PRICE)
        return price(ex, "compare_at_price_minor");
    if (column == COLUMN_REQUIRES_SHIPPING)
        return flag_text(ex, "requires_shipping");
    if (column == COLUMN_TAXABLE)
        return flag_text(ex, "is_taxable");
    return column == COLUMN_VARIANT_IMAGE ? text(ex, "variant_image") : S("");
}

static Str image_cell(const Export *ex, ProductColumn column)
{
    if (!ex->has_image)
        return S("");
    if (column == COLUMN_IMAGE_SRC)
        return text(ex, "image_src");
    if (column == COLUMN_IMAGE_POSITION)
        return text(ex, "image_position");
    return column == COLUMN_IMAGE_ALT ? text(ex, "image_alt") : S("");
}

static void cell_put(Export *ex, ProductColumn column)
{
    const ProductColumnRow *row = &PRODUCT_COLUMNS[column];
    if (column == COLUMN_WEIGHT)    // in grams alone
        return;
    if (column == COLUMN_QUANTITY && ex->has_variant) {
        csv_put_int(&ex->writer, number(ex, "quantity"));
        return;
    }
    Str value = S("");
    switch (row->use) {
    case COLUMN_USE_PRODUCT:
        if (ex->is_first)
            value = json_str(json_get(ex->attributes[0], row->names[0]));
        break;
    case COLUMN_USE_VARIANT: value = json_str(json_get(ex->attributes[1], row->names[0])); break;
    case COLUMN_USE_FIELD:
        value = product_cell(ex, column);
        if (value.len == 0)
            value = variant_cell(ex, column);
        if (value.len == 0)
            value = image_cell(ex, column);
        break;
    }
    csv_put(&ex->writer, value);
}

static bool line_put(Export *ex, Error *err)
{
    ex->is_first = number(ex, "line") == 1;
    ex->has_variant = !rows_is_null(ex->rows, ex->row, rows_column(ex->rows, "variant_id"));
    ex->has_image = !rows_is_null(ex->rows, ex->row, rows_column(ex->rows, "image_src"));
    bool ok = json_of(ex, "attributes", &ex->attributes[0], err) &&
              json_of(ex, "variant_attributes", &ex->attributes[1], err) &&
              json_of(ex, "names_json", &ex->option_names, err) &&
              json_of(ex, "values_json", &ex->option_values, err) && (!ex->is_first || collections_join(ex, err));
    for (size_t i = 0; i < COLUMN_COUNT && ok; i++)
        cell_put(ex, (ProductColumn)i);
    csv_row_end(&ex->writer);
    json_close(&ex->attributes[0]);
    json_close(&ex->attributes[1]);
    json_close(&ex->option_names);
    json_close(&ex->option_values);
    return ok;
}

static bool header_put(Export *ex, ExportPut *put, void *context, Error *err)
{
    ex->buf = (StrBuf){.arena = ex->arena};
    ex->writer = (CsvWriter){.buf = &ex->buf};
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (i != COLUMN_WEIGHT)
            csv_put(&ex->writer, str_of(PRODUCT_COLUMNS[i].names[0]));
    csv_row_end(&ex->writer);
    Str header = strbuf_str(&ex->buf);
    return arena_ok(ex->arena, err) && put(context, header, err);
}

static bool rows_put(Export *ex, ExportPut *put, void *context, int64_t *products, Error *err)
{
    ex->buf = (StrBuf){.arena = ex->arena};
    ex->writer = (CsvWriter){.buf = &ex->buf};
    for (ex->row = 0; ex->row < rows_count(ex->rows); ex->row++) {
        if (!line_put(ex, err))
            return false;
        *products += ex->is_first;
    }
    Str piece = strbuf_str(&ex->buf);
    return arena_ok(ex->arena, err) && (piece.len == 0 || put(context, piece, err));
}

static bool export_in_transaction(Db *db, int64_t tenant, Export *ex, ExportPut *put, void *context, int64_t *products,
                                  Error *err)
{
    CLEANUP(rows_close) Rows *opened = NULL;
    if (!tenant_query(db, tenant, S("select :export_open()"), NO_PARAMS, &opened, err))
        return false;
    ex->currency = rows_str(opened, 0, 0);
    if (!header_put(ex, put, context, err))
        return false;
    for (size_t count = 1; count > 0;) {
        CLEANUP(rows_close) Rows *rows = NULL;
        arena_reset(ex->arena);
        if (!db_query(db, S("fetch 200 from export_lines"), NO_PARAMS, &rows, err))
            return false;
        count = rows_count(rows);
        ex->rows = rows;
        if (!rows_put(ex, put, context, products, err))
            return false;
    }
    return true;
}

bool product_export(Db *db, int64_t tenant, ExportPut *put, void *context, int64_t *out_count, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(PIECE_BUDGET);
    Export ex = {.arena = arena};
    int64_t products = 0;
    if (!arena_ok(arena, err) || !db_script(db, S("begin isolation level repeatable read read only"), err))
        return false;
    bool ok = tenant_path_set(db, tenant, err) && export_in_transaction(db, tenant, &ex, put, context, &products, err);
    db_rollback(db);
    if (ok && out_count)
        *out_count = products;
    return ok;
}
