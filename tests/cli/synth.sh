#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl synth: what it writes, what it refuses, and that an interrupted run leaves no data set.
. "$(dirname "$0")/tap.sh"

expect 2 "no output directory" "$D" synth
has "is named" err 'output is missing'
expect 0 "small run" "$D" synth -o "$T/a" --flows 300 --train-captures 2 --test-captures 1
has "says it is synthetic" out 'synthetic, seed 1'
has "and so does its README" "$T/a/README.md" 'Nothing in this directory was captured'
check "captures, labels and lists" ls "$T/a/train/synth-02.pcap" "$T/a/test/synth-01.pcap" \
    "$T/a/labels.csv" "$T/a/captures.csv" "$T/a/profile.yaml"
has "captures.csv header" "$T/a/captures.csv" '^split,file,source_capture,packets,'
has "labels.csv header" "$T/a/labels.csv" '^mac,label$'
expect 2 "never over another data set" "$D" synth -o "$T/a" --flows 300
has "unless told so" err '--force'
expect 0 "--force" "$D" synth -o "$T/a" --flows 300 --train-captures 1 --test-captures 1 --force --json
has "JSON says synthetic" out '"synthetic": true'
check "nothing of the older run stays" test ! -e "$T/a/train/synth-02.pcap"
expect 0 "--print-profile" "$D" synth --print-profile
cp "$T/out" "$T/p.yaml"
expect 0 "a profile from a file" "$D" synth -q -p "$T/p.yaml" -o "$T/b" --flows 300 --train-captures 1 \
    --test-captures 1
check "equals the built-in one" diff "$T/a/train/synth-01.pcap" "$T/b/train/synth-01.pcap"
check "--quiet prints nothing" test ! -s "$T/out"
expect 0 "cut packets" "$D" synth -q -o "$T/c" --flows 300 --train-captures 1 --test-captures 1 --snap 96
check "are fewer bytes" sh -c "[ \$(wc -c <'$T/c/train/synth-01.pcap') -lt \$(wc -c <'$T/a/train/synth-01.pcap') ]"
printf 'classes:\n  - nam: x\n' >"$T/bad.yaml"
expect 3 "bad profile" "$D" synth -p "$T/bad.yaml" -o "$T/d"
has "file and line" err 'bad.yaml:2: unknown key "nam"'
check "no output of it" test ! -e "$T/d"
expect 3 "missing profile" "$D" synth -p "$T/none.yaml" -o "$T/d"
expect 2 "snap below the headers" "$D" synth -o "$T/d" --snap 20
if [ -d /proc ]; then
    expect 5 "a directory that cannot be written" "$D" synth -o /proc/dune-synth
else
    skip "a directory that cannot be written" "there is no /proc"
fi
if command -v timeout >/dev/null 2>&1; then
    expect 130 "interrupted" timeout --preserve-status -s INT 0.2 "$D" synth -q -o "$T/e" --flows 50000000 \
        --snap 60
    check "leaves no list of captures" test ! -e "$T/e/captures.csv"
    check "and no temporary files" sh -c "[ -z \"\$(find '$T/e' -name '*.tmp-*')\" ]"
else
    skip "interrupted" "timeout is not installed"
fi
"$D" synth -q -o "$T/f" --flows 50000000 --snap 60 2>/dev/null &
pid=$!
sleep 0.3
kill -TERM $pid
kill -INT $pid # the same press once more, as timeout and some shells send it
wait $pid
check "two signals at once are one: a clean stop" [ $? = 130 ]
check "that leaves nothing" test ! -e "$T/f"
if command -v tshark >/dev/null 2>&1; then
    tshark -r "$T/a/test/synth-01.pcap" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
        -o udp.check_checksum:TRUE -T fields -e frame.number \
        -Y 'ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0' \
        >"$T/wrong" 2>/dev/null
    check "tshark finds no wrong checksum" test ! -s "$T/wrong"
else
    skip "tshark finds no wrong checksum" "tshark is not installed"
fi
tap_done
