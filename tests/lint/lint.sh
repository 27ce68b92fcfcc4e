#!/bin/sh
# Checks what machines can check: format, arrows, allocation, static analysis, shell scripts. lint.sh FILE...
set -u
cd "$(dirname "$0")/../.." || exit
failed=0
part() { # part NAME COMMAND...
    name=$1
    shift
    if "$@"; then echo "lint: $name: ok"; else
        echo "lint: $name: FAILED"
        failed=1
    fi
}
c_files=$(printf '%s\n' "$@" | grep '\.c$')
# shellcheck disable=SC2086 # lists of file names without blanks
part format clang-format --dry-run -Werror "$@"
part arrows sh tests/lint/arrows.sh "$@"
# shellcheck disable=SC2086
part clang-tidy sh -c 'printf "%s\n" "$@" | xargs -P "$(nproc)" -n 4 clang-tidy --quiet 2>/dev/null' tidy $c_files
# shellcheck disable=SC2086
part cppcheck cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability --std=c11 -I. -j "$(nproc)" \
    --suppress=missingIncludeSystem --suppress=syntaxError --suppress=unknownMacro --suppress=internalAstError $c_files
part shellcheck sh -c 'git ls-files "*.sh" .ci/run | xargs shellcheck -S warning'
exit $failed
