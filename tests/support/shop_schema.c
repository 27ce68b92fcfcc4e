// tests/support/shop_schema.c: a tenant's schema from the embedded files, without the provisioner.
#include "tests/support/shop_schema.h"

#include <unistd.h>

#include "base/embed.h"
#include "base/pg.h"
#include "base/tenant_sql.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

// What a tenant's functions, and who writes into its schema, use of their cell.
static const char CELL[] = "create schema cell;"
                           "create extension unaccent schema cell;"
                           "create table cell.bell (tenant name default current_user, due_at timestamptz);"
                           "create function cell.tenant_write(bigint) returns void language sql as '';"
                           "create text search configuration cell.spanish (copy = pg_catalog.spanish);"
                           "alter text search configuration cell.spanish alter mapping for hword, hword_part, word "
                           "with cell.unaccent, spanish_stem;"
                           "create text search configuration cell.english (copy = pg_catalog.english);"
                           "alter text search configuration cell.english alter mapping for hword, hword_part, word "
                           "with cell.unaccent, english_stem;";

static const char CATALOGUE[] =
    "update settings set name = 'Acme', language = 'es', country = 'ES', currency = 'EUR', tax_rate_bp = 2100;"
    "insert into categories (handle, title) values ('tazas', 'Tazas'), ('luz', 'Luz'), ('vacia', 'Sin nada');"
    "insert into products (handle, title, description, vendor, product_type, tags, is_published) values"
    "    ('taza-azul', 'Taza azul', '<p>De cer\xc3\xa1mica</p>', 'Acme', 'Tazas', '{azul}', true),"
    "    ('lampara', 'L\xc3\xa1mpara de mesa', '', 'Lumen', 'Luz', '{}', true),"
    "    ('secreto', 'Taza secreta', '', '', 'Tazas', '{}', false);"
    "update products set search = :product_search('es', title, vendor, product_type, tags, '', description);"
    "insert into product_categories (product_id, category_id) values (1, 1), (2, 2), (3, 1);"
    "insert into options (product_id, position, name) values (1, 1, 'Tama\xc3\xb1o');"
    "insert into variants (product_id, position, option_values, price_minor, sku) values"
    "    (1, 1, '{S}', 1900, 'TA-S'), (1, 2, '{L}', 2500, 'TA-L'), (2, 1, '{}', 4500, ''), (3, 1, '{}', 100, '');"
    "insert into stock (variant_id, quantity) values (1, 10), (2, 0), (3, 10), (4, 1);"
    "insert into stock_movements (variant_id, quantity, reason)"
    "    select variant_id, quantity, 'import' from stock where quantity > 0";

// The file's text with the role's name where it stands for it, and the names of the tenant's functions.
static Str with_names(Arena *arena, Str text, Str role, int number)
{
    char suffix[TENANT_SUFFIX];
    StrBuf own = {.arena = arena}, buf = {.arena = arena};
    tenant_sql_add(&own, text, tenant_suffix(number, suffix));
    Str sql = strbuf_str(&own);
    static const Str WORD = S(":tenant_role");
    for (size_t at = 0; (at = str_find(sql, WORD)) < sql.len; sql = str_skip(sql, at + WORD.len)) {
        strbuf_add(&buf, str_slice(sql, 0, at));
        strbuf_add(&buf, role);
    }
    strbuf_add(&buf, sql);
    return strbuf_str(&buf);
}

void test_shop_add(Db *db, int number)
{
    CLEANUP(arena_close) Arena *arena = arena_open(4 * MIB);
    Error err = {0};
    Str schema = str_format(arena, "create schema t_%d; set search_path = t_%d, pg_temp", number, number);
    ck_assert_ok(db_script(db, schema, &err), &err);
    for (const Embedded *file = EMBEDDED_SQL; file->name; file++)
        if (str_has_prefix(str_of(file->name), S("tenant/")))
            ck_assert_ok(db_script(db, with_names(arena, embedded_content(file), S("postgres"), number), &err), &err);
    ck_assert_ok(db_script(db, with_names(arena, str_of(CATALOGUE), S("postgres"), number), &err), &err);
    ck_assert_ok(db_script(db, S("set search_path = t_1, pg_temp"), &err), &err);
}

Str test_shop(const char *noun)
{
    Str dsn = test_database(noun);
    CLEANUP(db_close) Db *db = test_db_open(dsn);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert_ok(db_script(db, str_of(CELL), &err), &err);
    test_shop_add(db, 1);
    Str alter = str_format(arena, "do $$ begin execute format('alter database %%I set search_path = t_1, pg_temp', "
                                  "current_database()); end $$");
    ck_assert_ok(db_script(db, alter, &err), &err);
    return dsn;
}
