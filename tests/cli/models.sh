#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models of other programs: XGBoost, programs, predictions, scikit-learn; from each to a chain.
. "$(dirname "$0")/tap.sh"

cd "$T" || exit 1
expect 0 "traffic" "$D" synth -o traffic --flows 1200 -q
expect 0 "rows" "$D" extract traffic -l traffic/labels.csv --captures traffic/captures.csv -o rows.dset -q \
    --csv rows.csv --n 3 --mark-validation
has "the part that models are judged on" rows.csv ',validation,'
expect 2 "marks without rows" "$D" extract traffic -l traffic/labels.csv -o x.dset --mark-validation
expect 0 "forest" "$D" train rows.dset --trees 5 --sqrt --depth 8 -o forest.json -q

# Predictions: what a model says, and that as a model.
expect 0 "predict" "$D" predict forest.json rows.dset -o p.csv
has "says what it wrote" out 'rows, [0-9]+ classes, n = 3, phase running: wrote p.csv'
has "by flow and packet" p.csv '^flow,packet,[a-z]'
expect 0 "predict one part" "$D" predict forest.json rows.dset --of validation -o v.csv --json
has "as JSON" out '"model": "forest"'
check "a part is less" sh -c '[ $(wc -l <v.csv) -lt $(wc -l <p.csv) ]'
expect 0 "predictions as a model" "$D" predict predictions:p.csv rows.dset -o again.csv -q
check "say the same again" cmp p.csv again.csv
expect 0 "W and f of predictions" "$D" analyze predictions:v.csv rows.dset -o W.csv -s f.csv
check "rows of W sum to 1" awk -F, 'NR > 1 { s = 0; for (i = 2; i <= NF; i++) s += $i
    if (s < 0.999999 || s > 1.000001) bad = 1 } END { exit bad }' W.csv
expect 2 "predictions cannot be shuffled" "$D" analyze predictions:v.csv rows.dset -o x.csv --method permutation
expect 3 "a row that is not predicted" "$D" predict predictions:v.csv rows.dset -o x.csv
has "is named" err 'no prediction for packet [0-9]+ of flow [0-9]+'
printf 'flow,packet,a,b\n0,1,0.5,0.6\n' >bad.csv
expect 3 "no probabilities" "$D" predict predictions:bad.csv rows.dset -o x.csv
has "with the line" err 'bad.csv:2: the probabilities do not sum to 1'

# A program: answers from a table of what the forest says, so it must be judged like the predictions.
cat >slow.py <<'P'
import csv, sys
open("starts", "a").write("x")
rows = list(csv.reader(sys.stdin))
at = rows[0].index("ip.len")
names = open("classes").read().split()
print(",".join(names))
for r in rows[1:]:
    k = int(r[at]) % len(names)
    print(",".join("1" if i == k else "0" for i in range(len(names))))
P
head -n 1 p.csv | cut -d, -f3- | tr , '\n' >classes
expect 0 "a program as a model" "$D" analyze "exec:python3 slow.py" rows.dset -o W.csv -s f.csv --intervals i.csv \
    --features ip.len,ip.ttl --repeats 4
check "only what it looks at counts" awk -F, 'NR == 1 { for (i = 2; i <= NF; i++) if ($i == "ip.len") at = i; next }
    { if ($at != 0 && $at < 0.999) bad = 1; if ($at > 0.999) some = 1 } END { exit bad || !some }' W.csv
has "intervals" i.csv '^class,feature,mean,low,high$'
check "are around the mean" awk -F, 'NR > 1 && ($4 > $3 || $5 < $3) { bad = 1 } END { exit bad }' i.csv
check "one start for the rows, one for all shuffles, one for the scores" sh -c '[ "$(cat starts)" = xxx ]'
expect 0 "in smaller batches" "$D" analyze "exec:python3 slow.py" rows.dset -o W2.csv --features ip.len,ip.ttl --repeats 4 \
    --batch-rows 700
check "the same W" cmp W.csv W2.csv
expect 3 "a program that fails" "$D" analyze "exec:sh -c 'echo no such model >&2; exit 1'" rows.dset -o x.csv
has "is quoted" err 'status 1: no such model'
expect 3 "a program that talks nonsense" "$D" analyze "exec:echo hello" rows.dset -o x.csv
has "with the line" err 'echo hello:1: the output.s column "hello" is no class'
expect 5 "a program that is too slow" "$D" analyze "exec:sleep 9" rows.dset -o x.csv --timeout 0.2
expect 5 "a program that is not there" "$D" analyze exec:./none rows.dset -o x.csv
expect 2 "no program" "$D" analyze exec: rows.dset -o x.csv
expect 2 "intervals of what has none" "$D" analyze forest.json rows.dset -o x.csv --intervals i.csv
check "no output of a failed run" test ! -e x.csv

expect 0 "a chain from predictions" "$D" run --train traffic/train --test traffic/test -l traffic/labels.csv \
    --captures traffic/captures.csv --solutions dune-paper --devices 3 --model forest.json -o r1
has "is replayed" out '^dune-paper '
expect 3 "a model that is not there" "$D" run --train traffic/train --test traffic/test -l traffic/labels.csv \
    --captures traffic/captures.csv --solutions dune-paper --model none.json -o r1

# scikit-learn
PY=python3
for p in python3 /usr/bin/python3; do $p -c 'import sklearn' 2>/dev/null && PY=$p && break; done
if ! $PY -c 'import sklearn' 2>/dev/null; then
    skip "trees of scikit-learn" "python3-sklearn is not installed"
else
    cat >dump.py <<'P'
import sys
import csv
import numpy as np
root, kind = sys.argv[1:3]
sys.path[:0] = [root + "/tools", root + "/docs/examples/models"]
import dump_sklearn, train_sklearn
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
x, y, w, names = train_sklearn.read("rows.csv")
model = {"tree": DecisionTreeClassifier(random_state=1), "forest": RandomForestClassifier(9, random_state=2),
         "extra": ExtraTreesClassifier(7, random_state=3)}[kind].fit(x, y, sample_weight=w)
dump_sklearn.dump(model, names, kind + ".json", 3, "running")
with open("rows.csv", newline="") as f:
    rows = list(csv.DictReader(f))
p = model.predict_proba(np.array([[float(r[c]) for c in names] for r in rows]))
with open(kind + ".csv", "w") as f:
    f.write("flow,packet," + ",".join(model.classes_) + "\n")
    for r, row in zip(rows, p):
        f.write("%s,%s,%s\n" % (r["flow"], r["packet"], ",".join("%.6g" % v for v in row)))
P
    cat >near.py <<'P'
import csv, sys
a, b = (list(csv.reader(open(f))) for f in sys.argv[1:3])
assert a[0] == b[0] and len(a) == len(b), (a[0], b[0])
for x, y in zip(a[1:], b[1:]):
    assert x[:2] == y[:2] and max(abs(float(p) - float(q)) for p, q in zip(x[2:], y[2:])) < float(sys.argv[3]), (x, y)
P
    for kind in tree forest extra; do
        check "scikit-learn: $kind" $PY dump.py "$ROOT" $kind
        expect 0 "imported" "$D" predict $kind.json rows.dset -o got.csv -q
        check "says what scikit-learn says, on every row" $PY near.py $kind.csv got.csv 2e-5
    done
    expect 0 "W of scikit-learn's forest" "$D" analyze forest.json rows.dset -o W.csv -s f.csv
    check "the example trains without validation" $PY "$ROOT/docs/examples/models/train_sklearn.py" rows.csv sk.json --trees 5
    expect 0 "and on to blocks" "$D" partition -w W.csv -f f.csv -o blocks.json
    $PY - <<'P'
import sys, csv, joblib, numpy as np
rows = list(csv.DictReader(open("rows.csv", newline="")))
names = [c for c in rows[0] if c not in ("flow", "capture", "split", "packet", "weight", "Label")]
from sklearn.linear_model import SGDClassifier
x = np.array([[float(r[c]) for c in names] for r in rows])
joblib.dump(SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=0).fit(x / 65536, [r["Label"] for r in rows]), "sgd.joblib")
P
    expect 0 "any classifier behind exec" "$D" predict "exec:$PY $ROOT/docs/examples/models/serve_sklearn.py sgd.joblib" \
        rows.dset -o x.csv -q
    rm -f x.csv
fi

# Trees as sub-models
printf '%s' '{"format": "dune-sklearn", "version": 1, "n": 2, "features": ["dstport", "ip.len"], "classes": ["b", "Other", "a"],
"trees": [{"left": [1, -1, 3, -1, -1], "right": [2, -1, 4, -1, -1], "feature": [0, 0, 1, 0, 0], "threshold": [53.5, 0, 99.5, 0, 0],
"value": [[1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 1]]}]}' >hand.json
expect 0 "a tree as a plan" "$D" import hand.json -o hand-plan.json
has "says what it is" out '1 sub-models, 2 classes'
expect 0 "that is verified" "$D" verify hand-plan.json
expect 0 "and runs" "$D" replay hand-plan.json traffic/test/synth-01.pcap --verdicts hand.csv
check "with the thresholds of the file" python3 - <<'P'
import json
sub = json.load(open("hand-plan.json"))["submodels"][0]
his = {f["feature"]: [r["hi"] for r in f["rows"]] for f in sub["features"]}
assert 53 in his["dstport"] and 99 in his["ip.len"], his
P
expect 0 "two as a chain" "$D" import hand.json hand.json -o two.json --claim first
expect 4 "one that does not fit" "$D" import hand.json -o x.json --budget leaves_sum=2,features_distinct=2
has "with the numbers" err '3 leaves and 2 features do not fit a budget of 2 and 2'
expect 3 "predictions have no trees" "$D" import predictions:p.csv -o x.json
check "no plan of a failed import" test ! -e x.json

# A model in the planner: a partition to start from, and soft labels.
PLAN="$D plan rows.dset --effort quick --devices 2 --budget leaves_sum=20,features_distinct=3 -q"
expect 0 "a plan with a model" $PLAN --model predictions:p.csv --distill model -o taught.json --choice taught.choice
check "whose partition was tried, and whose soft labels the chain was fitted to" python3 - <<'P'
import json
n = json.load(open("taught.choice"))
assert n["model"] == "predictions:p.csv" and n["distill"] == "model", n
assert [s for s in n["search"] if s["step"] == "by the model"], n["search"]
assert not [v for c in n["candidates"] for v in c["variants"] if "soft" in v["step"]], n["candidates"]
assert all(b["settings"]["distil"] == 0.5 for b in n["blocks"]) or n["distribution"]["claim"] == "votes", n["blocks"]
P
expect 0 "and without soft labels" $PLAN --model predictions:p.csv --distill off -o hard.json --choice hard.choice
check "there are none" sh -c "! grep -q 'soft labels' hard.choice && grep -q 'by the model' hard.choice"
check "the same chain, fitted to other labels" python3 - <<'P'
import json
a, b = (json.load(open(f)) for f in ("taught.choice", "hard.choice"))
assert a["candidates"] == b["candidates"] and [x["classes"] for x in a["blocks"]] == [x["classes"] for x in b["blocks"]]
assert open("taught.json").read() != open("hard.json").read() or a["distribution"]["claim"] == "votes"
P
expect 2 "soft labels of no model" $PLAN --distill model -o x.json
has "names the option" err '--model MODEL'
expect 2 "a model in a baseline" $PLAN --solution jewel --model forest.json -o x.json
has "says who takes one" err 'dune and dune-paper'
expect 2 "soft labels in a baseline" $PLAN --solution jewel --distill off -o x.json
expect 3 "a model that does not know all classes" $PLAN --model hand.json -o x.json
check "no plan of these" test ! -e x.json

# XGBoost
if ! "$D" version | grep -q xgboost; then
    expect 5 "XGBoost is not in this build" "$D" train rows.dset --model xgboost -o x.json
    has "says what is missing" err 'libxgboost-dev'
    tap_done
fi
expect 0 "train XGBoost" "$D" train rows.dset --model xgboost --rounds 4 --depth 4 --features paper -o xgb.json --final
has "scored on test" out 'macro F1 on test, by flows'
expect 0 "again" "$D" train rows.dset --model xgboost --rounds 4 --depth 4 --features paper -o xgb2.json --threads 2
check "the same bytes" cmp xgb.json xgb2.json
expect 0 "another seed is no error" "$D" train rows.dset --model xgboost --rounds 2 --seed 9 -o xgb3.json --json
expect 0 "contributions" "$D" analyze xgb.json rows.dset -o W.csv -s f.csv
check "is judged without its rows: no remark" sh -c "! grep -q 'does not say' '$T/err'"
check "rows of W sum to 1" awk -F, 'NR > 1 { s = 0; for (i = 2; i <= NF; i++) s += $i
    if (s < 0.999999 || s > 1.000001) bad = 1 } END { exit bad }' W.csv
expect 0 "by permutation, too" "$D" analyze xgb.json rows.dset -o W2.csv --method permutation --repeats 1
expect 2 "contributions of a forest" "$D" analyze forest.json rows.dset -o x.csv --method shap
expect 2 "options of forests" "$D" train rows.dset --model xgboost --trees 3 -o x.json
expect 2 "options of XGBoost" "$D" train rows.dset --rounds 3 -o x.json
expect 0 "few boosted trees" "$D" train rows.dset --model xgboost --rounds 1 --depth 2 --features paper -o small.json
expect 0 "are one tree" "$D" import small.json -o small-plan.json
expect 0 "that is a plan" "$D" verify small-plan.json
expect 4 "many are too many" "$D" import xgb.json -o x.json --budget tiny
has "and it says so" err 'boosted trees are no tree of 41 leaves or fewer'
expect 0 "a chain from XGBoost" "$D" run --train traffic/train --test traffic/test -l traffic/labels.csv \
    --captures traffic/captures.csv --solutions dune-paper --devices 3 --model xgboost -o r2
has "is replayed" out '^dune-paper '
PY=
for p in python3 /usr/bin/python3; do $p -c 'import xgboost' 2>/dev/null && PY=$p && break; done
if [ -z "$PY" ]; then
    skip "probabilities against XGBoost's own" "python3-xgboost is not installed"
else
    cat >xgb.py <<'P'
import csv, sys, json, numpy as np, xgboost
b = xgboost.Booster(model_file="xgb.json")
rows = list(csv.DictReader(open("rows.csv", newline="")))
x = np.array([[float(r[c]) for c in b.feature_names] for r in rows])
p = b.predict(xgboost.DMatrix(x, feature_names=b.feature_names))
with open("own.csv", "w") as f:
    f.write("flow,packet," + ",".join(json.loads(b.attr("dune_classes"))) + "\n")
    for r, row in zip(rows, p):
        f.write("%s,%s,%s\n" % (r["flow"], r["packet"], ",".join("%.6g" % v for v in row)))
P
    check "XGBoost reads the file" $PY xgb.py
    expect 0 "so do we" "$D" predict xgb.json rows.dset -o got.csv -q
    check "with its probabilities, on every row" $PY near.py own.csv got.csv 2e-5
fi
tap_done
