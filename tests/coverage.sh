#!/bin/sh
# Runs the tests of a build that counts, and prints line and branch coverage by file, and what of the SQL functions ran.
set -eu
cd "$(dirname "$0")/.."
report=build/coverage/report
make -j "$(nproc)" BUILD=coverage tests
find build/coverage -name '*.gcda' -delete
# shopd writes what it counted as the user that it became, so the files are there before it.
find build/coverage -name '*.gcno' | sed 's/gcno$/gcda/' | xargs touch
find build/coverage -name '*.gcda' -exec chmod a+rw {} +
export TEST_PG_AT_END=tests/sql_coverage.sh TEST_PG_OPTIONS="-c shared_preload_libraries=plpgsql,plpgsql_check \
    -c plpgsql_check.profiler=on -c plpgsql_check.profiler_max_shared_chunks=100000"
# Without sanitizers there is time for more of the moments at which memory runs out.
export TEST_POINTS=20 CK_TIMEOUT_MULTIPLIER=4
failed=0
sh tests/run.sh build/coverage || failed=1
TEST_PG_AT_END='' sh tests/run.sh build/coverage own_lost_calls '' torture || failed=1
find build/coverage -name '*.gcda' -empty -delete
mkdir -p "$report"
# assert and STR_ARG have a branch that no input can take.
gcovr --root . --object-directory build/coverage --exclude 'tests/.*' --exclude '/usr/.*' \
    --exclude-branches-by-pattern '.*\b(assert|STR_ARG)\(.*' \
    --html-details "$report/index.html" --csv "$report/files.csv"
awk -F ',' 'function percent(part, whole) { return whole ? 100 * part / whole : 100 }
    NR > 1 { printf "%-36s lines %5.1f %%  branches %5.1f %% of %d\n", $1, percent($3, $2), percent($6, $5), $5
        lines += $2; ran += $3; branches += $5; taken += $6 }
    END { printf "%-36s lines %5.1f %%  branches %5.1f %% of %d\n", "all", percent(ran, lines), percent(taken, branches), branches }
' "$report/files.csv"
echo "what wasn't run: $report/index.html"
exit $failed
