#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Traffic of real programs, recorded; and the live demonstration on what the sources bring along. Needs root.
. "$(dirname "$0")/tap.sh"
if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root"
    exit
fi
if ! command -v ip >/dev/null || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP network namespaces cannot be made here"
    exit
fi
PATH=$PATH:/usr/sbin:/sbin
missing=
for p in python3 tcpdump ethtool curl dnsmasq dig mosquitto mosquitto_pub chronyd sshd ssh ssh-keygen iperf3; do
    command -v $p >/dev/null || missing="$missing $p"
done
if [ -z "$missing" ]; then
    expect 0 "record" "$D" testbed record -o "$T/rec" --train-runs 1 --test-runs 0 --seconds 15
    expect 0 "its captures can be read" "$D" extract "$T/rec/train" --labels "$T/rec/labels.csv" -o "$T/rows.dset"
    for class in web stream bulk-tcp bulk-udp dns ntp mqtt-sensor mqtt-camera ssh-shell ssh-copy scan flood; do
        has "$class is there" out "^$class +[1-9]"
    done
    has "IPv6 and tags are parsed" out '^  ok +[1-9]'
    check "nothing is left" sh -c '! ip netns list | grep -q "^dunerec\."'
    "$D" testbed record -o "$T/rec2" --seconds 30 >/dev/null 2>&1 &
    pid=$!
    sleep 2
    kill -9 $pid
    i=0
    while [ $i -lt 100 ] && ip netns list | grep -q '^dunerec\.'; do
        sleep 0.1
        i=$((i + 1))
    done
    check "nothing is left after kill -9" sh -c '! ip netns list | grep -q "^dunerec." && [ ! -e /run/dune-testbed.dunerec ]'
else
    skip "record" "not installed:$missing (./run setup services)"
fi
mkdir "$T/bin"
expect 5 "without programs" env PATH="$T/bin" "$D" testbed record -o "$T/rec3"
expect 2 "record needs a directory" "$D" testbed record

cd "$T" || exit 1
expect 0 "the live demonstration" "$D" demo live --data "$ROOT/data/recorded" --solutions none,jewel --devices 2 --seconds 3 -o demo
has "has a row for jewel" out '^jewel +0\.[1-9]'
has "loses nothing" "$T/demo/run/live.json" '"lost": 0'
check "loses nothing at all" sh -c "! grep -q '\"lost\": [1-9]' '$T/demo/run/live.json'"
check "leaves nothing" sh -c '! ip netns list | grep -q "^dune\."'
expect 2 "no other word" "$D" demo dead
tap_done
