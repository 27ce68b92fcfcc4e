// provisioner/tenant_data.c: reads what a tenant's data consists of from the catalog of its cell.
#include "provisioner/tenant_data.h"

#include "base/arena.h"
#include "provisioner/slug.h"

enum { BUDGET = 4 * MIB };

// Tables that refer to each other in a loop would all be as deep as the search goes, in an order that their keys refuse
// when they are filled: there are none.
static const char TABLES[] =
    "with recursive tables as ("
    "    select c.oid, c.relname from pg_class c where c.relnamespace = $1::regnamespace and c.relkind = 'r'"
    "      and c.relname <> 'migrations'"
    "), refs as ("
    "    select distinct k.conrelid as child, k.confrelid as parent from pg_constraint k join tables t on t.oid = "
    "k.conrelid"
    "    where k.contype = 'f' and k.conrelid <> k.confrelid"
    "), depths as ("
    "    select oid, 0 as depth from tables"
    "    union select r.child, d.depth + 1 from depths d join refs r on r.parent = d.oid where d.depth < 100"
    ") "
    "select t.relname, quote_ident(t.relname), c.columns, c.row, k.keys, k.types, k.count "
    "from tables t join depths d on d.oid = t.oid, "
    "lateral (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,"
    "                string_agg('x.' || quote_ident(a.attname), ', ' order by a.attnum) as row"
    "         from pg_attribute a"
    "         where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') c, "
    "lateral (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) as keys,"
    "                string_agg(format_type(a.atttypid, null), ', ' order by a.attnum) as types, count(*) as count"
    "         from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)"
    "         where i.indrelid = t.oid and i.indisprimary) k "
    "group by t.relname, c.columns, c.row, k.keys, k.types, k.count order by max(d.depth), t.relname";

bool tenant_tables_read(Db *db, int64_t number, Arena *arena, TenantTables *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Str schema = tenant_schema(number, arena);
    if (!arena_ok(arena, err) || !db_query(db, str_of(TABLES), PARAMS(schema), &rows, err))
        return false;
    size_t count = rows_count(rows);
    TenantTable *tables = arena_array(arena, count, TenantTable);
    for (size_t i = 0; tables && i < count; i++) {
        Str *texts[] = {&tables[i].name, &tables[i].quoted, &tables[i].columns,
                        &tables[i].row,  &tables[i].keys,   &tables[i].key_types};
        for (size_t column = 0; column < COUNT(texts); column++)
            *texts[column] = str_copy(arena, rows_str(rows, i, column));
        tables[i].key_count = (size_t)rows_int64(rows, i, COUNT(texts));
    }
    *out = (TenantTables){.tables = tables, .count = count};
    return arena_ok(arena, err);
}

const TenantTable *tenant_table_find(const TenantTables *tables, Str name)
{
    for (size_t i = 0; i < tables->count; i++)
        if (str_eq(tables->tables[i].name, name))
            return &tables->tables[i];
    return NULL;
}

bool tenant_tables_empty(Db *db, int64_t number, const TenantTables *tables, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    Str schema = tenant_schema(number, arena);
    strbuf_add(&sql, S("truncate "));
    for (size_t i = 0; i < tables->count; i++)
        strbuf_format(&sql, "%s%.*s.%.*s", i ? ", " : "", STR_ARG(schema), STR_ARG(tables->tables[i].quoted));
    return arena_ok(arena, err) && db_script(db, strbuf_str(&sql), err);
}

bool tenant_triggers_switch(Db *db, int64_t number, const TenantTables *tables, bool is_on, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    Str schema = tenant_schema(number, arena);
    for (size_t i = 0; i < tables->count; i++)
        strbuf_format(&sql, "alter table %.*s.%.*s %s trigger user;", STR_ARG(schema),
                      STR_ARG(tables->tables[i].quoted), is_on ? "enable" : "disable");
    return arena_ok(arena, err) && db_script(db, strbuf_str(&sql), err);
}

// ---- identities

static const char IDENTITIES[] =
    "select c.relname, a.attname, pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), "
    "a.attname) "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid "
    "where c.relnamespace = $1::regnamespace and a.attidentity <> '' order by 1, 2";

// All next values by one statement: each is a row of its sequence.
static bool nexts_read(Db *db, const Rows *identities, Rows **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf sql = {.arena = arena};
    for (size_t i = 0; i < rows_count(identities); i++)
        strbuf_format(&sql, "%sselect last_value + is_called::integer from %.*s", i ? " union all " : "",
                      STR_ARG(rows_str(identities, i, 2)));
    return arena_ok(arena, err) && db_query(db, strbuf_str(&sql), NO_PARAMS, out, err);
}

bool tenant_identities_read(Db *db, int64_t number, Json *list, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *identities = NULL;
    CLEANUP(rows_close) Rows *nexts = NULL;
    Str schema = tenant_schema(number, arena);
    if (!arena_ok(arena, err) || !db_query(db, str_of(IDENTITIES), PARAMS(schema), &identities, err))
        return false;
    if (rows_count(identities) == 0)
        return true;
    if (!nexts_read(db, identities, &nexts, err))
        return false;
    for (size_t i = 0; i < rows_count(identities); i++) {
        Str table = rows_str(identities, i, 0), column = rows_str(identities, i, 1);
        Json *entry = json_build("{s:s%, s:s%, s:I}", "table", table.data, table.len, "column", column.data, column.len,
                                 "next", (json_int)rows_int64(nexts, i, 0));
        if (!json_append(list, entry))
            return json_ok(NULL, err);
    }
    return true;
}

bool tenant_identities_set(Db *db, int64_t number, const Json *identities, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str schema = tenant_schema(number, arena), text = S("");
    return json_print(identities, 0, arena, &text, err) && arena_ok(arena, err) &&
           db_run(db,
                  S("select setval(pg_get_serial_sequence(quote_ident($1) || '.' || quote_ident(i ->> 'table'), "
                    "i ->> 'column'), (i ->> 'next')::bigint, false) from jsonb_array_elements($2::jsonb) i"),
                  PARAMS(schema, text), err);
}

// ---- version

bool tenant_migrations_read(Db *db, int64_t number, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    Str sql = str_format(arena,
                         "select coalesce(json_agg(name order by name), '[]') from %.*s.migrations "
                         "where name not like 'functions/%%'",
                         STR_ARG(tenant_schema(number, arena)));
    return arena_ok(arena, err) && db_query(db, sql, NO_PARAMS, &rows, err) &&
           json_parse(rows_str(rows, 0, 0), out, err);
}
