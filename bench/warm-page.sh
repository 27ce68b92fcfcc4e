#!/bin/sh
# A product page of about 24 KiB out of shopd's cache, against nginx.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/warm.sh"
warm warm-page /products/large text/html
