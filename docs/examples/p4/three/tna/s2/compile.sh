#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s2 for tofino and assembles it; everything goes to s2.out.
cd "$(dirname "$0")" || exit 1
rm -rf s2.out
p4c-barefoot --std p4-16 --target tofino --arch tna -g --verbose -o s2.out s2.p4 || exit 1
# The assembler remarks much; what it means is in docs/targets/p4.md. One remark is a broken parser.
bfas --target tofino -o s2.out/pipe s2.out/pipe/s2.bfa 2>s2.out/assembler.log || {
    cat s2.out/assembler.log >&2
    exit 1
}
if grep -q "Can't match parser state" s2.out/assembler.log; then
    echo "compile.sh: this p4c-barefoot loses what the parser selects on, the program would take every packet for the same; use a later one" >&2
    exit 1
fi
