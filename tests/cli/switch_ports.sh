#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A switch on ports that are no interfaces: DPDK devices and capture files. Without controller it forwards.
. "$(dirname "$0")/tap.sh"

"$D" synth --flows 50 --seed 3 -o "$T/traffic" >/dev/null 2>&1
in=$(find "$T/traffic" -name '*.pcap' | sort | head -n 1)
check "there is traffic" test -s "$in"

# Runs a switch for a while, then interrupts it.
forward() { # IN OUT
    timeout -s INT -k 5 3 "$D" switch s1 --bus "unix:$T/bus" --in "edge:$1" --out "edge:$2" >"$T/out" 2>"$T/err"
}

same_frames() { # number of frames and bytes of both; time stamps are new
    [ "$(stat -c %s "$in")" = "$(stat -c %s "$1")" ]
}

forward "pcap:$in" "pcap:,$T/files.pcap"
check "files: all frames leave" same_frames "$T/files.pcap"
# The way back: frames as they are, but none with a shim.
python3 - "$T" <<'END'
import struct, sys
plain = bytes.fromhex("020000000001" "020000000002" "0800") + bytes(46)
forged = bytes.fromhex("020000000001" "020000000002" "88b5" "2000000000010800") + bytes(46)
def write(name, frames):
    with open(sys.argv[1] + "/" + name, "wb") as f:
        f.write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for x in frames:
            f.write(struct.pack("<IIII", 1, 0, len(x), len(x)) + x)
write("comes.pcap", [plain, forged, plain])
write("wanted.pcap", [plain, plain])
END
same_back() { [ "$(stat -c %s "$T/wanted.pcap")" = "$(stat -c %s "$T/$1.pcap")" ]; }
timeout -s INT -k 5 3 "$D" switch s1 --bus "unix:$T/bus" --back --in "edge:pcap:,$T/back.pcap" \
    --out "chain:pcap:$T/comes.pcap,$T/forth.pcap" >"$T/out" 2>"$T/err"
check "back: frames without shim pass" same_back back

if "$D" switch s1 --bus "unix:$T/bus" --in edge:dpdk:net_nothing0 --out "edge:pcap:,$T/x.pcap" 2>&1 | grep -q 'has no DPDK'; then
    skip "DPDK: all frames leave" "this build has no DPDK"
else
    forward "dpdk:net_pcap0,rx_pcap=$in" "dpdk:net_pcap1,tx_pcap=$T/dpdk.pcap"
    check "DPDK: all frames leave" same_frames "$T/dpdk.pcap"
fi
tap_done
