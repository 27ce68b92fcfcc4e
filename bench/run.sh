#!/bin/sh
# Measures what issue "Proven" names, a script per figure; run.sh [NAME]. Lines of figures go to stdout, raw ones to stderr.
set -eu
cd "$(dirname "$0")/.."
figures='warm-page warm-json checkout memory cold-page import hammer drip neighbours tenant-create dedicated-create dedicated-neighbours engine-ssh move scale'
peers='peer-vendure'
only=${1:-}
if [ -z "$only" ]; then
    if command -v node >/dev/null; then figures="$figures $peers"; else echo "bench: no node, no figures against peers" >&2; fi
elif [ "$only" = peers ]; then
    only=$peers
elif ! echo "$figures $peers" | tr ' ' '\n' | grep -qxF -- "$only"; then
    echo "bench: there is no figure '$only': ONLY is one of $figures peers $peers" >&2
    exit 64
fi
failed=0
if [ -z "$only" ]; then
    BENCH_DATA=$(mktemp -d /tmp/shop-bench.XXXXXX)/data
    export BENCH_DATA
    chmod 755 "${BENCH_DATA%/data}"
    trap 'build/bin/shopctl down --data "$BENCH_DATA" >/dev/null 2>&1 || true; rm -rf "${BENCH_DATA%/data}"' EXIT
    trap 'exit 130' INT TERM
fi
for figure in ${only:-$figures}; do
    case $figure in
        peer-*) script=bench/peers/${figure#peer-}.sh ;;
        *) script=bench/$figure.sh ;;
    esac
    sh "$script" || { echo "bench: $figure failed" >&2; failed=1; }
done
exit $failed
