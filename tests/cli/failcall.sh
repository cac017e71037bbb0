#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One call fails, at each of many points of representative commands: an allocation, a read, a write, a mapping, a socket call. The
# command goes on without it, or ends with an exit status of its own and a sentence; never by a signal, never hanging, and what has
# its final name is whole. DUNE_TEST_FAILS: points per command and kind (default 6; 40 with the argument `more`).
. "$(dirname "$0")/tap.sh"
SO=${DUNE_FAILCALL:-}
[ -n "$SO" ] && [ -e "$SO" ] || { echo "1..0 # SKIP the library that lets calls fail is not there"; exit; }
if ldd "$D" | grep -q 'lib[at]san'; then
    echo "1..0 # SKIP nothing can be preloaded before a sanitizer"
    exit
fi
POINTS=${DUNE_TEST_FAILS:-6}
[ "${1:-}" != more ] || POINTS=40
total=0
survived=0
# Only the program itself has calls that fail, not what starts it.
cat >"$T/dunectl" <<END
#!/bin/sh
[ -z "\$FAIL_SO" ] || export LD_PRELOAD="\$FAIL_SO"
exec "$D" "\$@"
END
chmod +x "$T/dunectl"
export FAIL_SO=
D=$T/dunectl

one() { # KIND POINT COMMAND...
    k=$1 at=$2
    shift 2
    FAIL_SO=$SO FAIL_KIND=$k FAIL_AT=$at timeout -k 2 60 "$@" >"$T/out" 2>"$T/err"
}
# NAME OUTPUT COMMAND...: in $T/w
every() {
    name=$1 out=$2
    shift 2
    rm -rf "$T/w" "$T/whole"
    cp -r "$T/in" "$T/w"
    cp -r "$T/in" "$T/whole"
    (cd "$T/whole" && "$@" >/dev/null 2>&1) || { tap_ok 1 "$name works"; return; }
    bad=
    tried=0
    for kind in alloc read write map socket; do
        rm -f "$T/n"
        rm -rf "$T/w"
        cp -r "$T/in" "$T/w"
        (cd "$T/w" && FAIL_SO=$SO FAIL_KIND=$kind FAIL_COUNT="$T/n" "$@" >/dev/null 2>&1)
        n=$(cat "$T/n" 2>/dev/null || echo 0)
        i=1
        while [ $i -le "$POINTS" ] && [ $i -le "$n" ]; do
            # the first ones one by one, then spread over all
            if [ $i -le $((POINTS / 2)) ] || [ "$n" -le "$POINTS" ]; then p=$i; else p=$((n * (i - POINTS / 2) / (POINTS - POINTS / 2))); fi
            rm -f "$T/w/$out"
            (cd "$T/w" && one $kind $p "$@")
            rc=$?
            tried=$((tried + 1))
            case $rc in
            0) survived=$((survived + 1)) ;;
            1 | 2 | 3 | 4 | 5) [ -s "$T/err" ] || bad="$bad $kind/$p:silent" ;;
            *) bad="$bad $kind/$p:status-$rc" ;;
            esac
            [ "$out" = - ] || [ ! -e "$T/w/$out" ] || cmp -s "$T/w/$out" "$T/whole/$out" || bad="$bad $kind/$p:half"
            [ $rc != 0 ] || [ "$out" = - ] || [ -e "$T/w/$out" ] || bad="$bad $kind/$p:lost"
            i=$((i + 1))
        done
    done
    echo "# $name: $tried calls failed"
    total=$((total + tried))
    [ -z "$bad" ] || echo "# bad:$bad"
    tap_ok "$([ -z "$bad" ] && echo 0 || echo 1)" "$name"
}

mkdir "$T/in"
"$D" synth -q -o "$T/in/tr" --flows 60 --train-captures 4 --test-captures 1 2>/dev/null
cat >"$T/in/e.yaml" <<END
name: fails
data: {train: tr/train, test: tr/test, labels: tr/labels.csv}
solutions: [jewel]
devices: 1
budget: tiny
effort: quick
END
(cd "$T/in" && "$D" extract -q tr -l tr/labels.csv -o rows.dset && "$D" train -q rows.dset --leaves 12 -o forest.json &&
    "$D" plan -q rows.dset --budget tiny --devices 2 --effort quick -o plan.json && "$D" run -q e.yaml -o run) >/dev/null 2>&1
cp "$ROOT/tests/golden/p4/seven_nodes.json" "$T/in/crc.json"
every extract x.dset "$D" extract -q tr -l tr/labels.csv -o x.dset
every "train" f.json "$D" train -q rows.dset --trees 2 --leaves 12 -o f.json
every analyze W.csv "$D" analyze -q forest.json rows.dset -o W.csv
every plan p.json "$D" plan -q rows.dset --budget tiny --devices 2 --effort quick -o p.json
every verify - "$D" verify plan.json
every replay v.csv "$D" replay -q plan.json tr/test --verdicts v.csv
every "replay, fast" v.csv "$D" replay -q plan.json tr/test --engine fast --verdicts v.csv
every emit - "$D" emit -q crc.json --target p4-v1model -o o
every report r.html "$D" report run -o r.html
every "run" run2/compare.csv "$D" run -q e.yaml -o run2

# A switch on capture files: ends by itself when interrupted.
cat >"$T/in/switch.sh" <<'END'
timeout -s INT -k 3 1 "$1" switch s1 --bus "unix:$PWD/bus" --in "edge:pcap:tr/test/synth-01.pcap" --out edge:pcap:,x.pcap
rc=$?
[ $rc = 124 ] && rc=0
exit $rc
END
POINTS=$((POINTS / 2))
every "switch" - sh ./switch.sh "$D"
echo "# $total calls failed, $survived of them went unnoticed or were made good"
tap_done
