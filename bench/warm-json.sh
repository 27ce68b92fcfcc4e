#!/bin/sh
# A product of the store API as JSON, about 600 bytes, out of shopd's cache, against nginx.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/warm.sh"
warm warm-json /api/v1/store/products/small application/json
