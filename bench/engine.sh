# shellcheck shell=sh disable=SC2034,SC2154
# A container engine in a network of its own, with its files in memory; goes with the script, and so does its platform.
unset BENCH_DATA
dedicated=$root/build/bench/bin/dedicated

# engine_open: leaves its socket in $engine, and the address that its host has here in $engine_address.
engine_open() {
    [ "$(id -u)" = 0 ] || fail "only root can start an engine"
    need dockerd docker.io && need ip iproute2
    engine_work=$(mktemp -d /dev/shm/shop-bench.XXXXXX)
    engine_net=shop-bench-$$ engine_link=shopb$(($$ % 16384)) engine=$engine_work/engine.sock
    near=10.215.$(($$ / 64 % 256)).$(($$ % 64 * 4 + 1)) engine_address=10.215.$(($$ / 64 % 256)).$(($$ % 64 * 4 + 2))
    trap 'engine_close; bench_close' EXIT
    ip netns add "$engine_net"
    ip link add "$engine_link" type veth peer name eth0 netns "$engine_net"
    ip addr add "$near/30" dev "$engine_link" && ip link set "$engine_link" up
    ip -n "$engine_net" addr add "$engine_address/30" dev eth0
    ip -n "$engine_net" link set lo up && ip -n "$engine_net" link set eth0 up
    ip -n "$engine_net" route add default via "$near"
    nsenter --net="/run/netns/$engine_net" dockerd --data-root "$engine_work/data" --exec-root "$engine_work/exec" \
        -p "$engine_work/pid" -H "unix://$engine" 2>"$work/engine.log" &
    engine_pid=$!
    for _ in $(seq 600); do
        curl -sf --unix-socket "$engine" http://engine/_ping >/dev/null && return
        sleep 0.1
    done
    fail "the engine doesn't answer: $(tail -n 1 "$work/engine.log")"
}
engine_close() {
    kill "$engine_pid" 2>/dev/null && wait "$engine_pid" 2>/dev/null || true
    grep -o "${engine_work}[^ ]*" /proc/mounts | sort -r | xargs -r umount -l || true
    ip netns del "$engine_net" 2>/dev/null || true
    rm -rf "$engine_work"
}
# host_open: the engine as the host 'bench', which may give away more than there is.
host_open() {
    engine_open
    "$shopctl" host add bench "unix://$engine" --address "$engine_address" --cpu 64 --memory 256GiB -q >/dev/null
}
# shop_make SLUG [OPTION]...: returns when its first page was served.
shop_make() {
    slug=$1
    shift
    "$shopctl" tenant create "$slug" --plan premium --email owner@bench.example -q "$@" >/dev/null
    page_served "$slug"
}
shop_url() { $psql "$control" -c "select c.url from control.cells c join control.tenants t on t.cell = c.name where t.slug = '$1'"; }
page_served() { curl -sf -o /dev/null -H "Host: $1.localhost" "$(shop_url "$1")/"; }
shop_remove() {
    "$shopctl" tenant suspend "$1" -q >/dev/null
    "$shopctl" tenant archive "$1" -q >/dev/null
    "$shopctl" tenant delete "$1" --yes -q >/dev/null
}
