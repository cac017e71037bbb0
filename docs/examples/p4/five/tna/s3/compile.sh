#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s3 for tofino2 and assembles it; everything goes to s3.out.
# Status 1: it does not compile or assemble; 5: this compiler breaks parsers, its program is not kept.
cd "$(dirname "$0")" || exit 1
out=s3.out
rm -rf "$out"
for tool in p4c-barefoot bfas; do
    command -v $tool >/dev/null 2>&1 || { echo "compile.sh: $tool is not on PATH" >&2; exit 5; }
done
p4c-barefoot --std p4-16 --target tofino2 --arch t2na -g --verbose -o "$out" s3.p4 || exit 1
# The assembler remarks much; what it means is in docs/targets/p4.md.
bfas --target tofino2 -o "$out/pipe" "$out/pipe/s3.bfa" 2>"$out/assembler.log"
status=$?
if ! grep -q '^ *match:' "$out/pipe/s3.bfa" || grep -q "Can't match parser state" "$out/assembler.log"; then
    rm -f "$out"/pipe/*.bin
    echo "compile.sh: this p4c-barefoot loses what a parser selects on (p4lang/p4c: since pull request 5063, until 5753):" >&2
    echo "the program would take every packet for the same and is not kept; take a p4c that has pull request 5753" >&2
    exit 5
fi
[ $status = 0 ] || cat "$out/assembler.log" >&2
[ $status = 0 ] || exit 1
