#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl partition: results, usage errors, bad input.
. "$(dirname "$0")/tap.sh"
cat >"$T/W.csv" <<X
class,len,port,ttl
web,0.7,0.2,0.1
dns,0.1,0.8,0.1
cam,0.6,0.3,0.1
tv,0.1,0.2,0.7
X
cat >"$T/f.csv" <<X
,class,f1_score
0,tv,80
1,web,91
2,dns,70
3,cam,90
X
cd "$T" || exit 1

expect 0 "greedy" "$D" partition --importance W.csv --scores f.csv -o blocks.json
has "names the method and the total" out '^method greedy: 4 classes, 3 features, 2 blocks, objective 0\.[0-9]+$'
has "prints a block" out 'web, cam +len$'
has "prints the levels" out '^ +2 +0\.[0-9]+ +<- taken$'
has "writes the file" blocks.json '"classes": \["web", "cam"\]'
has "with its method" blocks.json '"method": "greedy"'
expect 0 "--json" "$D" partition -w W.csv -f f.csv --json
check "prints what -o writes" cmp "$T/out" blocks.json
for m in exact ilp; do
    expect 0 "$m" "$D" partition -w W.csv -f f.csv --method $m --json
    has "$m is proven" out '"optimal": true'
    cp "$T/out" one.json
    for t in 1 2 3; do
        expect 0 "$m on $t threads" "$D" partition -w W.csv -f f.csv --method $m --json --threads $t
        check "gives the same bytes" cmp "$T/out" one.json
    done
done
expect 0 "--blocks" "$D" partition -w W.csv -f f.csv --blocks 3 --json
check "makes three" test "$(grep -c gain "$T/out")" = 3
expect 0 "random" "$D" partition -w W.csv -f f.csv --method random --blocks 2 --seed 5 --json
cp "$T/out" one.json
expect 0 "random again" "$D" partition -w W.csv -f f.csv --method random --blocks 2 --seed 5 --json
check "same seed, same bytes" cmp "$T/out" one.json
printf 'class,web,dns,cam,tv\nweb,9,0,0,5\ndns,0,9,4,0\ncam,0,4,9,0\ntv,5,0,0,9\n' >C.csv
expect 0 "together" "$D" partition -w W.csv -f f.csv --method together --confusion C.csv --blocks 2 --json
has "joins what is confused" out '"classes": \["web", "tv"\]'
has "with the confusion as objective" out '"objective": 18,'
expect 0 "--classes" "$D" partition -w W.csv -f f.csv --classes tv,web,cam --json
has "in the order given" out '"classes": \["tv", "web", "cam"\]'

expect 2 "no files" "$D" partition
expect 2 "no such method" "$D" partition -w W.csv -f f.csv --method gredy
expect 2 "0 blocks" "$D" partition -w W.csv -f f.csv --blocks 0
expect 2 "more blocks than classes" "$D" partition -w W.csv -f f.csv --blocks 5
has "says so" err '4 classes cannot make 5 blocks'
expect 2 "random without --blocks" "$D" partition -w W.csv -f f.csv --method random
expect 2 "together without --confusion" "$D" partition -w W.csv -f f.csv --method together --blocks 2
expect 2 "--confusion without together" "$D" partition -w W.csv -f f.csv --confusion C.csv
expect 4 "ilp of two classes" "$D" partition -w W.csv -f f.csv --method ilp --classes tv,web

expect 3 "no such file" "$D" partition -w none.csv -f f.csv -o bad.json
expect 3 "a class is missing in f" sh -c "grep -v tv f.csv >g.csv; '$D' partition -w W.csv -f g.csv -o bad.json"
has "is named" err 'only in importance: tv'
expect 3 "NaN in W" sh -c "sed 's/,0.8,/,nan,/' W.csv >V.csv; '$D' partition -w V.csv -f f.csv -o bad.json"
has "file, line, feature and class" err '^dunectl partition: V.csv:3: port of "dns" is "nan"'
expect 3 "negative importance" sh -c "sed 's/,0.8,/,-0.8,/' W.csv >V.csv; '$D' partition -w V.csv -f f.csv -o bad.json"
expect 3 "no features" sh -c "cut -d, -f1 W.csv >V.csv; '$D' partition -w V.csv -f f.csv -o bad.json"
has "says so" err 'no features'
expect 3 "a class twice" sh -c "{ cat W.csv; tail -n 1 W.csv; } >V.csv; '$D' partition -w V.csv -f f.csv -o bad.json"
expect 3 "unknown class asked for" "$D" partition -w W.csv -f f.csv --classes tv,radio -o bad.json
has "is named" err 'class "radio"'
expect 3 "confusion without a class" sh -c "printf 'class,web\nweb,1\n' >E.csv
    '$D' partition -w W.csv -f f.csv --method apart --confusion E.csv --blocks 2 -o bad.json"
check "no output of a failed run" test ! -e bad.json
expect 5 "unwritable output" "$D" partition -w W.csv -f f.csv -o none/blocks.json
expect 0 "rows that do not sum to 1" sh -c "sed 's/,0.8,/,0.4,/' W.csv >V.csv; '$D' partition -w V.csv -f f.csv"
has "draw a warning" err 'warning: the importance of class "dns" sums to 0.6'

P=${DUNE_SHARED_DATA:-../shared/data}/published
if [ -e "$P/expected.json" ]; then
    expect 0 "published ilp case" "$D" partition -m ilp --json \
        -w "$P/ton10-w-f-spp/importance_weights_ToN-IoT.csv" -f "$P/ton10-w-f-spp/ToN-IoT_score_per_class.csv"
    has "has its value" out '"objective": 319.35262252849'
    expect 0 "26 classes in little memory" "$D" partition -m exact --memory 64 --json \
        -w "$P/unsw-w-f-spp/importance_weights.csv" -f "$P/unsw-w-f-spp/score_per_class.csv"
    has "are not called optimal" out '"optimal": false'
    has "and the gap is stated" out '"gap": 0\.[0-9]'
else
    skip "published cases" "the shared data are not here"
fi
tap_done
