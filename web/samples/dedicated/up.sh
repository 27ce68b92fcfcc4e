#!/bin/sh
# Starts two hosts and a platform on this machine, with a shop of its own on each, and prints their addresses; a second
# run changes nothing. DEMO_PORT chooses another port than 8080, DEMO_HOME another folder than .demo-dedicated.
# shellcheck disable=SC2154 # common.sh has them
set -eu
. "$(dirname "$0")/common.sh"
samples=web/samples
trap '[ $? = 0 ] || echo "demo: what there is of it ends with: make demo-dedicated-down" >&2' EXIT
mkdir -p "$home/plans" "$home/eu1" "$home/eu2"
port=$(sed -n 's/^listen:.*://p' "$SHOPCTL_CONFIG" 2>/dev/null || true)
port=${DEMO_PORT:-${port:-8080}}

# A link of this machine with each: the first network that nobody has.
network=$(cat "$home/network" 2>/dev/null || true)
for number in $(seq 0 255); do
    [ -z "$network" ] || break
    ip -o address | grep -qF " 198.18.$number." || network=$number
done
echo "$network" >"$home/network"
host_start() { # host_start NAME NUMBER
    is_running "$1" && return
    echo "starting the host $1" >&2
    rm -f "$home/$1/pid"
    setsid unshare --mount --net --pid --fork --kill-child sh $samples/dedicated/host.sh "$home/$1" \
        "198.18.$network.$(($2 * 4 + 2))" >"$home/$1/log" 2>&1 </dev/null &
    until [ -s "$home/$1/pid" ]; do
        kill -0 $! 2>/dev/null || { cat "$home/$1/log"; exit 1; } >&2
        sleep 0.1
    done
    link=shopdemo$network-$2
    ip link add "$link" type veth peer name eth0 netns "$(cat "$home/$1/pid")"
    ip address add "198.18.$network.$(($2 * 4 + 1))/30" dev "$link"
    ip link set "$link" up
    until docker -H "unix://$home/$1/engine.sock" info >/dev/null 2>&1; do
        is_running "$1" || { tail -n 5 "$home/$1/log"; exit 1; } >&2
        sleep 0.2
    done
}
# eu2 is reached by SSH, with keys that are made for it.
if [ ! -f "$home/eu2/sshd_config" ]; then
    for key in host user; do ssh-keygen -q -t ed25519 -N '' -f "$home/eu2/$key" </dev/null; done
    pam=no
    case $(getent shadow root) in root:!*) pam=yes ;; esac    # without it sshd lets no locked user in
    printf '%s\n' "ListenAddress 198.18.$network.6" "HostKey $home/eu2/host" "AuthorizedKeysFile $home/eu2/user.pub" \
        'PidFile none' 'StrictModes no' 'PasswordAuthentication no' "UsePAM $pam" >"$home/eu2/sshd_config"
fi
host_start eu1 0
host_start eu2 1

cp plans/free.yaml plans/standard.yaml $samples/dedicated/plans/*.yaml "$home/plans/"
printf '%s\n' "data: $home/platform" "listen: 127.0.0.1:$port" "plans: $home/plans" "ssh_key: $home/eu2/user" >"$SHOPCTL_CONFIG"
"$shopctl" up --listen "127.0.0.1:$port" >&2
url=ssh://root@198.18.$network.6$home/eu2/engine.sock
"$shopctl" host show eu1 -o name >/dev/null 2>&1 ||
    "$shopctl" host add eu1 "unix://$home/eu1/engine.sock" --address "198.18.$network.2" >&2
if ! "$shopctl" host show eu2 -o name >/dev/null 2>&1; then
    "$shopctl" host trust "$url" --fingerprint "$(ssh-keygen -lf "$home/eu2/host.pub" | cut -d ' ' -f 2)" >&2
    "$shopctl" host add eu2 "$url" >&2
fi
shop_make() { # shop_make SLUG PLAN HOST
    "$shopctl" tenant show "$1" -o name >/dev/null 2>&1 ||
        sed "s/^  plan: .*/  plan: $2/" $samples/shops.yaml | awk -v slug="$1" '/^- slug:/ { wanted = $3 == slug } wanted' |
        "$shopctl" tenant create -f - --host "$3" >&2
    for _ in $(seq 60); do    # a database that ended with its host recovers first
        "$shopctl" product import "$1" "$samples/$1.csv" >"$home/import.log" 2>&1 && failed=0 && break
        failed=1
        sleep 1
    done
    cat "$home/import.log" >&2
    return $failed
}
shop_make acme premium eu1
shop_make beta enterprise eu2
cat <<END
http://acme.localhost:$port/    premium, on the host eu1, which is reached by its socket
http://beta.localhost:$port/    enterprise, on the host eu2, reached by SSH, which no other shop is on

The plans are those in $home/plans. To look further:
  export SHOPCTL_CONFIG=$SHOPCTL_CONFIG PATH=$PWD/build/bin:\$PATH
  shopctl host list
  shopctl tenant show acme
  shopctl tenant logs acme --since 10min
  shopctl tenant psql acme -c 'select count(*) from products'
  shopctl tenant resize acme --memory 768MiB
  shopctl tenant set-plan acme standard
  shopctl doctor
To end it and to remove all that it made: make demo-dedicated-down${DEMO_HOME:+ DEMO_HOME=$DEMO_HOME}
END
