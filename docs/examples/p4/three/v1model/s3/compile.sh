#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the program of s3 with p4c-bm2-ss.
#     compile.sh [--test-clock]     time from 8 bytes in front of Ethernet
cd "$(dirname "$0")" || exit 1
define=
[ "${1:-}" = --test-clock ] && define=-DDUNE_TEST_CLOCK
exec p4c-bm2-ss --std p4-16 $define --p4runtime-files s3.p4info.json -o s3.json s3.p4
