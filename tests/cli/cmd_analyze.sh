#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl analyze on synthetic traffic, and from there to blocks.
. "$(dirname "$0")/tap.sh"
cd "$T" || exit 1
expect 0 "traffic" "$D" synth -o traffic --flows 2000 -q
expect 0 "rows" "$D" extract traffic -l traffic/labels.csv --captures traffic/captures.csv -o rows.dset -q
expect 0 "forest" "$D" train rows.dset --trees 3 --sqrt --depth 12 --features notime -o forest.json -q

expect 0 "analyze" "$D" analyze forest.json rows.dset -o W.csv --scores f.csv
has "prints a row per class" out '^[a-z-]+ +[0-9]+\.[0-9]{3} +[0-9]+\.[0-9] +[a-z0-9.]+ [01]\.[0-9]{2}'
has "W begins with the class" W.csv '^class,[a-z]'
has "f has the support" f.csv '^class,f1,support$'
check "W and f have the same classes" sh -c "cut -d, -f1 W.csv >a; cut -d, -f1 f.csv | cmp - a"
check "rows of W sum to 1" awk -F, 'NR > 1 { s = 0; for (i = 2; i <= NF; i++) s += $i
    if (s < 0.999999 || s > 1.000001) bad = 1 } END { exit bad }' W.csv
expect 0 "again on one thread" "$D" analyze forest.json rows.dset -o W1.csv --scores f1.csv --threads 1
check "the same W" cmp W.csv W1.csv
check "the same f" cmp f.csv f1.csv
expect 0 "a tree that knows its rows by heart" "$D" train rows.dset --seed 7 -o heart.json -q
expect 0 "is judged without them" "$D" analyze heart.json rows.dset -o H.csv --scores h.csv -q
check "so it is not perfect" awk -F, 'NR > 1 && $2 < 99 { low = 1 } END { exit !low }' h.csv
check "one that does not say how it was trained" sh -c "grep -v '\"trained\"' heart.json >mute.json"
expect 0 "is judged as it is" "$D" analyze mute.json rows.dset -o M.csv --scores m.csv
has "with a remark" err 'does not say how it was trained'
check "and looks perfect" awk -F, 'NR > 1 && $2 < 99 { low = 1 } END { exit low }' m.csv
check "importance is that of the forest" cmp H.csv M.csv

expect 0 "permutation" "$D" analyze forest.json rows.dset -o P.csv --method permutation --repeats 2 --json
has "as JSON" out '"importance": \{"'
expect 0 "permutation again" "$D" analyze forest.json rows.dset -o P1.csv --method permutation --repeats 2
check "same seed, same bytes" cmp P.csv P1.csv
expect 0 "and on to blocks" "$D" partition -w W.csv -f f.csv -o blocks.json
has "with features" blocks.json '"features": \["'

expect 2 "no arguments" "$D" analyze
expect 2 "no output" "$D" analyze forest.json rows.dset
expect 3 "no such forest" "$D" analyze none.json rows.dset -o bad.csv
expect 3 "rows that are no rows" "$D" analyze forest.json forest.json -o bad.csv
expect 3 "a forest that is none" "$D" analyze rows.dset rows.dset -o bad.csv
check "no output of a failed run" test ! -e bad.csv
expect 5 "unwritable output" "$D" analyze forest.json rows.dset -o none/W.csv
tap_done
