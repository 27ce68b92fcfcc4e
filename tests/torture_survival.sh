#!/bin/sh
# 200 kills at random under the buyers of tests/test_survival.c, each of which must be over within 10 s.
set -eu
export TEST_KILLS="${TEST_KILLS:-200}" TEST_READY_MS="${TEST_READY_MS:-10000}"
exec "$TEST_BUILD/tests/bin/test_survival"
