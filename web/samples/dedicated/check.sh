#!/bin/sh
# Whether this machine can run two container engines; ends with 1 and says what is missing where it can't.
set -eu
fail() { # fail WHY NEXT
    printf 'demo: two hosts with a container engine each cannot run here\n  why:   %s\n  next:  %s\n' "$1" "$2" >&2
    exit 1
}
container='in a container, start it with all rights (docker run --privileged --cgroupns=host)'
[ "$(id -u)" = 0 ] || fail "an engine, its network and its mounts are root's to make" 'run it as root: sudo make demo-dedicated'
unshare --mount --net --pid --fork mount -t tmpfs tmpfs /mnt 2>/dev/null ||
    fail 'the kernel refuses namespaces, or mounts in them' "$container"
groups=/sys/fs/cgroup
for controller in cpu memory pids; do
    if [ -f $groups/cgroup.controllers ]; then
        grep -qsw $controller $groups/cgroup.subtree_control || echo +$controller 2>/dev/null >$groups/cgroup.subtree_control
    else
        [ -w $groups/$controller/tasks ]
    fi || fail "the control group '$controller' below $groups isn't there, or can't be used" "mount cgroups; $container"
done
