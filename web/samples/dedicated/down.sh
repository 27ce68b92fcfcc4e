#!/bin/sh
# Ends what up.sh started, and removes its folder.
# shellcheck disable=SC2154 # common.sh has them
set -eu
. "$(dirname "$0")/common.sh"
[ -f "$home/network" ] || { echo "no demo runs in $home" >&2; exit 0; }
[ ! -f "$SHOPCTL_CONFIG" ] || "$shopctl" down >&2
network=$(cat "$home/network")
for host in eu1 eu2; do
    is_running $host || continue
    pid=$(cat "$home/$host/pid")
    echo "ending the host $host" >&2
    kill -9 "$pid"    # the first process of its namespaces: all that is in them ends, too
    while [ -d "/proc/$pid" ]; do sleep 0.1; done
done
for link in 0 1; do ip link delete "shopdemo$network-$link" 2>/dev/null || true; done
find /sys/fs/cgroup -depth -type d -path "*/shop-demo-198.18.$network.*" -exec rmdir {} \; 2>/dev/null || true
rm -rf "$home"
