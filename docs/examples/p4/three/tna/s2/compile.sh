#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s2 for tofino and assembles it; everything goes to s2.out.
cd "$(dirname "$0")" || exit 1
rm -rf s2.out
p4c-barefoot --std p4-16 --target tofino --arch tna -g --verbose -o s2.out s2.p4 || exit 1
exec bfas --no-warn --target tofino -o s2.out/pipe s2.out/pipe/s2.bfa
