#!/bin/sh
# Installs programs, manual, plans, completion and systemd units: install.sh DESTDIR PREFIX. Both may be empty.
set -eu
cd "$(dirname "$0")/.."
prefix=${2:-/usr/local}
root=${1%/}$prefix
units=${1%/}$prefix/lib/systemd/system
users=${1%/}$prefix/lib/sysusers.d

put() { # put MODE FILE DIRECTORY
    mkdir -p "$3"
    install -m "$1" "$2" "$3/"
}

put 755 build/bin/shopctl "$root/bin"
put 755 build/bin/shopd "$root/bin"
for plan in plans/*.yaml; do put 644 "$plan" "$root/share/shopctl/plans"; done
for page in man/*.[1-8]; do
    if [ -f "$page" ]; then put 644 "$page" "$root/share/man/man${page##*.}"; fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build/bin/shopctl completion bash >"$work/shopctl"
put 644 "$work/shopctl" "$root/share/bash-completion/completions"
build/bin/shopctl completion zsh >"$work/_shopctl"
put 644 "$work/_shopctl" "$root/share/zsh/site-functions"
build/bin/shopctl completion fish >"$work/shopctl.fish"
put 644 "$work/shopctl.fish" "$root/share/fish/vendor_completions.d"

for unit in shopctl.service shopd@.service; do
    sed "s|@PREFIX@|$prefix|" "provisioner/systemd/$unit" >"$work/$unit"
    put 644 "$work/$unit" "$units"
done
cp provisioner/systemd/sysusers.conf "$work/shopctl.conf"
put 644 "$work/shopctl.conf" "$users"

if [ -z "${1:-}" ]; then
    if command -v systemd-sysusers >/dev/null 2>&1; then systemd-sysusers "$users/shopctl.conf" || true; fi
    if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
fi
echo "installed into $root: start it by 'systemctl enable --now shopctl', or by 'shopctl up --data /var/lib/shopctl'"
