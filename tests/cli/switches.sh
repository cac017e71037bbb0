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
wait_for() { # COMMAND...: up to 20 s
    i=0
    while [ $i -lt 100 ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
        i=$((i + 1))
    done
    return 1
}
controller() {
    "$D" controller serve --bus "$BUS" --state "$T/state" --device s1:1 --device s2:2 --device s3:3 2>>"$T/controller.log" &
    ctl=$!
    pids="$pids $ctl"
}
switch() { # NAME IN OUT
    ip netns exec "$N.$1" "$D" switch "$1" --bus "$BUS" --in "$2:in0" --out "$3:out" 2>>"$T/$1.log" &
    last=$!
    pids="$pids $last"
}
status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q "$1" "$T/status"; }
all_ok() { status '"phase": "steady"' && [ "$(grep -c '"state": "ok"' "$T/status")" = 3 ]; }
held_by_all() { all_ok && [ "$(grep -c '"held": \[[0-9]*\]' "$T/status")" = 3 ]; }

printf 'name: %s\nlevels: [1, 1, 1]\n' "$N" >"$T/row.yaml"
"$D" testbed up "$T/row.yaml" || { echo "1..0 # SKIP no testbed"; exit; }
expect 5 "no controller, no answer" "$D" controller status --bus "$BUS"
switch s1 edge chain
switch s2 chain chain
s2=$last
switch s3 chain edge
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

expect 5 "an interface that is not there" ip netns exec "$N.s1" "$D" switch s1 --bus "$BUS" --in edge:none0 --out chain:out
ip -n "$N.s2" link set out mtu 1500
expect 5 "an MTU without room for the shim" ip netns exec "$N.s2" "$D" switch x --bus "$BUS" --in chain:in0 --out chain:out
has "with the command that mends it" err 'ip link set out mtu 1508'
expect 2 "the same port twice" "$D" switch s1 --in edge:lo --out chain:lo
expect 2 "a port without kind" "$D" switch s1 --in lo --out chain:eth0
expect 2 "NATS elsewhere without credentials" "$D" switch s1 --bus nats://192.0.2.1:4222 --in edge:lo --out chain:x
has "says what it takes" err 'needs credentials'
tap_done
