# shellcheck shell=sh disable=SC2034,SC2154
# What every figure's script shares: a platform, programs that end with it, pairs of measurements and their line.
root=$(cd "$(dirname "$0")" && pwd)
root=${root%/bench*}
shopctl=$root/build/bin/shopctl load=$root/build/bench/bin/load
pairs=${PAIRS:-5} seconds=${SECONDS_EACH:-3}
children=

say() { echo "$name: $*" >&2; }    # raw figures and all that isn't a result
fail() { say "$*" && exit 70; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: apt-get install $2"; }

# A free port with free ones after it, below those that the kernel gives to clients.
free_port() {
    for free in $(shuf -i 20000-32000 -n 100); do
        for next in $(seq 0 24); do ss -Hltn "sport = :$((free + next))"; done | grep -q . || break
    done
    echo "$free"
}
# Under bench/run.sh all figures share one platform; alone, a figure has its own.
bench_open() {
    name=$1
    data=${BENCH_DATA:-}
    work=$(mktemp -d /tmp/shop-bench.XXXXXX)
    chmod 755 "$work"
    trap bench_close EXIT
    trap 'exit 130' INT TERM
    export SHOPCTL_DATA="${data:-$work/data}" SHOPCTL_GATEWAY=never    # shopd itself is measured
    port=$(cat "$SHOPCTL_DATA.port" 2>/dev/null || free_port)
    [ -n "$data" ] && echo "$port" >"$data.port"
    "$shopctl" up --listen "127.0.0.1:$port" >/dev/null
    dsn=$(cell_dsn main)
    control=$("$shopctl" status -o json | sed -n '/"control"/,/}/s/.*"dsn": *"\([^"]*\)".*/\1/p')
    postmaster=$(head -n 1 "$SHOPCTL_DATA/pg/postmaster.pid")
    "$shopctl" cell add main --capacity 20000 -q >/dev/null
    psql="psql -X -q -A -t -v ON_ERROR_STOP=1"
}
bench_close() {
    for child in $children; do kill "$child" 2>/dev/null || true; done
    # shellcheck disable=SC2086 # a list
    [ -z "$children" ] || wait $children 2>/dev/null || true
    [ -n "$data" ] || "$shopctl" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
cell_dsn() { "$shopctl" cell show "$1" -o json | sed -n 's/.*"dsn": *"\([^"]*\)".*/\1/p'; }

# start COMMAND...: in the background, ended with the script; its process is $started.
start() {
    "$@" &
    started=$!
    children="$children $started"
}
# shopd_start CORE PORT [OPTION]...: another shopd of the cell 'main', on one core; waits until it is ready.
shopd_start() {
    shopd_core=$1 shopd_port=$2
    shift 2
    start taskset -c "$shopd_core" "$root/build/bin/shopd" --cell "$dsn" --listen "127.0.0.1:$shopd_port" "$@" 2>"$work/shopd-$shopd_port.log"
    for _ in $(seq 600); do
        curl -sf "http://127.0.0.1:$shopd_port/readyz" >/dev/null && return
        sleep 0.05
    done
    fail "shopd isn't ready: $(tail -n 1 "$work/shopd-$shopd_port.log")"
}
child_stop() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
# backends_of_next COMMAND...: runs it, and leaves the backends that shopd's login has since then in $backends.
backends_of_next() {
    $psql "$dsn" -c "select pid from pg_stat_activity where usename = 'cell_main_shopd'" >"$work/backends"
    "$@"
    backends=$($psql "$dsn" -c "select pid from pg_stat_activity where usename = 'cell_main_shopd'" |
        grep -vxF -f "$work/backends")
}
# metric PORT NAME: one of shopd's own counters.
metric() { curl -sf "http://127.0.0.1:$1/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
# CPU seconds of PostgreSQL's processes, also of those that have ended.
pg_cpu() {
    for pid in $postmaster $(pgrep -P "$postmaster"); do cat "/proc/$pid/stat" 2>/dev/null || true; done |
        awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); sum += $12 + $13; if (NR == 1) sum += $14 + $15 }
            END { printf "%.2f\n", sum / hz }'
}
seconds_now() { date +%s.%N; }
# timed COMMAND...: leaves the seconds that it took in $took, and its CPU seconds with PostgreSQL's in $burnt.
timed() {
    pg_before=$(pg_cpu) && times >"$work/before" && from=$(seconds_now)
    "$@"
    took=$(seconds_now | awk -v from="$from" '{ printf "%.3f", $1 - from }')
    times >"$work/after"
    burnt=$(cat "$work/before" "$work/after" | tr 'ms' '  ' |
        awk -v pg="$(pg_cpu)" -v pg_before="$pg_before" 'NR % 2 == 0 { sum = $1 * 60 + $2 + $3 * 60 + $4 - sum }
            END { printf "%.2f", sum + pg - pg_before }')
}
# highest COMMAND...: the most memory of its process and, added, of PostgreSQL's backends beyond what is shared, in MiB.
highest() {
    "$@" &
    watched=$! top=0
    while kill -0 "$watched" 2>/dev/null; do
        now=$(for pid in $watched $(pgrep -P "$postmaster"); do cat "/proc/$pid/status" 2>/dev/null || true; done |
            awk -v pid="$watched" '$1 == "Pid:" { own = $2 == pid } own && $1 == "VmHWM:" { high = $2 }
                !own && $1 == "RssAnon:" { sum += $2 } END { printf "%d %d\n", high / 1024, sum / 1024 }')
        echo "$now" >>"$work/memory"
        sleep 0.02
    done
    wait "$watched"
    top=$(awk '$1 > high { high = $1 } $2 > all { all = $2 } END { print high, all }' "$work/memory")
    rm -f "$work/memory"
}
# The controller makes spares when it likes: paused where that would disturb.
controller_pause() { kill -STOP "$(cut -d ' ' -f 1 "$SHOPCTL_DATA/run/controller.pid")"; }
controller_go_on() { kill -CONT "$(cut -d ' ' -f 1 "$SHOPCTL_DATA/run/controller.pid")"; }
# tenants_ensure COUNT: shops bench-1 to bench-COUNT, without a limit of requests.
tenants_ensure() {
    there=$($psql "$dsn" -c "select count(*) from cell.tenants where slug like 'bench-%'")
    [ "$there" -lt "$1" ] || return 0
    say "making $(($1 - there)) tenants"
    for i in $(seq $((there + 1)) "$1"); do
        printf '{"slug":"bench-%s","plan":"standard","email":"owner@bench.example"}\n' "$i"
    done | "$shopctl" tenant create --file - -q >/dev/null
    $psql "$dsn" -c "update cell.tenants set limits = limits || '{\"requests_per_second\": 0}' where slug like 'bench-%'"
}

median() { sort -g | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }
# pair OURS THEIRS: keeps one pair of figures and shows it.
pair() {
    say "ours $1, theirs $2"
    echo "$1 $2" >>"$work/pairs"
}
# result NAME UNIT PEER [less]: the line of the pairs kept: our median, and the median of the pairs' ratios, ours to theirs, or, with
# `less`, theirs to ours.
result() {
    ours=$(awk '{ print $1 }' "$work/pairs" | median)
    ratio=$(awk -v less="${4:-}" '{ print less ? $2 / $1 : $1 / $2 }' "$work/pairs" | median)
    say "$1: ours $ours, theirs $(awk '{ print $2 }' "$work/pairs" | median) (medians of $(wc -l <"$work/pairs") pairs)"
    awk -v name="$1" -v value="$ours" -v unit="$2" -v ratio="$ratio" -v peer="$3" \
        'BEGIN { printf "bench %s %.5g %s ratio=%.2f vs=%s\n", name, value, unit, ratio, peer }'
    rm -f "$work/pairs"
}
