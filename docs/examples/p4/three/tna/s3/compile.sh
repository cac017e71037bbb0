#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s3 for tofino and assembles it; everything goes to s3.out.
cd "$(dirname "$0")" || exit 1
rm -rf s3.out
p4c-barefoot --std p4-16 --target tofino --arch tna -g --verbose -o s3.out s3.p4 || exit 1
exec bfas --no-warn --target tofino -o s3.out/pipe s3.out/pipe/s3.bfa
