#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s4 for tofino2 and assembles it; everything goes to s4.out.
cd "$(dirname "$0")" || exit 1
rm -rf s4.out
p4c-barefoot --std p4-16 --target tofino2 --arch t2na -g --verbose -o s4.out s4.p4 || exit 1
exec bfas --no-warn --target tofino2 -o s4.out/pipe s4.out/pipe/s4.bfa
