# SPDX-License-Identifier: Apache-2.0
# For drift tests: generated traffic whose classes move.
# shellcheck shell=sh
# Captures $T/all/NAME-a.pcap and -b.pcap; SHIFT moves the window that one class announces towards that of another.
phase() { # NAME SHIFT SEED
    cat >"$T/$1.yaml" <<END
name: $1
noise: 0
classes:
  - name: camera
    talks: [{port: 443, ttl: 64, window: 29200, peer_window: 29200, pattern: uddu, up: [{min: 300, max: 500}], down: [1400, 0]}]
  - name: hub
    talks: [{port: 443, ttl: 64, window: $((16000 + 40 * $2)), peer_window: $((16000 + 40 * $2)), pattern: uddu, up: [{min: 300, max: 500}], down: [1400, 0]}]
  - name: plug
    talks: [{port: 443, ttl: 64, window: 8192, pattern: ud, up: [{min: 210, max: 290}], down: [{min: 60, max: 200}]}]
END
    "$D" synth -q -o "$T/$1" -p "$T/$1.yaml" --flows 400 --train-captures 1 --test-captures 1 --seed "$3" 2>/dev/null
    mkdir -p "$T/all"
    cp "$T/$1/train/synth-01.pcap" "$T/all/$1-a.pcap"
    cp "$T/$1/test/synth-01.pcap" "$T/all/$1-b.pcap"
}
