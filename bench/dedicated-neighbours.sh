#!/bin/sh
# How long a shopper's page takes (99th percentile) in a shop with containers of its own, while another one on its host takes all the
# CPU, memory and processes that it can get.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
. "$(dirname "$0")/engine.sh"
bench_open dedicated-neighbours
host_open
for slug in calm wild; do
    shop_make "$slug"
    "$shopctl" tenant resize "$slug" --cpu "${CPU:-700m}" --memory 1GiB -q >/dev/null # both and their shoppers have room on two cores
done
printf 'GET\tcalm.localhost\t/\n' >"$work/shopper"
at=$(shop_url calm)
at=${at#http://}

# psql has a shell, and that loops, forks, and asks again and again for what wants more memory than there is and is killed: all of it in
# the container, and nothing but one waiting shopctl outside.
cat >"$work/burn" <<'END'
\! hog='select length((array_agg(repeat(md5(i::text), 30000)))::text) from generate_series(1, 90000) t(i)'; (while :; do psql -h /run/postgresql -U shop_owner -d cell -c "$hog"; done) & for i in 1 2 3 4; do (while :; do :; done) & done; i=0; while [ $i -lt 1000 ]; do (while :; do :; done) & i=$((i + 1)); done; wait
END
wild_run() {
    start "$shopctl" tenant psql wild <"$work/burn" >"$work/burnt" 2>&1
    burns=$started
    sleep 2
}
# Its processes end with its container.
wild_end() {
    child_stop "$burns"
    "$shopctl" tenant restart wild --postgres -q >/dev/null
    sleep 1
}
for _ in $(seq "$pairs"); do
    quiet=$(shopper "$at")
    wild_run
    pair "$(shopper "$at")" "$quiet"
    say "the other shop: $("$shopctl" tenant show wild -o json | tr -d ' \n' | grep -o '"containers":.*' | cut -c 1-300)"
    wild_end
done
result dedicated-neighbours us quiet
