#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mixed traffic through a chain of three switches while plans are swapped and an agent is killed again and again: memory and
# descriptors stay, and every device's counters add up. 30 seconds; DUNE_SOAK=1800 for half an hour. Needs root.
. "$(dirname "$0")/tap.sh"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit; }
for tool in ip tcpreplay python3; do
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
    "$D" plan -q "$T/rows.dset" --budget tiny --devices 3 --effort quick --seed $s -o "$T/plan$s.json" 2>/dev/null
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
switch() { # NAME IN OUT
    # shellcheck disable=SC2093
    exec ip netns exec "$N.$1" "$D" switch "$1" --bus "$BUS" --in "$2:in0" --out "$3:out" 2>>"$T/$1.log"
}
switch s1 edge chain &
s1=$!
switch s2 chain chain &
s2=$!
switch s3 chain edge &
s3=$!
pids="$pids $s1 $s2 $s3"
status() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null; }
held_by_all() { status && grep -q '"phase": "steady"' "$T/status" && [ "$(grep -c '"held": \[[0-9]*\]' "$T/status")" = 3 ]; }
ready() { status && [ "$(grep -c '"state": "ok"' "$T/status")" = 3 ]; }
check "controller and switches" wait_for ready
check "a plan" "$D" controller apply "$T/plan1.json" --bus "$BUS"
check "is held" wait_for held_by_all

touch "$T/go"
ip netns exec "$N.src" sh -c "while [ -e '$T/go' ]; do
    tcpreplay -q -i src0 -p 2500 '$T'/tr/test/*.pcap '$T/hostile.pcap' >/dev/null 2>&1 || sleep 1; done" &
pids="$pids $!"
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
    switch s2 chain chain &
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
check "at the end a plan is held by all" wait_for ready
sleep 2
status
cat >"$T/add.py" <<'END'
import json, sys
bad = 0
for d in json.load(open(sys.argv[1]))["devices"]:
    c = d["counters"]
    dropped = c["dropped_action"] + c["dropped_edge_shim"] + c["dropped_bad_shim"]
    ok = c["in"] == c["out"] + dropped
    print("# %s: %d in = %d out + %d dropped by reason; %d inferred, %d not inferable, %d at edges with a shim, %d lost by the port" %
          (d["name"], c["in"], c["out"], dropped, c["inferred"], sum(c["not_inferable"].values()), c["shim_at_edge"], d["lost_packets"]))
    bad += not ok or c["in"] == 0
sys.exit(bad)
END
python3 "$T/add.py" "$T/status" >"$T/sums"
check "every device's counters add up" [ $? = 0 ]
cat "$T/sums"
check "no switch complained" sh -c "! grep -qi 'error\|crash\|sanitizer' '$T/s1.log' '$T/s3.log'"
tap_done
