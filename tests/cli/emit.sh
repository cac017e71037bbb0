#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl emit: golden programs and entries, refusals by name and number, the P4 tools where they are.
. "$(dirname "$0")/tap.sh"
G=$ROOT/tests/golden/p4
P=$G/seven_nodes.json

expect 0 "v1model" "$D" emit "$P" --target p4-v1model -o "$T/v1"
has "lists its files" out 'v1/s1/s1\.p4$'
check "the golden program" diff "$G/seven_nodes.p4" "$T/v1/s1/s1.p4"
check "the golden entries" diff "$G/seven_nodes.cli.txt" "$T/v1/s1/s1.cli.txt"
check "P4Runtime entries" grep -q '^updates {' "$T/v1/s1/s1.p4runtime.txt"
check "as many as in the other form" sh -c "[ \$(grep -c ^table_ '$T/v1/s1/s1.cli.txt') = \$(grep -c ^updates '$T/v1/s1/s1.p4runtime.txt') ]"
check "ids of the program and the entries agree" sh -c "sed -n 's/.*table_id: \([0-9]*\).*/\1/p' '$T/v1/s1/s1.p4runtime.txt' | sort -u | while read -r i; do grep -q \"@id(0x\$(printf %08X \$i))\" '$T/v1/s1/s1.p4' || exit 1; done"
check "a resource report" grep -q 'published accounting' "$T/v1/s1/report.txt"
check "the dissector" grep -q '\[1\] = "camera"' "$T/v1/dune_shim.lua"
check "no template is left open" sh -c "! grep -rE '^%|@[A-Z_0-9]+@' '$T/v1'"
check "scripts are shell" sh -n "$T/v1/s1/start.sh"
check "and run" test -x "$T/v1/s1/compile.sh"
expect 0 "as JSON" "$D" emit "$P" --target p4-v1model -o "$T/v1" --json
has "lists its files too" out '"s1/s1.cli.txt"'

# Defects of the published programs that a text can show.
N=$T/v1/s1/s1.p4
check "unknown flows are inferred: the default of the rules does nothing" grep -q 'actions = { known; NoAction; }' "$N"
check "counters saturate" grep -q 'meta.count = meta.count |+| 1' "$N"
check "no flow is preloaded" sh -c "! grep -q 'rules_v' '$T/v1/s1/s1.cli.txt'"
check "a collision leaves the slot alone" sh -c "grep -A2 'if (meta.fate == F_OPEN && meta.slot == S_COLLISION)' '$N' | grep -q v_collision"

expect 4 "an unknown architecture" "$D" emit "$P" --target p4-psa -o "$T/x"
has "is named" err 'unknown target architecture "p4-psa", there is: p4-v1model, p4-tna, xdp'
expect 2 "no target" "$D" emit "$P" -o "$T/x"
expect 4 "a plan for another profile" "$D" emit "$ROOT/tests/golden/plan/seven_nodes.json" --target p4-v1model -o "$T/x"
has "names device and limit" err 'device s1: flow_state.hash is siphash'
sed 's/"ways": 1/"ways": 4/' "$P" >"$T/ways.json"
expect 4 "four ways" "$D" emit "$T/ways.json" --target p4-v1model -o "$T/x"
has "say the number" err 'device s1: 4 ways, a register holds 1'
sed 's/"slots": 65536/"slots": 2097152/' "$P" >"$T/slots.json"
expect 4 "too many slots" "$D" emit "$T/slots.json" --target p4-v1model -o "$T/x"
has "name profile, budget and number" err 'device s1: profile bmv2: 2097152 slots, at most 1048576'
sed 's/"profile": "bmv2"/"profile": "tofino1"/' "$P" >"$T/tofino.json"
expect 4 "a profile of another architecture" "$D" emit "$T/tofino.json" --target p4-v1model -o "$T/x"
has "is named" err 'device s1: profile tofino1 is not one of p4-v1model'
expect 3 "no plan" "$D" emit "$T/none.json" --target p4-v1model -o "$T/x"
check "a refusal writes nothing" test ! -e "$T/x"

sed 's/"profile": "bmv2"/"profile": "tofino1"/; s/"max_vlan": 2/"max_vlan": 1/; s/"max_ipv4_options": 40/"max_ipv4_options": 0/
     s/"max_ipv6_ext": 2/"max_ipv6_ext": 0/; s/"max_ipv6_ext_len": 64/"max_ipv6_ext_len": 0/; s/"ipv6": true/"ipv6": false/' "$P" >"$T/tna.json"
expect 0 "TNA" "$D" emit "$T/tna.json" --target p4-tna --generations 1 -o "$T/tna"
has "lists its files" out 'tna/s1/s1\.bfrt\.json$'
check "the golden TNA program" diff "$G/seven_nodes.tna.p4" "$T/tna/s1/s1.p4"
check "the golden TNA entries" diff "$G/seven_nodes.bfrt.json" "$T/tna/s1/s1.bfrt.json"
check "no TNA template is left open" sh -c "! grep -rE '^%|@[A-Z_0-9]+@' '$T/tna'"
sed 's/"slots": 65536/"slots": 16384/' "$T/tna.json" >"$T/tna16.json"
expect 0 "TNA, two generations where they fit" "$D" emit "$T/tna16.json" --target p4-tna -o "$T/tna2" --json
check "have the set of tables as a key" grep -q 'meta.g: exact @name("g");' "$T/tna2/s1/s1.p4"
check "and half the index each" grep -q 'ALL_SLOTS = 32768' "$T/tna2/s1/s1.p4"
expect 4 "more slots than an index reaches" "$D" emit "$T/tna.json" --target p4-tna --generations 2 -o "$T/x"
has "are named" err 'device s1: profile tofino1: 2 x 65536 slots, an index reaches 65536'
expect 2 "three generations" "$D" emit "$T/tna.json" --target p4-tna --generations 3 -o "$T/x"
has "an estimate of the latency" "$T/tna/s1/report.txt" '^latency, cycles'
has "stages in the report" "$T/tna/s1/report.txt" '^stages  *[0-9]+ of 12$'
# The defects of the published programs, in the text for the switch.
N=$T/tna/s1/s1.p4
check "TNA: unknown flows are inferred, none are preloaded" sh -c "grep -A12 'table rules_v4' '$N' | grep -q 'default_action = NoAction()' && ! grep -q rules_v4 '$T/tna/s1/s1.bfrt.json'"
check "TNA: counters saturate" grep -q 'v = v |+| 1;' "$N"
check "TNA: a new flow starts all its registers again" grep -q 'CASE_EXPIRED_SAME: first_len_max();' "$N"
check "TNA: a collision writes no register" sh -c "! grep -q 'CASE_COLLISION:' '$N'"
check "TNA: a rule is not overwritten by inference" grep -q '(1, _, _): take_rule();' "$N"
check "TNA: what leaves by an edge has no shim" grep -q 'if (meta.port.chain_out == 0 || meta.shim_job == SHIM_NONE) {' "$N"
check "TNA: the shim needs no placeholder in arriving packets" grep -q 'default: ether_type;' "$N"
check "TNA: between packet n and the rule the stored answer goes on" grep -q 'K_STORED: repeat_answer();' "$N"
check "TNA: a collision is flagged" sh -c "grep -A1 'slot_case == CASE_COLLISION' '$N' | grep -q 'collided();'"
check "TNA: rules reach no register" sh -c "! sed -n '/^control Known/,/^}/p' '$N' | grep -q 'execute('"
check "TNA: every register has as many slots as its index reaches" sh -c "grep -q 'ALL_SLOTS = 65536;' '$N' && \
    [ \$(grep -c ' Register<' '$N') -gt 3 ] && ! grep ' Register<' '$N' | grep -qv 'bit<16>>(ALL_SLOTS)'"
mkdir -p "$T/tna/s1/s1.out/logs"
cp "$ROOT/tests/fuzz/corpus/p4_report/metrics.json" "$T/tna/s1/s1.out/logs/metrics.json"
cp "$ROOT/tests/fuzz/corpus/p4_report/resources.txt" "$T/tna/s1/s1.out/logs/mau.resources.log"
expect 0 "a compiler's report" "$D" emit "$T/tna.json" --target p4-tna --generations 1 -o "$T/tna" --compiler-report "$T/tna"
has "stands beside the model" "$T/tna/s1/report.txt" '^stages  *[0-9]+ of 12  *2$'
has "with its cycles" "$T/tna/s1/report.txt" '^latency, cycles  *[0-9]+  *290$'
expect 3 "no compiler's report" "$D" emit "$T/tna.json" --target p4-tna --generations 1 -o "$T/tna" --compiler-report "$T/tna2"
has "is said" err 'no metrics.json, mau.resources.log or resources.json of device s1'
expect 4 "TNA: parser limits beyond the profile" "$D" emit "$T/tofino.json" --target p4-tna -o "$T/x"
has "are refused" err 'device s1: profile tofino1: parser limits wider'

# compile.sh with a compiler that keeps what the parser matches, with one that loses it, with none. What they write is
# what the two really write, cut down.
mkdir -p "$T/tools"
cat >"$T/tools/p4c-barefoot" <<'END'
#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
mkdir -p "$out/pipe"
if [ -n "$KEEPS" ]; then echo '      match: [ half ]'; else echo '      *:'; fi >"$out/pipe/s1.bfa"
END
cat >"$T/tools/bfas" <<'END'
#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
echo binary >"$out/tofino.bin"
[ -z "$REMARK" ] || echo "s1.bfa:7: warning: $REMARK" >&2
exit ${ASSEMBLES:-0}
END
chmod +x "$T/tools/p4c-barefoot" "$T/tools/bfas"
compile() { # VARIABLE=VALUE...
    env PATH="$T/tools:$PATH" KEEPS= REMARK= "$@" "$T/tna/s1/compile.sh"
}
cp -r "$T/tna/s1" "$T/real"
expect 0 "a program that assembles" compile KEEPS=1
check "is kept" test -s "$T/tna/s1/s1.out/pipe/tofino.bin"
expect 5 "a compiler that breaks parsers" compile KEEPS=
has "is named with its defect" err 'loses what a parser selects on .*5063, until 5753'
check "its program is not kept" test ! -e "$T/tna/s1/s1.out/pipe/tofino.bin"
expect 5 "also when some matches are left" compile KEEPS=1 REMARK="Can't match parser state due to previous match"
has "in the same words" err 'pull request 5753'
expect 5 "and when the assembler gives up on it" compile KEEPS= ASSEMBLES=1 REMARK="No length for clot 0"
expect 1 "a program that does not assemble" compile KEEPS=1 ASSEMBLES=1 REMARK="too long"
has "says why" err 'too long'
rm -f "$T/tools/bfas"
expect 5 "no assembler" env PATH="$T/tools:/usr/bin:/bin" "$T/tna/s1/compile.sh"
has "is said" err 'bfas is not on PATH'
rm -rf "$T/tna/s1" && mv "$T/real" "$T/tna/s1"

if command -v p4test >/dev/null 2>&1; then
    check "p4test takes the program without a word" sh -c "p4test --std p4-16 '$T/v1/s1/s1.p4' >'$T/p4test.log' 2>&1 && ! grep . '$T/p4test.log'"
    # The front end only: what comes after it does not know how a port table fills a structure; nor the annotations.
    p4test --std p4-16 --validate -D__TARGET_TOFINO__=1 --Wdisable=unknown "$N" >"$T/p4test.log" 2>&1
    if grep -q 'tna\.p4: No such file' "$T/p4test.log"; then
        skip "p4test takes the TNA program" "this p4test has no tna.p4"
    else
        check "p4test takes the TNA program" sh -c "! grep . '$T/p4test.log'"
    fi
else
    skip "p4test takes the programs" "p4test is not installed"
fi
if command -v p4c-bm2-ss >/dev/null 2>&1; then
    check "p4c-bm2-ss compiles it" sh -c "'$T/v1/s1/compile.sh' && [ -s '$T/v1/s1/s1.json' ]"
    "$T/v1/s1/compile.sh" --test-clock >"$T/compile.log" 2>&1
    check "with the test clock too, without a word" sh -c "[ -s '$T/v1/s1/s1.json' ] && ! grep . '$T/compile.log'"
    if [ -s "$T/v1/s1/s1.p4info.json" ] && command -v python3 >/dev/null 2>&1; then
        P4INFO="python3 $ROOT/tests/cli/p4info.py $T/v1/s1/s1.p4info.json"
        expect 0 "the P4Runtime entries are those of the program" $P4INFO "$T/v1/s1/s1.p4runtime.txt"
        # What must not pass: a key that is too wide, a parameter less, another table's action.
        sed '0,/exact { value: "/s//&\\xff\\xff\\xff/' "$T/v1/s1/s1.p4runtime.txt" >"$T/wide.txt"
        expect 1 "not with a wider key" $P4INFO "$T/wide.txt"
        sed '0,/ params { param_id: 1 [^}]*}/s///' "$T/v1/s1/s1.p4runtime.txt" >"$T/less.txt"
        expect 1 "not with a parameter less" $P4INFO "$T/less.txt"
        OTHER=$(sed -n 's/.*action_id: \([0-9]*\).*/\1/p' "$T/less.txt" | tail -n 1)
        sed "0,/action_id: [0-9]*/s//action_id: $OTHER/" "$T/v1/s1/s1.p4runtime.txt" >"$T/other.txt"
        expect 1 "not with an action of another table" $P4INFO "$T/other.txt"
    else
        skip "the P4Runtime entries are those of the program" "this p4c-bm2-ss writes no p4info, or there is no python3"
    fi
else
    skip "p4c-bm2-ss compiles it" "p4c-bm2-ss is not installed"
fi

# XDP devices: the program is inside dunectl, the files say how it starts and what it costs.
X=$ROOT/docs/examples/p4/three/plan.json
expect 0 "XDP" "$D" emit "$X" --target xdp -o "$T/xdp"
has "lists its files" out 'xdp/s2/start\.sh$'
check "every device, and the dissector" sh -c "[ \"\$(cd '$T/xdp' && echo *)\" = 'dune_shim.lua s1 s2 s3' ]"
has "a report beside the published accounting" "$T/xdp/s1/report.txt" '^tree nodes  *[0-9]+ of 65536$'
has "with it" "$T/xdp/s1/report.txt" '^published accounting [0-9]+ of 288 blocks'
check "scripts are shell" sh -n "$T/xdp/s2/start.sh"
cat >"$T/say" <<'END'
#!/bin/sh
echo "$@"
END
chmod +x "$T/say"
expect 0 "start the first device" env DUNECTL="$T/say" "$T/xdp/s1/start.sh" eth0 eth1
has "with edge and chain ports" out '^switch s1 --engine xdp --in edge:eth0 --out chain:eth1 --bus unix:/run/dune/bus$'
expect 0 "start the last one" env DUNECTL="$T/say" "$T/xdp/s3/start.sh" a b nats://h:1 --fix
has "the other way round, with more options" out '^switch s3 --engine xdp --in chain:a --out edge:b --bus nats://h:1 --fix$'
expect 2 "a start without interfaces" env DUNECTL="$T/say" "$T/xdp/s1/start.sh"
sed 's/"slots": 65536/"slots": 16777216/' "$P" >"$T/big.json"
expect 4 "more slots than there is room for" "$D" emit "$T/big.json" --target xdp -o "$T/x"
has "are refused with device and numbers" err 'device s1: [0-9]+ bytes of slots, an XDP device has room for 268435456'
expect 2 "no generations to choose" "$D" emit "$X" --target xdp --generations 1 -o "$T/x"
expect 2 "no programs to fit" "$D" emit "$X" --target xdp --for "$X" -o "$T/x"
expect 3 "no plan" "$D" emit "$T/none.json" --target xdp -o "$T/x"
check "a refusal writes nothing" test ! -e "$T/x"

# A retrained model in the programs of another plan.
sed 's/"n": 3/"n": 4/' "$P" >"$T/later.json"
expect 0 "entries of a retrained model" "$D" emit "$T/later.json" --target p4-v1model --for "$P" -o "$T/later"
check "and entries only" sh -c "[ \"\$(ls '$T/later/s1' | tr '\n' ' ')\" = 's1.cli.txt s1.p4runtime.txt ' ]"
check "say the new inference point" grep -q 'sub_0.point 0 => 1 4$' "$T/later/s1/s1.cli.txt"
sed 's/"max_vlan": 2/"max_vlan": 1/' "$P" >"$T/narrow.json"
expect 4 "other parser limits" "$D" emit "$T/narrow.json" --target p4-v1model --for "$P" -o "$T/x"
has "are refused" err 'device s1: parser limits, slots, claim rule'
expect 2 "not for TNA" "$D" emit "$T/tna.json" --target p4-tna --for "$T/tna.json" -o "$T/x"

# Slots are released by the program for bmv2 only.
expect 2 "no other engine releases slots" "$D" switch s1 --in edge:x --out chain:y --engine fast --release-slots
has "and says so" err 'only engine bmv2 releases slots'
printf 'name: row\nlevels: [1]\n' >"$T/row.yaml"
expect 2 "nor in a testbed" "$D" testbed run "$T/row.yaml" --plan "$P" --pcap "$T" --release-slots
has "which says so" err 'only engine bmv2 releases slots'
check "the program for bmv2 does: the CPU port is the agent's" grep -q 'arrive.release_in 64 =>' "$T/v1/s1/s1.cli.txt"
check "compares the id before it clears" sh -c "grep -A1 'F_RELEASE && old_id == id' '$T/v1/s1/s1.p4' | grep -q 'slot_id.write(meta.at, 0)'"

# The dissector, on a packet with a shim in front of IPv4.
if command -v tshark >/dev/null 2>&1 && command -v text2pcap >/dev/null 2>&1; then
    echo '0000 02 00 00 00 00 01 02 00 00 00 00 02 88 b5 35 07 01 c8 00 03 08 00 45 00 00 1c 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02 03 e8 00 35 00 08 00 00' >"$T/shim.txt"
    text2pcap -q "$T/shim.txt" "$T/shim.pcap" >/dev/null 2>&1
    tshark -X "lua_script:$T/v1/dune_shim.lua" -r "$T/shim.pcap" -T fields -E separator=, -e dune.version -e dune.final \
        -e dune.tentative -e dune.settled -e dune.fl -e dune.submodel -e dune.class -e dune.confidence -e dune.generation \
        -e dune.ethertype -e ip.src -e udp.dstport >"$T/shim.out" 2>/dev/null
    check "tshark reads shim and packet" grep -q '^1,1,0,1,1,7,1,200,3,0x0800,10.0.0.1,53$' "$T/shim.out"
    tshark -X "lua_script:$T/v1/dune_shim.lua" -r "$T/shim.pcap" -V 2>/dev/null >"$T/shim.out"
    check "and names the class" grep -q 'DUNE shim, camera, confidence 200' "$T/shim.out"
else
    skip "tshark reads shim and packet" "tshark is not installed"
fi
tap_done
