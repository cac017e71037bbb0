#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/examples/p4 is what emit writes today (tools/p4_examples.sh refreshes it); the compilers take it.
. "$(dirname "$0")/tap.sh"
for dir in "$ROOT"/docs/examples/p4/*/; do
    name=$(basename "$dir")
    expect 0 "$name" "$D" emit "$dir/plan.json" --target p4-v1model -o "$T/$name" --quiet
    check "$name is fresh" diff -r "$dir/v1model" "$T/$name"
    if command -v p4c-bm2-ss >/dev/null 2>&1; then
        for f in "$T/$name"/*/*.p4; do
            p4c-bm2-ss --std p4-16 -o "$T/x.json" "$f" >"$T/log" 2>&1
            check "$name: $(basename "$f") compiles without a word" sh -c "[ -s '$T/x.json' ] && ! grep . '$T/log'"
            rm -f "$T/x.json"
        done
    else
        skip "$name compiles" "p4c-bm2-ss is not installed"
    fi
done
for plan in "$ROOT"/docs/examples/p4/*/tofino*.json; do
    dir=$(dirname "$plan")
    name=$(basename "$dir")
    expect 0 "$name, TNA" "$D" emit "$plan" --target p4-tna -o "$T/$name.tna" --quiet
    check "$name, TNA, is fresh" diff -r "$dir/tna" "$T/$name.tna"
done
tap_done
