#!/bin/sh
# A host of the demo: an engine, and sshd where there is a configuration of it. Runs as the first process of namespaces of
# its own, so that all of it, its mounts, network and containers too, ends with it: host.sh DIRECTORY ADDRESS
set -eu
directory=$1 address=$2 data=$1/data
read -r pid _ </proc/self/stat    # as it is called outside
mount -t proc proc /proc
rm -rf "$directory/exec" "$directory/engine.pid"    # of one that was killed: its processes' numbers are others' now
mkdir -p /run/containerd /run/sshd "$data"
mount -t tmpfs tmpfs /run/containerd    # an engine takes the machine's own containerd where it sees it
# Where layers can't be laid over one another, as in most containers, the engine would copy each whole; memory can do it.
mkdir -p "$directory/lower" "$directory/upper" "$directory/work" "$directory/all"
mount -t overlay -o "lowerdir=$directory/lower,upperdir=$directory/upper,workdir=$directory/work" overlay \
    "$directory/all" 2>/dev/null || mount -t tmpfs tmpfs "$data"
echo "$pid" >"$directory/pid"
until ip link set eth0 up 2>/dev/null; do sleep 0.1; done
ip link set lo up
ip address add "$address/30" dev eth0
[ ! -f "$directory/sshd_config" ] || /usr/sbin/sshd -f "$directory/sshd_config" -E "$directory/sshd.log"
dockerd --data-root "$data" --exec-root "$directory/exec" -p "$directory/engine.pid" -H "unix://$directory/engine.sock" \
    --cgroup-parent "/shop-demo-$address" --exec-opt native.cgroupdriver=cgroupfs &
engine=$!
trap 'kill $engine; wait $engine; exit 0' TERM
wait $engine
