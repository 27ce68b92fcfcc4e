#!/bin/sh
# The same 200 calls of an engine's API through SSH, on one connection that is there already, against its socket.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/engine.sh"
bench_open engine-ssh
engine_open
need sshd openssh-server && need ssh-keygen openssh-client
calls=${CALLS:-200} sshd_port=$(free_port)
mkdir -p /run/sshd
for key in host user; do ssh-keygen -q -t ed25519 -N '' -f "$work/$key"; done
echo "[127.0.0.1]:$sshd_port $(cut -d ' ' -f 1,2 "$work/host.pub")" >"$work/known"
cat >"$work/sshd" <<EOF
Port $sshd_port
ListenAddress 127.0.0.1
HostKey $work/host
PidFile none
AuthorizedKeysFile $work/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
EOF
start /usr/sbin/sshd -D -f "$work/sshd" -E "$work/sshd.log"
for _ in $(seq 100); do ssh-keyscan -p "$sshd_port" 127.0.0.1 >/dev/null 2>&1 && break || sleep 0.1; done
for _ in $(seq "$pairs"); do
    pair "$("$dedicated" calls "$engine" "$calls" "$sshd_port" "$work/user" "$work/known")" "$("$dedicated" calls "$engine" "$calls")"
done
result engine-ssh s socket
