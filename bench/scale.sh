#!/bin/sh
# 10,000 shops in cells of 1,000: making and listing them, the start of a cell's shopd, its memory, and a warm page's p99, against a
# platform with one shop beside it.
# shellcheck disable=SC2034,SC2154
set -eu
. "$(dirname "$0")/common.sh"
unset BENCH_DATA
bench_open scale
tenants=${TENANTS:-10000} capacity=${CAPACITY:-1000}
cells=$((tenants / capacity))
"$shopctl" cell add main --capacity "$capacity" -q >/dev/null
for i in $(seq 2 "$cells"); do
    "$shopctl" cell add "cell$i" --url "http://127.0.0.1:$((port + 2 + i))" --capacity "$capacity" -q >/dev/null
done
"$shopctl" up >/dev/null
one=$work/one
"$shopctl" --data "$one" up --listen "127.0.0.1:$((port + 2))" >/dev/null
trap '"$shopctl" --data "$one" down >/dev/null 2>&1 || true; bench_close' EXIT
"$shopctl" --data "$one" tenant create bench-1 --plan standard --email owner@bench.example -q >/dev/null
"$shopctl" --data "$one" tenant set bench-1 --limit requests_per_second=0 -q >/dev/null

for i in $(seq "$tenants"); do
    printf '{"slug":"bench-%s","plan":"standard","email":"owner@bench.example"}\n' "$i"
done >"$work/wanted"
timed "$shopctl" tenant create --file "$work/wanted" -q >/dev/null
say "$tenants shops in $cells cells made in $took s, CPU seconds with PostgreSQL's: $burnt"
for part in asc desc; do
    $psql "$control" -c "select extract(epoch from max(created_at) - min(created_at)) / (count(*) - 1) from (
        select created_at from control.tenants where slug like 'bench-%' order by created_at $part limit $((tenants / 10))) x"
done >"$work/parts"
pair "$(tail -n 1 "$work/parts")" "$(head -n 1 "$work/parts")"
result scale-create s/tenant the-first-tenth

for _ in $(seq "$pairs"); do
    timed "$shopctl" tenant list -o json >"$work/list"
    ours=$took
    timed $psql "$control" -c "select * from control.tenant_list(null, null, null, 'localhost')" >/dev/null
    pair "$ours" "$took"
done
grep -q "\"total\": *$tenants" "$work/list" || fail "the list hasn't got $tenants shops"
result scale-list s psql

"$shopctl" tenant set bench-1 --limit requests_per_second=0 -q >/dev/null
cell=$("$shopctl" tenant show bench-1 -o json | sed -n 's/.*"cell": *"\([^"]*\)".*/\1/p')
large=$(cell_dsn "$cell") small=$(SHOPCTL_DATA=$one cell_dsn main)
serve() { # serve DSN PORT: a shopd of that cell on core 0; how long it took to be ready is in $took
    dsn=$1
    from=$(seconds_now)
    shopd_start 0 "$2" --threads 1
    took=$(seconds_now | awk -v from="$from" '{ printf "%.3f", $1 - from }')
}
resident() { awk '$1 == "VmRSS:" { printf "%.1f\n", $2 / 1024 }' "/proc/$1/status"; }
for _ in $(seq "$pairs"); do
    serve "$large" $((port + 1))
    ours=$took ours_memory=$(resident "$started")
    child_stop "$started"
    serve "$small" $((port + 1))
    pair "$ours" "$took"
    echo "$ours_memory $(resident "$started")" >>"$work/resident"
    child_stop "$started"
done
result scale-start s one-shop
mv "$work/resident" "$work/pairs"
result scale-memory MiB one-shop

serve "$large" $((port + 1))
serve "$small" $((port + 20))
printf 'GET\tbench-1.localhost\t/\n' >"$work/page"
page() { # the p99 of a warm page, 500 a second
    taskset -c 1 "$load" -r 500 -c 16 -s "$seconds" "127.0.0.1:$1" "$work/page" | awk '{ print $5 }'
}
for _ in $(seq "$pairs"); do pair "$(page $((port + 1)))" "$(page $((port + 20)))"; done
result scale-page-p99 us one-shop
