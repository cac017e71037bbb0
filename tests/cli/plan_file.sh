#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl verify and show: a good plan, wrong ones, the golden tables.
. "$(dirname "$0")/tap.sh"
P=$ROOT/tests/golden/plan/seven_nodes.json

expect 0 "a good plan" "$D" verify "$P"
has "is summed up" out 'ok: 2 classes, 1 sub-models, 1 devices, 4 leaves$'
expect 0 "as JSON" "$D" verify --json "$P"
has "says ok" out '"ok": true'
sed 's/"match": "00\*"/"match": "0**"/' "$P" >"$T/overlap.json"
expect 3 "overlapping rows" "$D" verify "$T/overlap.json"
has "are named" err 'overlap.json: submodels\[0\].trees\[0\].leaves\[1\].match: row 0 already matches'
expect 3 "the same as JSON" "$D" verify --json "$T/overlap.json"
has "is not ok" out '"ok": false'
has "and says where" out '"place": "submodels\[0\].trees\[0\].leaves\[1\].match"'
sed 's/"leaves_sum": 129/"leaves_sum": 3/' "$P" >"$T/budget.json"
expect 4 "over budget" "$D" verify "$T/budget.json"
has "names the device" err 'devices\[0\].leaves_sum: .* 4 leaves, the budget is 3'
sed 's/"version": 1/"version": 7/' "$P" >"$T/version.json"
expect 3 "an unknown version" "$D" verify "$T/version.json"
has "is said" err 'a plan of version 7\.0'
printf '{\n "format": dune\n}\n' >"$T/syntax.json"
expect 3 "no JSON" "$D" verify "$T/syntax.json"
has "file and line" err 'syntax.json:2:'
expect 3 "no file" "$D" verify "$T/none.json"
expect 2 "no argument" "$D" verify

expect 0 "show" "$D" show "$P"
has "sub-models" out 's1 +1 +3 +running +1 +4 +camera, lock +ip.len, ip.ttl, len.max'
has "budgets" out 's1 +engine +4/129 +3/6 '
has "a switch" out 's1 +tofino1 .* yes$'
expect 0 "one profile" "$D" show "$P" --profile tofino2
check "hides the others" sh -c "! grep -q xdp '$T/out'"
expect 2 "no such profile" "$D" show "$P" --profile abacus
has "lists them" err 'bmv2, engine, tofino1, tofino2, xdp'
expect 0 "show as JSON" "$D" show --json "$P"
has "has resources" out '"profile": "tofino1", "fits": true'
expect 3 "show checks too" "$D" show "$T/overlap.json"
expect 0 "tables" "$D" show --tables "$P"
grep -v '^#' "$ROOT/tests/golden/plan/seven_nodes.txt" >"$T/golden"
check "are the golden ones" diff "$T/golden" "$T/out"
tap_done
