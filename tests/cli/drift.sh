#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl drift and retrain: profiles, alarms that name features, a timeline, a new generation through a controller.
. "$(dirname "$0")/tap.sh"

. "$(dirname "$0")/drift_phases.sh"
for i in 1 2 3 4; do phase "p$i" 0 $i; done
for i in 5 6 7 8; do phase "p$i" $(((i - 4) * 100)) $i; done
L=$T/p1/labels.csv
rows() { # OUT FILE...
    rows_out=$1
    shift
    "$D" extract -q --timeout 1 -l "$L" -o "$rows_out" "$@" >/dev/null 2>&1
}
rows "$T/old.dset" "$T"/all/p[1234]-*.pcap
rows "$T/new.dset" "$T"/all/p[678]-*.pcap
rows "$T/all.dset" "$T"/all/*.pcap
check "plan of the first phases" "$D" plan "$T/old.dset" --budget tiny --devices 1 --effort quick -o "$T/plan.json"

expect 2 "learn without an output" "$D" drift learn "$T/plan.json" "$T/old.dset"
expect 0 "learn" "$D" drift learn "$T/plan.json" "$T/old.dset" -o "$T/profile.json" --flows 150
has "a profile" "$T/profile.json" '"format": "dune-drift-profile"'
expect 2 "check without a profile" "$D" drift check "$T/plan.json" "$T/all/p4-a.pcap"
expect 0 "what was trained on has not moved" "$D" drift check "$T/plan.json" "$T/old.dset" --split train \
    --profile "$T/profile.json"
has "and it says so" out 'no feature moved'
expect 0 "check of captures" "$D" drift check "$T/plan.json" "$T"/all/p7-*.pcap --profile "$T/profile.json" --csv "$T/check.csv"
has "names what moved" out 'ALARM: moved: tcp.window'
has "with numbers" "$T/check.csv" '^1,[0-9]+,feature,[0-9]+,[a-z.0-9]+,0\.[0-9]+,0\.[0-9]+,1$'
expect 0 "as JSON" "$D" drift check "$T/plan.json" "$T"/all/p7-*.pcap --profile "$T/profile.json" --json
has "one alarm" out '"alarms": 1'
expect 0 "in windows" "$D" drift check "$T/plan.json" "$T/all/p7-a.pcap" --profile "$T/profile.json" --window 1 --json
sed 's/"plan": "[0-9a-f]*"/"plan": "00"/' "$T/profile.json" >"$T/other.json"
expect 3 "the profile of another plan" "$D" drift check "$T/plan.json" "$T/old.dset" --profile "$T/other.json"
has "is named" err 'belongs to another plan'

expect 0 "a timeline" "$D" drift timeline "$T/all.dset" --capture-order --windows 8 --first 4 --history 1 --budget tiny \
    --devices 1 --effort quick -o "$T/timeline.csv" --svg "$T/timeline.svg"
has "as CSV" "$T/timeline.csv" '^window,flows,f1_fixed,f1_retrained'
has "and as a picture" "$T/timeline.svg" '<svg'
has "that stands alone" "$T/timeline.svg" '<style>'
awk -F, 'NR > 1 {a += $3; b += $4} END {exit !(b > a)}' "$T/timeline.csv"
check "retraining helps" [ $? = 0 ]

expect 4 "retrain on the same flows" "$D" retrain "$T/plan.json" "$T/old.dset" -o "$T/same.json"
has "is not better" err 'not better'
check "and nothing is written" test ! -e "$T/same.json"
expect 0 "retrain on new flows" "$D" retrain "$T/plan.json" "$T/new.dset" -o "$T/next.json" --profile "$T/next.profile.json"
has "says by how much" out 'new plan 0\.[0-9]+ \(difference \+'
check "a verified plan of the next generation" "$D" verify "$T/next.json"
has "with its number" "$T/next.json" '"generation": 2'
expect 0 "its own profile fits" "$D" drift check "$T/next.json" "$T/new.dset" --split train --profile "$T/next.profile.json"
expect 3 "a time-out of its own" "$D" retrain "$T/plan.json" "$ROOT/meson.build" -o "$T/x.json"

# Through a controller: one device on capture files, which forwards what there is and then idles.
"$D" controller serve -q --bus "unix:$T/bus" --state "$T/state" --device s1:1 >/dev/null 2>&1 &
ctl=$!
i=0
while [ ! -S "$T/bus" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
"$D" switch s1 --bus "unix:$T/bus" --in "edge:pcap:$T/all/p1-a.pcap" --out "edge:pcap:,$T/out.pcap" >/dev/null 2>&1 &
sw=$!
"$D" controller apply "$T/plan.json" --bus "unix:$T/bus" >/dev/null 2>&1
i=0
while [ $i -lt 100 ]; do
    "$D" controller status --bus "unix:$T/bus" 2>/dev/null | grep -q '"phase": "steady"' && break
    sleep 0.2
    i=$((i + 1))
done
expect 0 "retrain and promote" "$D" retrain "$T/plan.json" "$T/new.dset" -o "$T/next.json" --bus "unix:$T/bus" \
    --shadow-flows 0 --share 100 --wait 60
has "to all flows" err 'all new flows get generation'
"$D" controller status --bus "unix:$T/bus" >"$T/status" 2>/dev/null
has "the controller agrees" "$T/status" '"phase": "steady"'
expect 5 "without traffic there is nothing to compare" "$D" retrain "$T/plan.json" "$T/new.dset" -o "$T/next.json" \
    --bus "unix:$T/bus" --wait 1
has "and it says so" err 'no comparison in shadow within 1 s'
kill -INT $sw $ctl
wait $sw $ctl
tap_done
