#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl replay --engine xdp: the same verdicts, frames and counters as the reference, or a reason why not.
. "$(dirname "$0")/tap.sh"

P=$ROOT/tests/golden/plan/seven_nodes.json
expect 0 "traffic" "$D" synth --flows 200 --seed 3 -o "$T/traffic"
if ! "$D" replay "$P" "$T/traffic/test" --engine xdp >/dev/null 2>"$T/err"; then
    has "says what is missing" err 'engine "xdp" cannot run here: .'
    skip "replay through XDP programs" "$(cat "$T/err")"
    tap_done
    exit
fi
for e in reference xdp; do
    for o in "" "--edge-shim drop --slots 16 --ways 2" "--rules delay:1000"; do
        # shellcheck disable=SC2086
        expect 0 "$e $o" "$D" replay "$P" "$T/traffic/test" --engine $e $o --keep-shim \
            --verdicts "$T/$e$o.csv" --pcap-out "$T/$e$o.pcap"
        sed -e 's/engine [a-z]*/engine/' -e '/ns per packet/d' -e '/^wrote/d' "$T/out" >"$T/$e$o.txt"
    done
done
for o in "" "--edge-shim drop --slots 16 --ways 2" "--rules delay:1000"; do
    check "same verdicts $o" cmp "$T/reference$o.csv" "$T/xdp$o.csv"
    check "same frames $o" cmp "$T/reference$o.pcap" "$T/xdp$o.pcap"
    check "same counters $o" cmp "$T/reference$o.txt" "$T/xdp$o.txt"
done
tap_done
