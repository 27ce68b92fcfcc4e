// tests/test_product_import.c: product files of many kinds go into a catalogue, come out of it, and go in again
// unchanged.
#include "provisioner/product_import.h"

#include <pthread.h>
#include <unistd.h>

#include "base/file.h"
#include "provisioner/product_export.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_schema.h"

enum { BUDGET = 256 * MIB, TENANT = 1, MANY = 3000 };

// The suite's shop as it was made, with an empty catalogue: it counts in EUR and has no limit.
static Db *shop_open(void)
{
    static Str dsn;
    Error err = {0};
    bool is_new = dsn.len == 0;
    dsn = is_new ? test_shop("import") : dsn;
    Db *db = test_db_open(dsn);
    if (is_new)
        ck_assert_ok(db_script(db,
                               S("create table public.first_settings as table settings;"
                                 "create table public.first_versions as table catalog_versions"),
                               &err),
                     &err);
    ck_assert_ok(
        db_script(db,
                  S("do $$ begin execute (select 'truncate ' || string_agg(relname, ',') || ' restart identity' "
                    "from pg_class where relnamespace = 't_1'::regnamespace and relkind = 'r'); end $$;"
                    "insert into settings table public.first_settings;"
                    "insert into catalog_versions table public.first_versions"),
                  &err),
        &err);
    return db;
}

static Str work_path(Arena *arena, const char *name)
{
    const char *work = getenv("TEST_WORK");
    return str_format(arena, "%s/import-%d-%s", work ? work : "/tmp", (int)getpid(), name);
}

static Str file_of(Arena *arena, Str text)
{
    Error err = {0};
    Str path = work_path(arena, "products.csv");
    ck_assert_ok(file_write(path, text, 0600, &err), &err);
    return path;
}

static ImportReport import_with(Db *db, Arena *arena, const char *csv, ImportOptions options)
{
    Error err = {0};
    ImportReport report = {0};
    ck_assert_ok(product_import(db, TENANT, file_of(arena, str_of(csv)), &options, arena, &report, &err), &err);
    return report;
}

static ImportReport import(Db *db, Arena *arena, const char *csv)
{
    ImportReport report = import_with(db, arena, csv, (ImportOptions){0});
    const Fault *fault = report.faults.first;
    ck_assert_msg(!fault, "line %u, %s '%s': %s", fault ? fault->line : 0, fault ? fault->where.data : "",
                  fault ? fault->what.data : "", fault ? fault->why.data : "");
    return report;
}

static Str report_text(const ImportReport *report, Arena *arena)
{
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    Str text = {0};
    ck_assert_ok(product_import_json(report, &json, &err) && json_print(json, 0, arena, &text, &err), &err);
    return text;
}

#define HEAD                                                                                                           \
    "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant Price,Variant Inventory Tracker,"      \
    "Variant Inventory Qty,Variant Inventory Policy,Image Src\n"

// ---- one question after an import ----

typedef struct Case {
    const char *csv;
    const char *sql;
    const char *answer;
} Case;

#define SHIRT                                                                                                          \
    HEAD "shirt,Shirt,Size,S,Color,Red,19.90,shopify,5,deny,https://a.example/1.jpg\n"                                 \
         "shirt,,,M,,Red,21,shopify,0,deny,https://a.example/2.jpg\n"                                                  \
         ",,,M,,Blue,21.5,shopify,,continue,\n"                                                                        \
         "shirt,,,,,,,,,,https://a.example/3.jpg\n"                                                                    \
         "mug,Mug,,,,,7,,,,\n"

static const Case CASES[] = {
    {SHIRT, "select string_agg(handle, ',' order by position) from products", "shirt,mug"},
    {SHIRT,
     "select string_agg(array_to_string(option_values, '/') || ' ' || price_minor, ',' order by product_id, position) "
     "from variants",
     "S/Red 1990,M/Red 2100,M/Blue 2150,Default Title 700"},
    {SHIRT, "select string_agg(name, ',' order by product_id, position) from options", "Size,Color,Title"},
    {SHIRT,
     "select string_agg(quantity || ' ' || is_tracked || ' ' || is_backorder, ',' order by variant_id) from stock",
     "5 true false,0 true false,0 true true,0 false false"},
    {SHIRT, "select string_agg(variant_id || ' ' || quantity || ' ' || reason, ',') from stock_movements",
     "1 5 import"},
    {SHIRT, "select string_agg(src || ' ' || position, ',' order by position) from images",
     "https://a.example/1.jpg 1,https://a.example/2.jpg 2,https://a.example/3.jpg 3"},
    {SHIRT, "select version from catalog_versions", "2"},
    {SHIRT, "select count(*) from products where search @@ to_tsquery('simple', 'shirt')", "1"},
    {"Handle,Title,Vendor,Type,Tags,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price\n"
     "a,Camiones,Maker,Toys,\"x, y\",<p>of wood,Size,S,B-2,1\na,,,,,,,M,,1\na,,,,,,,L,A-1,1\nb,B,,,,,,,,1\n",
     "select count(*) || ' ' || bool_and(search = product_words_1(p)) from products p", "2 true"},
    {"\xEF\xBB\xBFhandle;TITLE; price\r\na;A;1.5\r\n;;\r\n\r\n", "select price_minor from variants", "150"},
    {"Title,Handle,Price\rA,a,2\rB,b,3\r", "select string_agg(handle, ',') from products", "a,b"},
    {"Unknown,Handle,Title,Variant Price\nx,a,A,1\n", "select attributes from products", "{}"},
    {"Handle,Title,Variant Price,Gift Card,Variant Tax Code\na,A,1,false,T1\n",
     "select p.attributes || v.attributes from products p, variants v",
     "{\"Gift Card\": \"false\", \"Variant Tax Code\": \"T1\"}"},
    {"Handle,Title,Body (HTML),Variant Price\na,A,\"<p onclick=x>Hi <script>1</script>\",1\n",
     "select description from products", "<p>Hi </p>"},
    {"Handle,Title,Tags,Variant Price\na,A,\" red, blue,,red , green\",1\n", "select tags from products",
     "{red,blue,green}"},
    {"Handle,Title,Tags,Option1 Name,Option1 Value,Price\na,A,\"a\"\"b,c\\d,{e},null,'f\",\"1\"\"\",\"x\\,\"\"{}\",1\n",
     "select concat_ws('|', p.tags[1], p.tags[2], p.tags[3], p.tags[4], p.tags[5], cardinality(p.tags), "
     "v.option_values[1], o.name) from products p, variants v, options o",
     "a\"b|c\\d|{e}|null|'f|5|x\\,\"{}|1\""},
    {"Handle,Title,SEO Title,Price\na,\"t\tab \\\\N \\t\",\"two\r\nlines\rand\nmore\",1\n",
     "select title || '|' || seo_title from products", "t\tab \\\\N \\t|two\r\nlines\rand\nmore"},
    {"Handle,Title,Price,Image Src\na,A,1,\"https://a.example/x\\y<z>^`{|}\"\"\x7F\xC3\xA9\"\n",
     "select src from images", "https://a.example/x%5Cy%3Cz%3E%5E%60%7B%7C%7D%22%7F\xC3\xA9"},
    {"Handle,Title,Type,Price\na,A,?!,1\nb,B,\" \",1\n", "select count(*) from categories", "0"},
    {"Handle,Title,Published,Variant Price\na,A,FALSE,1\nb,B,,1\nc,C,true,1\n",
     "select string_agg(handle, ',') from products where is_published", "b,c"},
    {"Handle,Title,Status,Variant Price\na,A,draft,1\nb,B,active,1\n",
     "select string_agg(handle, ',') from products where is_published", "b"},
    {"Handle,Title,Type,Variant Price\na,A,Caf\xC3\xA9 & T\xC3\xA9,1\nb,B,,1\n",
     "select handle || ' ' || title from categories", "cafe-te Caf\xC3\xA9 & T\xC3\xA9"},
    {"Handle,Title,Type,Collection,Variant Price\na,A,Cups,Summer; Sale;cups,1\n",
     "select string_agg(handle, ',' order by position) from categories", "cups,summer,sale"},
    {"Handle,Title,Product Category,Variant Price\na,A,Home > Kitchen > Cups,1\nb,B,Uncategorized,1\n",
     "select string_agg(title, ',') from categories", "Cups"},
    {"Handle,Title,Variant Grams,Variant Price\na,A,250,1\n", "select weight_grams from variants", "250"},
    {"Handle,Title,Variant Weight,Variant Weight Unit,Variant Price\na,A,1.5,kg,1\nb,B,1,lb,1\nc,C,2,oz,1\nd,D,7,g,1\n",
     "select string_agg(weight_grams::text, ',' order by id) from variants", "1500,454,57,7"},
    {"Handle,Title,Variant Compare At Price,Variant Price\na,A,,1\nb,B,2.50,1\n",
     "select string_agg(coalesce(compare_at_price_minor, -1)::text, ',' order by id) from variants", "-1,250"},
    {"Handle,Title,Variant Inventory Qty,Variant Price\na,A,3,1\n", "select is_tracked from stock", "true"},
    {"Handle,Title,Variant Inventory Qty,Variant Price\na,A,5.0,1\nb,B,0.00,1\nc,C,7.,1\n",
     "select string_agg(quantity::text, ',' order by variant_id) from stock", "5,0,7"},
    {"sep=;\r\nHandle;Title;Price\r\na;A, b;1\r\n", "select title from products", "A, b"},
    {"Title,URL handle,Description,Product category,Published on online store,Status,SKU,Option1 name,Option1 value,"
     "Price,Compare-at price,Charge tax,Tax code,Inventory tracker,Inventory quantity,Continue selling when out of "
     "stock,Weight value (grams),Weight unit for display,Requires shipping,Product image URL,Image position,Variant "
     "image URL,Google Shopping / Manufacturer part number (MPN),Google Shopping / Ads labels\n"
     "Tee,tee,<p>d</p>,A > "
     "Tees,TRUE,Active,T1,Size,S,5.00,7,FALSE,TC,shopify,10,CONTINUE,250,g,FALSE,https://a.example/"
     "1.jpg,1,https://a.example/2.jpg,M1,L1\n",
     "select concat_ws('|', p.handle, p.description, p.is_published, v.sku, v.option_values, v.price_minor, "
     "v.compare_at_price_minor, v.is_taxable, v.weight_grams, v.requires_shipping, v.image_src, v.attributes, "
     "p.attributes, s.quantity, s.is_backorder) from products p, variants v, stock s",
     "tee|<p>d</p>|t|T1|{S}|500|700|f|250|f|https://a.example/2.jpg|{\"Variant Tax Code\": \"TC\", \"Variant Weight "
     "Unit\": \"g\"}|{\"Product Category\": \"A > Tees\", \"Google Shopping / MPN\": \"M1\", \"Google Shopping / "
     "AdWords Labels\": \"L1\"}|10|t"},
    {"Handle,Title,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price\n"
     "a,A,shopify,-3,continue,1\n",
     "select quantity || ' ' || (select sum(quantity) from stock_movements) from stock", "-3 -3"},
    {"Handle,Title,Variant Price\na,A,1\nb,B,2\na,,3\n", "select count(*) from products", "0"},
    {"Handle,Title,Option1 Name,Option1 Value,Variant Price\na,A,Size,S,1\nb,B,Size,S,2\na,,,M,3\n",
     "select string_agg(handle || ' ' || (select count(*) from variants where product_id = p.id), ',' order by id) "
     "from products p",
     "a 2,b 1"},
    {"Handle,Title,Variant Price\nMy Product/1,A,1\n", "select handle from products", "my-product-1"},
    {"Handle,Title,Variant Price\n'=a,'-A,1\n", "select handle || title from products", "=a-A"},
    {"Handle,Title,Variant Price,Image Src\na,A,1,//cdn.example/a b.jpg\n", "select src from images",
     "https://cdn.example/a%20b.jpg"},
    {"Handle,Title,Variant Price,Image Src,Image Position,Image Alt "
     "Text\na,A,1,http://a/x.png,2,two\na,,,http://a/y.png,1,one\n",
     "select string_agg(src || alt, ',' order by position) from images", "http://a/y.pngone,http://a/x.pngtwo"},
    {"Handle,Title,Option1 Value,Variant Price,Variant Image\na,A,S,1,https://a.example/s.jpg\n",
     "select image_src from variants", "https://a.example/s.jpg"},
    {"Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\na,A,Size,,P,\na,,,S,1,1\na,,,M,1,2\n",
     "select string_agg(sku, ',') from variants", "1,1"},
};

TEST(a_file_becomes_a_catalogue)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    (void)import_with(db, arena, CASES[_i].csv, (ImportOptions){0});
    ck_assert_str(test_value(db, arena, str_format(arena, "select (%s)::text", CASES[_i].sql).data),
                  str_of(CASES[_i].answer));
}

// ---- reports ----

static const Case REPORTS[] = {
    {SHIRT, NULL, "{\"products\":2,\"variants\":3,\"images\":3,\"skipped\":0,\"errors\":[],\"changed\":true}"},
    {HEAD "a,A,Title,Default Title,,,1,,,,x:y\n", NULL,
     "{\"products\":1,\"variants\":1,\"images\":1,\"skipped\":1,\"errors\":[{\"line\":2,\"column\":\"Image "
     "Src\",\"value\":"
     "\"x:y\",\"reason\":\"it is neither an http or https address nor the path of a file beside the "
     "CSV\"}],\"changed\":"
     "false}"},
    {HEAD "a,A,Size,S,,,x,,,,https://a.example/a.png\na,,Size,M,,,1,,,,https://a.example/a.png\n\"b\"c,,,,,,,,,,\n",
     NULL,
     "{\"products\":1,\"variants\":2,\"images\":1,\"skipped\":3,\"errors\":[{\"line\":2,\"column\":\"Variant "
     "Price\",\"value\":\"x\",\"reason\":\"it has a currency sign, or a letter, in it: write EUR amounts as in "
     "1234.50\"},{\"line\":3,\"column\":\"Title\",\"value\":\"\",\"reason\":\"no line that can be used gives this "
     "product a "
     "title\"},{\"line\":4,\"column\":\"Handle\",\"value\":\"b\\\"c\",\"reason\":\"a quote stands inside of a field, "
     "or a "
     "field goes on behind its closing quote: put the whole field into quotes, and write each quote in it "
     "twice\"}],\"changed\":false}"},
};

TEST(a_report_has_the_keys_that_scripts_rely_on)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    ImportReport report = import_with(db, arena, REPORTS[_i].csv, (ImportOptions){0});
    ck_assert_str(report_text(&report, arena), str_of(REPORTS[_i].answer));
}

typedef struct Bad {
    const char *csv;
    unsigned line;
    const char *column;
    const char *value;
    const char *reason;    // a part of it
    int64_t good;          // products that --skip-invalid imports
} Bad;

#define TWO "Handle,Title,Option1 Name,Option1 Value,Price\n"

#define FORTY "1234567890123456789012345678901234567890"

#define SHA256 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const Bad BAD[] = {
    {"Handle,Title,Price\na,A,\"1,50\"\nb,B,1\n", 2, "Price", "1,50", "comma", 1},
    {"Handle,Title,Price\na,A,$5\nb,B,1\n", 2, "Price", "$5", "currency sign", 1},
    {"Handle,Title,Price\na,A,-5\n", 2, "Price", "-5", "negative", 0},
    {"Handle,Title,Price\na,A,1.999\n", 2, "Price", "1.999", "more decimals", 0},
    {"Handle,Title,Price\na,A,99999999999999999999\n", 2, "Price", "99999999999999999999", "too large", 0},
    {"Handle,Title,Price\na,A,\nb,B,1\n", 2, "Price", "", "none of its lines has a price", 1},
    {TWO "a,A,Size,S,\nb,B,,,1\n", 2, "Price", "", "it is empty", 1},
    {"Handle,Title,Price\n,A,1\nb,B,1\n", 2, "Handle", "", "no line before", 1},
    {"Handle,Title,Price\n/?/,A,1\n", 2, "Handle", "/?/", "neither letters nor digits", 0},
    {"Handle,Title,Price\n..,A,1\n", 2, "Handle", "..", "neither letters nor digits", 0},
    {"Handle,Title,Price\n!!!,A,1\nb,B,1\n", 2, "Handle", "!!!", "neither letters nor digits", 1},
    {"Handle,Title,Price\na,A\x1b[2J,1\nb,B,1\n", 2, "Title", "", "control character", 1},
    {"Handle,Title,Price\na,,1\n", 2, "Title", "", "no line that can be used", 0},
    {TWO "a,A,Size,S,1\na,,,S,2\nb,B,,,1\n", 3, "Option1 Value", "S", "line 2 has the same variant", 2},
    {TWO "a,A,Size,S,1\na,,,,2\n", 3, "Option1 Value", "", "no value for the option 'Size'", 1},
    {TWO "a,A,,,1\na,,,,2\n", 3, "Option1 Value", "Default Title", "line 2 has the same", 1},
    {TWO "a,A,Size,S,x\na,,,M,2\nb,B,,,1\n", 2, "Price", "x", "letter", 1},
    {"Handle,Title,Price,Variant Inventory Qty\na,A,1,5.0x\n", 2, "Variant Inventory Qty", "5.0x", "whole number", 0},
    {"Handle,Title,Price,Variant Inventory Qty\na,A,1,.0\n", 2, "Variant Inventory Qty", ".0", "whole number", 0},
    {"Handle,Title,Price,Variant Inventory Qty\na,A,1,2.5\n", 2, "Variant Inventory Qty", "2.5", "whole number", 0},
    {"Handle,Title,Price,Variant Inventory Qty\na,A,1,99999999999\n", 2, "Variant Inventory Qty", "99999999999",
     "whole number", 0},
    {"Handle,Title,Price,Variant Inventory Qty\na,A,1,-1\n", 2, "Variant Inventory Qty", "-1", "below zero", 0},
    {"Handle,Title,Price,Variant Inventory Policy\na,A,1,maybe\n", 2, "Variant Inventory Policy", "maybe", "deny", 0},
    {"Handle,Title,Price,Published\na,A,1,perhaps\n", 2, "Published", "perhaps", "neither true nor false", 0},
    {"Handle,Title,Price,Status\na,A,1,gone\n", 2, "Status", "gone", "draft", 0},
    {"Handle,Title,Price,Variant Grams\na,A,1,1.2.3\n", 2, "Variant Grams", "1.2.3", "number", 0},
    {"Handle,Title,Price,Variant Grams\na,A,1,.\n", 2, "Variant Grams", ".", "number", 0},
    {"Handle,Title,Price,Variant Grams\na,A,1,1000000001\n", 2, "Variant Grams", "1000000001", "too heavy", 0},
    {"Handle,Title,Price,Image Src\na,A,1,a\\b.png\n", 2, "Image Src", "a\\b.png", "beside the CSV", 0},
    {"Handle,Title,Price,Image Src\na,A,1,https://\n", 2, "Image Src", "https://", "beside the CSV", 0},
    {"Handle,Title,Price,Image Src\na,A,1,a//b.png\n", 2, "Image Src", "a//b.png", "beside the CSV", 0},
    {"Handle,Title,Price,Image Src\na,A,1,a/./b.png\n", 2, "Image Src", "a/./b.png", "beside the CSV", 0},
    {"Handle,Title,Price\n" FORTY FORTY FORTY FORTY FORTY FORTY FORTY ",A,1\n", 2, "Handle", FORTY FORTY FORTY "...",
     "longer than 255 bytes", 0},
    {"Handle,Title,Price,Vendor\na,A,1," FORTY FORTY FORTY FORTY FORTY FORTY FORTY "\n", 2, "Vendor",
     FORTY FORTY FORTY "...", "it has 280 bytes, at most 255", 0},
    {"Handle,Title,Price,Tags\na,A,1,\"b," FORTY FORTY FORTY FORTY FORTY FORTY FORTY "\"\n", 2, "Tags",
     "b," FORTY FORTY "12345678901234567890123456789012345678...", "a tag is longer than 255 bytes", 0},
    {"Handle,Title,Price,Variant Grams\na,A,1,heavy\n", 2, "Variant Grams", "heavy", "number", 0},
    {"Handle,Title,Price,Variant Weight,Variant Weight Unit\na,A,1,2,stone\n", 2, "Variant Weight Unit", "stone", "oz",
     0},
    {"Handle,Title,Price,Image Src\na,A,1,/media/" SHA256 ".png\nb,B,1,\n", 2, "Image Src", "/media/" SHA256 ".png",
     "this shop has no such file", 1},
    {"Handle,Title,Price,Variant Image\na,A,1,/media/x.png\n", 2, "Variant Image", "/media/x.png",
     "this shop has no such file", 0},
    {"Handle,Title,Price,Image Src\na,A,1,../secret.png\n", 2, "Image Src", "../secret.png", "beside the CSV", 0},
    {"Handle,Title,Price,Image Src\na,A,1,/etc/passwd\n", 2, "Image Src", "/etc/passwd", "beside the CSV", 0},
    {"Handle,Title,Price,Image Src\na,A,1,javascript:x\n", 2, "Image Src", "javascript:x", "http", 0},
    {"Handle,Title,Price,Image Src\na,A,1,missing.png\nb,B,1,\n", 2, "Image Src", "missing.png", "no such file", 1},
    {"Handle,Title,Price,Image Src,Image Position\na,A,1,https://a.example/a.png,first\n", 2, "Image Position", "first",
     "whole number", 0},
    {"Handle,Title,Price\na,A,1,surplus\n", 2, "column 4", "surplus", "4 cells", 0},
    {"Handle,Title,Price,\na,A,1,,,x\n", 2, "column 6", "x", "6 cells", 0},
    {"Handle,Title,Price\na,A\"x,1\nb,B,1\n", 2, "Title", "A\"", "quote", 1},
    {"Handle,Title,Price\na,A,1\nb,B,\"1\nc,C,1\n", 3, "Price", "1\nc,C,1\n", "isn't closed", 1},
    {"Handle,Title,Price\na,\xE9t\xC3\xA9,1\nb,B,1\n", 2, "Title", "\\xe9t\xC3\xA9", "UTF-8", 1},
    {"Handle,Title,My Notes,Price\na,A,\xFF,1\nb,B,,1\n", 2, "My Notes", "\\xff", "UTF-8", 1},
    {"Handle,Title,Price\na,A,1,\xFF\nb,B,1\n", 2, "column 4", "\\xff", "UTF-8", 1},
    {"Handle,Title,Price\na,A," FORTY FORTY FORTY "1\n", 2, "Price", FORTY FORTY FORTY "...", "too large", 0},
    {"Handle,Title,Price\n\"a\n\n\",\"A\n\",\"x\ny\"\nb,B,\n", 2, "Price", "x\ny", "letter", 0},
    {"Handle,Title\na,A\n", 2, "Variant Price", "", "has no variant", 0},
    {"Handle,Title,SKU\na,A,1\n", 2, "Variant Price", "", "needs a price", 0},
};

TEST(a_bad_line_is_named_and_nothing_or_the_rest_is_imported)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const Bad *bad = &BAD[_i];
    ImportReport report = import_with(db, arena, bad->csv, (ImportOptions){0});
    ck_assert(report.is_refused);
    ck_assert_int_ge(report.skipped, 1);
    const Fault *fault = report.faults.first;
    ck_assert_uint_eq(fault->line, bad->line);
    ck_assert_str(fault->where, str_of(bad->column));
    ck_assert_str(fault->what, str_of(bad->value));
    ck_assert_contains(fault->why, str_of(bad->reason));
    ck_assert_str(test_value(db, arena, "select count(*) from products"), S("0"));
    ck_assert_str(test_value(db, arena, "select version from catalog_versions"), S("1"));
    report = import_with(db, arena, bad->csv, (ImportOptions){.skip_invalid = true});
    ck_assert(!report.is_refused);
    ck_assert_str(test_value(db, arena, "select count(*) from products"),
                  str_format(arena, "%lld", (long long)bad->good));
}

TEST(every_bad_line_and_cell_is_reported_in_order)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    ImportReport report =
        import_with(db, arena, TWO "a,A,Size,S,x\na,,,M,2\nb,B,Size,S,1\nb,,,S,\nb,,,S,3\n,,,L,-1\nc,C,,,1\n",
                    (ImportOptions){.skip_invalid = true});
    static const unsigned LINES[] = {2, 3, 5, 6, 7};
    size_t i = 0;
    for (const Fault *f = report.faults.first; f; f = f->next_fault, i++)
        ck_assert_uint_eq(f->line, LINES[i]);
    ck_assert_uint_eq(i, COUNT(LINES));
    ck_assert_int_eq(report.skipped, COUNT(LINES));
    ck_assert_int_eq(report.products, 3);    // of the file
    ck_assert_str(test_value(db, arena, "select count(*) from products"), S("2"));
}

TEST(a_row_over_1_mib_is_a_bad_line_and_the_lines_after_it_are_imported)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf csv = {.arena = arena};
    strbuf_add(&csv, S("Handle,Title,Body (HTML),Price\na,A,,1\nb,B,\""));
    for (size_t i = 0; i < 2 * MIB / 16; i++)
        strbuf_add(&csv, S("<p>a \"\"b\"\"</p>\n"));
    strbuf_add(&csv, S("\",2\nc,C,,3\n"));
    ImportReport report = import_with(db, arena, strbuf_str(&csv).data, (ImportOptions){0});
    ck_assert(report.is_refused);
    const Fault *fault = report.faults.first;
    ck_assert_uint_eq(fault->line, 3);
    ck_assert_str(fault->where, S("Body (HTML)"));
    ck_assert_contains(fault->what, S("<p>a \"b\"</p>"));
    ck_assert_contains(fault->why, S("the row is too large"));
    ck_assert(!fault->next_fault);
    (void)import_with(db, arena, strbuf_str(&csv).data, (ImportOptions){.skip_invalid = true});
    ck_assert_str(test_value(db, arena, "select string_agg(handle, ',' order by id) from products"), S("a,c"));
}

static const struct {
    const char *csv;
    ErrorCode code;
    const char *says;
} REFUSED_FILES[] = {
    {"", ERR_INVALID, "is empty"},
    {"\n\n", ERR_INVALID, "is empty"},
    {"Handel,Title,Price\na,A,1\n", ERR_INVALID, "call the column 'Handel' 'Handle'"},
    {"Handle,Name\na,A\n", ERR_INVALID, "no column 'Title'"},
    {"Handle,Title,handle\na,A,b\n", ERR_INVALID, "'Handle' is there twice"},
    {"\xFF\xFEH\n", ERR_MALFORMED, "UTF-16"},
    {"Handle,Ti\"tle\n", ERR_MALFORMED, "line 1, column 2"},
    {"Handle,Caf\xE9,Title\n", ERR_MALFORMED, "Caf\\xe9"},
};

TEST(a_file_that_is_no_product_file_is_refused_and_the_connection_stays_good)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    ImportReport report = {0};
    ck_assert(!product_import(db, TENANT, file_of(arena, str_of(REFUSED_FILES[_i].csv)), &(ImportOptions){0}, arena,
                              &report, &err));
    ck_assert_says(&err, REFUSED_FILES[_i].code, REFUSED_FILES[_i].says);
    report = import(db, arena, SHIRT);
    ck_assert(report.is_changed);
}

static const struct {
    const char *path;
    ErrorCode code;
} NO_FILES[] = {{"/", ERR_INVALID}, {"/dev/null/x.csv", ERR_INVALID}, {"/nonexistent.csv", ERR_NOT_FOUND}};

TEST(a_path_that_is_no_file_is_refused)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    ImportReport report = {0};
    ck_assert(!product_import(db, TENANT, str_of(NO_FILES[_i].path), &(ImportOptions){0}, arena, &report, &err));
    ck_assert_says(&err, NO_FILES[_i].code, NO_FILES[_i].path);
}

TEST(a_product_has_at_most_250_tags)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf csv = {.arena = arena};
    strbuf_add(&csv, S("Handle,Title,Price,Tags\na,A,1,\"0"));
    for (int i = 1; i < 250; i++)
        strbuf_format(&csv, ",%d,%d", i, i / 2);    // the same tag again is none
    Str full = str_format(arena, "%.*s\"\n", STR_ARG(strbuf_str(&csv)));
    (void)import(db, arena, full.data);
    ck_assert_str(test_value(db, arena, "select cardinality(tags)::text from products"), S("250"));
    Str more = str_format(arena, "%.*s,more\"\n", STR_ARG(strbuf_str(&csv)));
    ImportReport report = import_with(db, arena, more.data, (ImportOptions){0});
    ck_assert_str(report.faults.first->where, S("Tags"));
    ck_assert_contains(report.faults.first->why, S("more than 250 tags"));
}

TEST(a_description_is_as_long_as_an_export_can_hold)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf csv = {.arena = arena};
    strbuf_add(&csv, S("Handle,Title,Price,Body (HTML)\na,A,1,"));
    for (size_t i = 0; i < 256 * KIB; i++)
        strbuf_add_char(&csv, 'x');
    ck_assert_int_eq(import(db, arena, strbuf_str(&csv).data).products, 1);
    strbuf_add_char(&csv, 'x');
    ImportReport report = import_with(db, arena, strbuf_str(&csv).data, (ImportOptions){0});
    ck_assert_str(report.faults.first->where, S("Body (HTML)"));
    ck_assert_contains(report.faults.first->why, S("256 KiB"));
}

// ---- again ----

#define ROWS                                                                                                           \
    "select string_agg(x::text, ',' order by x::text) from (select xmin::text from products union all select "         \
    "xmin::text "                                                                                                      \
    "from variants union all select xmin::text from stock union all select xmin::text from images union all select "   \
    "xmin::text from options union all select xmin::text from product_categories union all select xmin::text from "    \
    "categories union all select xmin::text || version from catalog_versions) x"

TEST(the_same_file_again_touches_no_row)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    static const char CSV[] = "Handle,Title,Body (HTML),Type,Tags,Option1 Name,Option1 Value,Price,Compare At Price,"
                              "Variant Inventory Tracker,Variant Inventory Qty,Gift Card,Image Src,Image Alt Text\n"
                              "a,A,<p>x,Cups,\"q,r\",Size,S,1,2,shopify,5,false,https://a.example/1.png,one\n"
                              "a,,,,,,M,1,,shopify,6,,https://a.example/2.png,\n"
                              "b,B,,,,,,3,,,,,,\n";
    ck_assert(import(db, arena, CSV).is_changed);
    Str before = test_value(db, arena, ROWS);
    ImportReport report = import(db, arena, CSV);
    ck_assert(!report.is_changed);
    ck_assert_int_eq(report.products, 2);
    ck_assert_str(test_value(db, arena, ROWS), before);
}

typedef struct Second {
    const char *csv;
    ImportOptions options;
    const char *sql;
    const char *answer;
} Second;

static const Second SECONDS[] = {
    {HEAD "shirt,New,Size,S,Color,Red,19.90,shopify,9,deny,\n",
     {0},
     "select quantity from stock where variant_id = 1",
     "5"},
    {HEAD "shirt,New,Size,S,Color,Red,19.90,shopify,9,deny,\n",
     {.set_stock = true},
     "select k.quantity || ' ' || sum(m.quantity) from stock k join stock_movements m using (variant_id) "
     "where variant_id = 1 group by k.quantity",
     "9 9"},
    {HEAD "shirt,New,Size,S,Color,Red,19.90,shopify,,deny,\n",
     {.set_stock = true},
     "select quantity from stock where variant_id = 1",
     "5"},
    {HEAD "shirt,New,Size,S,Color,Red,19.90,shopify,9,deny,\n",
     {.set_stock = true, .is_dry_run = true},
     "select quantity || (select title from products where id = 1) from stock where variant_id = 1",
     "5Shirt"},
    {HEAD "shirt,New,Size,S,Color,Red,1,,,continue,\n",
     {0},
     "select title || (select count(*) from variants where product_id = 1) || ' ' || is_tracked || is_backorder "
     "from products, stock where id = 1 and variant_id = 1",
     "New3 falsetrue"},
    {HEAD "shirt,Shirt,Size,L,Color,Red,1,,,,\n",
     {0},
     "select string_agg(array_to_string(option_values, '/'), ',' order by position) from variants where product_id = 1",
     "S/Red,M/Red,M/Blue,L/Red"},
    {HEAD "shirt,Shirt,Material,Wool,,,1,,,,\n",
     {0},
     "select string_agg(array_to_string(option_values, '/'), ',' order by position) from variants where product_id = 1",
     "Wool"},
    {HEAD "shirt,Shirt,Size,S,Color,Red,19.90,,,,https://a.example/9.jpg\n",
     {0},
     "select string_agg(src, ',') from images where product_id = 1",
     "https://a.example/9.jpg"},
    {"Handle,Title,Price\nmug,Mug,8\n",
     {0},
     "select (select count(*) from images) || ' ' || (select count(*) from products) || ' ' || price_minor from "
     "variants "
     "where product_id = 2",
     "3 2 800"},
    {"Handle,Title\nmug,Cup\n", {0}, "select title from products where id = 2", "Cup"},
    {"Handle,Title,Price\nhat,Hat,8\n",
     {0},
     "select string_agg(handle, ',' order by position) from products",
     "shirt,mug,hat"},
};

TEST(another_file_changes_what_it_names)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    (void)import(db, arena, SHIRT);
    ck_assert(import_with(db, arena, SECONDS[_i].csv, SECONDS[_i].options).faults.count == 0);
    ck_assert_str(test_value(db, arena, str_format(arena, "select (%s)::text", SECONDS[_i].sql).data),
                  str_of(SECONDS[_i].answer));
    ck_assert_str(test_value(db, arena,
                             "select count(*) from stock k where quantity <> (select coalesce(sum(quantity), 0) from "
                             "stock_movements m where m.variant_id = k.variant_id)"),
                  S("0"));
}

TEST(a_policy_that_the_stock_breaks_is_a_bad_line)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    (void)import(db, arena, HEAD "a,A,,,,,1,shopify,-2,continue,\n");
    ImportReport report = import_with(db, arena, HEAD "a,A,,,,,1,shopify,,deny,\n", (ImportOptions){0});
    ck_assert_str(report.faults.first->where, S("Variant Inventory Policy"));
    ck_assert_contains(report.faults.first->why, S("the stock is -2"));
}

// ---- image files ----

#define SVG "<svg xmlns='http://www.w3.org/2000/svg'><rect width='1' height='1'/></svg>"

typedef struct Image {
    Str content;
    const char *answer;    // the extension, or a part of the reason
} Image;

static const Image IMAGES[] = {
    {S(SVG), ".svg"},
    {S("<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE svg PUBLIC 'a' 'b'>\n" SVG), ".svg"},
    {S("<svg><use href='#a'/><image href='data:image/png;base64,AA'/><g style='fill:url(#b)'/></svg>"), ".svg"},
    {S("<svg><style>a{fill:url('#x')}</style><text>caf&#233; on</text></svg>"), "numeric character"},
    {S("\x89PNG\r\n\x1A\nx"), ".png"},
    {S("\xFF\xD8\xFFx"), ".jpg"},
    {S("GIF89ax"), ".gif"},
    {S("RIFFxxxxWEBPx"), ".webp"},
    {S("RIFFxxxxWAVEx"), "it is no svg"},
    {S("<html>"), "it is no svg"},
    {S(""), "it is no svg"},
    {S("<svg><script>1</script></svg>"), "isn't a drawing"},
    {S("<svg><SCRIPT>1</SCRIPT></svg>"), "isn't a drawing"},
    {S("<svg><x:script>1</x:script></svg>"), "isn't a drawing"},
    {S("<svg onload='x'></svg>"), "event attribute"},
    {S("<svg><g ONCLICK = \"x\"/></svg>"), "event attribute"},
    {S("<svg><foreignObject/></svg>"), "isn't a drawing"},
    {S("<svg><image xlink:href='https://a.example/x.png'/></svg>"), "outside of the file"},
    {S("<svg><a href='javascript:x'/></svg>"), "outside of the file"},
    {S("<svg><image href='data:image/svg+xml,x'/></svg>"), "outside of the file"},
    {S("<svg><style>@import 'x'</style></svg>"), "styles load"},
    {S("<svg><g style='fill:url( \"http://x\")'/></svg>"), "outside of the file"},
    {S("<svg><g style='fill:u\\72l(x)'/></svg>"), "escape"},
    {S("<svg><g style='fill:&#117;rl(x)'/></svg>"), "numeric character"},
    {S("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>"), "declares"},
    {S("<?xml-stylesheet href='x'?><svg/>"), "instruction"},
    {S("<svg><set attributeName='href' to='x'/></svg>"), "changes a reference"},
    {S("<svg><g a=b/></svg>"), "well-formed"},
};

TEST(an_image_beside_the_file_becomes_media_unless_it_may_act)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    ck_assert_ok(directory_make(work_path(arena, "images"), 0700, &err), &err);
    ck_assert_ok(file_write(work_path(arena, "images/one"), IMAGES[_i].content, 0600, &err), &err);
    Str csv = str_format(arena, "Handle,Title,Price,Image Src\na,A,1,./import-%d-images/one\n", (int)getpid());
    ImportReport report = import_with(db, arena, csv.data, (ImportOptions){0});
    if (IMAGES[_i].answer[0] != '.') {
        ck_assert_contains(report.faults.first->why, str_of(IMAGES[_i].answer));
        ck_assert_str(test_value(db, arena, "select count(*) from media"), S("0"));
        return;
    }
    ck_assert_uint_eq(report.faults.count, 0);
    ck_assert_str(
        test_value(db, arena,
                   "select (i.src = '/media/' || m.sha256 || $x$" /* the file's kind */ "$x$ || right(i.src, "
                   "length(i.src) - 71))::text from images i, media m where m.sha256 = encode(sha256(m.content), "
                   "'hex')"),
        S("true"));
    Str src = test_value(db, arena, "select src from images");
    ck_assert(str_has_suffix(src, str_of(IMAGES[_i].answer)));
    ck_assert(!import_with(db, arena, csv.data, (ImportOptions){0}).is_changed);
}

TEST(a_file_that_nothing_shows_any_more_goes_with_the_next_import)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    ck_assert_ok(directory_make(work_path(arena, "images"), 0700, &err), &err);
    ck_assert_ok(file_write(work_path(arena, "images/one"), IMAGES[0].content, 0600, &err), &err);
    ck_assert_ok(file_write(work_path(arena, "images/two"), S("GIF89ax"), 0600, &err), &err);
    int pid = (int)getpid();
    Str first = str_format(arena, "Handle,Title,Price,Image Src\na,A,1,./import-%d-images/one\n", pid);
    Str second = str_format(arena, "Handle,Title,Price,Image Src\na,A,1,./import-%d-images/two\n", pid);
    (void)import_with(db, arena, first.data, (ImportOptions){0});
    Str src = test_value(db, arena, "select src from images"), again;
    again = str_format(arena, "Handle,Title,Price,Image Src\na,A,1,%.*s\n", STR_ARG(src));
    (void)import_with(db, arena, again.data, (ImportOptions){0});    // a file that the shop has
    ck_assert_str(test_value(db, arena, "select src from images"), src);
    static const struct {
        Str shown, gone;    // what shows the first file, and what makes it show it no more
    } SHOWN[] = {
        {S("update settings set logo = (select src from images)"), S("update settings set logo = null")},
        {S("update variants set image_src = (select src from images)"), S("update variants set image_src = null")},
        {S("update products set description = '<p><img src=\"' || (select src from images) || '\"></p>'"),
         S("update products set description = ''")},
        {S("insert into orders (token, cart_id, email, language, currency, subtotal_minor, shipping_minor, "
           "total_minor, "
           "shipping_method, payment_method, shipping_address) values ('t', 1, 'a@b.example', 'en', 'EUR', 1, 0, 1, "
           "'standard', 'bank_transfer', '{}'); insert into order_lines (order_id, variant_id, handle, title, sku, "
           "image, price_minor, quantity, total_minor) select 1, 1, 'a', 'A', '', src, 1, 1, 1 from images"),
         S("delete from orders")},
    };
    static const char COUNT_SQL[] = "select count(*) from media";
    for (size_t i = 0; i < COUNT(SHOWN); i++) {
        ck_assert_ok(db_script(db, SHOWN[i].shown, &err), &err);
        (void)import_with(db, arena, second.data, (ImportOptions){0});
        ck_assert_msg(str_eq(test_value(db, arena, COUNT_SQL), S("2")), "row %zu lost its file", i);
        ck_assert_ok(db_script(db, SHOWN[i].gone, &err), &err);
        ck_assert(!import_with(db, arena, second.data, (ImportOptions){0}).is_changed);
        ck_assert_msg(str_eq(test_value(db, arena, COUNT_SQL), S("1")), "row %zu left its file", i);
        (void)import_with(db, arena, first.data, (ImportOptions){0});
    }
}

// ---- export ----

static bool collect(void *context, Str bytes, Error *err)
{
    (void)err;
    strbuf_add(context, bytes);
    return true;
}

static Str exported(Db *db, Arena *arena)
{
    Error err = {0};
    StrBuf buf = {.arena = arena};
    ck_assert_ok(product_export(db, TENANT, collect, &buf, NULL, &err), &err);
    return strbuf_str(&buf);
}

static const char *const ROUND_TRIPS[] = {
    SHIRT,
    "Handle,Title,Body (HTML),Vendor,Type,Collection,Tags,Status,Option1 Name,Option1 Value,Price,Compare At Price,SKU,"
    "Barcode,Variant Grams,Variant Weight Unit,Requires shipping,Charge tax,Variant Image,Gift Card,SEO Title,"
    "SEO Description,Image Src,Image Position,Image Alt Text,Variant Inventory Tracker,Variant Inventory Qty,"
    "Variant Inventory Policy\n"
    "'-z,'=1+1,\"<p>say \"\"hi\"\"</p>\nand <b>more\",'@v,\"A; B\",Summer; Sale,\"'+t, "
    "u\",draft,'-o,'=v,0.05,9,''=s,'+34,7,oz,"
    "false,no,https://a.example/v.png,true,''quoted'',\"\t=x\",https://a.example/1.png,4,'-alt,shopify,-4,continue\n"
    "'-z,,,,,,,,,'\tw,1,,,,,,,,,,,,https://a.example/2.png,2,,,3,deny\n"
    "caf\xC3\xA9,\xE8\x8C\xB6,plain & <i>x,,Cups,A B,,active,,,1200,,,,,,,,,,,,,,,,,\n",
};

TEST(what_is_exported_imports_to_the_same_catalogue)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(db_close) Db *other = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    (void)import(db, arena, ROUND_TRIPS[_i]);
    Str first = exported(db, arena);
    Str before = test_value(db, arena, ROWS);
    ImportReport again = import(db, arena, first.data);
    ck_assert_msg(!again.is_changed, "the catalogue changed by its own export: %s", first.data);
    ck_assert_str(test_value(db, arena, ROWS), before);
    (void)import(other, arena, first.data);
    ck_assert_str(exported(other, arena), first);
}

TEST(an_export_guards_what_a_spreadsheet_would_run)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    (void)import(db, arena, "Handle,Title,Vendor,Price\na,'=cmd(),'@b,1\n");
    Str text = exported(db, arena);
    ck_assert_contains(text, S("a,'=cmd(),,'@b,"));
    ck_assert_str(test_value(db, arena, "select title from products"), S("=cmd()"));
}

// ---- limits and size ----

typedef struct Racer {
    Str dsn;
    Str path;
    Error err;
    bool ok;
} Racer;

static void *race(void *context)
{
    Racer *racer = context;
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *db = NULL;
    ImportReport report = {0};
    racer->ok = db_open(racer->dsn, NULL, &db, &racer->err) &&
                product_import(db, TENANT, racer->path, &(ImportOptions){0}, arena, &report, &racer->err);
    return NULL;
}

static Str numbered_file(Arena *arena, const char *name, int count)
{
    Error err = {0};
    StrBuf text = {.arena = arena};
    strbuf_add(&text, S("Handle,Title,Body (HTML),Type,Option1 Name,Option1 Value,Price,Variant Inventory Tracker,"
                        "Variant Inventory Qty,Image Src\n"));
    for (int i = 0; i < count; i++)
        strbuf_format(&text,
                      "%s-%d,Product %d,<p>About %d</p>,Type %d,Size,S,1.%02d,shopify,5,https://a.example/%d.png\n"
                      "%s-%d,,,,,M,2,shopify,5,\n",
                      name, i, i, i, i % 7, i % 100, i, name, i);
    Str path = work_path(arena, name);
    ck_assert_ok(file_write(path, strbuf_str(&text), 0600, &err), &err);
    return path;
}

TEST(two_imports_at_once_cant_pass_the_product_limit)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str dsn = test_shop("import");
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    Error err = {0};
    ck_assert_ok(db_script(db, S("update settings set product_limit = 103"), &err), &err);    // 3 are there
    Racer racers[2] = {{.dsn = dsn, .path = numbered_file(arena, "left", 60)},
                       {.dsn = dsn, .path = numbered_file(arena, "right", 60)}};
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT(racers); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (size_t i = 0; i < COUNT(racers); i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(racers[0].ok + racers[1].ok, 1);
    const Racer *loser = &racers[racers[0].ok ? 1 : 0];
    ck_assert_says(&loser->err, ERR_PLAN_LIMIT, "would have 123 products, the limit is 103");
    ck_assert_str(test_value(db, arena, "select count(*) from products"), S("63"));
    ImportReport report = {0};    // what is there can be imported at the limit, and under it
    ck_assert_ok(db_script(db, S("update settings set product_limit = 1"), &err), &err);
    ck_assert_ok(
        product_import(db, TENANT, racers[racers[0].ok ? 0 : 1].path, &(ImportOptions){0}, arena, &report, &err), &err);
}

TEST(a_large_file_is_imported_whole_and_again_without_a_change)
{
    CLEANUP(db_close) Db *db = shop_open();
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = numbered_file(arena, "many", MANY);
    Error err = {0};
    ImportReport report = {0};
    ck_assert_ok(product_import(db, TENANT, path, &(ImportOptions){0}, arena, &report, &err), &err);
    ck_assert_int_eq(report.products, MANY);
    ck_assert_int_eq(report.variants, (int64_t)2 * MANY);
    ck_assert_str(test_value(db, arena, "select count(*) || ' ' || sum(quantity) from stock"),
                  str_format(arena, "%d %d", 2 * MANY, 10 * MANY));
    ck_assert_ok(product_import(db, TENANT, path, &(ImportOptions){0}, arena, &report, &err), &err);
    ck_assert(!report.is_changed);
}

TEST(a_real_export_of_shopify_is_imported_where_it_is_there)
{
    const char *dir = getenv("SHARED_DATA");
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "%s/shopify-apparel.csv", dir ? dir : "../shared/data");
    if (!file_exists(path))
        return;
    CLEANUP(db_close) Db *db = shop_open();
    Error err = {0};
    ImportReport report = {0};
    ck_assert_ok(product_import(db, TENANT, path, &(ImportOptions){0}, arena, &report, &err), &err);
    ck_assert_uint_eq(report.faults.count, 0);
    ck_assert_int_gt(report.products, 0);
    Str first = exported(db, arena);
    ck_assert(!import(db, arena, first.data).is_changed);
}

SUITE(product_import, EACH(a_file_becomes_a_catalogue, CASES),
      EACH(a_report_has_the_keys_that_scripts_rely_on, REPORTS),
      EACH(a_bad_line_is_named_and_nothing_or_the_rest_is_imported, BAD),
      ONCE(every_bad_line_and_cell_is_reported_in_order),
      ONCE(a_row_over_1_mib_is_a_bad_line_and_the_lines_after_it_are_imported),
      EACH(a_file_that_is_no_product_file_is_refused_and_the_connection_stays_good, REFUSED_FILES),
      EACH(a_path_that_is_no_file_is_refused, NO_FILES), ONCE(a_product_has_at_most_250_tags),
      ONCE(a_description_is_as_long_as_an_export_can_hold), ONCE(the_same_file_again_touches_no_row),
      EACH(another_file_changes_what_it_names, SECONDS), ONCE(a_policy_that_the_stock_breaks_is_a_bad_line),
      ONCE(a_file_that_nothing_shows_any_more_goes_with_the_next_import),
      EACH(an_image_beside_the_file_becomes_media_unless_it_may_act, IMAGES),
      EACH(what_is_exported_imports_to_the_same_catalogue, ROUND_TRIPS),
      ONCE(an_export_guards_what_a_spreadsheet_would_run), ONCE(two_imports_at_once_cant_pass_the_product_limit),
      ONCE(a_large_file_is_imported_whole_and_again_without_a_change),
      ONCE(a_real_export_of_shopify_is_imported_where_it_is_there))
