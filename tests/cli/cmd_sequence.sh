#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl sequence: results, usage errors, bad input.
. "$(dirname "$0")/tap.sh"
printf 'block,a,b,c\na,90,0,5\nb,10,50,0\nc,0,50,95\n' >"$T/C.csv"
printf 'block,f1\nc,80\na,50\nb,60\n' >"$T/F.csv"
cd "$T" || exit 1

# cost(i before j) = C[j][i] (1 - F1_i/100): a before b 5, b before c 20, c before a 1, else 0
expect 0 "lop" "$D" sequence --confusion C.csv --f1 F.csv -o sequence.json
has "objective and ties" out '^method lop: 3 blocks, objective 1, 1 optimal order$'
has "the first place" out '^ +1 +c +80\.000$'
has "writes the file" sequence.json '"order": \["c", "b", "a"\]'
expect 0 "--json" "$D" sequence -c C.csv -f F.csv --json
check "prints what -o writes" cmp "$T/out" sequence.json
has "method" out '"method": "lop"'
has "ties" out '"ties": 1'

expect 2 "nothing given" "$D" sequence
expect 2 "no F1" "$D" sequence --confusion C.csv
expect 2 "both forms" "$D" sequence s.json r.dset --confusion C.csv --f1 F.csv
expect 2 "end-to-end without rows" "$D" sequence -c C.csv -f F.csv --method end-to-end
expect 3 "no such file" "$D" sequence -c none.csv -f F.csv -o bad.json
expect 3 "a block without F1" sh -c "head -n 3 F.csv >G.csv; '$D' sequence -c C.csv -f G.csv -o bad.json"
has "is named" err 'G.csv: no F1 of block "b"'
expect 3 "an F1 without block" sh -c "{ cat F.csv; echo z,1; } >G.csv; '$D' sequence -c C.csv -f G.csv -o bad.json"
expect 3 "not square" sh -c "head -n 3 C.csv >B.csv; '$D' sequence -c B.csv -f F.csv -o bad.json"
expect 3 "negative" sh -c "sed s/95/-95/ C.csv >B.csv; '$D' sequence -c B.csv -f F.csv -o bad.json"
has "file and line" err '^dunectl sequence: B.csv:4: c of "c" is negative'
check "no output of a failed run" test ! -e bad.json
awk 'BEGIN { printf "block"; for (i = 0; i < 25; i++) printf ",b%d", i; print ""
    for (j = 0; j < 25; j++) { printf "b%d", j; for (i = 0; i < 25; i++) printf ",%d", i + j; print "" } }' >B.csv
awk 'BEGIN { print "block,f1"; for (i = 0; i < 25; i++) printf "b%d,50\n", i }' >G.csv
expect 4 "25 blocks" "$D" sequence -c B.csv -f G.csv
P=${DUNE_SHARED_DATA:-../shared/data}/published
if [ -e "$P/expected.json" ]; then
    expect 0 "published case" "$D" sequence --json -c "$P/ton10-6cl-tsp/CM_matrix_Cluster_after_clustering_6CL.csv" \
        -f "$P/ton10-6cl-tsp/Best_models_perCluster_with_others_6CL.csv"
    has "has its order" out '"order": \["0", "5", "1", "3", "4", "2"\]'
else
    skip "published case" "the shared data are not here"
fi
tap_done
