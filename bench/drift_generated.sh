#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generated drift and its absence for docs/drift.md: 12 phases of four classes, which come near each other from the
# fifth phase on (or never), played as a timeline.
#
#   bench/drift_generated.sh DUNECTL OUT moving|still [SEED]
set -eu
D=${1:?path of dunectl} out=${2:?directory} how=${3:?moving or still} seed=${4:-1}
mkdir -p "$out/all"
phase() { # NUMBER SHIFT
    s=$2
    cat >"$out/p.yaml" <<END
name: p$1
noise: 0
classes:
  - name: camera
    talks: [{port: 443, ttl: 64, window: 29200, peer_window: 29200, pattern: uddu, up: [{min: $((300 + 18 * s)), max: $((500 + 18 * s))}], down: [1400, 0]}]
  - name: hub
    talks: [{port: 443, ttl: 64, window: $((16000 + 1600 * s)), peer_window: $((16000 + 1600 * s)), pattern: uddu, up: [{min: $((520 - 18 * s)), max: $((720 - 18 * s))}], down: [1400, 0]}]
  - name: plug
    talks: [{port: 443, ttl: 64, window: 8192, peer_window: 29200, pattern: ud, up: [{min: $((200 + 10 * s)), max: $((300 + 10 * s))}], down: [{min: 60, max: 200}]}]
  - name: lamp
    talks: [{port: 443, ttl: 64, window: $((8192 + 500 * s)), peer_window: 14600, pattern: ud, up: [{min: $((290 - 10 * s)), max: $((400 - 10 * s))}], down: [{min: $((190 - 12 * s)), max: $((330 - 12 * s))}]}]
END
    "$D" synth -q -o "$out/p" -p "$out/p.yaml" --flows 600 --train-captures 1 --test-captures 1 --seed $((1000 * seed + $1)) 2>/dev/null
    cp "$out/p/train/synth-01.pcap" "$out/all/p$(printf %02d "$1")-a.pcap"
    cp "$out/p/test/synth-01.pcap" "$out/all/p$(printf %02d "$1")-b.pcap"
    cp "$out/p/labels.csv" "$out/labels.csv"
    rm -rf "$out/p"
}
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    [ "$how" = moving ] && [ "$i" -gt 4 ] && phase "$i" $((i - 4)) || phase "$i" 0
done
"$D" extract -q --timeout 1 -l "$out/labels.csv" -o "$out/all.dset" "$out"/all/*.pcap >/dev/null
"$D" drift timeline "$out/all.dset" --capture-order --windows 12 --first 3 --history 2 --budget tight --devices 1 \
    --effort quick -o "$out/drift-$how.csv" --svg "$out/drift-$how.svg"
