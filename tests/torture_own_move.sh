#!/bin/sh
# A set-plan killed around each step: what test_own_move does around some.
TEST_ALL=1 TEST="${TEST:-killed}" exec "$TEST_BUILD/tests/bin/test_own_move"
