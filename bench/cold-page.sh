#!/bin/sh
# A product's page that isn't kept: one round trip and rendering, by 8 clients, against pgbench running the same query over as many
# connections. shopd has no room for pages here. Programs run on any core.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open cold-page
need pgbench postgresql-15
products=${PRODUCTS:-2000} count=${PAGES:-4000}
if ! "$shopctl" tenant show cold -q >/dev/null 2>&1; then
    "$shopctl" tenant create cold --plan standard --email owner@bench.example -q >/dev/null
    "$shopctl" tenant set cold --limit requests_per_second=0 -q >/dev/null
    sh "$root/bench/products.sh" "$products" >"$work/products.csv"
    "$shopctl" product import cold "$work/products.csv" -q >/dev/null
fi
number=$($psql "$dsn" -c "select number from cell.tenants where slug = 'cold'")
cat >"$work/page.pgbench" <<END
\set product random(1, :products)
\startpipeline
select set_config('search_path', 't_$number, pg_temp', true), set_config('statement_timeout', '5000', true), set_config('lock_timeout', '2500', true);
select store_version_$number() as version, shop_show_$number() as shop, navigation_list_$number() as navigation, product_show_$number('product-' || :product) as product, related_list_$number('product-' || :product) as related;
\endpipeline
END
for i in $(seq "$count"); do
    printf 'GET\tcold.localhost\t/products/product-%s\n' $((i * 7919 % products + 1))
done >"$work/pages"
shopd_start 0,1 $((port + 1)) --connections 8 --cache-bytes 0

over_http() { "$load" -o -c 8 -s 600 -k $((count / 4)) "127.0.0.1:$((port + 1))" "$work/pages" >"$work/answer"; }
by_pgbench() {
    pgbench_rate "$count" $((count / 4)) -f "$work/page.pgbench" -D "products=$products"
}
for _ in $(seq "$pairs"); do
    queries=$(metric $((port + 1)) shopd_queries_total)
    timed over_http
    ours_cpu=$burnt queries=$(($(metric $((port + 1)) shopd_queries_total) - queries))
    [ "$queries" -ge "$count" ] || fail "only $queries queries for $count pages: some were kept"
    read -r answers wall _ p50 p99 _ wrong <"$work/answer"
    [ "$wrong" -eq 0 ] || fail "$wrong answers weren't pages"
    timed by_pgbench
    ours=$(echo "$answers $wall" | awk '{ printf "%.1f", $1 / $2 }')
    say "p50 $p50 us, p99 $p99 us; CPU us a page, all processes:" \
        "$(echo "$ours_cpu $burnt $count" | awk '{ printf "ours %d, theirs %d", $1 * 1e6 / $3, $2 * 1e6 / $3 }')"
    pair "$ours" "$(cat "$work/rate")"
done
result cold-page pages/s pgbench
