// tests/support/shop_schema.h: one tenant's schema with a small catalogue, for tests of the functions in sql/tenant.
#pragma once
#include "base/pg.h"

// Makes a database with a cell's schema and one tenant's, and gives a DSN that finds the tenant's functions
// (search_path is set). Variants: 1 (19.00 EUR, 10 pieces) and 2 (25.00, sold out) of 'taza-azul', 3 (45.00, 10 pieces)
// of 'lampara'; Spanish, 21 % tax contained.
Str test_shop(const char *noun);

// Adds another tenant's schema, t_NUMBER, with the same catalogue to a database of test_shop.
void test_shop_add(Db *db, int number);
