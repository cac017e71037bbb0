#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s4 for tofino2 and assembles it; everything goes to s4.out.
cd "$(dirname "$0")" || exit 1
rm -rf s4.out
p4c-barefoot --std p4-16 --target tofino2 --arch t2na -g --verbose -o s4.out s4.p4 || exit 1
# The assembler remarks much; what it means is in docs/targets/p4.md. One remark is a broken parser.
bfas --target tofino2 -o s4.out/pipe s4.out/pipe/s4.bfa 2>s4.out/assembler.log || {
    cat s4.out/assembler.log >&2
    exit 1
}
if grep -q "Can't match parser state" s4.out/assembler.log; then
    echo "compile.sh: this p4c-barefoot loses what the parser selects on, the program would take every packet for the same; use a later one" >&2
    exit 1
fi
