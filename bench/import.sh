#!/bin/sh
# An import of 20,000 products against COPY of the rows that it made into the same tables of another shop, and its memory.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
bench_open import
products=${PRODUCTS:-20000}
tables='categories products product_categories options images variants stock stock_movements'
sh "$root/bench/products.sh" "$products" >"$work/all.csv"
sh "$root/bench/products.sh" $((products / 10)) >"$work/tenth.csv"

shop() { # shop SLUG: a new one without a limit of products; its schema is $schema
    "$shopctl" tenant create "$1" --plan standard --email owner@bench.example -q >/dev/null
    "$shopctl" tenant set "$1" --limit products=0 -q >/dev/null
    schema=$($psql "$dsn" -c "select 't_' || number from cell.tenants where slug = '$1'")
}
import() { "$shopctl" product import "$1" "$2" -q >/dev/null; }
copy_script() { # copy_script SCHEMA from|to
    for table in $tables; do
        printf "\\\\copy %s.%s %s '%s'\n" "$1" "$table" "$2" "$work/$table.copy"
    done
}
copy_in() {
    { echo "begin;" && copy_script "$1" from && echo "commit;"; } | $psql "$dsn" -f - >/dev/null
}
for i in $(seq "$pairs"); do
    shop "import-$$-$i"
    timed import "import-$$-$i" "$work/all.csv"
    ours=$took
    ours_cpu=$burnt
    [ "$i" -gt 1 ] || copy_script "$schema" to | $psql "$dsn" -f - >/dev/null
    shop "copy-$$-$i"
    $psql "$dsn" -c "delete from $schema.categories"
    timed copy_in "$schema"
    say "CPU seconds with PostgreSQL's: ours $ours_cpu, theirs $burnt"
    [ "$($psql "$dsn" -c "select count(*) from $schema.products")" = "$products" ] || fail "COPY made other rows"
    pair "$ours" "$took"
done
result import s copy
shop "tenth-$$" && highest "$shopctl" product import "tenth-$$" "$work/tenth.csv" -q >/dev/null
tenth=$top
shop "whole-$$" && highest "$shopctl" product import "whole-$$" "$work/all.csv" -q >/dev/null
say "MiB of shopctl, and of PostgreSQL's backends: $top; for a tenth of the products: $tenth"
pair "${top%% *}" "${tenth%% *}"
result import-memory MiB tenth-of-it
