#!/bin/sh
# How long a shopper's page takes (99th percentile) while 10,000 connections drip a byte a second or read nothing.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open drip
shops_open 1
count=${DRIPS:-10000} at=127.0.0.1:$((port + 1))
host=$(cut -d ' ' -f 2 "$work/shops").localhost
controller_pause
shopd_start 0 $((port + 1)) --threads 1
shopd=$started
printf 'GET\t%s\t/products/thing\n' "$host" >"$work/shopper"
rss() { awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$shopd/status"; }
for _ in $(seq "$pairs"); do
    quiet=$(shopper "$at") before=$(rss)
    start taskset -c 1 "$root/build/bench/bin/drip" "$at" "$count" $((duration + 14)) "$host" >"$work/drips"
    until grep -q ready "$work/drips"; do sleep 0.1; done
    sleep 11 # until the first of them are cut and opened again
    pair "$(shopper "$at")" "$quiet"
    say "shopd's memory: $before MiB in quiet, $(rss) MiB with them"
    wait "$started"
    say "opened and cut: $(tail -n 1 "$work/drips")"
done
result drip us quiet
controller_go_on
