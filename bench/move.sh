#!/bin/sh
# A shop of 50,000 products that moves to another cell and back while buyers order: how long nothing can be written, and all of
# it, against COPY of the same rows from one database to another. Orders that come after the switch are refused by the old cell.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open move
products=${PRODUCTS:-50000} rate=${RATE:-300}
tables='settings catalog_versions categories products product_categories options images media variants stock stock_movements carts
    cart_lines customers addresses shipping_methods orders order_lines idempotency_keys jobs'
shops_open 1
"$shopctl" tenant set bench-1 --limit products=0 --limit requests_per_second=0 -q >/dev/null
sh "$root/bench/products.sh" "$products" >"$work/all.csv"
"$shopctl" product import bench-1 "$work/all.csv" -q >/dev/null
"$shopctl" cell show second >/dev/null 2>&1 || "$shopctl" cell add second --url "http://127.0.0.1:$((port + 2))" -q >/dev/null
peer_dsn=$(echo "$dsn" | sed 's/dbname=[^ ]*/dbname=postgres/')
$psql "$peer_dsn" -c "create database copy_of_a_shop" >/dev/null 2>&1 || true
copy_dsn=$(echo "$dsn" | sed 's/dbname=[^ ]*/dbname=copy_of_a_shop/')

# The same tables in a database of their own, with their keys and indexes, empty.
schema=$($psql "$dsn" -c "select 't_' || number from cell.tenants where slug = 'bench-1'")
pg_dump -s -O -x -n "$schema" -n cell --no-comments "$dsn" 2>/dev/null | $psql "$copy_dsn" -v ON_ERROR_STOP=0 -f - >/dev/null 2>&1 || true
copy_rows() {
    for table in $tables; do echo "truncate $schema.$table cascade;"; done | $psql "$copy_dsn" -f - >/dev/null
    for table in $tables; do
        columns=$($psql "$dsn" -c "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
            where attrelid = '$schema.$table'::regclass and attnum > 0 and not attisdropped and attgenerated = ''")
        $psql "$dsn" -c "copy $schema.$table ($columns) to stdout" | $psql "$copy_dsn" -c "copy $schema.$table ($columns) from stdin"
    done
}
move() { "$shopctl" tenant move bench-1 "$@" -o json -q >"$work/moved"; }
key() { sed -n "s/.*\"$1\": *\([0-9a-z]*\).*/\1/p" "$work/moved"; }

for i in $(seq "$pairs"); do
    timed copy_rows
    theirs=$took
    carts_make 1 $((rate * 60)) "move-$$-$i"
    orders_file 1 $((rate * 60)) "move-$$-$i"
    start "$load" -o -c 8 -s 60 -r "$rate" "127.0.0.1:$port" "$work/orders" >"$work/answer"
    sleep 1
    timed move
    [ "$(key checksums_equal)" = true ] || fail "the checksums differ"
    child_stop "$started"
    say "rows $(key rows), $(key write_pause_ms) ms without writes, $(key duration_ms) ms in all"
    pair "$took" "$theirs"
    echo "$(key write_pause_ms) 1000" >>"$work/pauses"
    move --rollback
    echo "$(key write_pause_ms) 1000" >>"$work/back"
done
result move s copy
mv "$work/pauses" "$work/pairs" && result move-pause ms a-second
mv "$work/back" "$work/pairs" && result move-back-pause ms a-second
$psql "$peer_dsn" -c "drop database copy_of_a_shop" >/dev/null
