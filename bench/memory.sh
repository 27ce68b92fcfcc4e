#!/bin/sh
# shopd's memory with 1,000 shops of which 100 are warm, less the pages kept; and a backend's after a round over all shops.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open memory
tenants=${TENANTS:-1000} warm=$((${TENANTS:-1000} / 10)) at=127.0.0.1:$((port + 1))
shops_open "$tenants"
backends_of_next shopd_start 0,1 $((port + 1))
shopd=$started

ask() { # ask SHOPS PATH...: each of them once in these shops
    head -n "$1" "$work/shops" >"$work/asked"
    shift
    for path in "$@"; do awk -v path="$path" '{ printf "GET\t%s.localhost\t%s\n", $2, path }' "$work/asked"; done >"$work/requests"
    "$load" -o -c 8 -s 600 "$at" "$work/requests" >/dev/null
}
field() { awk -v name="$2:" '$1 == name { print $2 * 1024 }' "/proc/$1/status"; }
mib() { awk '{ printf "%.1f", $1 / 1024 / 1024 }'; }

say "shopd at its start: $(field "$shopd" VmRSS | mib) MiB"
ask "$warm" / /products/thing /collections/all /cart /api/v1/store/products
kept=$(metric $((port + 1)) shopd_cache_bytes) resident=$(field "$shopd" VmRSS)
say "$tenants shops, $warm warm: $(echo "$resident" | mib) MiB resident, of which $(echo "$kept" | mib) MiB are kept pages"
pair "$(echo $((resident - kept)) | mib)" 32
result memory MiB 32-MiB

backend() { # the most that a backend of shopd's has for itself
    for pid in $($psql "$dsn" -c "select pid from pg_stat_activity where usename = 'cell_main_shopd'"); do
        field "$pid" RssAnon 2>/dev/null || true
    done | sort -n | tail -n 1 | mib
}
ask "$tenants" /cart /search?q=thing
once=$(backend)
for round in $(seq "$pairs"); do
    ask "$tenants" /cart /search?q=thing
    now=$(backend)
    say "the largest backend after round $round: $now MiB; recycled so far: $(metric $((port + 1)) shopd_database_recycled_total)"
    pair "$now" "$once"
done
result memory-backend MiB after-one-round
