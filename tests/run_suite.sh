#!/bin/sh
# Runs one suite, a C one or a script, and prints its output whole when it ends: run_suite.sh NOUN OUT_DIR check|torture
set -u
noun=$1 out=$2 kind=$3 began=$(date +%s)
program=test_$noun script=suite_$noun limit_s=1800
[ "$kind" = check ] || program=torture_$noun script=torture_$noun limit_s=14400
if [ -n "${TEST_TIMES:-}" ]; then export CK_XML_LOG_FILE_NAME="$TEST_TIMES/$noun.xml"; fi
if [ -f "tests/$script.sh" ]; then
    timeout "$limit_s" sh "tests/$script.sh" >"$out/$noun" 2>&1
else
    timeout "$limit_s" "$TEST_BUILD/tests/bin/$program" >"$out/$noun" 2>&1
fi
code=$?
echo "$code" >"$out/$noun.exit"
[ $code = 124 ] && echo "$noun took more than $limit_s s" >>"$out/$noun"
[ $code = 0 ] || echo "$noun: exit code $code" >>"$out/$noun"
[ $code = 0 ] && [ "$kind" = check ] || tail -n 60 "$out/$noun" | sed '$d'
echo "$(tail -n 1 "$out/$noun") in $(($(date +%s) - began)) s"
