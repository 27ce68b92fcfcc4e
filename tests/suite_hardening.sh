#!/bin/sh
# Whether the released programs have what makes a memory fault hard to use: read from the files themselves.
set -eu
passed=0 failed=0
check() { # check PROGRAM WHAT COMMAND...
    program=$1 what=$2
    shift 2
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "$program: $what"
    fi
}
has() { echo "$1" | grep -Eq -- "$2"; }
has_not() { ! has "$1" "$2"; }
if ! [ -x build/bin/shopctl ] || ! [ -x build/bin/shopd ]; then make -s build BUILD=release >/dev/null; fi
for program in build/bin/shopctl build/bin/shopd; do
    head=$(readelf -Wh "$program") segments=$(readelf -Wl "$program") dynamic=$(readelf -Wd "$program")
    symbols=$(readelf -W --dyn-syms "$program") units=$(readelf -W --debug-dump=info "$program" 2>/dev/null | grep DW_AT_producer || true)
    check "$program" 'it lies at another address each time' has "$head" 'Type: +DYN'
    check "$program" 'it is a program, not a library' has "$dynamic" 'FLAGS_1.*PIE'
    check "$program" 'its tables can be written once' has "$segments" 'GNU_RELRO'
    check "$program" 'all its tables are filled at the start' has "$dynamic" 'BIND_NOW|FLAGS_1.*NOW'
    check "$program" 'no code on its stack' has "$segments" 'GNU_STACK .* RW '
    check "$program" 'no segment that can be written and run' has_not "$segments" 'LOAD .* RWE '
    check "$program" 'no code that the loader changes' has_not "$dynamic" 'TEXTREL'
    check "$program" 'no library from a path of its own' has_not "$dynamic" 'RPATH|RUNPATH'
    check "$program" 'its stack frames are guarded' has "$symbols" '__stack_chk_fail'
    check "$program" 'copies that are too long end it' has "$symbols" '__(memcpy|vsnprintf|snprintf|fprintf)_chk'
    check "$program" 'its stack grows page by page' has "$units" 'fstack-clash-protection'
    check "$program" 'jumps land where they should' has "$units" 'fcf-protection=full|mbranch-protection=standard'
    check "$program" 'its objects are guarded strongly' has "$units" 'fstack-protector-strong'
done
for unit in provisioner/systemd/*.service; do    # shopd's filter is a call that systemd's own group lacks
    check "$unit" 'shopd may put its filter on itself' has "$(cat "$unit")" '^SystemCallFilter=@system-service seccomp$'
done
echo "hardening: $passed passed, $failed failed"
[ $failed = 0 ]
