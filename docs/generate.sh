#!/bin/sh
# Writes what is printed from the programs' tables: generate.sh [BIN_DIR [OUT_DIR]]; the man pages go to OUT_DIR/man, the
# OpenAPI document to OUT_DIR/docs.
set -eu
cd "$(dirname "$0")/.."
bin=${1:-build/bin} out=${2:-.}
"$bin/shopctl" man "$out/man"
if "$bin/shopd" --man >"$out/man/shopd.8.new" 2>/dev/null && [ -s "$out/man/shopd.8.new" ]; then
    mv "$out/man/shopd.8.new" "$out/man/shopd.8"
else
    rm -f "$out/man/shopd.8.new"
fi
mkdir -p "$out/docs"
"$bin/shopd" --openapi >"$out/docs/openapi.json"
