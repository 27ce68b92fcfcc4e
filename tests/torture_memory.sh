#!/bin/sh
# Every allocation of the requests and the operation of tests/test_memory.c fails once, not only a few of them.
set -eu
export TEST_POINTS="${TEST_POINTS:-1000000}"
exec "$TEST_BUILD/tests/bin/test_memory"
