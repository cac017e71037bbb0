#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files of every version of the formats that was released (tests/golden/formats/VERSION) are read, and give what they gave;
# files of versions that do not exist yet, or no longer, are treated as docs/compatibility.md says.
. "$(dirname "$0")/tap.sh"

same() { # NAME FILE: what was made now in $T/now is what the golden version made
    check "$V: $1" cmp "$T/now/$2" "$G/$2"
}

history=no
"$D" version | grep -q ' sqlite ' && history=yes
for G in "$ROOT"/tests/golden/formats/[0-9]*; do
    V=${G##*/}
    rm -rf "$T/now" "$T/g"
    mkdir "$T/now"
    cp -r "$G" "$T/g"
    cd "$T/g" || exit 1

    "$D" drift check plan.json tr/test --captures tr/captures.csv --profile profile.json --all >"$T/now/drift.txt" 2>"$T/err"
    same "a drift profile" drift.txt
    [ -f rows.dset ] || continue # a later version, in which nothing else has grown
    gunzip trace/*.gz

    # Data set, forest, blocks, sub-models, order, plan: every stage goes on from the file before.
    expect 0 "$V: a data set" "$D" train -q rows.dset --trees 3 --sqrt --leaves 12 -o "$T/now/forest.json"
    same "gives the same forest" forest.json
    expect 0 "$V: a forest" "$D" analyze -q forest.json rows.dset -o "$T/now/W.csv" --scores "$T/now/f.csv"
    same "gives the same importance" W.csv
    same "and scores" f.csv
    expect 0 "$V: importance and scores" "$D" partition -q --importance W.csv --scores f.csv --blocks 2 -o "$T/now/blocks.json"
    same "give the same blocks" blocks.json
    expect 0 "$V: blocks" "$D" search -q blocks.json rows.dset --budget tiny --effort quick -o "$T/now/submodels.json"
    same "give the same sub-models" submodels.json
    expect 0 "$V: sub-models" "$D" sequence -q submodels.json rows.dset -o "$T/now/sequence.json"
    same "give the same order" sequence.json
    expect 0 "$V: an order" "$D" compile -q sequence.json -o "$T/now/plan.json"
    same "gives the same plan" plan.json
    expect 0 "$V: a plan is verified" "$D" verify plan.json
    for engine in reference fast; do
        expect 0 "$V: and runs, engine $engine" "$D" replay -q plan.json tr/test --captures tr/captures.csv --labels tr/labels.csv \
            --engine $engine --verdicts "$T/now/verdicts.csv"
        same "verdict for verdict as then" verdicts.csv
    done
    expect 0 "$V: traces of devices" "$D" judge trace/s1.trace trace/s2.trace --plan plan.json

    # Run directories: the comparison is shown, the state says that nothing is left to do.
    expect 0 "$V: the report of a run directory" "$D" report run -o "$T/now/report.html"
    macro=$(python3 -c 'import json; print("%.3f" % json.load(open("run/metrics.json"))["solutions"]["dune"]["flow"]["macro"])')
    has "$V: has its scores" "$T/now/report.html" "${macro#0}"
    expect 0 "$V: an experiment" "$D" run -q experiment.yaml -o "$T/now/run"
    python3 - run/metrics.json "$T/now/run/metrics.json" >"$T/differ" <<'END'
import json, sys
# What may differ: times, and what the planner chose then, for later versions may choose better.
free = ("ns_per_packet", "dune")
def plain(v):
    if isinstance(v, list):
        return [plain(w) for w in v if not (isinstance(w, dict) and (w.get("of") in free or w.get("over") in free))]
    return {k: plain(w) for k, w in v.items() if k not in free} if isinstance(v, dict) else v
a, b = (plain(json.load(open(f))) for f in sys.argv[1:])
for k in a:
    if a[k] != b.get(k):
        print("#", k, str(a[k])[:100], str(b.get(k))[:100])
        break
else:
    print("all the same", len(a))
END
    has "$V: gives the same comparison" "$T/differ" "^all the same"

    # The history of a dashboard: its run, series and flows are there, and it is written on.
    if [ $history = yes ]; then
        python3 - "$D" "$ROOT/tests/cli" >"$T/differ" <<'END'
import sys
sys.path.insert(0, sys.argv[2])
from dash_kit import Dash
d = Dash([sys.argv[1], "dash", "run", "--listen", "127.0.0.1:0", "--json", "--history", "history.sqlite"]).wait_json()
try:
    runs = d.get("/api/history/runs")[1]["runs"]
    flows = d.get("/api/history/digests?run=%d&limit=1000" % runs[0]["id"])[1]["digests"]
    ok = len(runs) == 1 and runs[0]["solution"] == "dune" and len(flows) > 0
    print("all there" if ok else "# %s, %d flows" % (runs, len(flows)))
finally:
    d.stop()
END
        has "$V: a history" "$T/differ" "^all there"
    else
        skip "$V: a history" "this build has no dashboard with a history"
    fi

    # What a controller has kept.
    "$D" controller serve -q --bus "unix:$T/bus" --state state --device s1:1 --device s2:2 2>"$T/serve.log" &
    pid=$!
    kept() { "$D" controller status --bus "unix:$T/bus" >"$T/status" 2>/dev/null && grep -q '"leader": true' "$T/status"; }
    check "$V: the desired state" wait_for kept
    has "$V: has its plan" "$T/status" '"phase": "loading"'
    has "$V: and its pin" "$T/status" '10\.1\.0\.0/16'
    kill $pid
    wait $pid
done

# --- versions that are not ours ---------------------------------------------------------------------------------------

G=$ROOT/tests/golden/formats/1.0
cp -r "$G" "$T/x"
cd "$T/x" || exit 1
as() { # KEY MAJOR MINOR FILE: in $T/v
    python3 - "$@" "$T/v" <<'END'
import json, sys
key, major, minor, path, out = sys.argv[1:]
o = json.load(open(path))
o[key] = int(major)
if minor:
    o["minor"] = int(minor)
json.dump(o, open(out, "w"))
END
}
refuses() { # NAME COMMAND...: a sentence and exit status 3
    name=$1
    shift
    expect 3 "$name is refused" "$@"
    has "$name: says of which version it is" err 'of version [0-9]+\.[0-9]+[,;] (this program reads version|made by a newer program)'
}
# NAME FILE COMMAND...: FILE, of version 1.0, is read as $T/v; the program's own version is 1.$own
own=0
strict() {
    name=$1 file=$2
    shift 2
    as version 1 0 "$file"
    expect 0 "$name, 1.0" "$@"
    as version 1 $((own + 1)) "$file"
    refuses "$name, 1.$((own + 1))" "$@"
    as version 2 0 "$file"
    refuses "$name, 2.0" "$@"
    as version 0 9 "$file"
    refuses "$name, 0.9" "$@"
}
strict "a plan" plan.json "$D" verify "$T/v"
strict "a forest" forest.json "$D" analyze -q "$T/v" rows.dset -o "$T/o"
strict "sub-models" submodels.json "$D" sequence -q "$T/v" rows.dset -o "$T/o"
strict "an order" sequence.json "$D" compile -q "$T/v" -o "$T/o"
own=1
strict "a drift profile" profile.json "$D" drift check plan.json rows.dset --split train --profile "$T/v"

bytes_at() { # OFFSET BYTES(octal escapes)
    cp rows.dset "$T/v"
    # shellcheck disable=SC2059
    printf "$2" | dd of="$T/v" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
bytes_at 8 '\002'
refuses "a data set, 2.0" "$D" train -q "$T/v" -o "$T/o"
bytes_at 96 '\001'
refuses "a data set, 1.1" "$D" train -q "$T/v" -o "$T/o"

for v in 0.9 1.1 2; do
    sed "s/^version: 1/version: $v/" experiment.yaml >e.yaml
    refuses "an experiment, $v" "$D" run -q e.yaml -o "$T/no"
done
sed '/^version/d' experiment.yaml >e.yaml
expect 0 "an experiment without version is 1.0" "$D" compare -q e.yaml -o "$T/yes" --solutions none
sed "s/^version: 1/version: one/" experiment.yaml >e.yaml
expect 3 "a version that is none" "$D" run -q e.yaml -o "$T/no"

# What is only shown is read when its minor is newer.
m() { as version "$1" "$2" "$G/run/metrics.json" && mv "$T/v" run/metrics.json; }
m 1 7
expect 0 "a comparison, 1.7, is shown" "$D" report run -o "$T/o"
m 2 0
refuses "a comparison, 2.0" "$D" report run -o "$T/o"

as v 2 0 state/desired
mv "$T/v" state/desired
"$D" controller serve --bus "unix:$T/bus" --state state --device s1:1 --device s2:2 >"$T/serve.log" 2>&1 &
pid=$!
says() { grep -q 'the desired state of version 2.0, made by a newer program' "$T/serve.log"; }
check "a desired state, 2.0, is refused with a sentence" wait_for says
kill $pid 2>/dev/null
wait $pid
check "and stays as it is" grep -q '"v": 2' state/desired

if [ $history = yes ] && python3 -c 'import sqlite3'; then
    python3 -c 'import sqlite3; c = sqlite3.connect("history.sqlite"); c.execute("PRAGMA user_version = 2"); c.commit()'
    refuses_history() { "$D" dash run --history history.sqlite --listen 127.0.0.1:0 2>"$T/err"; [ $? = 3 ] && grep -q 'version 2' "$T/err"; }
    cp "$G/run/inputs.json" run/inputs.json
    check "a history, 2, is refused" refuses_history
else
    skip "a history, 2, is refused" "this build has no history"
fi
tap_done
