#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles and assembles the program of s3; the reports are in s3.out.
cd "$(dirname "$0")" || exit 1
p4c-barefoot --target tofino --arch tna --std p4-16 --create-graphs -o s3.out s3.p4
