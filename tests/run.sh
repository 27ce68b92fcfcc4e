#!/bin/sh
# Runs the test suites in parallel against a PostgreSQL of their own: run.sh BUILD_DIR [SUITE] [TEST]; with `torture` as
# fourth word those that take long (tests/torture_*), one after the other.
set -eu
cd "$(dirname "$0")/.."
build=$1 suite=${2:-} test=${3:-} kind=${4:-check} jobs=$(($(nproc) + 1))    # some wait more than they work
programs=test scripts=suite
longest='container browser upgrade kill own_move memory move lost_calls own_lost_calls podman installation resize existing database_faults existing_move limits gateway_up
    cli tenant gateway hardening shopd store_faults cart checkout storefront product_import survival registry host pool lost_work intruder attacks'
if [ "$kind" = torture ]; then programs=torture scripts=torture jobs=1 CK_TIMEOUT_MULTIPLIER=30; export CK_TIMEOUT_MULTIPLIER; fi
work=$(mktemp -d /tmp/shop-check.XXXXXX)
data=$work/data
# The settings of whoever runs this, as after a demo, are none of the tests'.
for name in $(env | sed -n 's/^\(SHOPCTL_[A-Z_]*\|SHOPD_[A-Z_]*\|PG[A-Z]*\)=.*/\1/p'); do unset "$name"; done
pg_bin=$(find /usr/lib/postgresql -path '*/bin/initdb' | sort -V | tail -n 1)
pg_bin=${pg_bin%/initdb}
as_postgres=
if [ "$(id -u)" = 0 ]; then
    as_postgres='runuser -u postgres --'
    chown postgres "$work"
fi
chmod 711 "$work"
stop() {
    $as_postgres "$pg_bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work" "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM PIPE
# Hundreds of databases that live for a minute: they are in memory where there is room, and nobody is to vacuum them or to
# write them out.
memory_kib=$(awk '/^MemAvailable/ {print $2}' /proc/meminfo) shm_kib=$(df --output=avail -k /dev/shm | tail -n 1)
if [ "$memory_kib" -gt 16000000 ] && [ "$shm_kib" -gt 10000000 ]; then
    data=$(mktemp -d /dev/shm/shop-check.XXXXXX)
    [ -z "$as_postgres" ] || chown postgres "$data"
fi
(
    cd /
    $as_postgres "$pg_bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    $as_postgres "$pg_bin/pg_ctl" -D "$data" -l "$data/log" -w start -o "-k $work -c listen_addresses='' \
        -c fsync=off -c wal_level=logical -c jit=off -c max_connections=300 -c max_locks_per_transaction=256 \
        -c max_replication_slots=64 -c max_wal_senders=64 \
        -c autovacuum_naptime=1d -c max_wal_size=2GB -c checkpoint_timeout=1d -c full_page_writes=off \
        ${TEST_PG_OPTIONS:-}" >/dev/null
)
export TEST_PG="host=$work user=postgres dbname=postgres" TEST_BUILD="$PWD/$build" TEST_WORK="$work" TEST="$test"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"
case $build in *asan | *tsan) export CK_FORK=no ;; esac
for file in tests/"$programs"_*.c tests/"$scripts"_*.sh; do
    if [ -f "$file" ]; then basename "${file%.*}" | sed 's/^[a-z]*_//'; fi
done >"$work/suites"
twice=$(sort "$work/suites" | uniq -d)
[ -z "$twice" ] || { echo "two suites are called '$twice'" >&2; exit 1; }
if [ -n "$suite" ]; then
    grep -x "$suite" "$work/suites" >"$work/one" || { echo "there is no suite '$suite'; there are:"; cat "$work/suites"; exit 64; } >&2
    mv "$work/one" "$work/suites"
fi
mkdir "$work/out"
# Those that take minutes begin first, so that none of them is left alone at the end.
{
    for name in $longest; do grep -x "$name" "$work/suites" || true; done
    printf '%s\n' "$longest" | tr ' ' '\n' | grep -vxFf - "$work/suites" || true
} >"$work/ordered"
xargs -P "$jobs" -I{} sh tests/run_suite.sh {} "$work/out" "$kind" <"$work/ordered" || true
passed=0 failed=0
for name in $(cat "$work/suites"); do
    line=$(grep -E "^$name: [0-9]+ passed, [0-9]+ failed" "$work/out/$name" | tail -n 1 || true)
    ok=$(echo "$line" | sed -n 's/.*: \([0-9]*\) passed.*/\1/p') bad=$(echo "$line" | sed -n 's/.*, \([0-9]*\) failed.*/\1/p')
    [ "$(cat "$work/out/$name.exit")" = 0 ] || [ "${bad:-0}" != 0 ] || bad=1
    passed=$((passed + ${ok:-0})) failed=$((failed + ${bad:-1}))
    [ "${bad:-1}" = 0 ] || grep -E ':[EF]:|^FAILED|AddressSanitizer|runtime error|exit code|took more' "$work/out/$name" | head -n 9 || true
    [ "${bad:-1}" = 0 ] || echo "repeat with: make $kind SUITE=$name${test:+ TEST=$test}"
done
echo "$passed passed, $failed failed"
[ -z "${TEST_PG_AT_END:-}" ] || sh "$TEST_PG_AT_END" "$work"
[ "$failed" = 0 ]
