#!/bin/sh
# Installs the packages of packages.txt and the npm ones of tests/browser that are missing; with the word `build` only those that
# building and running need, with `dedicated` those of make demo-dedicated, too. Does nothing when all are there.
# Only the browser's tests need the npm ones, so that without them everything else goes on.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
    build) end='# [.]{3} ' ;;
    dedicated) end='# [.]{3} and ' ;;
    *) end='$' ;;
esac
wanted=$(sed -E "/^$end/,\$d" packages.txt | grep -v '^#')
installed=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' 2>/dev/null | sed -n 's/ ii *$//p')
missing=
for package in $wanted; do
    case $package in
        # Another build of node, outside of Debian's packages, serves as well.
        nodejs | npm) command -v "${package%js}" >/dev/null 2>&1 && continue ;;
    esac
    printf '%s\n' "$installed" | grep -qx "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "installing$missing" >&2
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
[ -z "${1:-}" ] || exit 0
lock=tests/browser/package-lock.json
if [ -f $lock ] && ! cmp -s $lock tests/browser/node_modules/.lock-installed; then
    (cd tests/browser && npm ci --loglevel=error --no-audit --no-fund --fetch-retries=1 --fetch-retry-mintimeout=1000 >&2 && cp package-lock.json node_modules/.lock-installed) ||
        echo "npm couldn't install what tests/browser needs (see above): 'make check SUITE=browser' will fail, all else works" >&2
fi
