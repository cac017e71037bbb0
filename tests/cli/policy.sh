#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl policy: what an operator decides is in the plan, and the engine does it.
. "$(dirname "$0")/tap.sh"

hex() {
    for b in "$@"; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$b")"
    done
}

# packet SECOND PORT: 42 bytes, UDP from 10.0.0.1 to 10.0.0.2, port 53
packet() {
    hex "$1" 00 00 00 00 00 00 00 2a 00 00 00 2a 00 00 00
    hex 02 00 00 00 00 ff 02 00 00 00 00 01 08 00
    hex 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02 "$2" 00 00 35 00 08 00 00
}

{ hex d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 01 00 01 00 00 00
    for s in 01 02 03 04 05 06; do packet "$s" a1; done; } >"$T/a.pcap"
P=$ROOT/tests/golden/plan/seven_nodes.json
N=$T/new.json

expect 0 "no decision" "$D" policy "$P" -o "$N" -q
check "leaves the plan as it is" cmp "$P" "$N"
expect 0 "actions" "$D" policy "$P" --action camera=mark:46 -a lock=mirror:7:any -o "$N"
expect 0 "are shown" "$D" show "$N"
has "mark" out '^camera +0 +mark +46$'
has "mirror at once" out '^lock +0 +mirror \(any\) +7$'
check "nothing else changes" sh -c "diff '$P' '$N' | grep -c '^[<>]' | grep -qx 4"
expect 0 "all classes, into the plan itself" "$D" policy "$N" -a '*=forward' -o "$N" -q
check "and back" cmp "$P" "$N"
expect 0 "drop" "$D" policy "$P" -a '*=drop:any' -o "$N" --json
has "says how many classes" out '"classes_with_action": 2'
expect 0 "without it" "$D" replay "$P" "$T/a.pcap" --json
check "nothing is dropped" sh -c "! grep -q 'dropped_action' '$T/out'"
expect 0 "with it" "$D" replay "$N" "$T/a.pcap" --json
has "packets are" out '"dropped_action": [1-6]'

expect 0 "confidence" "$D" policy "$P" --min-confidence '*=255' -o "$N"
expect 0 "is shown" "$D" show "$N"
has "for every class" out '^lock +255 +forward +0$'

expect 0 "a filter" "$D" policy "$P" --prefix 192.0.2.0/24 --prefix 2001:db8::1 --port 443 --port 5000-5999 --protocol udp \
    --protocol tcp --protocol 17 -o "$N"
expect 0 "is shown, too" "$D" show "$N"
has "prefixes" out '^looks only at packets from or to 192\.0\.2\.0/24, 2001:db8::1/128$'
has "ports" out '^looks only at packets from or to port 443, 5000-5999$'
has "protocols, each once" out '^looks only at packets of protocol 17, 6$'
expect 0 "other traffic" "$D" replay "$N" "$T/a.pcap" --json
has "is not looked at" out '"filtered": 6'
expect 0 "more of it" "$D" policy "$N" --prefix 10.0.0.0/8 --port 53 -o "$N" -q
expect 0 "now it is" "$D" replay "$N" "$T/a.pcap" --json
has "looked at" out '"filtered": 0'
expect 0 "all traffic" "$D" policy "$N" --all-traffic -o "$N" -q
check "as before" cmp "$P" "$N"
expect 0 "links" "$D" policy "$P" --chain-mtu 1508 -o "$N" -q
expect 0 "with a limit" "$D" show "$N"
has "are named" out '^packets that are longer than 1508 bytes with a shim travel without$'

for bad in camera camera= =drop 'camera=mark' camera=mark:64 camera=mark:1:any camera=drop:1 camera=steer:65536 camera=shout camera=dropx \
    door=drop camera=mark:-1 camera=mark:99999999999999999999999; do
    expect 2 "no action: $bad" "$D" policy "$P" -a "$bad" -o "$T/bad.json"
done
has "says what there is" err "'mark:9+' is not an action: forward, mark:DSCP"
for bad in 10.0.0.1/8 10.0.0.0/33 10.0.0.0/ 10.0.0/8 ::/129 here 1.2.3.4/x; do
    expect 2 "no prefix: $bad" "$D" policy "$P" --prefix "$bad" -o "$T/bad.json"
done
for bad in 65536 9-8 a 1- -1 1-2-3; do
    expect 2 "no port: $bad" "$D" policy "$P" "--port=$bad" -o "$T/bad.json"
done
expect 2 "no protocol" "$D" policy "$P" --protocol quic -o "$T/bad.json"
expect 2 "no confidence" "$D" policy "$P" --min-confidence camera=256 -o "$T/bad.json"
check "nothing was written" test ! -e "$T/bad.json"
expect 3 "no plan" "$D" policy "$T/a.pcap" -o "$T/bad.json"
expect 2 "no output" "$D" policy "$P"
tap_done
