#!/bin/sh
# A resize killed around each step: tests/test_resize.c takes every second one.
TEST_ALL=1 TEST="${TEST:-killed}" exec "$TEST_BUILD/tests/bin/test_resize"
