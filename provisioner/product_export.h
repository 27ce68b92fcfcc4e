// provisioner/product_export.h: a tenant's catalogue as Shopify's product CSV, which imports to the same catalogue.
#pragma once
#include "base/pg.h"

// Takes a piece of the file; false ends the export with its error.
typedef bool ExportPut(void *context, Str bytes, Error *err);

// Writes all products of the tenant whose schema is t_`tenant` in the order of the catalogue, as of one moment. `db` as
// for product_import. Memory doesn't grow with the catalogue. *out_count (may be NULL) is the number of products.
MUST_CHECK bool product_export(Db *db, int64_t tenant, ExportPut *put, void *context, int64_t *out_count, Error *err);
