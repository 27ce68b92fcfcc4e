# shellcheck shell=sh disable=SC2034
# Read by the other scripts here: where the demo keeps its things, and a shopctl that knows its platform and no other.
cd "$(dirname "$0")/../../.." || exit
shopctl=$PWD/build/bin/shopctl
home=${DEMO_HOME:-$PWD/.demo-dedicated}
# Where the database's user can't reach this folder, or the paths of sockets would get longer than they may.
if [ -z "${DEMO_HOME:-}" ] && { [ ${#home} -gt 64 ] || ! runuser -u postgres -- test -x "$PWD"; } 2>/dev/null; then
    home=/var/lib/shopctl-demo
fi
for name in $(env | sed -n 's/^\(SHOPCTL_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export SHOPCTL_CONFIG="$home/config.yaml"
is_running() { # is_running HOST
    [ -s "$home/$1/pid" ] && grep -qsF "$home/$1" "/proc/$(cat "$home/$1/pid")/cmdline"
}
