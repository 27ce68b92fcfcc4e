#!/bin/sh
# CPU of an order in 10 shops, shopd's and its backends', while 100 shops are made in the same cell, against the same in quiet.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/market.sh"
bench_open neighbours
rate=${RATE:-100} new=${TENANTS:-100} duration=$((seconds * 4))
shops_open 10
backends_of_next shopd_start 0,1 $((port + 1)) --connections 4
shopd=$started

order() { # order RUN: leaves microseconds of CPU an order in $cpu
    carts_make 10 $((rate * duration / 10)) "$1"
    orders_file 10 $((rate * duration / 10)) "$1"
    [ -z "${2:-}" ] || start "$2" "$1"
    pids=$(echo "$shopd $backends" | tr ' \n' '\n\n' | sed 's/^/-p /' | tr '\n' ' ')
    # shellcheck disable=SC2086 # options
    "$load" -o -r "$rate" -c 16 -s 600 -k $((rate * duration / 10)) -e 201 $pids "127.0.0.1:$((port + 1))" "$work/orders" >"$work/answer"
    read -r answers _ used p50 p99 _ wrong <"$work/answer"
    [ "$wrong" -eq 0 ] || fail "$wrong orders were refused"
    cpu=$(echo "$used $answers" | awk '{ printf "%.0f", $1 * 1e6 / $2 }')
    say "$1: $cpu us of CPU an order, p50 $p50 us, p99 $p99 us"
}
make() {
    for i in $(seq "$new"); do
        printf '{"slug":"new-%s-%s","plan":"standard","email":"owner@bench.example"}\n' "$1" "$i"
    done | "$shopctl" tenant create --file - -q >/dev/null
}
order "first-$$"
for i in $(seq "$pairs"); do
    order "quiet-$$-$i"
    quiet=$cpu
    order "busy-$$-$i" make
    made=$($psql "$dsn" -c "select count(*) from cell.tenants where slug like 'new-busy-$$-$i-%'")
    say "$made of $new shops were made by the end of that"
    wait "$started"
    pair "$cpu" "$quiet"
done
result neighbours us/order quiet
