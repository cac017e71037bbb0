#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole job on generated traffic: run, resume, compare, bad experiments.
. "$(dirname "$0")/tap.sh"

cd "$T" || exit 1
expect 0 "synth makes traffic" "$D" synth -o data --flows 1200 --quiet
cat >e.yaml <<'Y'
name: generated
data:
  train: data/train
  test: data/test
  labels: data/labels.csv
  captures: data/captures.csv
solutions: [none, jewel, dune]
devices: 3
budget: {leaves_sum: 20, features_distinct: 3}
effort: quick
Y
expect 0 "run" "$D" run e.yaml -o r --verdicts
has "the table has no inference" out '^none '
has "the table has the baseline" out '^jewel '
has "the table has dune" out '^dune '
has "what the choice owes to shortcuts" out 'choice of dune fitted again, train macro: robust 0'
has "differences come with intervals" out 'dune over jewel: .*95 %'
has "metrics.json says that test was read" r/metrics.json '"test_was_read": true'
check "verdicts are written" test -s r/verdicts/dune.csv
cp r/plans/dune.json first.json
expect 0 "run again" "$D" run e.yaml -o r
has "what is there is used again" err 'dune: the plan is there already'
rm r/plans/dune.json
expect 0 "run after a loss, on one thread" "$D" run e.yaml -o r --threads 1
check "same seed, same plan" cmp first.json r/plans/dune.json
expect 0 "replay of the plan" "$D" replay r/plans/dune.json data/test/*.pcap --captures data/captures.csv \
    --verdicts v.csv --quiet
check "the verdicts are those of the run" cmp v.csv r/verdicts/dune.csv
expect 0 "compare" "$D" compare e.yaml -o cmp
has "compare does not read test" out 'test captures were not read'
check "nor writes test scores" sh -c '! grep -q "\"flow\"" cmp/metrics.json'
has "but scores of the folds" cmp/metrics.json '"folds": .*"macro": 0\.[0-9]+, "judged_by": ".*validation'
has "and what devices need" cmp/metrics.json '"name": "s1", .*"fits": true'
expect 0 "json" "$D" run e.yaml -o r --json
has "json has scores" out '"macro"'

# Ctrl-C while the plans are made: 130 (0 if it was faster), then the same command ends with the same bytes.
"$D" run e.yaml -o cut >cut.txt 2>cut.err &
job=$!
tries=0
until [ -s cut/choice/dune.search ] || [ $tries -ge 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -INT $job
wait $job
status=$?
check "an interrupted run says so" test $status = 130 -o $status = 0
[ $status = 0 ] || check "what was tried is kept" test -s cut/choice/dune.search
check "and leaves no temporary file" sh -c '! find cut -name "*.tmp-*" | grep -q .'
expect 0 "it goes on from there" "$D" run e.yaml -o cut
check "to the same plan" cmp first.json cut/plans/dune.json
check "and the log of the search is gone" test ! -e cut/choice/dune.search
check "and the same scores" sh -c 'sed "/ns_per_packet/,/}/d" r/metrics.json >a.txt; sed "/ns_per_packet/,/}/d" cut/metrics.json >b.txt; cmp a.txt b.txt'

expect 0 "demo on synthetic traffic" "$D" demo -o demo --solutions none
has "says that it is synthetic" err 'demo/traffic is synthetic'
expect 0 "demo on a directory of data" "$D" demo -o demo2 --data data --solutions jewel --devices 1
has "prints the comparison" out '^jewel +1 '
has "with the boundaries of its captures.csv" out "by bootstrap over captures"
expect 3 "demo without test captures" "$D" demo -o demo3 --data demo/traffic/train
has "says what a data directory has" err 'traffic/train/train: not there; .*train/, test/ and labels\.csv'
expect 3 "demo with labels that are not there" "$D" demo -o demo3 --data data --labels none.csv
check "no output" test ! -e demo3

echo "nonsense: 1" >bad.yaml
expect 3 "unknown key" "$D" run bad.yaml -o x
has "file and line" err 'bad.yaml:1'
expect 2 "unknown solution" "$D" run e.yaml -o x --solutions wizardry
has "says which there are" err 'unknown solution "wizardry"; there are none, .*dune$'
expect 3 "missing captures" "$D" run e.yaml -o x --test nowhere.pcap
expect 5 "impossible directory" "$D" run e.yaml -o /dev/null/x
check "no partial output" test ! -e x/metrics.json
tap_done
