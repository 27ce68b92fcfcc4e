#!/bin/sh
# Measures what issue "Proven" names, a script per figure; run.sh [NAME]. Lines of figures go to stdout, raw ones to stderr.
set -eu
cd "$(dirname "$0")/.."
figures='warm-page warm-json checkout memory cold-page import hammer drip neighbours tenant-create scale'
only=${1:-}
if [ -n "$only" ] && ! echo "$figures" | tr ' ' '\n' | grep -qxF -- "$only"; then
    echo "bench: there is no figure '$only': ONLY is one of $figures" >&2
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
    sh "bench/$figure.sh" || { echo "bench: $figure failed" >&2; failed=1; }
done
exit $failed
