#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the programs and entries in docs/examples/p4 anew from the plans there.
#     tools/p4_examples.sh DUNECTL
set -eu
dunectl=$(realpath "${1:?path of dunectl}")
cd "$(dirname "$0")/../docs/examples/p4"
for plan in */plan.json; do
    dir=$(dirname "$plan")
    rm -rf "$dir/v1model"
    "$dunectl" emit "$plan" --target p4-v1model -o "$dir/v1model" --quiet
done
for plan in */tofino*.json; do
    dir=$(dirname "$plan")
    rm -rf "$dir/tna"
    "$dunectl" emit "$plan" --target p4-tna -o "$dir/tna" --quiet
done
