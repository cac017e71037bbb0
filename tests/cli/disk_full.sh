#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A disk that is full: an error that says so, no half file, nothing left over; a controller goes on and saves later.
# Needs root, for a small file system in a mount namespace.
. "$(dirname "$0")/tap.sh"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit; }
unshare -m true 2>/dev/null || { echo "1..0 # SKIP mount namespaces cannot be made here"; exit; }
if [ "${1:-}" != inside ]; then
    rm -rf "$T"
    exec unshare -m sh "$0" inside
fi

S=$T/small
mkdir "$S"
mount -t tmpfs -o size=1m none "$S" || { echo "1..0 # SKIP no tmpfs here"; exit; }
trap 'umount "$S" 2>/dev/null; rm -rf "$T"' EXIT
fill() { dd if=/dev/zero of="$S/fill" bs=1k 2>/dev/null; } # until it is full
"$D" synth -q -o "$T/tr" --flows 120 --train-captures 4 --test-captures 1 2>/dev/null
"$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$T/rows.dset"
"$D" train -q "$T/rows.dset" --leaves 40 -o "$T/forest.json"
"$D" plan -q "$T/rows.dset" --budget tiny --devices 2 --effort quick -o "$T/plan.json" 2>/dev/null
full() { # NAME COMMAND...
    name=$1
    shift
    rm -rf "$S"/*
    fill
    expect 5 "$name on a full disk" "$@"
    has "says so" err 'No space left on device'
    check "leaves nothing" [ "$(ls "$S")" = fill ]
}
full extract "$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$S/rows.dset"
full train "$D" train -q "$T/rows.dset" --leaves 40 -o "$S/forest.json"
full analyze "$D" analyze -q "$T/forest.json" "$T/rows.dset" -o "$S/W.csv"
full replay "$D" replay -q "$T/plan.json" "$T/tr/test" --verdicts "$S/v.csv"
rm -f "$S/fill"
head -c 100000 /dev/urandom >"$S/rows.dset"
cp "$S/rows.dset" "$T/before"
fill
expect 5 "an output that was there" "$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$S/rows.dset"
check "is still the old one" cmp "$T/before" "$S/rows.dset"
rm -rf "$S"/*
"$D" synth -q -o "$T/more" --flows 5000 --train-captures 1 --test-captures 1 2>/dev/null
expect 5 "what does not fit into memory does not fit here either" env TMPDIR="$S" "$D" extract -q --memory 32M "$T/more" \
    -l "$T/more/labels.csv" -o "$T/again.dset"
has "says so" err 'no room is left for what does not fit into memory'
check "and there is no output" test ! -e "$T/again.dset"

# The controller's state: refused while the disk is full, taken when there is room again.
rm -rf "$S"/*
BUS=unix:$T/bus
"$D" controller serve -q --bus "$BUS" --state "$S/state" --device s1:1 --device s2:2 2>"$T/serve.log" &
pid=$!
leads() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q '"leader": true' "$T/status"; }
check "a controller" wait_for leads
fill
"$D" controller apply "$T/plan.json" --bus "$BUS" >"$T/out" 2>"$T/err"
check "a plan that cannot be written down is refused" [ $? != 0 ]
check "the controller goes on" "$D" controller status --bus "$BUS"
rm -f "$S/fill"
check "and leads when there is room" wait_for leads
expect 0 "and takes the plan" "$D" controller apply "$T/plan.json" --bus "$BUS"
kill $pid
wait $pid
check "no half file is left" sh -c "! ls '$S/state' | grep -q tmp-"
tap_done
