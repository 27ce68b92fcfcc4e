#!/bin/sh
# 8,000 connections that drip (one process has both ends of each), instead of the 500 of tests/test_intruder.c, and a shopper among them.
set -eu
export TEST_DRIPS="${TEST_DRIPS:-8000}" TEST=a_shopper_is_served_among
exec "$TEST_BUILD/tests/bin/test_intruder"
