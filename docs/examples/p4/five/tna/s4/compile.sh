#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles and assembles the program of s4; the reports are in s4.out.
cd "$(dirname "$0")" || exit 1
p4c-barefoot --target tofino2 --arch t2na --std p4-16 --create-graphs -o s4.out s4.p4
