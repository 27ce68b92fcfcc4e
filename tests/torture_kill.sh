#!/bin/sh
# Operations killed before and after each step, each time resumed, reverted and run again: what test_kill does with one of the
# three in turn.
TEST_ALL=1 TEST="${TEST:-any_moment}" exec "$TEST_BUILD/tests/bin/test_kill"
