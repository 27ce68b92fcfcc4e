// base/tenant_sql.h: how one tenant's functions are called in SQL.
#pragma once
#include "base/str.h"

// Appends `sql` with the tenant's own names: its function written :order_place( is called order_place_17( where the
// suffix is "_17". In a database all functions of one name, whatever their schemas, are read to find one of them, so
// tenants share no name: else each call would cost more with each tenant.
void tenant_sql_add(StrBuf *out, Str sql, Str suffix);

enum { TENANT_SUFFIX = 24 };
// The suffix of a tenant's number, written to `text`.
Str tenant_suffix(int64_t number, char text[TENANT_SUFFIX]);
