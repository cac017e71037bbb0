#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s1 for tofino and assembles it; everything goes to s1.out.
cd "$(dirname "$0")" || exit 1
rm -rf s1.out
p4c-barefoot --std p4-16 --target tofino --arch tna -g --verbose -o s1.out s1.p4 || exit 1
exec bfas --no-warn --target tofino -o s1.out/pipe s1.out/pipe/s1.bfa
