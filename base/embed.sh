#!/bin/sh
# Prints a C file with a table of the given files' contents: embed.sh TABLE ROOT FILE...
set -eu
table=$1 root=$2
shift 2
echo '#include "base/embed.h"'
number=0
for file; do
    [ -f "$file" ] || continue
    number=$((number + 1))
    printf '__asm__(".section .rodata\\n.balign 64\\n%s_%d:\\n.incbin \\"%s\\"\\n%s_%d_end:\\n.byte 0\\n.previous\\n");\n' \
        "$table" $number "$file" "$table" $number
    printf 'extern const char %s_%d[] __attribute__((visibility("hidden"))), %s_%d_end[] __attribute__((visibility("hidden")));\n' \
        "$table" $number "$table" $number
done
echo "const Embedded ${table}[] = {"
number=0
for file; do
    [ -f "$file" ] || continue
    number=$((number + 1))
    printf '    {"%s", %s_%d, %s_%d_end},\n' "${file#"$root"/}" "$table" $number "$table" $number
done
echo '    {0},'
echo '};'
