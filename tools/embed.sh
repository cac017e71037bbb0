#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints a C file with the bytes of FILE and a zero byte as the constant array SYMBOL.
#     embed.sh FILE SYMBOL
echo "/* made from $(basename "$1") by embed.sh */"
echo "extern const char $2[];"
echo "const char $2[] = {"
od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
echo "0};"
