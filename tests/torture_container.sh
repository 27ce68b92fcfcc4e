#!/bin/sh
# A resize killed around each step: tests/test_container.c takes every second one.
TEST_ALL=1 TEST=resize_that_is_killed exec "$TEST_BUILD/tests/bin/test_container"
