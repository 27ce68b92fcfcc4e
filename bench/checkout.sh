#!/bin/sh
# Orders over HTTP by 8 buyers, rotating over 1, 10 and 1,000 shops, against pgbench running the same SQL over 8 connections.
# Carts are made beforehand; programs run on any core; the first orders, by which backends meet the shops, aren't counted.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open checkout
need pgbench postgresql-15
tenants=${TENANTS:-1000} orders=${ORDERS:-8000}
shops_open "$tenants"
shopd_start 0,1 $((port + 1)) --connections 8

over_http() { "$load" -o -c 8 -s 600 -k "$skipped" -e 201 "127.0.0.1:$((port + 1))" "$work/orders" >"$work/answer"; }
by_pgbench() {
    pgbench_rate "$total" "$skipped" -f "$work/orders.pgbench" -D "run=$1" -D "shops=$shops" -D n=0 -D clients=8
}
for i in $(seq "$pairs"); do
    for shops in 1 10 "$tenants"; do
        each=$(((orders + shops - 1) / shops)) run=$$-$i-$shops
        total=$((each * shops / 8 * 8)) skipped=$((orders / 4))
        carts_make "$shops" "$each" "ours-$run"
        carts_make "$shops" "$each" "theirs-$run"
        orders_file "$shops" "$each" "ours-$run"
        orders_script "$shops"
        timed over_http
        ours_cpu=$burnt
        read -r answers wall _ p50 p99 _ wrong <"$work/answer"
        [ "$wrong" -eq 0 ] || fail "$wrong orders were refused"
        timed by_pgbench "theirs-$run"
        ours=$(echo "$answers $wall" | awk '{ printf "%.1f", $1 / $2 }') theirs=$(cat "$work/rate")
        say "$shops shops: ours $ours/s, p50 $p50 us, p99 $p99 us; pgbench $theirs/s; CPU us an order, all processes," \
            "first ones included: $(echo "$ours_cpu $burnt $total" | awk '{ printf "%d and %d", $1 * 1e6 / $3, $2 * 1e6 / $3 }')"
        echo "$ours $theirs" >>"$work/pairs-$shops"
    done
    paste -d ' ' "$work/pairs-$tenants" "$work/pairs-1" | awk '{ print $1, $3 }' >"$work/pairs-flat"
done
for shops in 1 10 "$tenants"; do
    mv "$work/pairs-$shops" "$work/pairs"
    result "checkout-$shops" orders/s pgbench
done
mv "$work/pairs-flat" "$work/pairs"
result checkout-flat orders/s one-shop
