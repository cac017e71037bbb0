#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole story over a switch in a namespace: a plan serves, its traffic moves, the controller names what moved, a new
# generation is trained, shadowed, shared and promoted, and the alarm is over. Needs root.
. "$(dirname "$0")/tap.sh"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit; }
command -v tcpreplay >/dev/null || { echo "1..0 # SKIP tcpreplay is not installed"; exit; }
unshare -n true 2>/dev/null || { echo "1..0 # SKIP network namespaces cannot be made here"; exit; }
. "$(dirname "$0")/drift_phases.sh"
N=d$$
BUS=unix:$T/bus
pids=
finish() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    wait 2>/dev/null
    "$D" testbed down --name "$N" >/dev/null 2>&1
    rm -rf "$T"
}
trap finish EXIT

for i in 1 2 3 4; do phase "p$i" 0 $i; done
for i in 6 7 8; do phase "p$i" $(((i - 4) * 100)) $i; done
rows() { # OUT FILE...
    rows_out=$1
    shift
    "$D" extract -q --timeout 1 -l "$T/p1/labels.csv" -o "$rows_out" "$@" >/dev/null 2>&1
}
rows "$T/old.dset" "$T"/all/p[1234]-*.pcap
rows "$T/new.dset" "$T"/all/p[678]-*.pcap
# Captures are sent faster than they were taken: no features of time.
check "a plan of the first phases" "$D" plan "$T/old.dset" --budget tiny --devices 1 --effort quick --features notime \
    -o "$T/plan.json"
check "and its profile" "$D" drift learn "$T/plan.json" "$T/old.dset" -o "$T/profile.json" --flows 150

printf 'name: %s\nlevels: [1]\n' "$N" >"$T/row.yaml"
testbed_up "$T/row.yaml"
"$D" controller serve --bus "$BUS" --state "$T/state" --device s1:1 --drift-window 2 2>"$T/controller.log" &
pids="$pids $!"
ip netns exec "$N.s1" "$D" switch s1 --bus "$BUS" --in edge:in0 --out edge:out 2>"$T/s1.log" &
pids="$pids $!"
status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q "$1" "$T/status"; }
leads() { status '"leader": true' && grep -q '"state": "ok"' "$T/status"; }
check "controller and switch are there" wait_for leads
expect 3 "the profile of another plan" "$D" controller apply "$ROOT/tests/golden/plan/seven_nodes.json" \
    --profile "$T/profile.json" --bus "$BUS"
has "is refused with the plan" err 'another plan'
expect 0 "plan and profile" "$D" controller apply "$T/plan.json" --profile "$T/profile.json" --bus "$BUS"
steady() { status '"phase": "steady"' && grep -q '"profile": true' "$T/status" && grep -q '"devices": 1,' "$T/status"; }
check "hold" wait_for steady

play() { ip netns exec "$N.src" tcpreplay -q -i src0 -p 3000 "$@" >/dev/null 2>&1; }
window() { status '"windows": [1-9]'; }
for k in a b; do play "$T/all/p4-$k.pcap"; done
check "a window of what was trained on" wait_for window
sleep 1
check "without an alarm" sh -c "! grep -q 'alarm: drift' '$T/controller.log'"

# From here on the traffic has moved, and goes on while the new generation is made. After a pause longer than the
# time-out the same addresses are new flows.
ip netns exec "$N.src" sh -c "i=0; while [ \$i -lt 40 ] && [ -e '$T/plan.json' ]; do
    tcpreplay -q -i src0 -p 3000 '$T/all/p7-a.pcap' '$T/all/p7-b.pcap' >/dev/null 2>&1; sleep 1.5; i=\$((i + 1)); done" &
pids="$pids $!"
alarm() { grep -q 'alarm: drift of generation 1: moved: tcp.window' "$T/controller.log"; }
check "the alarm names the feature that moved" wait_for alarm
check "and the status has it" status '"alarm": true'
sed -n 's/^.*alarm: drift/# alarm: drift/p' "$T/controller.log"
expect 0 "a new generation" "$D" retrain "$T/plan.json" "$T/new.dset" -o "$T/next.json" --profile "$T/next.profile.json" \
    --bus "$BUS" --shadow-flows 50 --share 50 --share-flows 30 --wait 60
has "is compared in shadow" err 'shadow'
has "shared" err 'share: [0-9]* flows got generation [23]'
has "and promoted" err 'all new flows get generation [23]'
next() { status '"generation": [23]' && grep -q '"windows": [1-9]' "$T/status"; }
check "its own profile is watched" wait_for next
quiet() { status '"alarm": false'; } # a first window of few flows may still look odd
check "and there is no alarm any more" wait_for quiet
tap_done
