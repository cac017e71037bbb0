#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drift on devices that count for themselves: a switch of the fast engine and one of XDP, each in a namespace. Traffic
# that has moved raises an alarm with the name of what moved, traffic that was trained on does not. Needs root.
. "$(dirname "$0")/tap.sh"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit; }
command -v tcpreplay >/dev/null || { echo "1..0 # SKIP tcpreplay is not installed"; exit; }
unshare -n true 2>/dev/null || { echo "1..0 # SKIP network namespaces cannot be made here"; exit; }
. "$(dirname "$0")/drift_phases.sh"
N=e$$
BUS=
pids=
stop() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    wait 2>/dev/null
    pids=
    "$D" testbed down --name "$N" >/dev/null 2>&1
}
finish() {
    stop
    rm -rf "$T"
}
trap finish EXIT

for i in 1 2 3 4; do phase "p$i" 0 $i; done
phase p7 300 7
"$D" extract -q --timeout 1 -l "$T/p1/labels.csv" -o "$T/old.dset" "$T"/all/p[1234]-*.pcap >/dev/null 2>&1
check "a plan" "$D" plan "$T/old.dset" --budget tiny --devices 1 --effort quick --features notime -o "$T/plan.json"
check "and its profile" "$D" drift learn "$T/plan.json" "$T/old.dset" -o "$T/profile.json" --flows 150

status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q "$1" "$T/status"; }
leads() { status '"leader": true' && grep -q '"state": "ok"' "$T/status"; }
steady() { status '"phase": "steady"' && grep -q '"profile": true' "$T/status" && grep -q '"devices": 1,' "$T/status"; }
window() { status '"windows": [1-9]'; }
alarm() { status '"alarm": true' && grep -q '"moved": "[^"]*tcp.window.*leaves of sub-model 0 (.*by tcp.window' "$T/status"; }
play() { ip netns exec "$N.src" tcpreplay -q -i src0 -p 3000 "$@" >/dev/null 2>&1; }
story() { # ENGINE
    BUS=unix:$T/bus-$1
    printf 'name: %s\nlevels: [1]\n' "$N" >"$T/row.yaml"
    testbed_up "$T/row.yaml"
    "$D" controller serve --bus "$BUS" --state "$T/state-$1" --device s1:1 --drift-window 2 2>"$T/controller.log" &
    pids="$pids $!"
    ip netns exec "$N.s1" "$D" switch s1 --engine "$1" --fix --bus "$BUS" --in edge:in0 --out edge:out 2>"$T/s1.log" &
    pids="$pids $!"
    check "$1: controller and switch are there" wait_for leads
    expect 0 "$1: plan and profile" "$D" controller apply "$T/plan.json" --profile "$T/profile.json" --bus "$BUS"
    check "$1: hold, and the device counts" wait_for steady
    play "$T"/all/p[1234]-*.pcap
    check "$1: a window of what was trained on" wait_for window
    sleep 2
    sed -n 's/^ *"\(answers\|windows\|alarms\)": .*/# trained on: &/p' "$T/status"
    check "$1: raises no alarm" sh -c "! grep -q 'alarm: drift' '$T/controller.log'"
    play "$T/all/p7-a.pcap" "$T/all/p7-b.pcap"
    check "$1: the alarm names the feature that moved, by its ranges and by its leaves" wait_for alarm
    sed -n 's/^.*alarm: drift/# alarm: drift/p' "$T/controller.log"
    stop
}
story fast
story xdp
tap_done
