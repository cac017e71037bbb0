#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s5 for tofino2 and assembles it; everything goes to s5.out.
cd "$(dirname "$0")" || exit 1
rm -rf s5.out
p4c-barefoot --std p4-16 --target tofino2 --arch t2na -g --verbose -o s5.out s5.p4 || exit 1
exec bfas --no-warn --target tofino2 -o s5.out/pipe s5.out/pipe/s5.bfa
