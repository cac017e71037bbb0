#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The published method stage by stage on synthetic traffic: extract, train, analyze, partition, search,
# sequence, compile, verify; and that the stages give what the dune-paper solution gives in one call.
. "$(dirname "$0")/tap.sh"
cd "$T" || exit 1

# only KEY FILE: the lines of FILE from "KEY": [ to its closing bracket
only() {
    sed -n "/^  \"$1\": \[/,/^  \]/p" "$2"
}

# same_tables A B: classes and sub-models of two plans are the same
same_tables() {
    only classes "$1" >a.txt && only submodels "$1" >>a.txt
    only classes "$2" >b.txt && only submodels "$2" >>b.txt
    test -s a.txt && cmp a.txt b.txt
}

expect 0 "synthetic traffic" "$D" synth -o syn --flows 1200 --snap 96 --quiet
expect 0 "extract" "$D" extract syn --labels syn/labels.csv -o rows.dset --quiet
expect 0 "train" "$D" train rows.dset --features paper --phase published --n 3 --trees 9 --depth 16 --sqrt -o forest.json
expect 0 "analyze" "$D" analyze forest.json rows.dset -o W.csv --scores f.csv
expect 0 "partition" "$D" partition --importance W.csv --scores f.csv --blocks 3 -o blocks.json

# search
expect 0 "search" "$D" search blocks.json rows.dset --budget tight --paper --threads 1 -o submodels.json
has "prints a line per block" out '^ +2 +[0-9.]+ +0\.[0-9]+ +[135] +[0-9]+ +[234] +[1-6] '
check "leaves no partial file" test ! -e submodels.json.partial
expect 0 "2 threads" "$D" search blocks.json rows.dset --budget tight --paper --threads 2 -o again.json --quiet
check "give the same bytes" cmp submodels.json again.json
check "--quiet prints nothing" test ! -s out
expect 0 "3 threads" "$D" search blocks.json rows.dset --budget tight --paper --threads 3 -o again.json --json
check "give the same bytes" cmp submodels.json again.json
has "--json has a line per sub-model" out '"id": 2, "classes": [0-9]+, "trees"'
sed 's/"blocks": 3/"blocks": 4/' submodels.json >odd.json
awk '/^    \{$/ { n++ } n < 2 || /^  \]/ { if (/^  \]/) print "  ]"; else if (!/^}/) print }
    END { print "}" }' submodels.json | sed 's/^    },$/    }/' >first.json
cp first.json again.json.partial
expect 0 "a search that was interrupted" "$D" search blocks.json rows.dset --budget tight --paper -o again.json
has "takes over what was finished" err 'took 1 finished blocks from again.json.partial'
check "and gives the same bytes" cmp submodels.json again.json
cp first.json again.json.partial
expect 0 "another seed" "$D" search blocks.json rows.dset --budget tight --paper --seed 2 -o again.json
check "takes nothing over" sh -c '! grep -q took err'
expect 0 "quick" "$D" search blocks.json rows.dset --effort quick --score f1 --balance 0.5 -o quick.json
has "is recorded" quick.json '"grid": "quick"'
expect 0 "a profile" "$D" search blocks.json rows.dset --effort quick --profile tofino2 --budget loose -o prof.json
has "is recorded" prof.json '"profile": "tofino2",$'
expect 4 "a budget nothing fits" "$D" search blocks.json rows.dset --budget leaves_sum=1 -o bad.json
has "names block and budget" err 'blocks\[0\]: no point of the grid fits 1 leaves'
expect 2 "--paper with --phase" "$D" search blocks.json rows.dset --paper --phase running -o bad.json
expect 2 "--sqrt with --full-features" "$D" search blocks.json rows.dset --sqrt --full-features -o bad.json
expect 2 "no such profile" "$D" search blocks.json rows.dset --profile abacus -o bad.json
expect 2 "no such budget" "$D" search blocks.json rows.dset --budget big -o bad.json
expect 2 "no rows" "$D" search blocks.json -o bad.json
expect 3 "blocks that are none" "$D" search W.csv rows.dset -o bad.json
has "are named" err '^dunectl search: W.csv:1'
sed 's/"doorbell"/"doormat"/' blocks.json >other.json
expect 3 "a class the rows do not have" "$D" search other.json rows.dset -o bad.json
has "is named with its place" err '^dunectl search: other.json: blocks\[[0-9]\].classes: class "doormat" is not in the data set'
check "no output of a failed search" sh -c 'test ! -e bad.json && test ! -e bad.json.partial'

# sequence
expect 0 "sequence --method lop" "$D" sequence submodels.json rows.dset --method lop -o lop.json
has "states the rule" out '^method lop, claim first: 3 sub-models, objective [0-9.]+, [0-9]+ optimal order'
has "states both objectives" out '^end-to-end +[0-9.]+ +[0-9.]+ +[0-2] [0-2] [0-2]$'
expect 0 "sequence, end to end" "$D" sequence submodels.json rows.dset --threads 1 -o sequence.json
has "all orders are equal without early exit" out 'claim best: 3 sub-models, objective 0\.[0-9]+, 6 optimal orders'
expect 0 "2 threads" "$D" sequence submodels.json rows.dset --threads 2 -o again.json
check "give the same bytes" cmp sequence.json again.json
expect 0 "first claim wins" "$D" sequence submodels.json rows.dset --claim first -o first.json --json
has "--json has the order" out '"order": \["[0-2]", "[0-2]", "[0-2]"\]'
has "the file has the sub-models too" first.json '"format": "dune-forest"'
expect 2 "--fallback with first" "$D" sequence submodels.json rows.dset --claim first --fallback best
expect 2 "no rows" "$D" sequence submodels.json
expect 3 "not sub-models" "$D" sequence blocks.json rows.dset -o bad.json
has "says where" err 'blocks.json: format: must be "dune-submodels"'
expect 3 "an incomplete set" "$D" sequence odd.json rows.dset -o bad.json
has "says so" err 'odd.json: submodels: has 3 entries, there are 4 blocks'
expect 0 "other rows" "$D" extract syn/train --labels syn/labels.csv -o other.dset --quiet
expect 3 "are refused" "$D" sequence submodels.json other.dset -o bad.json
has "and named" err 'other.dset: the sub-models were searched on another data set'

# compile
expect 0 "compile" "$D" compile lop.json -o plan.json
has "prints the devices" out '^s3 +engine +[0-2] +[0-9]+/129 +[0-9]/6$'
expect 0 "verify" "$D" verify plan.json
has "claims as the sequence was made for" plan.json '"claim": "first"'
expect 0 "thresholds" "$D" compile sequence.json --fallback best --early-exit 250 --min-confidence 9,doorbell=77 -o p2.json
has "are in the plan" p2.json '"early_exit": 250'
has "for all classes" p2.json '"min_confidence": 9'
has "and for one" p2.json '"min_confidence": 77'
expect 0 "a plan of it" "$D" verify p2.json
cat >row.yaml <<'Y'
devices:
  - {name: edge, profile: bmv2, budget: loose}
  - {name: core, budget: {leaves_sum: 300, features_distinct: 0}}
Y
expect 0 "--topology" "$D" compile sequence.json --topology row.yaml -o p3.json
has "fills the first device first" out '^edge +bmv2 +[0-2]'
expect 0 "its plan" "$D" verify p3.json
expect 4 "too few devices" "$D" compile sequence.json --devices 1 --budget leaves_sum=140 -o bad.json
has "device, budget and number" err 'with it s1 would hold [0-9]+ leaves and [0-9]+ features, the budget is leaves_sum 140'
expect 4 "a budget below a sub-model" "$D" compile sequence.json --budget leaves_sum=2 -o bad.json
has "is named" err 'devices\[[0-9]\].*[0-9]+ leaves, the budget is 2'
printf 'devices: [{name: a}, {name: b}, {name: c}]\nlinks: [[a, c], [b, c]]\n' >tree.yaml
expect 0 "a network" "$D" compile sequence.json --topology tree.yaml --budget none --placement where.json -o net.json
has "one device is enough" where.json '"devices": 1,'
has "which is where all ways meet" where.json '"name": "c", .*"positions": \[1\]'
has "and nothing is better" where.json '"optimal": true'
expect 0 "its plan" "$D" verify net.json
expect 0 "the same plan placed again" "$D" place net.json tree.yaml --budget none --traffic --json
has "with the load of a device" out '"busy": 0.[0-9]+'
expect 0 "as text" "$D" place net.json tree.yaml --budget none --objective resources --traffic
has "with its proof" out 'proved: no placement has less'
printf 'fat_tree: {pods: 2, leafs: 2}\nlayers: {leaf: {budget: leaves_sum=2}, spine: {plain: true}, super_spine: {plain: true}, egress_spine: {plain: true}, egress_leaf: {plain: true}}\n' >fat.yaml
expect 4 "a fat tree without room" "$D" place net.json fat.yaml
has "names a path and the budget" err 'path p1-leaf1 - p1-spine1 - super1 - espine1 - eleaf1 meets 0 of .* its budget is leaves_sum 2'
expect 2 "--placement of a row" "$D" compile sequence.json --topology row.yaml --placement where.json -o bad.json
printf 'devices: [{name: a}, {name: b}]\nlinks: [[a, b], [b, a]]\n' >circle.yaml
expect 3 "a circle" "$D" compile sequence.json --topology circle.yaml -o bad.json
has "is named" err 'circle.yaml: the links go in a circle near device a'
printf 'devices: [{name: a}, {name: a}]\n' >twice.yaml
expect 3 "a name twice" "$D" compile sequence.json --topology twice.yaml -o bad.json
printf 'devices: [{profile: abacus}]\n' >prof.yaml
expect 3 "an unknown profile" "$D" compile sequence.json --topology prof.yaml -o bad.json
has "file and line" err 'prof.yaml:1: profile "abacus" is not known'
expect 3 "sub-models without order" "$D" compile submodels.json -o bad.json
has "names the command that gives one" err 'submodels.json: format: these sub-models have no order yet: dunectl sequence'
expect 2 "--topology and --devices" "$D" compile sequence.json --topology row.yaml --devices 2 -o bad.json
expect 2 "--fallback with first" "$D" compile lop.json --fallback best -o bad.json
expect 2 "a threshold of no class" "$D" compile sequence.json --min-confidence doormat=3 -o bad.json
sed 's/"n": [0-9],$/"n": 1,/' sequence.json >bad-n.json
expect 3 "a forest that is not the chosen one" "$D" compile bad-n.json -o bad.json
has "has a path" err 'bad-n.json: submodels\[0\].forest: n and phase'
check "no output of a failed run" test ! -e bad.json

# the whole method in one call
expect 0 "dune-paper" "$D" plan rows.dset --solution dune-paper --budget tight --devices 5 --choice paper.json -o paper-plan.json
expect 0 "its blocks, searched" "$D" search paper.json rows.dset --budget tight --paper -o s.json --quiet
expect 0 "ordered" "$D" sequence s.json rows.dset --method lop -o q.json --quiet
expect 0 "and compiled" "$D" compile q.json -o p.json --quiet
check "are the same tables" same_tables paper-plan.json p.json
tap_done
