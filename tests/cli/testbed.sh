#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Switches, controller, source and sink in network namespaces. Needs root.
. "$(dirname "$0")/tap.sh"
if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root"
    exit
fi
if ! command -v ip >/dev/null || ! unshare -n true 2>/dev/null; then
    echo "1..0 # SKIP network namespaces cannot be made here"
    exit
fi
N=t$$
PLAN=$ROOT/tests/golden/plan/seven_nodes.json
nothing_left() { # no namespace, no directory, no switch of this testbed
    ! ip netns list | grep -q "^$N\." && [ ! -e /run/dune-testbed.$N ] && ! pgrep -f "dune-testbed.$N" >/dev/null
}
up_now() { ip netns list | grep -q "^$N\.s3" && pgrep -f "switch s3 --bus unix:/run/dune-testbed.$N" >/dev/null; }

"$D" synth --flows 60 --train-captures 1 --test-captures 1 --force -q -o "$T/tr" >/dev/null 2>&1
printf 'name: %s\nlevels: [1, 1, 1]\n' "$N" >"$T/row.yaml"
printf 'name: %s\nlevels: [3, 2, 1]\n' "$N" >"$T/tree.yaml"

expect 0 "a row of three" "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" \
    --labels "$T/tr/labels.csv" --pps 2000 --json --quiet
has "every packet arrives" out '"lost": 0,'
has "byte for byte" out '"unknown": 0,'
sed 's/"ethertype": 34997/"ethertype": 34998/' "$PLAN" >"$T/other.json"
expect 0 "shims of another EtherType" "$D" testbed run "$T/row.yaml" --plan "$T/other.json" --pcap "$T/tr/test" --pps 2000 --seconds 1 \
    --json --quiet
has "are known at the sink" out '"unknown": 0,'
expect 0 "the offline replay of the same" "$D" replay "$PLAN" "$T/tr/test" --json --quiet
check "nothing is left" nothing_left

if "$D" version | grep -q ndpi; then
    mkdir -p "$T/dpi/train" "$T/dpi/test"
    python3 "$ROOT/tests/cli/dpi_traffic.py" "$T/dpi/train/a.pcap" 60 1000
    python3 "$ROOT/tests/cli/dpi_traffic.py" "$T/dpi/test/b.pcap" 20 9000
    expect 0 "a plan from what nDPI says" "$D" run --train "$T/dpi/train" --test "$T/dpi/test" --labels ndpi --effort quick \
        -s jewel --devices 1 -o "$T/dpi/run" --quiet
    expect 0 "on switches, judged by nDPI" "$D" testbed run "$T/row.yaml" --plan "$T/dpi/run/plans/jewel.json" \
        --pcap "$T/dpi/test" --labels ndpi --pps 2000 --json --quiet
    check "agrees with it" python3 -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1]))["flow"]["macro"] > 0.9)' \
        "$T/out"
else
    skip "labels from nDPI on switches" "this build has no nDPI"
fi
expect 2 "a field of no log" "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" --labels "$T/tr/labels.csv" \
    --label-field service --quiet
check "nothing is left" nothing_left

expect 0 "a tree, stripped" "$D" testbed run "$T/tree.yaml" --plan "$PLAN" --pcap "$T/tr/test" \
    --labels "$T/tr/labels.csv" --pps 5000 --strip --record "$T/sink.pcap" --json --quiet
has "every packet arrives, without shim" out '"unknown": 0,'
has "none lost" out '"lost": 0,'
check "the sink's capture can be read" "$D" replay "$PLAN" "$T/sink.pcap" --quiet
check "nothing is left of the tree" nothing_left

if command -v tcpreplay >/dev/null; then
    expect 0 "tcpreplay sends" "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 2000 \
        --seconds 1 --tcpreplay --json --quiet
    has "and all arrives" out '"lost": 0,'
else
    skip "tcpreplay sends" "tcpreplay is not installed"
    skip "and all arrives" "tcpreplay is not installed"
fi

if "$D" testbed run "$T/row.yaml" --engine xdp --plan "$PLAN" --pcap "$T/tr/test" --pps 1000 --json --quiet \
    >"$T/out" 2>"$T/err"; then
    has "XDP switches: every packet arrives" out '"lost": 0,'
    has "and is what was sent" out '"unknown": 0,'
    cp "$T/out" "$T/xdp.json"
    expect 0 "the same on the reference device" "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 1000 \
        --json --quiet
    for what in inferable claimed settled; do
        check "as many are $what" test "$(grep "^  \"$what\"" "$T/out")" = "$(grep "^  \"$what\"" "$T/xdp.json")"
    done
    check "nothing is left of them" nothing_left
    expect 0 "a trace of XDP switches, judged" "$D" testbed run "$T/row.yaml" --engine xdp --plan "$PLAN" --pcap "$T/tr/test" \
        --pps 1000 --trace "$T/trace" --json --quiet
    has "every packet on every device" out "\"records\": $((3 * $(sed -n 's/.*"sent": \([0-9]*\),.*/\1/p' "$T/out"))),"
    has "none differs" out '"different": 0,'
    expect 0 "the same traces again" "$D" judge "$T/trace/s1.trace" "$T/trace/s2.trace" "$T/trace/s3.trace" --plan "$PLAN" --json
    has "whole" out '"complete": true'
    sed 's/"timeout": [0-9]*/"timeout": 1/' "$PLAN" >"$T/other.json"
    expect 1 "another plan did not do this" "$D" judge "$T/trace/s1.trace" --plan "$T/other.json" --json
    has "the first difference is named" err 'judged otherwise than by the reference; device s1, record [0-9]+ .*: [a-z_]+ is'
else
    skip "XDP switches" "$(tail -n 1 "$T/err")"
fi
expect 0 "a trace of reference devices" "$D" testbed run "$T/tree.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 2000 \
    --trace "$T/trace2" --json --quiet
has "none differs" out '"different": 0,'
expect 0 "a trace of the fast engine's devices" "$D" testbed run "$T/tree.yaml" --engine fast --plan "$PLAN" --pcap "$T/tr/test" \
    --pps 2000 --trace "$T/trace3" --json --quiet
has "none differs from the reference" out '"different": 0,'

if "$D" testbed run "$T/tree.yaml" --engine fast --ports af_xdp --plan "$PLAN" --pcap "$T/tr/test" --pps 2000 \
    --trace "$T/trace4" --json --quiet >"$T/out" 2>"$T/err"; then
    has "the fast engine's devices on AF_XDP ports: every packet arrives" out '"lost": 0,'
    has "and is what was sent" out '"unknown": 0,'
    has "none differs from the reference" out '"different": 0,'
    has "every packet was seen" out '"records": [1-9]'
elif grep -q 'has no AF_XDP' "$T/err"; then
    skip "AF_XDP ports" "$(tail -n 1 "$T/err")"
else
    sed 's/^/# /' "$T/err"
    check "AF_XDP ports" false
fi

printf 'name: %s\nfat_tree: {pods: 2, leafs: 1, spines: 2, super_spines: 2}\n' "$N" >"$T/fat.yaml"
expect 0 "a fat tree" "$D" testbed run "$T/fat.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 2000 --trace "$T/trace3" --json --quiet
has "nothing is lost on its ways" out '"lost": 0,'
has "none differs" out '"different": 0,'
check "both spines of a pod had traffic" sh -c "[ \$(wc -c <'$T/trace3/s3.trace') -gt 200 ] && [ \$(wc -c <'$T/trace3/s4.trace') -gt 200 ]"
check "nothing is left of the fat tree" nothing_left
printf 'fat_tree: {pods: 9, leafs: 9}\n' >"$T/bad.yaml"
expect 3 "a fat tree that is too large" "$D" testbed up "$T/bad.yaml"
has "says so" err 'bad.yaml:1: .* a testbed has up to 40'
printf 'fat_tree: {super_spines: 33}\n' >"$T/bad.yaml"
expect 3 "more links than a switch has ports" "$D" testbed up "$T/bad.yaml"
expect 2 "a route to nowhere" "$D" switch s1 --in edge:lo --out chain:x --out chain:y --route 2
has "is named" err '\-\-route needs for each of 1 --in a number of 0 to 1, not "2"'

for sig in INT KILL; do
    "$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 50 --quiet >/dev/null 2>&1 &
    pid=$!
    check "it runs (before SIG$sig)" wait_for up_now
    kill -s $sig $pid
    wait $pid 2>/dev/null
    check "nothing is left after SIG$sig" wait_for nothing_left
done

"$D" testbed run "$T/row.yaml" --plan "$PLAN" --pcap "$T/tr/test" --pps 50 --quiet >/dev/null 2>"$T/err" &
pid=$!
wait_for up_now
kill -9 "$(pgrep -f "switch s2 --bus unix:/run/dune-testbed.$N" | head -n 1)"
wait $pid
check "a switch that dies ends the run" test $? != 0
has "with its name" err 'switch s2 ended'
check "nothing is left after that" wait_for nothing_left

expect 0 "up" "$D" testbed up "$T/row.yaml"
check "namespaces are there" ip netns exec "$N.s2" ip link show in0
expect 0 "up again replaces it" "$D" testbed up "$T/row.yaml"
expect 0 "down" "$D" testbed down --name "$N"
check "nothing is left after down" nothing_left
expect 0 "down again is fine" "$D" testbed down --name "$N"

printf 'levels: [1, 2]\n' >"$T/bad.yaml"
expect 3 "a tree that gets wider is refused" "$D" testbed up "$T/bad.yaml"
has "with its line" err 'bad.yaml:1: .*narrower'
expect 2 "run needs a plan" "$D" testbed run
tap_done
