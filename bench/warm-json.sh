#!/bin/sh
# A product of the store API as JSON, about 600 bytes, out of shopd's cache, against nginx.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/warm.sh"
warm warm-json /api/v1/store/products/small application/json
