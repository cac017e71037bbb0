#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Labels from nDPI: what it knows, what becomes of rare classes, a capture to a plan without a label file, time ranges.
. "$(dirname "$0")/tap.sh"

cd "$T" || exit 1
python3 "$ROOT/tests/cli/dpi_traffic.py" a.pcap 60 1000 || exit 1
python3 "$ROOT/tests/cli/dpi_traffic.py" b.pcap 40 9000 || exit 1

# Without test captures the latest flows are held back, whatever the labels are.
printf 'prefix,label,start,end\n10.0.0.0/8,early,,1300\n10.0.0.0/8,late,1970-01-01T00:21:40.5Z,\n' >times.csv
expect 0 "labels by prefix and time" "$D" extract a.pcap --labels times.csv -o t.dset
has "the early ones" out '^early +[1-9]'
has "the late ones" out '^late +[1-9]'
expect 0 "run on one capture" "$D" run a.pcap --labels times.csv --effort quick -s none,jewel --devices 1 -o one
has "says what was held back" out 'latest flows of every class'
has "a quarter of the flows" one/metrics.json '"test_was_read": true'
expect 0 "the same again, json" "$D" run a.pcap --labels times.csv --effort quick -s none,jewel --devices 1 -o one --json
cp "$T/out" 1.json
expect 0 "by a share of time" "$D" run a.pcap --labels times.csv --split time:0.5 --effort quick -s none,jewel \
    --devices 1 -o half --json
check "scores are of the flows held back only" python3 - 1.json "$T/out" <<'P'
import json, sys
def flows(path):
    s = json.load(open(path))["solutions"]["jewel"]["per_class"]
    return sum(c["support"] for c in s.values())
a, b = flows(sys.argv[1]), flows(sys.argv[2])
sys.exit(not (100 <= a < 130 and 200 <= b < 250))
P
expect 2 "a split and test captures" "$D" run a.pcap --test b.pcap --split captures --labels times.csv -o x
has "says so" err 'give one of the two'
expect 2 "a split that is none" "$D" run a.pcap --split half --labels times.csv -o x
printf 'prefix,label,start,end\n10.0.0.0/8,early,noon,\n' >bad.csv
expect 3 "a time that is none" "$D" extract a.pcap --labels bad.csv -o x.dset
has "line and reason" err 'bad.csv:2: start "noon" is not a time'

expect 3 "all classes are rare" "$D" extract a.pcap --labels times.csv --min-flows 100000 -o x.dset
has "says which" err 'fewer than 2 classes have 100000 flows or more in train; too few have early, late'

if ! "$D" version | grep -q ndpi; then
    expect 5 "nDPI is not in this build" "$D" extract a.pcap --labels ndpi -o x.dset
    has "says what is missing" err 'libndpi-dev'
    tap_done
fi
expect 0 "labels from nDPI" "$D" extract a.pcap --labels ndpi -o n.dset
has "applications" out '^YouTube +120 '
has "DNS whatever was asked" out '^DNS +120 '
has "how much it knows" out '^nDPI .* knows 186 of 246 connections \(75\.6 %\), guesses 31'
has "rare ones are named" out '1 classes with too few flows count as unlabelled: SSH'
check "as many flows as both directions of what it knows" sh -c "grep -q '^all  *360' '$T/out'"
expect 0 "again" "$D" extract a.pcap --labels ndpi -o n2.dset --threads 1
check "the same bytes" cmp n.dset n2.dset
expect 0 "the rare and the unknown as a class" "$D" extract a.pcap --labels ndpi --unlabelled rest -o x.dset
has "holds both" out '^rest +132 '
expect 0 "rare ones kept" "$D" extract a.pcap --labels ndpi --min-flows 0 -o x.dset
has "SSH is a class" out '^SSH +12 '
expect 0 "what carries them" "$D" extract a.pcap --labels ndpi-protocol -o x.dset
has "TLS instead of YouTube" out '^TLS +120 '
expect 0 "categories, json" "$D" extract a.pcap --labels ndpi-category -o x.dset --json
has "json: coverage" out '"ndpi": .*"connections": 246, "known": 186, "guessed": 31, "unknown": 29'
has "json: rare classes" out '"rare_classes": 1'
expect 0 "guesses, too" "$D" extract a.pcap --labels ndpi:guess -o x.dset
has "a guess from the port" out '^TLS +[1-9]'
expect 2 "a field of a log" "$D" extract a.pcap --labels ndpi --label-field service -o x.dset
expect 3 "a file that is none" "$D" extract a.pcap --labels ./ndpi -o x.dset

expect 0 "from a capture to a classifier" "$D" run --labels ndpi a.pcap --effort quick -s none,dune --devices 3
check "named after the capture" test -s a/plans/dune.json
has "every class of nDPI is recognised" out '^dune +1 +1\.0000 +1\.0000'
expect 0 "on another capture, judged by nDPI" "$D" replay a/plans/dune.json b.pcap --labels ndpi
has "classes that the plan does not know are not scored" out 'packets of 88 flows have no label'
has "the others are recognised" out '^flow +(1\.0000|0\.9)'
cat >e.yaml <<'Y'
name: by-ndpi
data:
  train: a.pcap
  test: b.pcap
  labels: ndpi
  min_flows: 8
  unlabelled: rest
solutions: [none, jewel]
devices: 1
effort: quick
Y
expect 0 "an experiment file" "$D" run e.yaml -o e
has "unlabelled flows are a class, and scored" e/metrics.json '"rest"'

# Everywhere else that takes labels.
mkdir -p d/train d/test && cp a.pcap d/train && cp b.pcap d/test
expect 0 "demo" "$D" demo --data d --labels ndpi --solutions none,jewel --devices 1 -o demo
has "needs no label file" out '^jewel '
check "writes its report" test -s demo/report.html
expect 0 "its run directory knows where labels come from" grep -q '"labels": "ndpi"' demo/run/inputs.json
if "$D" doctor --json 2>/dev/null | grep -A1 '"dashboard"' | grep -q 'built in'; then
    "$D" dash demo/run --listen 127.0.0.1:0 --play jewel --pace max --no-history --json >dash.out 2>dash.err &
    dash=$!
    wait_for test -s dash.out
    state() { # what a replay of the dashboard ended with
        python3 - <<'P'
import json, sys, urllib.request
url = json.loads(open("dash.out").readline())["url"]
st = json.load(urllib.request.urlopen(url + "api/state"))
want = json.load(open("demo/run/metrics.json"))["solutions"]["jewel"]["flow"]["macro"]
sys.exit(not (st["state"] == "finished" and abs(st["f1"]["overall"]["macro"] - want) < 2e-6))
P
    }
    check "the dashboard's replay has the scores of metrics.json" wait_for state
    kill $dash
    wait $dash 2>/dev/null
else
    skip "the dashboard's replay" "this build has no dashboard"
fi
tap_done
