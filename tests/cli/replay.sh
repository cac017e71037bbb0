#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl replay: report, verdict file, output capture, options, refusals.
. "$(dirname "$0")/tap.sh"

# hex BYTE...: the bytes
hex() {
    for b in "$@"; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$b")"
    done
}

# Little-endian pcap, Ethernet.
head_of_file() {
    hex d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 01 00 01 00 00 00
}

# packet SECOND MAC PORT: 42 bytes, UDP over IPv4
packet() {
    hex "$1" 00 00 00 00 00 00 00 2a 00 00 00 2a 00 00 00
    hex 02 00 00 00 00 ff 02 00 00 00 00 "$2" 08 00
    hex 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02 "$3" 00 00 35 00 08 00 00
}

# shimmed SECOND: a packet that comes with the shim's EtherType
shimmed() {
    hex "$1" 00 00 00 00 00 00 00 2a 00 00 00 2a 00 00 00
    hex 02 00 00 00 00 ff 02 00 00 00 00 01 88 b5
    hex 34 00 01 ff 00 01 08 00 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02
}

{ head_of_file; packet 01 01 a1; packet 02 02 a2; packet 03 01 a1; shimmed 04; packet 04 01 a1; } >"$T/a.pcap"
printf 'mac,label\n02:00:00:00:00:01,a\n02:00:00:00:00:02,b\n' >"$T/labels.csv"
printf 'file,source_capture,packets\na.pcap,x,2\na.pcap,y,3\n' >"$T/captures.csv"
P=$ROOT/tests/golden/plan/seven_nodes.json
L=$T/labels.csv

expect 0 "a capture" "$D" replay "$P" "$T/a.pcap" --verdicts "$T/v.csv" --pcap-out "$T/b.pcap"
has "what came in" out '^5 packets, 210 bytes on the wire, 1 captures, 1 devices, engine reference$'
has "reasons" out '^  shim_inside +1 '
has "devices" out '^[a-z0-9]+ +5 +5 +4 '
check "has no scores without labels" sh -c "! grep -q 'macro F1' '$T/out'"
has "verdict file, header" "$T/v.csv" '^packet,capture,class,final,tentative,settled,phase,device,submodel,confidence$'
has "verdict file, a forged shim is no verdict" "$T/v.csv" '^3,a.pcap,,0,0,0,,,,$'
check "verdict file, one row per packet" test "$(wc -l <"$T/v.csv")" = 6
expect 0 "again, from what came out" "$D" replay "$P" "$T/b.pcap" --pcap-out "$T/c.pcap" --quiet
check "prints nothing when quiet" test ! -s "$T/out"
check "the same bytes" cmp "$T/b.pcap" "$T/c.pcap"
expect 0 "with the shim kept" "$D" replay "$P" "$T/a.pcap" --pcap-out "$T/c.pcap" --keep-shim
check "8 bytes more per packet" test "$(($(wc -c <"$T/c.pcap") - $(wc -c <"$T/b.pcap")))" = 40
expect 0 "forged shims dropped" "$D" replay "$P" "$T/a.pcap" --edge-shim drop --json
has "are counted" out '"dropped_edge_shim": 1'
expect 0 "labels" "$D" replay "$P" "$T/a.pcap" --labels "$L" --confusion
has "are scored" out '^flow +[01]\.[0-9]+ +[01]\.'
has "flows" out '^2 labelled flows; intervals: bootstrap over 2 flows \(fewer than 4 captures\)$'
has "confusion" out '^confusion, flows'
expect 0 "captures" "$D" replay "$P" "$T/a.pcap" --labels "$L" --captures "$T/captures.csv" --verdicts "$T/v.csv" --json
has "cut flows" out '"flows": 3,'
has "and name rows" "$T/v.csv" '^4,a.pcap#y,'
has "json: solution" out '^  "solutions": \{$'
for k in flow packet per_class coverage ns_per_packet devices resources; do
    has "json: $k" out "\"$k\":"
done
expect 0 "rules" "$D" replay "$P" "$T/a.pcap" --rules delay:0 --slots 8 --ways 1 --check-keys --name mine --json
has "json: name" out '"mine": \{'

expect 2 "no capture" "$D" replay "$P"
expect 2 "unknown engine" "$D" replay "$P" "$T/a.pcap" --engine steam
has "says which there are" err 'there is: reference'
"$D" replay "$P" "$T/a.pcap" --engine xdp >"$T/out" 2>"$T/err"
case $? in
0) has "an engine that this machine has says so" out 'engine xdp$' ;;
5) has "an engine that is not here says why" err 'engine "xdp" (cannot run here|is not part of this build)' ;;
*) check "engine xdp runs or says why not" false ;;
esac
expect 2 "rules nonsense" "$D" replay "$P" "$T/a.pcap" --rules delay:soon
expect 2 "rules without delay" "$D" replay "$P" "$T/a.pcap" --rules-everywhere
expect 2 "shim kept where" "$D" replay "$P" "$T/a.pcap" --keep-shim
expect 2 "confusion of what" "$D" replay "$P" "$T/a.pcap" --confusion
expect 2 "slots" "$D" replay "$P" "$T/a.pcap" --slots 5
has "are a power of two" err 'power of two'
expect 2 "ways" "$D" replay "$P" "$T/a.pcap" --ways 9
expect 3 "no plan" "$D" replay "$L" "$T/a.pcap"
expect 3 "no such capture" "$D" replay "$P" "$T/none.pcap"
head -c 60 "$T/a.pcap" >"$T/cut.pcap"
expect 3 "cut capture" "$D" replay "$P" "$T/cut.pcap" --verdicts "$T/none.csv"
check "leaves no verdict file" sh -c "! ls '$T'/none.csv* >/dev/null 2>&1"
printf 'mac,label\n0a:00:00:00:00:01,a\n' >"$T/other.csv"
expect 3 "labels of other traffic" "$D" replay "$P" "$T/a.pcap" --labels "$T/other.csv"
expect 5 "output directory is none" "$D" replay "$P" "$T/a.pcap" --verdicts "$L/v.csv"
expect 0 "a feed of flows" "$D" replay "$P" "$T/a.pcap" --captures "$T/captures.csv" --feed "json:$T/flows.json"
check "every flow of every capture once" test "$(wc -l <"$T/flows.json")" = 3
has "with its packets and bytes" "$T/flows.json" '"src": "10.0.0.1", "sport": 41216, .*"capture": "a.pcap#y", .*"packets": 2, "bytes": 84\}$'
expect 0 "the same as CSV" "$D" replay "$P" "$T/a.pcap" --engine fast --feed "csv:$T/flows.csv"
has "has columns" "$T/flows.csv" '^event,time_ns,proto,src,sport,dst,dport,class,'
expect 2 "a feed of another kind" "$D" replay "$P" "$T/a.pcap" --feed "xml:$T/x"
has "says which there are" err 'a feed is json:FILE or csv:FILE'
tap_done
