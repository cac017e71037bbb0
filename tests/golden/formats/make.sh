#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make.sh DUNECTL DIR: one small file of every format, as this version writes it, for tests/cli/formats.sh. Run once per released
# version of the formats (docs/compatibility.md); what is there is never made again. Needs root for the traces.
# messages.txt: DUNE_WRITE_MESSAGES=DIR/messages.txt tests/unit/controller/test_control_messages
set -eu
D=$1
out=$2
mkdir "$out"
cd "$out"
"$D" synth -q -o tr --flows 40 --train-captures 4 --test-captures 1
rm tr/README.md tr/profile.yaml
gzip -9n tr/train/*.pcap tr/test/*.pcap
cat >experiment.yaml <<'END'
version: 1
name: golden
data: {train: tr/train, test: tr/test, labels: tr/labels.csv, captures: tr/captures.csv}
solutions: [none, jewel, dune-paper, dune]
devices: 2
budget: tiny
effort: quick
END
"$D" extract -q tr --labels tr/labels.csv --captures tr/captures.csv -o rows.dset
"$D" train -q rows.dset --trees 3 --sqrt --leaves 12 -o forest.json
"$D" analyze -q forest.json rows.dset -o W.csv --scores f.csv
"$D" partition -q --importance W.csv --scores f.csv --blocks 2 -o blocks.json
"$D" search -q blocks.json rows.dset --budget tiny --effort quick -o submodels.json
"$D" sequence -q submodels.json rows.dset -o sequence.json
"$D" compile -q sequence.json -o plan.json
"$D" replay -q plan.json tr/test --captures tr/captures.csv --labels tr/labels.csv --verdicts verdicts.csv >/dev/null
"$D" drift learn -q plan.json rows.dset -o profile.json
"$D" drift check plan.json tr/test --captures tr/captures.csv --profile profile.json --all >drift.txt || [ $? = 1 ]
"$D" run -q experiment.yaml -o run --verdicts >/dev/null
rm -f run/*.dset run/verdicts/*
rmdir run/verdicts
sed -i "s|$(pwd)/|/golden/|g" run/inputs.json

# Live: what a controller keeps, and what devices trace.
"$D" controller serve -q --bus "unix:$out.bus" --state state --device s1:1 --device s2:2 2>/dev/null &
ctl=$!
i=0
until "$D" controller apply plan.json --bus "unix:$out.bus" >/dev/null 2>&1 || [ $i = 50 ]; do i=$((i + 1)); sleep 0.1; done
"$D" controller pin 10.1.0.0/16 "$(sed -n 's/.*"name": "\([a-z][^"]*\)", "min.*/\1/p' plan.json | head -n 1)" --bus "unix:$out.bus" >/dev/null
sleep 1
kill $ctl
wait $ctl || :
rm -f "$out.bus" state/lease*
printf 'name: gold%s\nlevels: [1, 1]\n' $$ >row.yaml
"$D" testbed run row.yaml --plan plan.json --pcap tr/test/synth-01.pcap.gz --pps 200 --trace trace --quiet >/dev/null
rm row.yaml
gzip -9n trace/*

# The history of a dashboard.
cp -r run played
sed -i "s|/golden/|$(pwd)/|g" played/inputs.json
"$D" dash played --listen 127.0.0.1:0 --history history.sqlite --play dune --pace max >/dev/null 2>&1 &
dash=$!
sleep 4
kill $dash
wait $dash || :
rm -r played
