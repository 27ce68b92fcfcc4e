#!/bin/sh
# Starts a platform with both sample shops and buys there in Chromium; STOREFRONT_PICTURES=DIR gets screenshots.
set -eu
cd "$(dirname "$0")/.."
shopctl=$TEST_BUILD/bin/shopctl
work=$(mktemp -d /tmp/shop-browser.XXXXXX)
chmod 711 "$work"
export SHOPCTL_DATA="$work/data"
stop() {
    "$shopctl" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
"$shopctl" up --listen "127.0.0.1:$port"
"$shopctl" tenant create -f web/samples/shops.yaml
for slug in acme beta; do
    "$shopctl" product import "$slug" "web/samples/$slug.csv"
done
word=Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen
"$shopctl" tenant create wide --plan free --name "$word" --email "$word@wide.example" --language en --country GB
printf 'Handle,Title,Type,Vendor,Variant Price\nwide,The %s,%s,%s,1234567.89\n' "$word" "$word" "$word" |
    "$shopctl" product import wide -
HOME=$work node tests/browser/buy.mjs "$port" "${STOREFRONT_PICTURES:-}"
