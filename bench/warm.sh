# shellcheck shell=sh disable=SC2154
# warm-page and warm-json: an answer that shopd keeps against the same bytes out of nginx's memory, a core each.
# nginx's memory is `return` with the bytes in its configuration, in parts since a value there has at most 4 KiB; how it does with
# a file that it keeps open (sendfile), and a loop that only receives and sends (bench/ceiling.c), are measured beside it, and not
# judged.

nginx_start() { # nginx_start PORT BODY_FILE CONTENT_TYPE
    mkdir -p "$work/www"
    cp "$2" "$work/www/file"
    split -b 3000 -d -a 3 "$2" "$work/part."
    parts=
    {
        echo "daemon off; worker_processes 1; pid $work/nginx.pid; error_log /dev/null;"
        echo "events { worker_connections 1024; }"
        # shellcheck disable=SC2016 # nginx's variables
        echo 'http { access_log off; geo $dollar { default "$"; }'
        echo "server { listen 127.0.0.1:$1; root $work/www; keepalive_requests 1000000000; default_type $3;"
        echo "open_file_cache max=10; sendfile on; tcp_nopush on;"
        for part in "$work"/part.*; do
            printf 'set $p%s "' "${part##*.}"
            # shellcheck disable=SC2016
            sed 's/[\\"]/\\&/g; s/\$/${dollar}/g' "$part"
            echo '";'
            parts="$parts\${p${part##*.}}"
        done
        echo "location = /memory { return 200 \"$parts\"; } } }"
    } >"$work/nginx.conf"
    rm -f "$work"/part.*
    start taskset -c 0 nginx -c "$work/nginx.conf" -p "$work"
    until curl -sf "http://127.0.0.1:$1/memory" >"$work/theirs"; do sleep 0.1; done
    cmp -s "$2" "$work/theirs" || fail "nginx answers other bytes"
    worker=$(pgrep -P "$started")
}
measure() { # measure PORT PATH PID: answers per second of the server's CPU, and the p99
    printf 'GET\tbench.localhost\t%s\n' "$2" >"$work/request"
    taskset -c 1 "$load" -c 64 -s "$seconds" -p "$3" "127.0.0.1:$1" "$work/request" >"$work/answer"
    awk '{ printf "%.0f %d %.0f %.0f\n", $1 / $3, $5, $1 / $2, 100 * $3 / $2 }' "$work/answer"
}
warm() { # warm NAME PATH CONTENT_TYPE
    bench_open "$1"
    need nginx nginx-light
    if ! "$shopctl" tenant show bench -q >/dev/null 2>&1; then
        "$shopctl" tenant create bench --plan standard --email owner@bench.example -q >/dev/null
        "$shopctl" tenant set bench --limit requests_per_second=0 -q >/dev/null
        sh "$root/bench/catalogue.sh" >"$work/catalogue.csv"
        "$shopctl" product import bench "$work/catalogue.csv" -q >/dev/null
    fi
    ours_at=$((port + 1)) theirs_at=$((port + 2)) ceiling_at=$((port + 3))
    controller_pause
    shopd_start 0 "$ours_at" --threads 1
    shopd=$started
    curl -sf -H 'Host: bench.localhost' "http://127.0.0.1:$ours_at$2" >"$work/body"
    nginx_start "$theirs_at" "$work/body" "$3"
    start taskset -c 0 "$root/build/bench/bin/ceiling" "$ceiling_at" "$work/body" "$3"
    ceiling=$started
    say "$(wc -c <"$work/body") bytes; a line: answers per CPU second, p99 in us, answers per second, % of its core"
    queries=$(metric "$ours_at" shopd_queries_total)
    for _ in $(seq "$pairs"); do
        ours=$(measure "$ours_at" "$2" "$shopd") theirs=$(measure "$theirs_at" /memory "$worker")
        file=$(measure "$theirs_at" /file "$worker")
        most=$(measure "$ceiling_at" / "$ceiling")
        say "nginx with a file: $file; a loop that looks at nothing: $most"
        echo "${ours%% *} ${file%% *}" >>"$work/file"
        echo "${ours%% *} ${most%% *}" >>"$work/most"
        pair "$ours" "$theirs"
    done
    queries=$(($(metric "$ours_at" shopd_queries_total) - queries))
    [ "$queries" -eq 0 ] || fail "$queries queries while it was warm"
    say "queries meanwhile: 0"
    cp "$work/pairs" "$work/all"
    awk '{ print $1, $5 }' "$work/all" >"$work/pairs"
    result "$1" requests/cpu-s nginx-memory
    awk '{ print $2, $6 }' "$work/all" >"$work/pairs"
    result "$1-p99" us nginx-memory
    mv "$work/file" "$work/pairs"
    result "$1-file" requests/cpu-s nginx-file
    mv "$work/most" "$work/pairs"
    result "$1-ceiling" requests/cpu-s loop-without-http
    controller_go_on
}
