#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a plan says about itself: explanation, notes, open world, tuned baselines, deployments by cost.
. "$(dirname "$0")/tap.sh"
cd "$T" || exit 1
B=leaves_sum=12,features_distinct=3
expect 0 "synthetic traffic" "$D" synth -o syn --flows 900 --snap 96 --quiet
expect 0 "extract" "$D" extract syn --labels syn/labels.csv -o rows.dset --quiet

expect 0 "plan --explain" "$D" plan rows.dset -b $B -d 3 --effort quick --explain --choice c.json \
    --open-world curve.csv --want-precision 0.8 -o p.json
has "says whether distribution pays" out 'devices are worth|distribution does not pay here'
has "lists sub-models" out '^sub-model 0: '
has "lists classes" out '^ +flows +precision +recall'
has "lists the finalists" out '^ +\* (one device|blocks|votes) \([0-9]+ sub-models\): 0\.[0-9]{4}'
has "scores the robust features" out '^  robust +0\.[0-9]{4} \([+-][0-9.]+\)$'
has "and leaves out suspicious ones" out '^  without srcport +0\.'
has "notes have the work that is spared" c.json '"work": \{"early_exit": [0-9]+, "submodels_asked": [0-9.]+'
check "the log of a finished search is gone" test ! -e p.json.search
has "lists false claims" out '% of [a-z]+, mostly as '
has "notes have the open world" c.json '"left_out": \['
has "thresholds are in the plan" p.json '"min_confidence": [1-9]'
has "the curve is CSV" curve.csv '^min_confidence,coverage,precision,macro,false_claims$'
expect 0 "again on one thread" "$D" plan rows.dset -b $B -d 3 --effort quick --choice c1.json --threads 1 \
    --open-world curve1.csv --want-precision 0.8 -o p1.json
check "same notes" cmp c.json c1.json
check "same plan" cmp p.json p1.json
expect 2 "--explain of a baseline" "$D" plan rows.dset --solution jewel --explain -o x.json
expect 2 "a precision above 1" "$D" plan rows.dset --want-precision 2 -o x.json

expect 0 "jewel, tuned" "$D" plan rows.dset -b $B --effort quick --solution jewel --tuned --choice t.json -o t-plan.json
has "is judged by folds" out '^jewel: 1 sub-models on 1 devices; .* by 4-fold cross-validation'
has "notes have the form" t.json '"form": "tuned"'

cat >row.yaml <<'Y'
devices:
  - {name: nic, budget: {leaves_sum: 8, features_distinct: 2}}
  - {name: switch, budget: {leaves_sum: 20, features_distinct: 4}}
Y
expect 0 "devices that differ" "$D" plan rows.dset --topology row.yaml --effort quick -o row.json
expect 0 "their plan is one" "$D" verify row.json
has "with their names" row.json '"name": "switch"'
printf 'fat_tree: {pods: 2, leafs: 2}\nlayers: {leaf: {budget: "leaves_sum=8,features_distinct=2"}, super_spine: {plain: true}}\n' >fat.yaml
expect 0 "a network" "$D" plan rows.dset --topology fat.yaml -b leaves_sum=20,features_distinct=4 --effort quick --placement where.json -o net.json
has "every way of it meets the plan" where.json '"network_devices": [0-9]+,'
check "leafs and others hold sub-models that fit them" sh -c "grep -q '\"optimal\": true' where.json"
expect 0 "its plan is one" "$D" verify net.json
expect 2 "--topology and --devices" "$D" plan rows.dset --topology row.yaml -d 2 -o x.json
expect 2 "--topology of a baseline" "$D" plan rows.dset --topology row.yaml --solution jewel -o x.json
expect 0 "no time at all" "$D" plan rows.dset -b $B -d 3 --time-limit 0.001 --effort quick -o late.json
expect 0 "still gives a plan" "$D" verify late.json
expect 0 "a profile that carries no votes" "$D" plan rows.dset -b $B -d 3 --effort quick --profile bmv2 --explain -o bm.json
has "scores them and says why not" out 'votes \(3 sub-models\): 0\.[0-9]{4}, .*; only the engine carries votes'

expect 0 "pareto" "$D" plan rows.dset -b $B -d 2 --effort quick --pareto front.csv -o best.json
has "prints the points" out '^ +2 +[12] +0\.[0-9]{4} .*'
check "one line per number of devices" test "$(wc -l <front.csv)" = 3
expect 0 "the chosen plan is one" "$D" verify best.json
expect 4 "an F1 out of reach" "$D" plan rows.dset -b $B -d 2 --effort quick --want-f1 0.999 --pareto f.json -o x.json
has "says what is in reach" err 'the best has 0\.'
has "points are there all the same" f.json '"points": \['
check "but no plan" test ! -e x.json
expect 0 "a modest F1" "$D" plan rows.dset -b $B -d 2 --effort quick --want-f1 0.1 --json -o small.json
has "is JSON" out '"chosen": '
expect 2 "--pareto with --explain" "$D" plan rows.dset --pareto f.json --explain -o x.json

cat >e.yaml <<'Y'
name: shortcuts
data:
  train: syn/train
  test: syn/test
  labels: syn/labels.csv
  captures: syn/captures.csv
solutions: [jewel]
devices: 2
budget: {leaves_sum: 12, features_distinct: 3}
effort: quick
Y
expect 0 "compare --ablation" "$D" compare e.yaml -o r --ablation
has "has the robust set" out '^robust +[12] +0\.[0-9]{4} +[+-][0-9.]+$'
has "has a row per feature" out '^without srcport '
has "is in metrics.json" r/metrics.json '"features": "without ttl", "submodels"'
check "no plan without srcport uses it" sh -c '! grep -q "\"srcport\"" r/plans/ablation-srcport.json'
check "the robust plan uses no fragile feature" sh -c \
    '! grep -Eq "\"(srcport|dstport|ip.ttl|tcp.window)\"" r/plans/ablation-robust.json'
expect 0 "with --final" "$D" compare e.yaml -o r --ablation --final
has "plans are used again" err 'ablation-robust: the plan is there already'
has "rows have test scores" out '^without window +[12] +0\.[0-9]{4} +[+-][0-9.]+ +0\.[0-9]{4} +[+-][0-9.]+$'
expect 0 "compare --pareto" "$D" compare e.yaml -o r --pareto
has "the front is in the run directory" r/pareto.json '"devices": 2'
has "with its best point" r/pareto.json '"chosen": [01]'
expect 0 "again" "$D" compare e.yaml -o r --pareto
has "it is used again" err 'plans for every number of devices are there already'
expect 0 "without it" "$D" compare e.yaml -o r
check "there are no rows" sh -c '! grep -q robust out'
tap_done
