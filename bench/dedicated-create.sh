#!/bin/sh
# Making a shop with containers of its own, to the first page served, one and four at once, against bare engine calls that make and
# start the same two containers and wait until both answer.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/engine.sh"
bench_open dedicated-create
host_open
shop_make reference # brings the images; the bare shopds use its database, so that they find a cell
cell=$($psql "$control" -c "select cell from control.tenants where slug = 'reference'")

# at_once COUNT COMMAND...: with 1 to COUNT as its last word each.
at_once() {
    count=$1 jobs=
    shift
    for i in $(seq "$count"); do
        "$@" "$i" &
        jobs="$jobs $!"
    done
    for job in $jobs; do wait "$job"; done
}
ours() { shop_make "new-$1-$2"; }
theirs() { "$dedicated" bare "$control" "$engine" "$cell" "bare-$1-$2" $((21000 + $2)) >/dev/null; }
for many in 1 4; do
    for run in $(seq "$pairs"); do
        timed at_once "$many" ours "$many-$run"
        ours=$took
        for k in $(seq "$many"); do shop_remove "new-$many-$run-$k"; done
        timed at_once "$many" theirs "$many-$run"
        for k in $(seq "$many"); do
            "$dedicated" remove "$control" "$engine" "$cell" "bare-$many-$run-$k" $((21000 + k))
        done
        pair "$ours" "$took"
    done
    result "dedicated-create$([ "$many" = 1 ] || echo "-$many")" s engine-calls
done
