// provisioner/tenant_path.c: how a transaction comes to work in one tenant's schema.
#include "provisioner/tenant_path.h"

#include "base/arena.h"
#include "base/tenant_sql.h"

enum { SQL_MAX = 4 * KIB };

bool tenant_path_set(Db *db, int64_t number, Error *err)
{
    char path[40];
    int length = snprintf(path, sizeof(path), "t_%lld, pg_temp", (long long)number);
    return db_run(db, S("select set_config('search_path', $1, true)"), PARAMS(((Str){path, (size_t)length})), err);
}

bool tenant_query(Db *db, int64_t number, Str sql, Params params, Rows **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(SQL_MAX);
    char suffix[TENANT_SUFFIX];
    StrBuf own = {.arena = arena};
    tenant_sql_add(&own, sql, tenant_suffix(number, suffix));
    return arena_ok(arena, err) && db_query(db, strbuf_str(&own), params, out, err);
}

bool tenant_run(Db *db, int64_t number, Str sql, Params params, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    return tenant_query(db, number, sql, params, &rows, err);
}

bool tenant_write_begin(Db *db, int64_t number, Error *err)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%lld", (long long)number);
    return db_run(db, S("select cell.tenant_write($1::bigint)"), PARAMS(((Str){text, (size_t)length})), err);
}
