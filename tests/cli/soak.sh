#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mixed traffic through a chain of three switches (reference engine, XDP, XDP) while plans are swapped and the agent in the middle is
# killed again and again: memory and descriptors stay, and no frame is lost that no counter names. The counters of the devices are held
# against those of the kernel for every interface, and against what the reference engine says of the same captures. 30 seconds;
# DUNE_SOAK=1800 for half an hour. Needs root.
. "$(dirname "$0")/tap.sh"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit; }
for tool in ip tcpreplay python3 ethtool; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit; }
done
unshare -n true 2>/dev/null || { echo "1..0 # SKIP network namespaces cannot be made here"; exit; }
N=k$$
BUS=unix:$T/bus
SECONDS_ALL=${DUNE_SOAK:-30}
pids=
finish() {
    rm -f "$T/go"
    for p in $pids; do kill "$p" 2>/dev/null; done
    wait 2>/dev/null
    "$D" testbed down --name "$N" >/dev/null 2>&1
    rm -rf "$T"
}
trap finish EXIT

# Traffic of two kinds of hosts, and what nobody should send: random bytes behind an Ethernet header, broken IP headers,
# forged shims, a flood of addresses.
"$D" synth -q -o "$T/tr" --flows 300 --train-captures 3 --test-captures 1 2>/dev/null
"$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$T/rows.dset" 2>/dev/null
for s in 1 2; do
    "$D" plan -q "$T/rows.dset" --budget tiny --devices 3 --effort quick --seed $s -o "$T/plan$s.json" >/dev/null 2>&1
done
python3 - "$T/hostile.pcap" <<'END'
import random, struct, sys
rnd = random.Random(7)
out = open(sys.argv[1], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
def put(i, ethertype, body):
    frame = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + struct.pack(">H", ethertype) + body
    frame = frame[:1400].ljust(60, b"\0")
    out.write(struct.pack("<IIII", i // 1000, i % 1000 * 1000, len(frame), len(frame)) + frame)
def udp(src, sport):
    return struct.pack(">BBHHHBBH4s4sHHHH", 0x45, 0, 60, 1, 0, 64, 17, 0, src, b"\x0a\0\0\x01", sport, 53, 40, 0) + bytes(32)
for i in range(6000):
    kind = i % 6
    if kind == 0:
        put(i, rnd.choice([0x0800, 0x86dd, 0x8100, 0x1234]), rnd.randbytes(rnd.randrange(1, 900)))
    elif kind == 1:
        b = bytearray(udp(rnd.randbytes(4), rnd.randrange(65536)))
        b[rnd.randrange(len(b))] ^= 1 << rnd.randrange(8)
        put(i, 0x0800, bytes(b))
    elif kind == 2:
        put(i, 0x88b5, rnd.randbytes(8) + udp(rnd.randbytes(4), 1000))
    else:
        put(i, 0x0800, udp(rnd.randbytes(4), rnd.randrange(65536)))
END

printf 'name: %s\nlevels: [1, 1, 1]\n' "$N" >"$T/row.yaml"
testbed_up "$T/row.yaml"
"$D" controller serve -q --bus "$BUS" --state "$T/state" --device s1:1 --device s2:2 --device s3:3 2>"$T/controller.log" &
ctl=$!
pids="$pids $ctl"
for port in $(ip -n "$N.snk" -br link | sed 's/[@ ].*//' | grep -v '^lo'); do # a veth takes frames of XDP programs only with this
    ip netns exec "$N.snk" ethtool -K "$port" gro on
done
switch() { # NAME IN OUT ENGINE
    # shellcheck disable=SC2093
    exec ip netns exec "$N.$1" "$D" switch "$1" --bus "$BUS" --in "$2:in0" --out "$3:out" --engine "$4" 2>>"$T/$1.log"
}
switch s1 edge chain reference &
s1=$!
switch s2 chain chain xdp &
s2=$!
switch s3 chain edge xdp &
s3=$!
pids="$pids $s1 $s2 $s3"
sleep 1
if grep -q 'engine "*xdp' "$T/s2.log"; then
    echo "1..0 # SKIP $(grep 'engine "*xdp' "$T/s2.log")"
    exit
fi
status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null; }
held_by_all() { status && grep -q '"phase": "steady"' "$T/status" && [ "$(grep -c '"held": \[[0-9]*\]' "$T/status")" = 3 ]; }
ready() { status && [ "$(grep -c '"state": "ok"' "$T/status")" = 3 ]; }
check "controller and switches" wait_for ready
check "a plan" "$D" controller apply "$T/plan1.json" --bus "$BUS"
check "is held" wait_for held_by_all

touch "$T/go"
ip netns exec "$N.src" sh -c "while [ -e '$T/go' ]; do
    tcpreplay -q -i src0 -p 2500 '$T'/tr/test/*.pcap '$T/hostile.pcap' >/dev/null 2>&1 || exit 1
    echo pass >>'$T/passes'; done" &
sender=$!
pids="$pids $sender"
rss() { awk '/VmRSS/ {print $2}' "/proc/$1/status"; }
fds() { ls "/proc/$1/fd" | wc -l; }
sleep 5
grown() { # NAME PID RSS FDS: now, against then
    echo "# $1: $3 -> $(rss "$2") KiB, $4 -> $(fds "$2") descriptors" >>"$T/grown"
    [ "$(rss "$2")" -le $(($3 + $3 / 5 + 4096)) ] && [ "$(fds "$2")" -le $(($4 + 1)) ]
}
end=$(($(date +%s) + SECONDS_ALL - 5))
swaps=0 kills=0 first=yes
while [ "$(date +%s)" -lt $end ]; do
    "$D" controller apply "$T/plan$((swaps % 2 + 1)).json" --bus "$BUS" >/dev/null 2>&1 && swaps=$((swaps + 1))
    sleep 1
    kill -9 $s2
    wait $s2 2>/dev/null
    kills=$((kills + 1))
    switch s2 chain chain xdp &
    s2=$!
    pids="$pids $s2"
    sleep 3
    if [ $first = yes ]; then # after the first of everything
        first=no
        rss_ctl=$(rss $ctl) fds_ctl=$(fds $ctl) rss_s1=$(rss $s1) fds_s1=$(fds $s1) rss_s3=$(rss $s3) fds_s3=$(fds $s3)
    fi
done
rm -f "$T/go"
echo "# $swaps plans, $kills kills"
check "the controller's memory and descriptors stay" grown controller $ctl "$rss_ctl" "$fds_ctl"
check "those of the first switch" grown s1 $s1 "$rss_s1" "$fds_s1"
check "those of the last switch" grown s3 $s3 "$rss_s3" "$fds_s3"
cat "$T/grown"
check "whole passes were sent" wait "$sender"
check "at the end a plan is held by all" wait_for ready
sleep 2 # the last reports
status
"$D" replay -q "$T/plan1.json" "$T"/tr/test/*.pcap "$T/hostile.pcap" --json >"$T/reference" 2>/dev/null
for ns in src s1 s2 s3 snk; do ip -n "$N.$ns" -j -s link >"$T/link.$ns"; done
cat >"$T/add.py" <<'END'
import json, sys
T = sys.argv[1]
def link(ns, what):
    found = [i for i in json.load(open(f"{T}/link.{ns}")) if i["ifname"] != "lo" and (what is None or i["ifname"] == what)]
    assert len(found) == 1, (ns, what, [i["ifname"] for i in found])
    return found[0]["stats64"]
bad = 0
def same(name, left, right, why, missing=0): # missing: frames that were lost before, each may be one of these
    global bad
    fine = right - missing <= left <= right
    bad += not fine
    print(f"# {'' if fine else 'UNEXPLAINED ' + str(left - right) + ': '}{name}: {left} = {right}"
          f"{f' less {right - left} of {missing} lost' if fine and left < right else ''} ({why})")
src, snk = link("src", "src0"), link("snk", None)
passes = len(open(f"{T}/passes").readlines())
first = next(iter(json.load(open(f"{T}/reference"))["solutions"].values()))["devices"][0]
once = {"packets": first["in"], "not_inferable": sum(first["not_inferable"].values()), "shim_at_edge": first["shim_at_edge"]}
devices = {d["name"]: d for d in json.load(open(f"{T}/status"))["devices"]}
before, sent = src["tx"]["packets"], src["tx"]["packets"]
same("sent", sent, passes * once["packets"], f"{passes} passes of {once['packets']}")
for name in ("s1", "s2", "s3"):
    d, c = devices[name], devices[name]["counters"]
    rx, tx = link(name, "in0")["rx"], link(name, "out")["tx"]
    by_reason = c["dropped_action"] + c["dropped_edge_shim"] + c["dropped_bad_shim"]
    same(name + " came in", before, rx["packets"], "what the one before sent")
    same(name + " device", c["in"], c["out"] + by_reason, f"out + {by_reason} dropped by reason")
    if name == "s1": # its process takes frames from the interface
        same(name + " ports", rx["packets"] + c["out"], c["in"] + tx["packets"] + tx["dropped"] + d["lost_packets"],
             f"{d['lost_packets']} lost by the ports, {tx['dropped']} refused by the link")
        same(name + " not inferable", sum(c["not_inferable"].values()), passes * once["not_inferable"], "as the reference says of a pass",
             rx["packets"] - c["in"])
        same(name + " forged shims", c["shim_at_edge"], passes * once["shim_at_edge"], "as the reference says of a pass",
             rx["packets"] - c["in"])
    else: # the kernel runs it, on every frame, whether its process lives or not
        same(name + " ports", rx["packets"], tx["packets"] + by_reason + rx["dropped"] + tx["dropped"],
             f"{rx['dropped']} dropped before it, {tx['dropped']} refused by the link after it")
        same(name + " counted", c["in"] + rx["dropped"], rx["packets"], "over all lives of its process")
        same(name + " refused", d["lost_packets"], tx["dropped"], "what it reports")
    before = tx["packets"]
same("the sink got", snk["rx"]["packets"], before, "what the last one sent")
print(f"# {sent} sent, {snk['rx']['packets']} arrived, {sent - snk['rx']['packets']} dropped or lost, each counted")
sys.exit(bad or sent == 0)
END
python3 "$T/add.py" "$T" >"$T/sums"
check "every frame that does not arrive is counted with its reason" [ $? = 0 ]
cat "$T/sums"
check "no switch complained" sh -c "! grep -qi 'error\|crash\|sanitizer' '$T/s1.log' '$T/s2.log' '$T/s3.log'"
tap_done
