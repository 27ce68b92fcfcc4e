#!/bin/sh
# Prints compile_commands.json for clang-tidy and editors: compile_commands.sh 'CC FLAGS' FILE...
set -eu
command=$(printf '%s' "$1" | sed 's/-flto=auto//; s/"/\\"/g')
shift
separator='['
for file; do
    printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' "$separator" "$PWD" "$file" "$command" "$file"
    separator=','
done
printf '\n]\n'
