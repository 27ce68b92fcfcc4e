// provisioner/product_import.c: Shopify's product CSV, line by line into staging, and from there into the catalogue.
#include "provisioner/product_import.h"

#include <ctype.h>

#include "base/arena.h"
#include "base/csv.h"
#include "base/currency.h"
#include "base/html.h"
#include "base/log.h"
#include "base/text.h"
#include "provisioner/image_file.h"
#include "provisioner/product_column.h"
#include "provisioner/tenant_path.h"

enum {
    HANDLE_MAX = 255,
    TEXT_MAX = 255,    // of what stands in an index, and of short names
    TITLE_MAX = 1000,
    DESCRIPTION_MAX = 256 * KIB,    // with all its quotes doubled, a row of an export can be read again
    SRC_MAX = 2000,
    TAGS_MAX = 250,
    QUANTITY_MAX = 1000000000,
    GRAMS_MAX = 1000000000,
    POSITION_MAX = 1000000,
    VALUE_SHOWN_MAX = 120,    // bytes of a refused value in the report
    FAULTS_KEPT_MAX = 100000,
    FILES_AT_ONCE = 100,
    LINE_BUDGET = 32 * MIB,
    FILE_BUDGET = 8 * MIB
};

typedef struct Import {
    Db *db;
    int64_t tenant;
    Str currency;
    Arena *arena;    // the report's: what lives as long as the import
    Arena *line_arena;
    const CsvRow *row;
    size_t places[COLUMN_COUNT];    // in a row, from 1; 0: the file has no such column
    Str names[COLUMN_COUNT];        // as the file writes them
    Str *header;                    // all names of the file
    size_t column_count;            // of them
    char handle[HANDLE_MAX];        // of the product under way
    size_t handle_length;           // 0: there is none, or its line can't be used
    StrBuf out;                     // the staged line, or its values
    size_t out_count;
    StrBuf faults;
    bool has_option_value;    // the line under way
    Str image_src;            // of it
    bool is_copying;
    const ImportOptions *options;
    int64_t line_count;
} Import;

// ---- cells and what is wrong with them ----

static bool has_column(const Import *im, ProductColumn column) { return im->places[column] > 0; }

// The cell's text; no text (data is NULL) where the file has no such column.
static Str cell(const Import *im, ProductColumn column)
{
    if (!has_column(im, column))
        return (Str){0};
    size_t at = im->places[column] - 1;
    return at < im->row->count ? str_trim(csv_unguard(im->row->fields[at])) : S("");
}

// The first bytes of a text, up to a whole character; visible where they aren't UTF-8.
static Str shown(Str text, Arena *arena)
{
    size_t length = MIN(text.len, (size_t)VALUE_SHOWN_MAX);
    while (length < text.len && length > 0 && ((unsigned char)text.data[length] & 0xC0) == 0x80)
        length--;
    Str part = str_slice(text, 0, length);
    if (!str_is_utf8(part))
        part = str_visible(arena, part);
    return length < text.len ? str_format(arena, "%.*s...", STR_ARG(part)) : part;
}

// A column's name as the file has it, or its number where it has none.
static Str column_name(const Import *im, size_t place)
{
    Str name = place < im->column_count ? im->header[place] : S("");
    return name.len > 0 ? name : str_format(im->line_arena, "column %zu", place + 1);
}

static void fault_add(Import *im, Str column, Str value, Str reason)
{
    StrBuf *buf = &im->faults;
    strbuf_add(buf, buf->len ? S(",{") : S("[{"));
    log_field_str(buf, "column", column);
    log_field_str(buf, "value", shown(value, im->line_arena));
    log_field_str(buf, "reason", reason);
    buf->len -= buf->len > 0;    // the last comma
    strbuf_add_char(buf, '}');
}

static void bad(Import *im, ProductColumn column, const char *reason)
{
    fault_add(im, im->names[column], cell(im, column), str_of(reason));
}

static void bad_error(Import *im, ProductColumn column, Error *fault)
{
    Str reason = str_format(im->line_arena, "%s%s%s", fault->why, fault->next[0] ? ": " : "", fault->next);
    fault_add(im, im->names[column], cell(im, column), reason);
    error_clear(fault);
}

static Str short_cell(Import *im, ProductColumn column, size_t max)
{
    Str text = cell(im, column);
    if (text.len > max)
        fault_add(im, im->names[column], text,
                  str_format(im->line_arena, "it has %zu bytes, at most %zu are allowed", text.len, max));
    return text;
}

// What people read as it is.
static Str plain_cell(Import *im, ProductColumn column, size_t max)
{
    Str text = short_cell(im, column, max);
    for (size_t i = 0; i < text.len; i++)
        if (iscntrl((unsigned char)text.data[i]) && !isspace((unsigned char)text.data[i])) {
            fault_add(im, im->names[column], S(""), S("it has a control character"));
            break;
        }
    return text;
}

// ---- a line of staging, in the text format of COPY ----

static void put_separator(Import *im)
{
    if (im->out_count++ > 0)
        strbuf_add_char(&im->out, '\t');
}

static void put_escaped(StrBuf *out, Str text)
{
    for (size_t from = 0, i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.data[i] : '\0';
        char letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c == '\\' ? '\\' : '\0';
        if (i < text.len && !letter)
            continue;
        strbuf_add(out, str_slice(text, from, i));
        if (letter)
            strbuf_add(out, (Str){(const char[]){'\\', letter}, 2});
        from = i + 1;
    }
}

static void put_null(Import *im)
{
    put_separator(im);
    strbuf_add(&im->out, S("\\N"));
}

static void put_text(Import *im, Str text)
{
    if (!text.data) {
        put_null(im);
        return;
    }
    put_separator(im);
    put_escaped(&im->out, text);
}

static void put_int(Import *im, int64_t value)
{
    put_separator(im);
    strbuf_format(&im->out, "%lld", (long long)value);
}

static void put_bool(Import *im, bool value) { put_text(im, value ? S("t") : S("f")); }

// An array's literal, one element more; strbuf_add_char(array, '}') ends it.
static void array_add(StrBuf *array, Str element)
{
    strbuf_add(array, array->len ? S(",\"") : S("{\""));
    for (size_t i = 0; i < element.len; i++) {
        if (element.data[i] == '"' || element.data[i] == '\\')
            strbuf_add_char(array, '\\');
        strbuf_add_char(array, element.data[i]);
    }
    strbuf_add_char(array, '"');
}

static void put_array(Import *im, StrBuf *array)
{
    strbuf_add(array, array->len ? S("}") : S("{}"));
    put_text(im, strbuf_str(array));
}

// ---- values ----

static bool is_one_of(Str text, const char *words)
{
    Str rest = str_of(words), word;
    while (str_cut(&rest, ' ', &word))
        if (str_eq_nocase(word, text))
            return true;
    return false;
}

// True or false by its word; `otherwise` for an empty cell.
static bool bool_cell(Import *im, ProductColumn column, bool otherwise)
{
    Str text = cell(im, column);
    if (text.len == 0)
        return otherwise;
    if (is_one_of(text, "true yes 1 y t"))
        return true;
    if (!is_one_of(text, "false no 0 n f"))
        bad(im, column, "it is neither true nor false");
    return false;
}

static void put_bool_cell(Import *im, ProductColumn column)
{
    if (cell(im, column).len == 0)
        put_null(im);
    else
        put_bool(im, bool_cell(im, column, true));
}

// Spreadsheets and data tools write whole numbers as 5.0, too.
static Str whole_part(Str number)
{
    size_t point = str_find_char(number, '.');
    for (size_t i = point + 1; i < number.len; i++)
        if (number.data[i] != '0')
            return number;
    return str_slice(number, 0, point);
}

static bool int_cell(Import *im, ProductColumn column, int64_t min, int64_t max, int64_t *out)
{
    Error fault = {0};
    Str text = cell(im, column);
    if (text.len == 0)
        return false;
    text = whole_part(text);
    if (str_int64(text, min, max, out, &fault))
        return true;
    bad_error(im, column, &fault);
    return false;
}

static void put_amount(Import *im, ProductColumn column, bool is_required)
{
    Error fault = {0};
    Str text = cell(im, column);
    int64_t minor = 0;
    if (!text.data || (text.len == 0 && !is_required)) {
        put_null(im);
    } else if (currency_amount(text, im->currency, &minor, &fault)) {
        put_int(im, minor);
    } else {
        bad_error(im, column, &fault);
        put_null(im);
    }
}

static bool is_decimal(Str text)
{
    size_t points = 0;
    for (size_t i = 0; i < text.len; i++) {
        points += text.data[i] == '.';
        if (text.data[i] != '.' && (text.data[i] < '0' || text.data[i] > '9'))
            return false;
    }
    return text.len > points && points <= 1;
}

typedef struct WeightUnit {
    const char *names;
    double grams;
} WeightUnit;

static const WeightUnit WEIGHT_UNITS[] = {
    {"g gr gram grams", 1},
    {"kg kgs kilogram kilograms", 1000},
    {"lb lbs pound pounds", 453.59237},
    {"oz ounce ounces", 28.349523125},
};

static double unit_grams(Import *im, Str unit)
{
    if (unit.len == 0)
        return 1000;    // as Shopify takes it
    for (size_t i = 0; i < COUNT(WEIGHT_UNITS); i++)
        if (is_one_of(unit, WEIGHT_UNITS[i].names))
            return WEIGHT_UNITS[i].grams;
    bad(im, COLUMN_WEIGHT_UNIT, "it is none of g, kg, lb, oz");
    return 1;
}

static void put_weight(Import *im)
{
    ProductColumn column =
        cell(im, COLUMN_WEIGHT).len > 0 || !has_column(im, COLUMN_GRAMS) ? COLUMN_WEIGHT : COLUMN_GRAMS;
    Str text = cell(im, column);
    if (text.len == 0) {
        put_null(im);
        return;
    }
    double grams = is_decimal(text) ? strtod(str_copy(im->line_arena, text).data, NULL) : -1;
    if (column == COLUMN_WEIGHT)
        grams *= unit_grams(im, cell(im, COLUMN_WEIGHT_UNIT));
    if (grams < 0 || grams > GRAMS_MAX) {
        bad(im, column, grams < 0 ? "it isn't a number such as 250 or 0.25" : "it is too heavy");
        put_null(im);
        return;
    }
    put_int(im, (int64_t)(grams + 0.5));
}

static bool is_url_char(char c) { return (unsigned char)c > ' ' && c != '\x7F' && !strchr("\"<>\\^`{|}", c); }

// An address with what may not stand in one written as %XX.
static Str url_encode(Import *im, Str url)
{
    StrBuf buf = {.arena = im->line_arena};
    for (size_t i = 0; i < url.len; i++) {
        if (is_url_char(url.data[i]))
            strbuf_add_char(&buf, url.data[i]);
        else
            strbuf_format(&buf, "%%%02X", (unsigned)(unsigned char)url.data[i]);
    }
    return strbuf_str(&buf);
}

static bool is_inner_path(Str path)
{
    Str rest = path, part;
    while (str_cut(&rest, '/', &part))
        if (part.len == 0 || str_eq(part, S(".")) || str_eq(part, S("..")))
            return false;
    return !str_has_char(path, '\\') && !str_has_char(path, ':');
}

// An image's address: http(s) and /media/ as they are, a file beside the CSV as file:PATH.
static Str src_cell(Import *im, ProductColumn column)
{
    Str src = short_cell(im, column, SRC_MAX);
    if (src.len == 0)
        return src;
    if (str_has_prefix(src, S("//")))
        return url_encode(im, str_format(im->line_arena, "https:%.*s", STR_ARG(src)));
    Str scheme = str_slice(src, 0, str_find(src, S("://")));
    if (is_one_of(scheme, "http https") && src.len > scheme.len + 3)
        return url_encode(im, src);
    if (str_has_prefix(src, S("/media/")))
        return url_encode(im, src);
    Str path = str_has_prefix(src, S("./")) ? str_skip(src, 2) : src;
    if (!is_inner_path(path)) {
        bad(im, column, "it is neither an http or https address nor the path of a file beside the CSV");
        return S("");
    }
    return str_format(im->line_arena, "file:%.*s", STR_ARG(path));
}

// ---- the product's part of a line ----

static bool is_handle_char(char c) { return (unsigned char)c > ' ' && c != '\x7F' && !strchr("/\\?#%&\"'<>", c); }

// What has no letter and no digit can't be a part of an address: '..' leads elsewhere.
static bool is_handle(Str text)
{
    bool has_word = false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_handle_char(text.data[i]))
            return false;
        has_word = has_word || isalnum((unsigned char)text.data[i]) || (unsigned char)text.data[i] >= 0x80;
    }
    return has_word;
}

// Handles that can't stand in an address become one, as a title would.
static bool handle_take(Import *im, Error *err)
{
    Str handle = cell(im, COLUMN_HANDLE);
    if (handle.len == 0) {
        if (im->handle_length == 0)
            bad(im, COLUMN_HANDLE, "it is empty, and there is no line before it whose product it could go on with");
        return true;
    }
    im->handle_length = 0;
    if (!is_handle(handle) && !text_slug(handle, im->line_arena, &handle, err))
        return false;
    if (handle.len == 0 || handle.len > HANDLE_MAX) {
        bad(im, COLUMN_HANDLE, handle.len ? "it is longer than 255 bytes" : "it has neither letters nor digits");
        return true;
    }
    memcpy(im->handle, handle.data, handle.len);
    im->handle_length = handle.len;
    return true;
}

static bool put_description(Import *im, Error *err)
{
    Str body = cell(im, COLUMN_BODY);
    if (body.len == 0) {
        put_text(im, body);
        return true;
    }
    Html clean;
    if (!html_sanitise(body, im->line_arena, &clean, err))
        return false;
    if (clean.text.len > DESCRIPTION_MAX)
        bad(im, COLUMN_BODY, "it has more than 256 KiB of HTML");
    put_text(im, clean.text);
    return true;
}

static void put_tags(Import *im)
{
    Str rest = cell(im, COLUMN_TAGS), tag, kept[TAGS_MAX];
    if (!rest.data) {
        put_null(im);
        return;
    }
    StrBuf array = {.arena = im->line_arena};
    size_t count = 0;
    while (str_cut(&rest, ',', &tag)) {
        tag = str_trim(tag);
        bool is_new = tag.len > 0;
        for (size_t i = 0; i < count; i++)
            is_new = is_new && !str_eq(kept[i], tag);
        if (is_new && (count == TAGS_MAX || tag.len > TEXT_MAX)) {
            bad(im, COLUMN_TAGS, count == TAGS_MAX ? "it has more than 250 tags" : "a tag is longer than 255 bytes");
            break;
        }
        if (is_new) {
            kept[count++] = tag;
            array_add(&array, tag);
        }
    }
    put_array(im, &array);
}

static void put_published(Import *im)
{
    bool is_published = bool_cell(im, COLUMN_PUBLISHED, true);
    Str status = cell(im, COLUMN_STATUS);
    if (!is_one_of(status, "active draft archived unlisted") && status.len > 0)
        bad(im, COLUMN_STATUS, "it is none of active, draft, archived");
    if (!has_column(im, COLUMN_PUBLISHED) && !has_column(im, COLUMN_STATUS))
        put_null(im);
    else
        put_bool(im, is_published && (status.len == 0 || str_eq_nocase(status, S("active"))));
}

static void put_attributes(Import *im, ColumnUse use)
{
    StrBuf json = {.arena = im->line_arena};
    bool has_any = false;
    strbuf_add_char(&json, '{');
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (PRODUCT_COLUMNS[i].use != use || !has_column(im, (ProductColumn)i))
            continue;
        has_any = true;
        Str value = short_cell(im, (ProductColumn)i, TITLE_MAX);
        if (value.len > 0)
            log_field_str(&json, PRODUCT_COLUMNS[i].names[0], value);
    }
    if (!has_any) {
        put_null(im);
        return;
    }
    json.len -= json.len > 1;    // the last comma
    strbuf_add_char(&json, '}');
    put_text(im, strbuf_str(&json));
}

typedef struct Categories {
    StrBuf handles;
    StrBuf titles;
    Str first[TAGS_MAX];
    size_t count;
} Categories;

static bool category_add(Import *im, Categories *list, Str title, Error *err)
{
    Str handle = S("");
    title = str_trim(title);
    if (title.len == 0 || title.len > TEXT_MAX || list->count == TAGS_MAX)
        return true;
    if (!text_slug(title, im->line_arena, &handle, err))
        return false;
    if (str_eq(handle, S("all")))    // which is all products
        handle = S("category-all");
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->first[i], handle))
            return true;
    if (handle.len == 0)
        return true;
    list->first[list->count++] = handle;
    array_add(&list->handles, handle);
    array_add(&list->titles, title);
    return true;
}

// From the type and the collections; without either, from the last part of a standard category such as "A > B > C".
static bool put_categories(Import *im, Error *err)
{
    if (!has_column(im, COLUMN_TYPE) && !has_column(im, COLUMN_COLLECTION) &&
        !has_column(im, COLUMN_PRODUCT_CATEGORY)) {
        put_null(im);
        put_null(im);
        return true;
    }
    Categories list = {.handles = {.arena = im->line_arena}, .titles = {.arena = im->line_arena}};
    Str rest = cell(im, COLUMN_COLLECTION), part;
    if (!category_add(im, &list, cell(im, COLUMN_TYPE), err))
        return false;
    while (str_cut(&rest, ';', &part))
        if (!category_add(im, &list, part, err))
            return false;
    Str standard = cell(im, COLUMN_PRODUCT_CATEGORY), last = S("");
    if (list.count == 0) {
        while (str_cut(&standard, '>', &part))
            last = part;
        if (!str_eq_nocase(str_trim(last), S("uncategorized")) && !category_add(im, &list, last, err))
            return false;
    }
    put_array(im, &list.handles);
    put_array(im, &list.titles);
    return true;
}

static bool put_product(Import *im, Error *err)
{
    put_text(im, plain_cell(im, COLUMN_TITLE, TITLE_MAX));
    if (!put_description(im, err))
        return false;
    put_text(im, plain_cell(im, COLUMN_VENDOR, TEXT_MAX));
    put_text(im, plain_cell(im, COLUMN_TYPE, TEXT_MAX));
    put_tags(im);
    put_published(im);
    put_text(im, short_cell(im, COLUMN_SEO_TITLE, TITLE_MAX));
    put_text(im, short_cell(im, COLUMN_SEO_DESCRIPTION, TITLE_MAX));
    put_attributes(im, COLUMN_USE_PRODUCT);
    return put_categories(im, err);
}

// ---- the variant's and the image's part ----

static void put_options(Import *im)
{
    static const ProductColumn NAMES[] = {COLUMN_OPTION1_NAME, COLUMN_OPTION2_NAME, COLUMN_OPTION3_NAME};
    static const ProductColumn VALUES[] = {COLUMN_OPTION1_VALUE, COLUMN_OPTION2_VALUE, COLUMN_OPTION3_VALUE};
    StrBuf names = {.arena = im->line_arena}, values = {.arena = im->line_arena};
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        array_add(&names, short_cell(im, NAMES[i], TEXT_MAX));
        Str value = short_cell(im, VALUES[i], TEXT_MAX);
        array_add(&values, value);
        im->has_option_value = im->has_option_value || value.len > 0;
    }
    put_array(im, &names);
    put_array(im, &values);
}

// A line is a variant when it has an option value or a price; in a file without prices also by what else it says.
static bool is_variant(const Import *im)
{
    bool has_more = cell(im, COLUMN_SKU).len + cell(im, COLUMN_BARCODE).len + cell(im, COLUMN_QUANTITY).len > 0;
    return im->has_option_value || cell(im, COLUMN_PRICE).len > 0 || (!has_column(im, COLUMN_PRICE) && has_more);
}

static void put_stock(Import *im)
{
    int64_t quantity = 0;
    if (int_cell(im, COLUMN_QUANTITY, -QUANTITY_MAX, QUANTITY_MAX, &quantity))
        put_int(im, quantity);
    else
        put_null(im);
    if (has_column(im, COLUMN_TRACKER))
        put_bool(im, cell(im, COLUMN_TRACKER).len > 0);
    else
        put_null(im);
    Str policy = cell(im, COLUMN_POLICY);
    bool is_backorder = is_one_of(policy, "continue true yes");
    if (policy.len > 0 && !is_backorder && !is_one_of(policy, "deny false no"))
        bad(im, COLUMN_POLICY, "it is neither deny nor continue");
    if (has_column(im, COLUMN_POLICY))
        put_bool(im, is_backorder);
    else
        put_null(im);
}

static void put_variant(Import *im)
{
    put_options(im);
    bool is_one = is_variant(im);
    put_bool(im, is_one);
    if (!is_one) {
        enum { VARIANT_COLUMNS = 12 };
        for (int i = 0; i < VARIANT_COLUMNS; i++)
            put_null(im);
        return;
    }
    put_text(im, short_cell(im, COLUMN_SKU, TEXT_MAX));
    put_text(im, short_cell(im, COLUMN_BARCODE, TEXT_MAX));
    put_amount(im, COLUMN_PRICE, true);
    put_amount(im, COLUMN_COMPARE_AT_PRICE, false);
    put_weight(im);
    put_bool_cell(im, COLUMN_REQUIRES_SHIPPING);
    put_bool_cell(im, COLUMN_TAXABLE);
    put_stock(im);
    put_text(im, src_cell(im, COLUMN_VARIANT_IMAGE));
    put_attributes(im, COLUMN_USE_VARIANT);
}

static void put_image(Import *im)
{
    int64_t position = 0;
    Str src = src_cell(im, COLUMN_IMAGE_SRC);
    im->image_src = src.len > 0 ? src : cell(im, COLUMN_IMAGE_SRC);
    put_text(im, src);
    if (src.len > 0 && int_cell(im, COLUMN_IMAGE_POSITION, 1, POSITION_MAX, &position))
        put_int(im, position);
    else
        put_null(im);
    put_text(im, short_cell(im, COLUMN_IMAGE_ALT, TITLE_MAX));
}

// ---- lines ----

static bool header_missing(const Import *im, const CsvRow *row, ProductColumn column, Error *err)
{
    const char *name = PRODUCT_COLUMNS[column].names[0];
    error_set(err, ERR_INVALID, "the file has no column '%s'", name);
    error_where(err, "line %u", row->line);
    Str nearest = str_nearest(str_of(name), row->fields, row->count);
    if (nearest.len > 0)
        return error_next(err, "call the column '%.*s' '%s'", STR_ARG(shown(nearest, im->arena)), name);
    return error_next(err, "the first line names the columns as Shopify does: Handle, Title, Variant Price ...");
}

static bool header_read(Import *im, const CsvRow *row, Error *err)
{
    if (row->fault) {
        error_set(err, ERR_MALFORMED, "the line that names the columns can't be read");
        error_where(err, "line %u, column %zu", row->line, row->fault_field + 1);
        error_why(err, "%s: '%.*s'", row->fault, STR_ARG(shown(row->fault_text, im->arena)));
        return error_next(err, "%s", row->next);
    }
    im->header = arena_array(im->arena, row->count, Str);
    if (!arena_ok(im->arena, err))
        return false;
    for (size_t i = 0; i < row->count; i++) {
        Str name = str_copy(im->arena, str_trim(csv_unguard(row->fields[i])));
        im->header[i] = shown(name, im->arena);
        ProductColumn column = product_column_find(name);
        if (column == COLUMN_COUNT)
            continue;
        if (im->places[column] > 0) {
            error_set(err, ERR_INVALID, "the column '%s' is there twice", PRODUCT_COLUMNS[column].names[0]);
            return error_where(err, "line %u", row->line);
        }
        im->places[column] = i + 1;
        im->names[column] = name;
    }
    if (!arena_ok(im->arena, err))    // else a name that there was no memory for is a column that isn't there
        return false;
    static const ProductColumn REQUIRED[] = {COLUMN_HANDLE, COLUMN_TITLE};
    for (size_t i = 0; i < COUNT(REQUIRED); i++)
        if (!has_column(im, REQUIRED[i]))
            return header_missing(im, row, REQUIRED[i], err);
    im->column_count = row->count;
    if (!db_copy_in(im->db, S("copy import_lines from stdin"), err))
        return false;
    im->is_copying = true;
    return true;
}

// A line with nothing in it but, perhaps, its product's handle.
static bool is_empty_line(const Import *im)
{
    for (size_t i = 0; i < im->row->count; i++)
        if (i + 1 != im->places[COLUMN_HANDLE] && str_trim(im->row->fields[i]).len > 0)
            return false;
    return true;
}

static void broken_line(Import *im)
{
    const CsvRow *row = im->row;
    fault_add(im, column_name(im, row->fault_field), row->fault_text,
              str_format(im->line_arena, "%s: %s", row->fault, row->next));
    im->handle_length = 0;
}

static void extra_cells(Import *im)
{
    for (size_t i = im->column_count; i < im->row->count; i++)
        if (im->row->fields[i].len > 0) {
            fault_add(im, column_name(im, i), im->row->fields[i],
                      str_format(im->line_arena, "the line has %zu cells, the header %zu: is a comma not in quotes?",
                                 im->row->count, im->column_count));
            return;
        }
}

static void out_begin(Import *im)
{
    im->out = (StrBuf){.arena = im->line_arena};
    im->out_count = 0;
}

// What a line that can't be used has in the place of values: what is counted of it.
static Str no_values(Import *im)
{
    enum { BEFORE_OPTIONS = 11, OPTIONS_TO_IMAGE = 12, AFTER_IMAGE = 2 };
    out_begin(im);
    for (int i = 0; i < BEFORE_OPTIONS; i++)
        put_null(im);
    put_text(im, S("{}"));
    put_text(im, im->has_option_value ? S("{1}") : S("{}"));
    put_bool(im, false);
    for (int i = 0; i < OPTIONS_TO_IMAGE; i++)
        put_null(im);
    put_text(im, im->image_src);
    for (int i = 0; i < AFTER_IMAGE; i++)
        put_null(im);
    return strbuf_str(&im->out);
}

// The values are worked out first: their faults stand in front of them.
static bool line_put(Import *im, Error *err)
{
    out_begin(im);
    im->has_option_value = false;
    im->image_src = (Str){0};
    if (im->row->fault) {
        broken_line(im);
    } else {
        extra_cells(im);
        if (!handle_take(im, err) || !put_product(im, err))
            return false;
        put_variant(im);
        put_image(im);
    }
    bool is_bad = im->faults.len > 0;
    Str values = is_bad ? no_values(im) : strbuf_str(&im->out);
    out_begin(im);
    put_int(im, im->row->line);
    put_text(im, (Str){im->handle, im->handle_length});
    if (is_bad) {
        strbuf_add_char(&im->faults, ']');
        put_text(im, strbuf_str(&im->faults));
    } else {
        put_null(im);
    }
    put_separator(im);
    strbuf_add(&im->out, values);
    strbuf_add_char(&im->out, '\n');
    Str line = strbuf_str(&im->out);
    return arena_ok(im->line_arena, err) && db_copy_put(im->db, line, err);
}

static bool row_take(void *context, const CsvRow *row, Error *err)
{
    Import *im = context;
    if (im->column_count == 0)
        return header_read(im, row, err);
    arena_reset(im->line_arena);
    im->line_count++;
    if (im->options->progress)
        im->options->progress(im->options->progress_context, im->line_count);
    im->row = row;
    im->faults = (StrBuf){.arena = im->line_arena};
    if (!row->fault && is_empty_line(im))
        return true;
    return line_put(im, err);
}

static bool lines_stage(Import *im, Str path, Error *err)
{
    bool ok = csv_read_file(path, &(CsvOptions){0}, row_take, im, err);
    if (ok && !im->is_copying) {
        error_set(err, ERR_INVALID, "the file '%.*s' is empty", STR_ARG(path));
        ok = error_next(err, "the first line names the columns as Shopify does: Handle, Title, Variant Price ...");
    }
    Error ignored = {0};
    if (im->is_copying && !db_copy_in_end(im->db, NULL, ok ? err : &ignored))
        return false;
    return ok;
}

// ---- image files ----

static bool file_import(Import *im, Str dir, Str path, Error *err)
{
    static const char HEX[] = "0123456789abcdef";
    CLEANUP(arena_close) Arena *arena = arena_open(FILE_BUDGET);
    Error fault = {0};
    ImageFile file = {0};
    if (!image_file_read(str_format(arena, "%.*s%.*s", STR_ARG(dir), STR_ARG(path)), arena, &file, &fault)) {
        Str reason = fault.code == ERR_TOO_LARGE   ? S("the file has more than 512 KiB")
                     : fault.code == ERR_NOT_FOUND ? S("there is no such file beside the CSV")
                                                   : str_of(fault.why);
        return tenant_run(im->db, im->tenant, S("select :import_file_refuse($1, $2)"), PARAMS(path, reason), err);
    }
    StrBuf hex = {.arena = arena};
    strbuf_add(&hex, S("\\x"));
    for (size_t i = 0; i < file.content.len; i++) {
        unsigned char byte = (unsigned char)file.content.data[i];
        strbuf_add(&hex, (Str){(const char[]){HEX[byte >> 4], HEX[byte & 15]}, 2});
    }
    Str content = strbuf_str(&hex);
    return arena_ok(arena, err) &&
           tenant_run(im->db, im->tenant, S("select :import_file_put($1, $2, $3, $4::bytea)"),
                      PARAMS(path, str_of(file.content_type), str_of(file.extension), content), err);
}

static bool files_import(Import *im, Str csv_path, Error *err)
{
    const char *slash = csv_path.len ? memrchr(csv_path.data, '/', csv_path.len) : NULL;
    Str dir = slash ? str_slice(csv_path, 0, (size_t)(slash - csv_path.data) + 1) : S("");
    for (size_t count = 1; count > 0;) {
        CLEANUP(rows_close) Rows *rows = NULL;
        Str limit = str_format(im->arena, "%d", FILES_AT_ONCE);
        if (!db_query(im->db, S("select path from import_files where src is null and reason is null limit $1"),
                      PARAMS(limit), &rows, err))
            return false;
        count = rows_count(rows);
        for (size_t i = 0; i < count; i++)
            if (!file_import(im, dir, rows_str(rows, i, 0), err))
                return false;
    }
    return true;
}

// ---- the whole ----

static bool start(Import *im, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!tenant_write_begin(im->db, im->tenant, err) || !tenant_path_set(im->db, im->tenant, err) ||
        !tenant_query(im->db, im->tenant, S("select :import_open()"), NO_PARAMS, &rows, err))
        return false;
    im->currency = str_copy(im->arena, rows_str(rows, 0, 0));
    return arena_ok(im->arena, err);
}

static bool report_fill(Import *im, ImportReport *report, Error *err)
{
    CLEANUP(rows_close) Rows *counts = NULL;
    CLEANUP(rows_close) Rows *faults = NULL;
    Str limit = str_format(im->arena, "%d", FAULTS_KEPT_MAX);
    if (!tenant_query(im->db, im->tenant, S("select products, variants, images, skipped from :import_counts()"),
                      NO_PARAMS, &counts, err) ||
        !db_query(im->db, S("select line, column_name, value, reason from import_faults order by line limit $1"),
                  PARAMS(limit), &faults, err))
        return false;
    report->products = rows_int64(counts, 0, 0);
    report->variants = rows_int64(counts, 0, 1);
    report->images = rows_int64(counts, 0, 2);
    report->skipped = rows_int64(counts, 0, 3);
    for (size_t i = 0; i < rows_count(faults); i++) {
        Str column = rows_str(faults, i, 1);
        ProductColumn known = product_column_find(column);
        if (known < COLUMN_COUNT && has_column(im, known))
            column = im->names[known];
        faults_add(&report->faults, &(Fault){.line = (unsigned)rows_int64(faults, i, 0),
                                             .where = column,
                                             .what = rows_str(faults, i, 2),
                                             .why = rows_str(faults, i, 3)});
    }
    return arena_ok(im->arena, err);
}

static Str sql_bool(bool value) { return value ? S("t") : S("f"); }

static bool apply(Import *im, const ImportOptions *options, ImportReport *report, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!tenant_query(im->db, im->tenant, S("select :import_apply($1, $2, $3)"),
                      PARAMS(sql_bool(options->set_stock), sql_bool(has_column(im, COLUMN_COMPARE_AT_PRICE)),
                             sql_bool(has_column(im, COLUMN_VARIANT_IMAGE))),
                      &rows, err))
        return false;
    report->is_changed = rows_bool(rows, 0, 0);
    return true;
}

static bool import_in_transaction(Import *im, Str path, const ImportOptions *options, ImportReport *report, Error *err)
{
    if (!start(im, err) || !lines_stage(im, path, err) ||
        !tenant_run(im->db, im->tenant, S("select :import_begin()"), NO_PARAMS, err) || !files_import(im, path, err) ||
        !tenant_run(im->db, im->tenant, S("select :import_check($1)"), PARAMS(sql_bool(options->set_stock)), err) ||
        !report_fill(im, report, err))
        return false;
    report->is_refused = report->skipped > 0 && !options->skip_invalid;
    return report->is_refused || apply(im, options, report, err);
}

bool product_import(Db *db, int64_t tenant, Str path, const ImportOptions *options, Arena *arena, ImportReport *out,
                    Error *err)
{
    CLEANUP(arena_close) Arena *line_arena = arena_open(LINE_BUDGET);
    Import im = {.db = db, .tenant = tenant, .arena = arena, .line_arena = line_arena, .options = options};
    ImportReport report = {.faults = {.arena = arena, .kept_max = FAULTS_KEPT_MAX}};
    if (!arena_ok(line_arena, err) || !db_begin(db, err))
        return false;
    if (!import_in_transaction(&im, path, options, &report, err)) {
        db_rollback(db);
        return false;
    }
    if (report.is_refused || options->is_dry_run)
        db_rollback(db);
    else if (!db_commit(db, err))
        return false;
    *out = report;
    return true;
}

bool product_import_json(const ImportReport *report, Json **out, Error *err)
{
    CLEANUP(json_close) Json *errors = json_build("[]");
    bool ok = errors;
    for (const Fault *f = report->faults.first; f && ok; f = f->next_fault)
        ok = json_append(errors, json_build("{s:I, s:s%, s:s%, s:s%}", "line", (json_int)f->line, "column",
                                            f->where.data, f->where.len, "value", f->what.data, f->what.len, "reason",
                                            f->why.data, f->why.len));
    Json *json = ok ? json_build("{s:I, s:I, s:I, s:I, s:O, s:b}", "products", (json_int)report->products, "variants",
                                 (json_int)report->variants, "images", (json_int)report->images, "skipped",
                                 (json_int)report->skipped, "errors", errors, "changed",
                                 (int)(report->is_changed && !report->is_refused))
                    : NULL;
    if (!json_ok(json, err))
        return false;
    *out = json;
    return true;
}
