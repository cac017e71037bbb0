#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles and assembles the program of s2; the reports are in s2.out.
cd "$(dirname "$0")" || exit 1
p4c-barefoot --target tofino --arch tna --std p4-16 --create-graphs -o s2.out s2.p4
