#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A power cut at every point at which a command does something to files: what has its final name is whole, and the same
# command afterwards gives the same bytes. Then the same for the desired state of a controller.
. "$(dirname "$0")/tap.sh"
SO=${DUNE_POWERCUT:-}
[ -n "$SO" ] && [ -e "$SO" ] || { echo "1..0 # SKIP the library that cuts is not there"; exit; }
if ldd "$D" | grep -q 'lib[at]san'; then
    echo "1..0 # SKIP nothing can be preloaded before a sanitizer"
    exit
fi

cut_() { # POINT COMMAND...: status 137 when it was cut
    at=$1
    shift
    LD_PRELOAD=$SO POWERCUT=$at "$@" >/dev/null 2>"$T/err"
}
points_of() { # COMMAND...
    LD_PRELOAD=$SO POWERCUT_COUNT="$T/points" "$@" >/dev/null 2>"$T/err" && cat "$T/points"
}
total=0
# NAME FILES COMMAND...: FILES (in $T/w) are its outputs; @ is the directory. Of many points, every STEP-th.
every_point() {
    name=$1 files=$2
    shift 2
    rm -rf "$T/w" "$T/whole"
    cp -r "$T/in" "$T/w"
    n=$(cd "$T/w" && points_of "$@") || { cat "$T/err"; tap_ok 1 "$name"; return; }
    mv "$T/w" "$T/whole"
    step=$((n / ${DUNE_TEST_CUTS:-14} + 1))
    bad=
    k=1
    tried=0
    while [ $k -le "$n" ]; do
        rm -rf "$T/w"
        cp -r "$T/in" "$T/w"
        (cd "$T/w" && cut_ $k "$@")
        [ $? = 137 ] || bad="$bad $k:not-cut"
        for f in $files; do # there is none, or it is whole
            [ ! -e "$T/w/$f" ] || cmp -s "$T/w/$f" "$T/whole/$f" || bad="$bad $k:half-$f"
        done
        (cd "$T/w" && "$@" >/dev/null 2>"$T/err") || bad="$bad $k:no-resume"
        for f in $files; do
            cmp -s "$T/w/$f" "$T/whole/$f" || bad="$bad $k:other-$f"
        done
        tried=$((tried + 1))
        k=$((k + step))
    done
    echo "# $name: $n points, $tried cuts"
    total=$((total + tried))
    [ -z "$bad" ] || echo "# bad:$bad"
    ok=0
    [ -z "$bad" ] || ok=1
    tap_ok $ok "$name"
}

mkdir "$T/in"
"$D" synth -q -o "$T/in/tr" --flows 120 --train-captures 4 --test-captures 1 2>/dev/null
every_point synth "s/labels.csv s/train/synth-01.pcap" "$D" synth -q -o s --flows 20 --train-captures 1 --test-captures 1
every_point extract rows.dset "$D" extract -q tr -l tr/labels.csv -o rows.dset
cp "$T/whole/rows.dset" "$T/in/"
every_point train forest.json "$D" train -q rows.dset --trees 3 --sqrt --leaves 20 -o forest.json
cp "$T/whole/forest.json" "$T/in/"
every_point "train --search" "forest2.json" "$D" train -q rows.dset --search quick -o forest2.json
every_point analyze "W.csv s.csv" "$D" analyze -q forest.json rows.dset -o W.csv --scores s.csv
cp "$T/whole/W.csv" "$T/whole/s.csv" "$T/in/"
every_point partition blocks.json "$D" partition -q --importance W.csv --scores s.csv --blocks 2 -o blocks.json
cp "$T/whole/blocks.json" "$T/in/"
every_point search sub.json "$D" search -q blocks.json rows.dset --budget tiny --effort quick -o sub.json
cp "$T/whole/sub.json" "$T/in/"
every_point sequence seq.json "$D" sequence -q sub.json rows.dset -o seq.json
cp "$T/whole/seq.json" "$T/in/"
every_point compile plan.json "$D" compile -q seq.json -o plan.json
cp "$T/whole/plan.json" "$T/in/"
every_point plan plan2.json "$D" plan -q rows.dset --budget tiny --devices 2 --effort quick -o plan2.json
every_point replay "v.csv" "$D" replay -q plan.json tr/test --labels tr/labels.csv --verdicts v.csv
cat >"$T/in/e.yaml" <<END
name: cut
data: {train: tr/train, test: tr/test, labels: tr/labels.csv}
solutions: [none, jewel, dune]
devices: 2
budget: tiny
effort: quick
END
every_point run "r/rows.dset r/compare.csv r/plans/dune.json r/plans/jewel.json r/choice/dune.json" "$D" run -q e.yaml -o r

# The desired state: at every cut, a controller that starts again leads, and has the plan or does not, and nothing else.
BUS=unix:$T/bus
leads() { "$D" controller status --bus "$BUS" >"$T/status" 2>/dev/null && grep -q '"leader": true' "$T/status"; }
serve() { exec "$D" controller serve -q --bus "$BUS" --state "$T/state" --device s1:1 --device s2:2 2>>"$T/serve.log"; }
bad=
cuts=0
k=1
while [ $k -le ${DUNE_TEST_STATE_CUTS:-40} ]; do
    rm -rf "$T/state"
    (LD_PRELOAD=$SO POWERCUT=$k exec "$D" controller serve -q --bus "$BUS" --state "$T/state" --device s1:1 --device s2:2 \
        2>/dev/null) &
    pid=$!
    i=0
    while [ $i -lt 40 ] && kill -0 $pid 2>/dev/null; do
        leads && "$D" controller apply "$T/in/plan.json" --bus "$BUS" >/dev/null 2>&1 && "$D" controller pin 10.1.0.0/16 \
            "$(sed -n 's/.*"name": "\([a-z][^"]*\)", "min.*/\1/p' "$T/in/plan.json" | head -n 1)" --bus "$BUS" >/dev/null 2>&1 && break
        i=$((i + 1))
        sleep 0.05
    done
    i=0 # the lease is renewed: more writes
    while [ $i -lt 30 ] && kill -0 $pid 2>/dev/null; do sleep 0.1; i=$((i + 1)); done
    if kill -0 $pid 2>/dev/null; then # there are no more points
        kill $pid
        wait $pid 2>/dev/null
        break
    fi
    wait $pid 2>/dev/null
    cuts=$((cuts + 1))
    rm -f "$T/bus"
    serve &
    pid=$!
    wait_tries=50
    wait_for leads || bad="$bad $k:no-leader"
    grep -Eq '"phase": "(empty|loading)"' "$T/status" || bad="$bad $k:phase"
    kill $pid
    wait $pid 2>/dev/null
    k=$((k + ${DUNE_TEST_STATE_STEP:-3}))
done
echo "# desired state: $cuts cuts"
[ -z "$bad" ] || { echo "# bad:$bad"; tail -n 3 "$T/serve.log" | sed 's/^/# /'; }
check "desired state" [ -z "$bad" ]
check "it was cut" [ $cuts -gt 3 ]
total=$((total + cuts))

# The history of a dashboard: after every cut it is whole, a dashboard goes on with it and adds its run.
if "$D" version | grep -q ' sqlite ' && python3 -c 'import sqlite3' 2>/dev/null; then
    cat >"$T/history.py" <<'END'
import os, signal, sqlite3, subprocess, sys, time
sys.path.insert(0, sys.argv[4])
from dash_kit import Dash
dunectl, run, so, _, most = sys.argv[1:]
path = os.path.join(os.path.dirname(run), "h.sqlite")
def play(env):
    d = Dash([dunectl, "dash", run, "--listen", "127.0.0.1:0", "--json", "--history", path, "--play", "dune", "--pace", "max"],
             env=dict(os.environ, **env))
    try:
        d.wait_json()
        d.state("finished", seconds=30)
        time.sleep(1.2) # the last point
    except Exception:
        pass
    return d.stop()[0]
def fresh():
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.remove(path + end)
def runs():
    c = sqlite3.connect(path)
    try:
        whole = c.execute("PRAGMA integrity_check").fetchone()[0]
        return whole, c.execute("SELECT count(*) FROM runs").fetchone()[0]
    finally:
        c.close()
fresh()
count = path + ".n"
play({"LD_PRELOAD": so, "POWERCUT_COUNT": count})
n = int(open(count).read())
cuts = bad = 0
step = max(1, n // int(most))
for k in range(1, n + 1, step):
    fresh()
    if play({"LD_PRELOAD": so, "POWERCUT": str(k)}) != -signal.SIGKILL:
        continue
    cuts += 1
    play({})
    whole, had = runs()
    if whole != "ok" or had not in (1, 2):
        bad += 1
        print("# cut", k, whole, had)
print("# %d points, %d cuts" % (n, cuts))
print("all whole" if cuts > 3 and not bad else "bad")
sys.exit()
END
    python3 "$T/history.py" "$D" "$T/whole/r" "$SO" "$ROOT/tests/cli" "${DUNE_TEST_CUTS:-14}" >"$T/history.out" 2>&1
    grep '^#' "$T/history.out"
    total=$((total + $(sed -n 's/.* points, \([0-9]*\) cuts/\1/p' "$T/history.out")))
    has "the history of a dashboard" "$T/history.out" '^all whole'
else
    skip "the history of a dashboard" "this build has none"
fi
echo "# $total power cuts in all"
tap_done
