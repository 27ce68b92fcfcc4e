#!/bin/sh
# An upgrade killed at each of the moments of tests/test_upgrade.c, which takes every third one.
TEST_ALL=1 TEST="${TEST:-killed}" exec "$TEST_BUILD/tests/bin/test_upgrade"
