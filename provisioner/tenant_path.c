// provisioner/tenant_path.c: how a transaction comes to work in one tenant's schema.
#include "provisioner/tenant_path.h"

bool tenant_path_set(Db *db, int64_t number, Error *err)
{
    char path[40];
    int length = snprintf(path, sizeof(path), "t_%lld, pg_temp", (long long)number);
    return db_run(db, S("select set_config('search_path', $1, true)"), PARAMS(((Str){path, (size_t)length})), err);
}
