#!/bin/sh
# make demo-dedicated in a folder of its own: both shops answer through the gateway, also after a host was killed, a second
# run changes nothing, and nothing is left when it is ended.
set -u
cd "$(dirname "$0")/.." || exit
make -s build BUILD=release >/dev/null || exit    # what it is about; the sanitizers' shopd wants more memory than its plans give
scripts=web/samples/dedicated work=$(mktemp -d /tmp/shop-demo.XXXXXX) passed=0 failed=0
chmod 711 "$work"
export DEMO_HOME="$work/demo"
trap 'sh $scripts/down.sh 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
ok() { # ok SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@" >"$work/out" 2>"$work/err"; then passed=$((passed + 1)) && return; fi
    failed=$((failed + 1))
    echo "FAILED: $sentence"
    tail -n 20 "$work/out" "$work/err"
}
is_free() { ! ss -Hltn "sport = :$1" | grep -q .; }
for DEMO_PORT in $(shuf -i 20000-32000 -n 100); do is_free "$DEMO_PORT" && break; done
export DEMO_PORT
is_refused() { # is_refused WORDS COMMAND...
    words=$1
    shift
    ! "$@" && grep -q "^  why:.*$words" "$work/err" && grep -q '^  next:' "$work/err"
}
without_groups() { unshare --mount sh -c "mount -t tmpfs tmpfs /sys/fs/cgroup && sh $scripts/check.sh"; }
starts() { sh $scripts/up.sh >"$work/said"; }
sells() { # sells SLUG NAME OPTION...
    url=http://$1.localhost:$DEMO_PORT/ name=$2
    shift 2
    curl -sf -m 20 --connect-to "::127.0.0.1:$DEMO_PORT" "$@" "$url" | grep -q "$name"
}
is_on() { SHOPCTL_CONFIG=$DEMO_HOME/config.yaml build/bin/shopctl tenant show "$1" -o json | grep -Eq "\"host\": ?\"$2\""; }
operations() { SHOPCTL_CONFIG=$DEMO_HOME/config.yaml build/bin/shopctl operation list; }
is_the_same_again() { cp "$work/said" "$work/first" && operations >"$work/before" && starts && cmp "$work/first" "$work/said" && operations | cmp "$work/before" -; }
comes_back() { kill -9 "$(cat "$DEMO_HOME/eu1/pid")" && starts && sells acme 'Acme Casa' --retry 20 --retry-all-errors --retry-delay 1; }
# What names its folder (processes, what they have mounted) or bears its name (links, control groups).
traces() {
    grep -lsF "$DEMO_HOME" /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo
    ip -br link | grep -o '^shopdemo[0-9-]*'
    find /sys/fs/cgroup -type d -name 'shop-demo-*' 2>/dev/null
}
leaves_nothing() { sh $scripts/down.sh && [ ! -e "$DEMO_HOME" ] && { traces >"$work/after"; diff "$work/traces" "$work/after"; }; }

traces >"$work/traces"
ok 'who is not root is refused' is_refused "root's" runuser -u nobody -- sh $scripts/check.sh
ok 'a machine without control groups is refused' is_refused 'control group' without_groups
ok 'this machine is taken' sh $scripts/check.sh
ok 'it starts' starts
ok 'the premium shop sells' sells acme 'Acme Casa'
ok 'the enterprise shop sells' sells beta 'Beta Supply'
ok 'the premium shop is on the first host' is_on acme eu1
ok 'the enterprise shop is on the second' is_on beta eu2
ok 'a second run changes nothing and says the same' is_the_same_again
ok 'a host that was killed comes back with its shop' comes_back
traces >"$work/traces.running"
ok 'its traces can be seen' test "$(wc -l <"$work/traces.running")" -gt "$(wc -l <"$work/traces")"
ok 'nothing is left when it is ended' leaves_nothing
echo "demo_dedicated: $passed passed, $failed failed"
[ $failed = 0 ]
