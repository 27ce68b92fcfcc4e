#!/bin/sh
# Runs one suite, a C one or a script, and prints its output whole when it ends: run_suite.sh NOUN OUT_DIR
set -u
noun=$1 out=$2
if [ -f "tests/suite_$noun.sh" ]; then
    timeout 900 sh "tests/suite_$noun.sh" >"$out/$noun" 2>&1
else
    timeout 900 "$TEST_BUILD/tests/bin/test_$noun" >"$out/$noun" 2>&1
fi
code=$?
echo "$code" >"$out/$noun.exit"
[ $code = 124 ] && echo "$noun took more than 900 s" >>"$out/$noun"
if [ $code = 0 ]; then tail -n 1 "$out/$noun"; else tail -n 60 "$out/$noun"; fi
