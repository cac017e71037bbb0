#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl report: a run directory as page, text and figures; golden files of a small run that is kept in
# tests/golden/report/run. REPORT_UPDATE=1 writes the golden files anew.
. "$(dirname "$0")/tap.sh"

G=$ROOT/tests/golden/report
CHECK="python3 $(cd "$(dirname "$0")" && pwd)/report_check.py"
cp -r "$G/run" "$T/run"
cd "$T" || exit 1

expect 0 "report" "$D" report run -o page.html --svg figures
has "says what it wrote" err 'wrote page.html, [0-9]+ kB'
expect 0 "text" "$D" report run --text --quiet
cp out page.txt
if [ "${REPORT_UPDATE:-}" = 1 ]; then
    cp page.html "$G/report.html"
    cp page.txt "$G/report.txt"
fi
# All but the pipeline model's numbers, which have tests of their own.
same_but_model() { # FILE GOLDEN
    sed '/Estimate for a pipeline/,/<\/table>\|^$/d' "$1" >a.tmp
    sed '/Estimate for a pipeline/,/<\/table>\|^$/d' "$2" >b.tmp
    cmp a.tmp b.tmp && grep -q 'Estimate for a pipeline' "$1"
}
check "the page is the golden one (REPORT_UPDATE=1 makes it so)" same_but_model page.html "$G/report.html"
check "the text is the golden one (REPORT_UPDATE=1 makes it so)" same_but_model page.txt "$G/report.txt"
rm -f a.tmp b.tmp
expect 0 "once more" "$D" report run
check "the same bytes, in the run directory" cmp page.html run/report.html
if command -v python3 >/dev/null; then
    check "page and figures are well-formed and safe" $CHECK safe page.html figures/*.svg
    check "numbers are those of metrics.json" $CHECK numbers page.html run/metrics.json
    check "every picture is a file" $CHECK figures page.html figures
else
    skip "page and figures" "python3 is not installed"
fi
expect 0 "json" "$D" report run -o page.html --json
has "names the figures" out '"name": "comparison-f1"'
has "and what is left out, and why" out '"section": "cost", "why": "F1 against the number of devices'
expect 0 "a directory above run" "$D" report . -o above.html
check "gives the same" cmp page.html above.html

# --- a run without test scores, and with files that other commands add
mkdir -p part
cp -r run/choice run/plans part/
python3 - run/metrics.json part/metrics.json <<'P'
import json, sys
m = json.load(open(sys.argv[1]))
m["test_was_read"] = False
for key in ("differences", "intervals_over"):
    del m[key]
m["solutions"] = {n: {"folds": {"macro": 0.5, "judged_by": "x"}, "resources": []} for n in m["solutions"]}
json.dump(m, open(sys.argv[2], "w"))
P
expect 0 "without test scores" "$D" report part --text --quiet
has "says so" out 'test captures were not read'
has "has the scores inside train" out '^dune +3 +0\.4'
check "and nothing that is not a number" sh -c '! grep -qiE "(^|[^a-z])(nan|inf)([^a-z]|$)" out'
cat >run/pareto.json <<'J'
{"points": [{"devices": 1, "used": 1, "macro": 0.7, "leaves": 10, "published_blocks": 4, "state_bytes": 1000000, "front": true},
 {"devices": 2, "used": 2, "macro": 0.8, "leaves": 20, "published_blocks": 8, "state_bytes": 2000000, "front": true, "chosen": true},
 {"devices": 3, "used": 2, "macro": 0.75, "leaves": 20, "published_blocks": 9, "state_bytes": 2000000, "front": false}]}
J
cat >run/live.json <<'J'
{"switches": 2, "solutions": {"dune": {"hop_p50_ns": [1500, 2500], "hop_p99_ns": [3000, 4000]}}}
J
expect 0 "with more files" "$D" report run --text --svg more
has "F1 against devices" out '^ +2 +2 +0\.800 +20 +8 +2\.0 +yes'
check "as a picture" test -s more/cost-front.svg
check "and the times in each switch" grep -q 'switch 2' more/devices-live-latency.svg
rm run/pareto.json run/live.json

mkdir -p run/p4/s1/s1.out/logs
cp "$ROOT/docs/examples/p4/five/plan.json" run/p4/plan.json
cp "$ROOT/tests/fuzz/corpus/p4_report/metrics.json" run/p4/s1/s1.out/logs/metrics.json
cp "$ROOT/tests/fuzz/corpus/p4_report/resources.txt" run/p4/s1/s1.out/logs/mau.resources.log
expect 0 "with what the P4 compiler said" "$D" report run --text
has "stages beside each other" out '^s1 +stages +[0-9]+ +2 '
has "and cycles" out '^s1 +cycles of the ingress +[0-9]+ +290 '
# The same from summaries as the compiler's own scripts write them: more columns, a table of shares, a list of tables.
cp "$ROOT/tests/golden/p4/compiled/metrics.json" run/p4/s1/s1.out/logs/metrics.json
cp "$ROOT/tests/golden/p4/compiled/mau.resources.txt" run/p4/s1/s1.out/logs/mau.resources.log
expect 0 "with a compiler's whole summaries" "$D" report run --text
has "its stages, of those in use" out '^s1 +stages +[0-9]+ +3 '
has "its SRAM" out '^s1 +SRAM blocks +[0-9]+ +13 '
has "its TCAM" out '^s1 +TCAM blocks +[0-9]+ +4 '
has "its map RAMs" out '^s1 +map RAMs +[0-9]+ +5 '
has "its cycles" out '^s1 +cycles of the ingress +[0-9]+ +96 '
rm -r run/p4/s1
expect 0 "without it" "$D" report run --text
has "is said" out "the compiler's numbers: no metrics.json"
rm -r run/p4

# --- names that want to be markup, and many classes
mkdir evil
cp -r run/choice run/plans evil/
$CHECK evil run evil
expect 0 "hostile names" "$D" report evil -o evil.html --svg evil-figures
check "are text" $CHECK safe evil.html evil-figures/*.svg
check "and are there" grep -q '&lt;script&gt;alert' evil.html
expect 0 "hostile names on a terminal" "$D" report evil --text
check "have no control characters" sh -c '! LC_ALL=C grep -q "[[:cntrl:]]" out'
mkdir -p many/choice many/plans
cp run/plans/dune.json many/plans/
$CHECK many 10000 many/metrics.json
expect 0 "10,000 classes" "$D" report many -o many.html
check "stay below 400 kB" test "$(wc -c <many.html)" -lt 400000
check "and are well-formed" $CHECK safe many.html
has "in groups" many.html 'Confusion between groups of classes'

# --- what is wrong
expect 3 "no directory" "$D" report nowhere
has "says so" err 'nowhere: no such directory'
expect 3 "no run directory" "$D" report figures
has "says what makes one" err 'this is no run directory; dunectl run'
mkdir half
echo '{}' >half/state.json
expect 3 "a run that did not finish" "$D" report half
has "says how to go on" err 'did not finish; the same dunectl run goes on'
cp -r run broken
sed 's/"version": 1/"version": 2/' run/metrics.json >broken/metrics.json
expect 3 "another version" "$D" report broken
has "names it" err 'metrics.json: version: a comparison of version 2\.0'
grep -v '"version"' run/metrics.json >broken/metrics.json
expect 3 "no version" "$D" report broken
head -c 3000 run/metrics.json >broken/metrics.json
expect 3 "cut short" "$D" report broken
has "with the line" err 'metrics.json:[0-9]+:'
sed 's|^    "none": {"train|    "../none": {"train|' run/metrics.json >broken/metrics.json
expect 3 "a name that is a path" "$D" report broken
cp run/metrics.json broken/
echo '[' >broken/choice/dune.json
expect 3 "broken notes" "$D" report broken
cp run/choice/dune.json broken/choice/
sed 's/"version": 1/"version": 9/' run/plans/dune.json >broken/plans/dune.json
expect 3 "a plan of another version" "$D" report broken
rm broken/plans/dune.json
expect 0 "no plan" "$D" report broken --text
has "is said" out 'Left out: devices: there is no plan'
check "nothing is left behind by errors" sh -c '! ls | grep -q "tmp-"'
expect 2 "no directory given" "$D" report
expect 2 "text and json" "$D" report run --text --json
expect 5 "a place that cannot be written" "$D" report run -o /dev/null/x.html

# --- the whole way: run says where to look, demo writes the page
expect 0 "synth" "$D" synth -o data --flows 300 --quiet
expect 0 "run" "$D" run --train data/train --test data/test --labels data/labels.csv --captures data/captures.csv \
    --solutions jewel --devices 1 --effort quick -o made
has "points to report" err 'dunectl report made makes a page'
expect 0 "report of it" "$D" report made -o made.html
check "is well-formed" $CHECK safe made.html
check "with its numbers" $CHECK numbers made.html made/metrics.json
expect 0 "demo" "$D" demo -o demo --data data --solutions jewel --devices 1
check "writes its page" test -s demo/report.html
tap_done
