#!/bin/sh
# Measures shopd and its peers side by side and prints a line per figure: run.sh [NAME]
# bench NAME VALUE UNIT ratio=R vs=PEER: the median of five pairs, both sides in turn; R is ours to the peer's.
set -eu
cd "$(dirname "$0")/.."
only=${1:-}
port=$((20000 + $$ % 20000)) pairs=5 seconds=3
work=$(mktemp -d /tmp/shop-bench.XXXXXX)
chmod 755 "$work"
export SHOPCTL_DATA="$work/data"
shopctl=build/bin/shopctl load=build/bench/bin/load
stop() {
    [ -z "${shopd:-}" ] || kill "$shopd" 2>/dev/null || true
    [ -z "${nginx:-}" ] || kill "$nginx" 2>/dev/null || true
    "$shopctl" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
command -v nginx >/dev/null || { echo "bench: nginx is missing: apt-get install nginx-light" >&2; exit 69; }

"$shopctl" up --listen "127.0.0.1:$port" >/dev/null
"$shopctl" tenant create bench --plan standard --email owner@bench.example -q >/dev/null
"$shopctl" tenant set bench --limit requests_per_second=0 -q >/dev/null
sh bench/catalogue.sh >"$work/catalogue.csv"
"$shopctl" product import bench "$work/catalogue.csv" -q >/dev/null
dsn=$("$shopctl" status -o json | sed -n 's/.*"dsn": "\(.*dbname=cell_main.*\)".*/\1/p' | head -n 1)
taskset -c 0 build/bin/shopd --cell "$dsn" --listen "127.0.0.1:$((port + 1))" --threads 1 2>/dev/null &
shopd=$!
mkdir "$work/www"
cat >"$work/nginx.conf" <<END
daemon off; worker_processes 1; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http { access_log off; server { listen 127.0.0.1:$((port + 2)); root $work/www; keepalive_requests 1000000000;
    open_file_cache max=10; sendfile on; tcp_nopush on; default_type text/html; } }
END
taskset -c 0 nginx -c "$work/nginx.conf" -p "$work" &
nginx=$!
until curl -sf "http://127.0.0.1:$((port + 1))/readyz" >/dev/null; do sleep 0.1; done

middle() { sort -g | sed -n "$(((pairs + 1) / 2))p"; }
rate() { # rate PORT PATH PID: answers per second of the server's CPU
    taskset -c 1 "$load" 127.0.0.1 "$1" bench.localhost "$2" 64 $seconds "$3" | awk '{ print $1 / $3 }'
}
warm() { # warm NAME PATH
    [ -z "$only" ] || [ "$only" = "$1" ] || return 0
    curl -sf -H 'Host: bench.localhost' "http://127.0.0.1:$((port + 1))$2" >"$work/www/$1"
    worker=$(pgrep -P "$nginx")
    : >"$work/ours" && : >"$work/theirs"
    for _ in $(seq $pairs); do
        rate $((port + 1)) "$2" "$shopd" >>"$work/ours"
        rate $((port + 2)) "/$1" "$worker" >>"$work/theirs"
    done
    ours=$(middle <"$work/ours") theirs=$(middle <"$work/theirs")
    echo "$ours $theirs" | awk -v name="$1" '{ printf "bench %s %.0f requests/cpu-s ratio=%.2f vs=nginx\n", name, $1, $1 / $2 }'
}
warm warm-page /products/large
warm warm-json /api/v1/store/products/small
