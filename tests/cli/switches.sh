#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A controller and three switches as processes, killed and started again. Needs root.
. "$(dirname "$0")/tap.sh"
if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root"
    exit
fi
if ! command -v ip >/dev/null || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP network namespaces cannot be made here"
    exit
fi
N=w$$
PLAN=$ROOT/tests/golden/plan/seven_nodes.json
BUS=unix:$T/bus
pids=
finish() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    "$D" testbed down --name "$N" >/dev/null 2>&1
    rm -rf "$T"
}
trap finish EXIT
controller() {
    "$D" controller serve --bus "$BUS" --state "$T/state" --device s1:1 --device s2:2 --device s3:3 2>>"$T/controller.log" &
    ctl=$!
    pids="$pids $ctl"
}
switch() { # NAME IN OUT [OPTION...]
    name=$1 in=$2 out=$3
    shift 3
    ip netns exec "$N.$name" "$D" switch "$name" --bus "$BUS" --in "$in:in0" --out "$out:out" "$@" 2>>"$T/$name.log" &
    last=$!
    pids="$pids $last"
}
status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q "$1" "$T/status"; }
all_ok() { status '"phase": "steady"' && [ "$(grep -c '"state": "ok"' "$T/status")" = 3 ]; }
held_by_all() { all_ok && [ "$(grep -c '"held": \[[0-9]*\]' "$T/status")" = 3 ]; }

printf 'name: %s\nlevels: [1, 1, 1]\n' "$N" >"$T/row.yaml"
testbed_up "$T/row.yaml"
expect 5 "no controller, no answer" "$D" controller status --bus "$BUS"
switch s1 edge chain
s1=$last
switch s2 chain chain
s2=$last
switch s3 chain edge
s3=$last
controller
expect 3 "a bad plan never leaves" "$D" controller apply "$T/row.yaml" --bus "$BUS"
check "the controller answers" wait_for status '"leader": true'
expect 5 "another controller with this state" "$D" controller serve --bus "unix:$T/bus2" --state "$T/state" --device s1:1
has "says why" err 'another controller uses this directory'
expect 0 "apply" "$D" controller apply "$PLAN" --bus "$BUS"
check "all devices hold it" wait_for held_by_all
expect 2 "nothing to promote" "$D" controller promote --bus "$BUS"
has "says why" err 'there is no canary'
expect 0 "pin" "$D" controller pin 10.9.0.0/16 "$(sed -n 's/.*"name": "\([a-z][^"]*\)", "min.*/\1/p' "$PLAN" | head -n 1)" --bus "$BUS"
expect 0 "exempt" "$D" controller exempt "tcp 10.0.0.1:80 10.0.0.2:4000" --bus "$BUS"
expect 2 "no prefix" "$D" controller exempt nonsense --bus "$BUS"

kill -9 $ctl
wait $ctl 2>/dev/null
controller
check "a new controller takes over" wait_for held_by_all
check "with the pins" grep -q '10.9.0.0/16' "$T/status"
check "and a higher epoch" sh -c "! grep -q '\"epoch\": 1,' '$T/status'"

kill -9 "$(pgrep -P $s2 || echo $s2)" 2>/dev/null
wait $s2 2>/dev/null
lost() { status '"state": "lost"'; }
check "a dead switch is lost" wait_for lost
switch s2 chain chain
s2=$last
check "it gets its plan back" wait_for held_by_all
expect 0 "take a plan away" "$D" controller bare s3 --bus "$BUS"
bare() { status '"held": \[\]'; }
check "the device is bare" wait_for bare
expect 0 "give it back" "$D" controller unbare s3 --bus "$BUS"
check "it holds it again" wait_for held_by_all
expect 0 "a second plan" "$D" controller apply "$PLAN" --share 10 --bus "$BUS"
canary() { status '"phase": "canary"'; }
check "is a canary" wait_for canary
expect 0 "is taken back" "$D" controller rollback --bus "$BUS"
check "leaves the switches as they were" sh -c "! grep -i 'error\|crash' '$T/s1.log'"

# the same devices as XDP programs: one that is killed goes on forwarding, the edge goes on stripping
arrived() { ip -n "$N.snk" -s link show snk0 | awk '/RX:/ { getline; print $2 }'; }
sends_all() { # every packet that is sent arrives
    before=$(arrived)
    ip netns exec "$N.src" tcpreplay -q -i src0 -p 1000 "$T/few.pcap" >/dev/null 2>&1
    sleep 0.5
    [ $(($(arrived) - before)) = "$n_few" ]
}
gone() { ! kill -0 "$1" 2>/dev/null; }
kill $s1 $s2 $s3
wait $s1 $s2 $s3 2>/dev/null
if ! command -v tcpreplay >/dev/null || ! command -v ethtool >/dev/null; then
    skip "XDP switches" "tcpreplay or ethtool is not installed"
else
    "$D" synth --flows 30 --train-captures 1 --test-captures 1 --force -q -o "$T/tr" >/dev/null 2>&1
    cp "$T"/tr/test/*.pcap "$T/few.pcap"
    n_few=$("$D" extract "$T/few.pcap" --labels "$T/tr/labels.csv" -o "$T/few.dset" 2>/dev/null | sed -n 's/^\([0-9]*\) packets,.*/\1/p')
    ip -n "$N.s2" link set out mtu 1516
    ip netns exec "$N.snk" ethtool -K snk0 gro on
    switch s1 edge chain --engine xdp
    s1=$last
    switch s2 chain chain --engine xdp
    s2=$last
    switch s3 chain edge --engine xdp
    s3=$last
    sleep 1
    if gone $s1; then
        skip "XDP switches" "$(tail -n 1 "$T/s1.log")"
    else
        check "XDP switches get the plan" wait_for held_by_all
        check "all packets arrive ($n_few)" sends_all
        kill -9 $s2 $s3
        wait $s2 $s3 2>/dev/null
        check "also when two agents are killed" sends_all
        switch s2 chain chain --engine xdp
        s2=$last
        switch s3 chain edge --engine xdp
        s3=$last
        check "agents started again take over" wait_for held_by_all
        check "and all packets arrive" sends_all
        kill $s1 $s2 $s3
        wait $s1 $s2 $s3 2>/dev/null
        check "an orderly end leaves no program" sh -c "! ip -n '$N.s2' link show in0 | grep -q xdp"
    fi
    ip -n "$N.s2" link set out mtu 1500
fi

expect 5 "an interface that is not there" ip netns exec "$N.s1" "$D" switch s1 --bus "$BUS" --in edge:none0 --out chain:out
ip -n "$N.s2" link set out mtu 1500
expect 5 "an MTU without room for the shim" ip netns exec "$N.s2" "$D" switch x --bus "$BUS" --in chain:in0 --out chain:out
has "with the command that mends it" err 'ip link set out mtu 1508'
expect 2 "the same port twice" "$D" switch s1 --in edge:lo --out chain:lo
expect 2 "a port without kind" "$D" switch s1 --in lo --out chain:eth0
expect 2 "NATS elsewhere without credentials" "$D" switch s1 --bus nats://192.0.2.1:4222 --in edge:lo --out chain:x
has "says what it takes" err 'needs credentials'
tap_done
