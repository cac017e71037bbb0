#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Instructions per unit of work of the hot paths, against instructions.csv: a change of more than 5 % fails. An
# intended one is written with `instructions.sh --write` (HOT_PATHS=build/tests/hot_paths) and explained in its
# commit. Counts depend on the compiler, so they are compared only where they were taken with the same.
set -u
here=$(cd "$(dirname "$0")" && pwd)
hot=${HOT_PATHS:?path of the program hot_paths}
table=$here/instructions.csv
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

count() { # NAME -> thousandths of an instruction per unit
    rm -rf "$T/run" && mkdir "$T/run"
    units=$(valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file="$T/out" \
        "$hot" "$1" "$T/run" 2>"$T/log") || { sed 's/^/# /' "$T/log" >&2; return 1; }
    total=$(sed -n 's/^totals: //p; s/^summary: //p' "$T/out" | head -n 1)
    [ "${total:-0}" != 0 ] || return 1
    echo $((total * 1000 / units))
}

if ! command -v valgrind >/dev/null 2>&1; then
    echo "1..0 # SKIP valgrind is not installed"
    exit 0
fi
signature=$("$hot" --signature)
if [ "${1:-}" = --write ]; then
    {
        echo "# $signature"
        echo "path,unit,instructions"
        "$hot" --list | while IFS=, read -r name unit; do
            n=$(count "$name") && echo "$name,$unit,$((n / 1000)).$(printf %03d $((n % 1000)))"
        done
    } >"$T/new" && cp "$T/new" "$table"
    exit
fi
if [ "# $signature" != "$(head -n 1 "$table")" ]; then
    echo "1..0 # SKIP counted with another compiler or machine: $signature, the table has $(head -n 1 "$table")"
    exit 0
fi
"$hot" --list >"$T/list"
echo "1..$(wc -l <"$T/list")"
k=0
while IFS=, read -r name unit; do
    k=$((k + 1))
    want=$(sed -n "s/^$name,[^,]*,//p" "$table" | tr -d .)
    if [ -z "$want" ]; then
        echo "not ok $k - $name has no line in instructions.csv"
    elif ! got=$(count "$name"); then
        echo "not ok $k - $name did not run"
    else
        off=$((got > want ? got - want : want - got))
        echo "# $name: $((got / 1000)) instructions per $unit, $((want / 1000)) in the table"
        [ $((off * 100)) -le $((want * 5)) ] && echo "ok $k - $name within 5 %" || echo "not ok $k - $name within 5 %"
    fi
done <"$T/list"
