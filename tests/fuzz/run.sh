#!/bin/sh
# Builds each fuzzer by clang's libFuzzer and runs it for a while on its corpus: run.sh SECONDS [NOUN]
set -eu
cd "$(dirname "$0")/../.."
seconds=$1 only=${2:-}
make CC=clang BUILD=fuzz fuzzers
failed=0
for program in build/fuzz/fuzzers/fuzz_*; do
    noun=${program##*/fuzz_}
    [ -z "$only" ] || [ "$only" = "$noun" ] || continue
    corpus=tests/fuzz/corpus/$noun found=build/fuzz/found/$noun
    mkdir -p "$found"
    [ -d "$corpus" ] || corpus=
    # shellcheck disable=SC2086 # an empty corpus is no argument
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/crash-" "$found" $corpus >"$found.log" 2>&1; then
        echo "fuzz $noun: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log") inputs, none broke it"
    else
        tail -n 40 "$found.log"
        echo "fuzz $noun: FAILED, repeat with: $program $found/crash-*"
        failed=1
    fi
done
exit $failed
