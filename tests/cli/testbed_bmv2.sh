#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A testbed whose devices are simple_switch: compiled, started, loaded, scored; rules from digests.
. "$(dirname "$0")/tap.sh"
for tool in ip p4c-bm2-ss simple_switch; do
    command -v $tool >/dev/null 2>&1 || { echo "1..0 # SKIP $tool is not installed"; exit; }
done
if [ "$(id -u)" != 0 ] || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP needs root and network namespaces"
    exit
fi
N=b$$
PLAN=$ROOT/tests/golden/p4/seven_nodes.json
printf 'name: %s\nlevels: [1, 1]\n' "$N" >"$T/row.yaml"
"$D" synth --flows 60 --train-captures 1 --test-captures 1 --force -q -o "$T/tr" >/dev/null 2>&1

expect 0 "two switches" "$D" testbed run "$T/row.yaml" --target bmv2 --plan "$PLAN" --pcap "$T/tr/test" \
    --labels "$T/tr/labels.csv" --pps 400 --json --quiet
has "every packet arrives" out '"lost": 0,'
has "byte for byte" out '"unknown": 0,'
check "digests came" sh -c "grep '^  \"digests\"' '$T/out' | grep -qv ' 0,'"
cp "$T/out" "$T/bmv2.json"
expect 0 "the same on the reference" "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" \
    --labels "$T/tr/labels.csv" --pps 400 --json --quiet
check "claims as many packets" sh -c "[ \"\$(grep '\"claimed\"' '$T/out')\" = \"\$(grep '\"claimed\"' '$T/bmv2.json')\" ]"
check "nothing is left" sh -c "! ip netns list | grep -q '^$N\\.' && ! pgrep -f '[d]une-testbed.$N' >/dev/null"
expect 0 "stripped at the end, slots released" "$D" testbed run "$T/row.yaml" --target bmv2 --plan "$PLAN" --pcap "$T/tr/test" \
    --labels "$T/tr/labels.csv" --pps 400 --strip --release-slots --json --quiet
has "every packet arrives without shim" out '"unknown": 0,'
sed 's/"hash": "crc"/"hash": "siphash"/' "$PLAN" >"$T/sip.json"
"$D" testbed run "$T/row.yaml" --target bmv2 --plan "$T/sip.json" --pcap "$T/tr/test" --quiet >"$T/out" 2>"$T/err"
check "a plan it cannot run is refused" test $? -ne 0
tap_done
