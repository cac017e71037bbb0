#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s5 for tofino2 and assembles it; everything goes to s5.out.
cd "$(dirname "$0")" || exit 1
rm -rf s5.out
p4c-barefoot --std p4-16 --target tofino2 --arch t2na -g --verbose -o s5.out s5.p4 || exit 1
# The assembler remarks much; what it means is in docs/targets/p4.md. One remark is a broken parser.
bfas --target tofino2 -o s5.out/pipe s5.out/pipe/s5.bfa 2>s5.out/assembler.log || {
    cat s5.out/assembler.log >&2
    exit 1
}
if grep -q "Can't match parser state" s5.out/assembler.log; then
    echo "compile.sh: this p4c-barefoot loses what the parser selects on, the program would take every packet for the same; use a later one" >&2
    exit 1
fi
