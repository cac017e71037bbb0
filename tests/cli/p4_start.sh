#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compile.sh and start.sh of an example, as its reader would use them: in a network namespace, one packet through.
. "$(dirname "$0")/tap.sh"
for tool in ip python3 p4c-bm2-ss simple_switch simple_switch_CLI; do
    command -v $tool >/dev/null 2>&1 || { echo "1..0 # SKIP $tool is not installed"; exit; }
done
if [ "$(id -u)" != 0 ] || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP needs root and network namespaces"
    exit
fi
cp -r "$ROOT/docs/examples/p4/three/v1model/s1" "$T/s1"
expect 0 "the program compiles" "$T/s1/compile.sh"

cat >"$T/packet.py" <<'END'
import socket
import sys

frame = bytes.fromhex("020000000002 020000000001 0800 4500001c 00010000 40110000 0a000001 0a000002 03e80035 00080000")
ports = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in range(2)]
for port, name in zip(ports, ("a0", "a1")):
    port.bind((name, 0))
    port.settimeout(20)
ports[0].send(frame)
while True:
    got = ports[1].recv(2000)
    if got[:12] == frame[:12] and got[12:14] == b"\x88\xb5":
        break
same = got[20:] == frame[12:]
print("shim", got[14] >> 5, "then", "the packet" if same else got.hex())
sys.exit(not same)
END
cat >"$T/inside.sh" <<'END'
# $1: directory of the device; starts it on three links, sends the packet, ends it
ip link set lo up
for i in 0 1 2; do
    ip link add a$i type veth peer name p$i
    ip link set a$i up mtu 9000
    ip link set p$i up mtu 9000
done
cd "$1" || exit 1
want=$(grep -c ^table_add s1.cli.txt)
./start.sh p0 p1 p2 9290 &
starter=$!
tries=0
until [ "$(grep -c 'Entry has been added' s1.load.log 2>/dev/null)" = "$want" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 $starter 2>/dev/null; then
        wait $starter
        status=$?
        echo "not loaded, status $status"
        exit $status
    fi
    sleep 0.2
done
echo "loaded $want entries"
python3 ../packet.py
status=$?
kill $starter
wait $starter
exit $status
END
expect 0 "it starts, loads its entries and passes a packet on" unshare -n sh "$T/inside.sh" "$T/s1"
has "all entries" out '^loaded [0-9]+ entries$'
has "the packet leaves with a shim in front" out '^shim 1 then the packet$'
cp -r "$T/s1" "$T/bad"
rm -f "$T/bad/s1.load.log"
echo 'table_add DuneIngress.nosuch nothing 1 =>' >>"$T/bad/s1.cli.txt"
expect 3 "entries that the switch refuses are said, and it ends" unshare -n sh "$T/inside.sh" "$T/bad"
has "in its words" err 'Error|Invalid'
tap_done
