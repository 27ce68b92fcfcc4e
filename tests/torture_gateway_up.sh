#!/bin/sh
# The gateway of `shopctl up`, with the tests of tests/test_gateway_up.c that take long.
TEST_ALL=1 exec "$TEST_BUILD/tests/bin/test_gateway_up"
