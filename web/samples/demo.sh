#!/bin/sh
# Starts a platform on this machine with the two sample shops, and prints their addresses; a second run changes nothing.
# DEMO_PORT chooses another port than 8080.
set -eu
cd "$(dirname "$0")/../.."
shopctl=$PWD/build/bin/shopctl
port=${DEMO_PORT:-8080}
listen=127.0.0.1:$port
if [ "$(id -u)" = 0 ] && [ -z "${SHOPCTL_DATA:-}" ] && ! runuser -u postgres -- test -x "$PWD"; then
    export SHOPCTL_DATA=/var/lib/shopctl
    echo "the database's user can't reach $PWD; the data goes to $SHOPCTL_DATA; for your own commands:" >&2
    echo "  export SHOPCTL_DATA=$SHOPCTL_DATA" >&2
fi
if ! "$shopctl" up --listen "$listen" >&2; then
    echo "demo: the platform is as it was before; for another port than $port: make demo DEMO_PORT=8081" >&2
    exit 1
fi
missing=$(mktemp)
trap 'rm -f "$missing"' EXIT
for slug in acme beta; do
    "$shopctl" tenant show "$slug" -o name >/dev/null 2>&1 ||
        awk -v slug="$slug" '/^- slug:/ { wanted = $3 == slug } wanted' web/samples/shops.yaml >>"$missing"
done
[ ! -s "$missing" ] || "$shopctl" tenant create -f "$missing" >&2
for slug in acme beta; do
    "$shopctl" product import "$slug" "web/samples/$slug.csv" >&2
done
echo "http://acme.localhost:$port/"
echo "http://beta.localhost:$port/"
