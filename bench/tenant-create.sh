#!/bin/sh
# Making shops: spares against one batch of their statements, a shop out of a spare against psql, and many in one call.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
bench_open tenant-create
spares=$root/build/bench/bin/spares count=${SPARES:-16} tenants=${TENANTS:-1000}

controller_pause
for i in $(seq "$tenants"); do
    printf '{"slug":"many-%s-%s","plan":"standard","email":"owner@bench.example"}\n' "$$" "$i"
done >"$work/many"
timed "$shopctl" tenant create --file "$work/many" -q >/dev/null
say "$tenants tenants in one call: $took s, CPU seconds with PostgreSQL's: $burnt"
for part in asc desc; do # of a fifth: seconds per tenant
    $psql "$dsn" -c "select extract(epoch from max(created_at) - min(created_at)) / (count(*) - 1) from (
        select created_at from cell.tenants where slug like 'many-$$-%' order by created_at $part limit $((tenants / 5))) x"
done >"$work/parts"
pair "$(tail -n 1 "$work/parts")" "$(head -n 1 "$work/parts")"
result tenant-create-many s/tenant the-first-ones

for _ in $(seq "$pairs"); do
    before=$(pg_cpu)
    ours=$("$spares" "$control" make "$count")
    between=$(pg_cpu)
    theirs=$("$spares" "$control" batch "$count")
    say "$count spares; PostgreSQL's CPU seconds: $(echo "$before $between $(pg_cpu)" | awk '{ print "ours", $2 - $1 ", theirs", $3 - $2 }')"
    pair "$ours" "$theirs"
done
result tenant-spares s batch

for i in $(seq $((pairs * 2))); do
    timed "$shopctl" tenant create "one-$$-$i" --plan standard --email owner@bench.example -q >/dev/null
    ours=$took ours_cpu=$burnt
    timed $psql "$dsn" -c 'select 1' >/dev/null
    say "CPU seconds with PostgreSQL's: ours $ours_cpu, theirs $burnt"
    pair "$ours" "$took"
done
result tenant-create s psql
controller_go_on
