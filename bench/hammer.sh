#!/bin/sh
# How long a shopper's page takes (99th percentile) while another shop of the cell is asked 20 times what its limit allows.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open hammer
shops_open 1
limit=100 at=127.0.0.1:$((port + 1))
if ! "$shopctl" tenant show hammered -q >/dev/null 2>&1; then
    "$shopctl" tenant create hammered --plan standard --email owner@bench.example -q >/dev/null
    "$shopctl" tenant set hammered --limit "requests_per_second=$limit" -q >/dev/null
fi
controller_pause
shopd_start 0 $((port + 1)) --threads 1
printf 'GET\t%s.localhost\t/products/thing\n' "$(cut -d ' ' -f 2 "$work/shops")" >"$work/shopper"
printf 'GET\thammered.localhost\t/\nGET\thammered.localhost\t/cart\n' >"$work/hammer"

for _ in $(seq "$pairs"); do
    quiet=$(shopper "$at")
    start taskset -c 1 "$load" -r $((limit * 20)) -c 64 -s $((duration + 2)) -e 0 "$at" "$work/hammer" >"$work/hammered"
    sleep 1
    pair "$(shopper "$at")" "$quiet"
    wait "$started"
    say "the other shop was asked: $(awk '{ printf "%d/s, p99 %d us", $1 / $2, $5 }' "$work/hammered")"
done
say "refused: $(metric $((port + 1)) shopd_requests_limited_total)"
result hammer us quiet
controller_go_on
