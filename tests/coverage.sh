#!/bin/sh
# Runs the tests of a build that counts, and prints line and branch coverage by file.
set -eu
cd "$(dirname "$0")/.."
make BUILD=coverage tests
find build/coverage -name '*.gcda' -delete
sh tests/run.sh build/coverage
gcovr --root . --object-directory build/coverage --exclude 'tests/.*' --exclude '/usr/.*' --exclude-throw-branches \
    --html-details build/coverage/report.html --print-summary --sort-uncovered
