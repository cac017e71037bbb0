#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl train: forests, refusals, the search and its resumption, scikit-learn on the same rows.
. "$(dirname "$0")/tap.sh"

DATA=${DUNE_SHARED_DATA:-../shared/data}/aalto-iot-setup
if [ ! -d "$DATA" ]; then
    skip "training on real rows" "aalto-iot-setup is not here"
    tap_done
fi
R=$T/rows.dset
expect 0 "rows" "$D" extract "$DATA/train" --test "$DATA/test" --labels "$DATA/labels-grouped.csv" \
    --captures "$DATA/captures.csv" --features notime --csv "$T/rows.csv" -o "$R"

expect 0 "one tree of 129 leaves" "$D" train "$R" --leaves 129 --features notime -o "$T/tree.json"
has "says what it made" out '^1 trees, 129 leaves, depth [0-9]+, n = 3, phase running, [0-9]+ features, 16 classes'
has "the file" "$T/tree.json" '"format": "dune-forest"'
expect 0 "a forest, two threads" "$D" train "$R" --trees 5 --depth 12 --sqrt --bootstrap --threads 2 -o "$T/a.json"
expect 0 "a forest, one thread" "$D" train "$R" --trees 5 --depth 12 --sqrt --bootstrap --threads 1 -o "$T/b.json"
check "the same bytes" cmp "$T/a.json" "$T/b.json"
expect 0 "as JSON, scored" "$D" train "$R" --trees 17 --sqrt --final --json -o "$T/c.json"
has "the score on test is at least 77 percent" out '"test_macro": 0\.(7[7-9]|8)'
expect 0 "equal trees" "$D" train "$R" --trees 2 --depth 3 -o "$T/d.json"
has "are worth a warning" err 'all 2 trees will be the same'

expect 2 "no output" "$D" train "$R"
expect 2 "an unknown feature" "$D" train "$R" --features nope -o "$T/x.json"
has "is named" err 'nope'
expect 2 "n beyond the rows" "$D" train "$R" --n 7 -o "$T/x.json"
expect 2 "search with --depth" "$D" train "$R" --search quick --depth 3 -o "$T/x.json"
expect 3 "no data set" "$D" train "$T/rows.csv" -o "$T/x.json"
expect 0 "no forest was left behind" test ! -e "$T/x.json"

mkdir "$T/s"
expect 0 "a quick search" "$D" train "$R" --search quick --features notime -o "$T/s/a.json"
has "prints the best" out '^Best on validation'
has "keeps its results" "$T/s/search.csv" '^key,n,features,mask,depth,trees,f1$'
cp "$T/s/search.csv" "$T/first.csv"
head -n 60 "$T/first.csv" >"$T/s/search.csv"
expect 0 "resumed" "$D" train "$R" --search quick --features notime -o "$T/s/b.json"
check "the same results" cmp "$T/s/search.csv" "$T/first.csv"
check "the same forest" cmp "$T/s/a.json" "$T/s/b.json"

# agrees NAME "OPTIONS" TREES LEAVES DEPTH SQRT
agrees() {
    # shellcheck disable=SC2086
    "$D" train "$R" --features notime $2 -o "$T/f.json" >/dev/null 2>&1
    /usr/bin/python3 "$ROOT/tests/cli/sklearn_compare.py" "$T/rows.csv" "$T/f.json" "$3" "$4" "$5" "$6" \
        >"$T/log" 2>&1
    got=$?
    sed 's/^/# /' "$T/log" | tail -n 3
    if [ $got = 77 ] || [ $got = 127 ]; then
        skip "$1" "no python3 with scikit-learn"
    else
        tap_ok $got "$1"
    fi
}
agrees "one tree of 200 leaves as scikit-learn's" "--leaves 200" 1 200 0 0
agrees "one tree of depth 9 as scikit-learn's" "--depth 9" 1 0 9 0
agrees "a forest is as good as scikit-learn's" "--trees 17 --depth 24 --sqrt" 17 0 24 1
tap_done
