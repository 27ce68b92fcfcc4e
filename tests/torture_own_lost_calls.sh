#!/bin/sh
# Of all that an operation on a shop of its own could lose some hundred: tests/test_own_lost_calls.c takes six.
TEST_ALL=1 TEST="${TEST:-whatever}" exec "$TEST_BUILD/tests/bin/test_own_lost_calls"
