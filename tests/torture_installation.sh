#!/bin/sh
# `shopctl up` and what it started killed at any moment, with the tests of tests/test_installation.c that take long.
TEST_ALL=1 exec "$TEST_BUILD/tests/bin/test_installation"
