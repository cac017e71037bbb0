#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Feeds of a replay, of switches and controller, over the Unix bus, and the example that marks packets in the kernel by
# them. Needs root.
. "$(dirname "$0")/tap.sh"
if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root"
    exit
fi
if ! command -v ip >/dev/null || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP network namespaces cannot be made here"
    exit
fi
N=f$$
PLAN=$ROOT/tests/golden/plan/seven_nodes.json
BUS=unix:$T/bus
pids=
finish() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    "$D" testbed down --name "$N" >/dev/null 2>&1
    ip netns delete "$N-router" 2>/dev/null
    rm -rf "$T"
}
trap finish EXIT
wait_tries=150

# --- live ---------------------------------------------------------------------------------------------------------
printf 'name: %s\nlevels: [1]\n' "$N" >"$T/one.yaml"
testbed_up "$T/one.yaml"
"$D" synth --flows 30 --train-captures 1 --test-captures 1 --force -q -o "$T/tr" >/dev/null 2>&1
"$D" replay "$PLAN" "$T"/tr/test/*.pcap --feed "json:$T/replay.json" -q >/dev/null 2>&1
grep '"settled": true' "$T/replay.json" >"$T/settled.json"
n=$(wc -l <"$T/settled.json")
check "the capture has flows that settle" test "$n" -ge 5

"$D" controller serve --bus "$BUS" --state "$T/state" --device s1:1 --feed "csv:$T/controller.csv" 2>"$T/controller.log" &
pids="$pids $!"
ip netns exec "$N.s1" "$D" switch s1 --bus "$BUS" --in edge:in0 --out edge:out --feed "json:$T/switch.json" 2>"$T/s1.log" &
pids="$pids $!"
held() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q '"held": \[[0-9]*\]' "$T/status"; }
answers() { "$D" controller status --bus "$BUS" 2>/dev/null | grep -q '"leader": true'; }
check "the controller answers" wait_for answers
expect 0 "apply" "$D" controller apply "$PLAN" --bus "$BUS"
check "the device holds the plan" wait_for held
"$D" controller watch --events 3 --bus "$BUS" >"$T/watched.json" 2>"$T/watch.log" &
watcher=$!
pids="$pids $watcher"
sleep 0.5
if command -v tcpreplay >/dev/null; then
    send() { ip netns exec "$N.src" tcpreplay -q -i src0 -p 2000 "$T"/tr/test/*.pcap >/dev/null 2>&1; }
    send
    enough() { [ "$(wc -l <"$T/controller.csv")" -gt 3 ] && [ "$(wc -l <"$T/switch.json")" -gt 3 ]; }
    wait_for enough || send
    check "switch and controller tell of flows" wait_for enough
    wait $watcher
    check "watch ends after so many" test "$(wc -l <"$T/watched.json")" = 3
    has "watch prints events" "$T/watched.json" '^\{"event": "digest", .*"device": "s1", "generation": 1\}$'
    check "JSON lines, CSV and replay agree on what flows are" python3 - "$T" <<'END'
import csv, json, sys
t = sys.argv[1]
key = lambda e: (e["proto"], e["src"], int(e["sport"]), e["dst"], int(e["dport"]))
lines = lambda name: [json.loads(l) for l in open(f"{t}/{name}")]
truth = {key(e): e["class"] for e in lines("settled.json")}
table = list(csv.DictReader(open(f"{t}/controller.csv")))
assert table and all(e["event"] == "digest" and e["settled"] == "1" for e in table)
seen = [(key(e), e["class"] or None) for e in table]
assert len(set(k for k, _ in seen)) == len(seen), "a flow is told once"
for k, c in seen + [(key(e), e["class"]) for e in lines("switch.json") + lines("watched.json")]:
    assert truth.get(k, c) == c, (k, c, truth[k])
assert sum(k in truth for k, _ in seen) > len(seen) // 2
END
else
    skip "switch and controller tell of flows" "tcpreplay is not installed"
fi

# --- class to mark: packets of a flow through a router are counted by their mark ------------------------------------
if ! command -v nft >/dev/null; then
    skip "marks by class" "nftables is not installed"
    tap_done
fi
ip netns add "$N-router"
R="ip netns exec $N-router"
if ! $R nft add table inet probe 2>/dev/null; then
    skip "marks by class" "this kernel has no nftables"
    tap_done
fi
$R ip link set lo up
line() { # PROTO SPORT CLASS
    printf '{"event": "digest", "proto": "%s", "src": "127.0.0.1", "sport": %s, "dst": "127.0.0.2", "dport": 9, "class": "%s", "tentative": false}\n' "$1" "$2" "$3"
}
mkfifo "$T/feed"
$R python3 "$ROOT/examples/dune-mark.py" --hook output --mark camera=7 --mark lock=8 <"$T/feed" >"$T/marked" 2>"$T/mark.log" &
marker=$!
pids="$pids $marker"
exec 9>"$T/feed"
{ line udp 5001 camera; line udp 5002 lock; line udp 5003 toaster; echo "not an event"; line udp 5001 camera; } >&9
told() { [ "$(wc -l <"$T/marked")" = 3 ]; }
check "the example reads the feed" wait_for told
$R nft -f - <<'END'
table inet probe {
    counter seven {}
    counter eight {}
    counter none {}
    chain out {
        type filter hook postrouting priority 0;
        ip daddr 127.0.0.2 meta mark 7 counter name seven
        ip daddr 127.0.0.2 meta mark 8 counter name eight
        ip daddr 127.0.0.2 meta mark 0 counter name none
    }
}
END
$R python3 - <<'END'
import socket
for port, n in ((5001, 5), (5002, 3), (5003, 2)):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    for _ in range(n):
        s.sendto(b"x", ("127.0.0.2", 9))
END
$R nft list counters >"$T/counters"
packets() { sed -n "/counter $1 /,/}/s/.*packets \([0-9]*\).*/\1/p" "$T/counters"; }
check "packets of a camera have mark 7" test "$(packets seven)" = 5
check "of a lock mark 8" test "$(packets eight)" = 3
check "others none" test "$(packets none)" = 2
if $R tc qdisc add dev lo clsact 2>/dev/null && $R tc filter add dev lo egress protocol ip handle 7 fw action drop 2>"$T/tc"; then
    $R python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 5001))
s.sendto(b"x", ("127.0.0.2", 9))'
    $R tc -s filter show dev lo egress >"$T/tc"
    has "tc acts on the mark" "$T/tc" 'Sent [1-9][0-9]* bytes 1 pkt .dropped 1'
else
    skip "tc acts on the mark" "this kernel has no clsact or no filter fw"
fi
exec 9>&-
wait $marker
check "the table is gone with the program" sh -c "! $R nft list table inet dune 2>/dev/null"
tap_done
