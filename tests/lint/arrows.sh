#!/bin/sh
# Refuses an include that goes against the house's arrows, a foreign library in a second file, and malloc outside of base/.
set -u
bad=0
say() {
    echo "$1"
    bad=1
}
for file; do
    folder=${file%%/*} module=$(dirname "$file")
    for include in $(sed -n 's/^#include "\([a-z]*\/[^"]*\)"/\1/p' "$file"); do
        to=${include%%/*} to_module=$(dirname "$include")
        case "$folder $to" in
            "tests "* | "bench "* | "base base" | "provisioner base" | "provisioner provisioner" | "cli base" | "cli provisioner" | \
                "cli cli" | "runtime base") ;;
            "runtime runtime")
                [ "$to_module" = "$module" ] || [ "$to_module" = runtime/core ] || [ "$module" = runtime ] ||
                    say "$file: a module may include runtime/core and itself, not $include"
                ;;
            *) say "$file: $folder may not include $include" ;;
        esac
    done
    case $folder in
        base | tests | bench) ;;
        *) grep -nE '\b(malloc|calloc|realloc|strdup|free)\(' "$file" | sed "s|^|$file: memory belongs to arenas: |" | grep . && bad=1 ;;
    esac
done
while read -r header owner; do
    for file in $(grep -lE "#include <$header>" "$@" | grep -vE "^(tests|bench)/"); do
        [ "$file" = "$owner" ] || say "$file: <$header> belongs to $owner alone"
    done
done <tests/lint/foreign.txt
exit $bad
