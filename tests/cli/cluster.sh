#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several processes under mpirun: the bytes of one process, one voice, an end when one is lost.
. "$(dirname "$0")/tap.sh"

if ! "$D" version 2>/dev/null | grep -q ' mpi '; then
    expect 5 "a build without MPI refuses to be one of several" env OMPI_COMM_WORLD_SIZE=2 \
        "$D" plan x.dset -o "$T/x.json"
    has "and says why" err 'this build has no MPI'
    skip "identity" "this build has no MPI"
    tap_done
fi
if ! command -v mpirun >/dev/null 2>&1; then
    skip "identity" "mpirun is not installed"
    tap_done
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader OMPI_MCA_plm_rsh_agent=false
M="mpirun -n 2"
if ! timeout 60 $M "$D" verify "$ROOT/tests/golden/plan/seven_nodes.json" >"$T/out" 2>"$T/err"; then
    skip "identity" "mpirun does not start here: $(head -n 1 "$T/err")"
    tap_done
fi
check "only the first process prints" [ "$(wc -l <"$T/out")" -le 2 ]

"$D" synth -q -o "$T/tr" --flows 500 --train-captures 4 --test-captures 1 2>/dev/null
same() { # NAME ARGS...: with one process and with two; @ is the output
    name=$1
    shift
    for n in 1 2; do
        # shellcheck disable=SC2001
        args=$(echo "$*" | sed "s|@|$T/$name.$n|g")
        if [ $n = 1 ]; then
            # shellcheck disable=SC2086
            "$D" $args -q >/dev/null 2>"$T/err" || return 1
        else
            # shellcheck disable=SC2086
            timeout 300 $M "$D" $args -q >/dev/null 2>"$T/err" || return 1
        fi
    done
    cmp "$T/$name.1" "$T/$name.2"
}
check "extract" same rows.dset extract "$T/tr" -l "$T/tr/labels.csv" -o @
R=$T/rows.dset.1
check "train" same forest train "$R" --trees 5 --leaves 40 -o @
check "plan" same plan plan "$R" --budget tiny --devices 2 --effort quick -o @
# Columns of soft labels are shared out too; with this seed they are a variant, so their scores are in the notes.
check "plan with soft labels" same soft plan "$R" --budget leaves_sum=6,features_distinct=2 --devices 1 --effort default \
    --seed 12 -o @ --choice @.notes
check "and its notes" cmp "$T/soft.1.notes" "$T/soft.2.notes"
check "which have soft labels" grep -q '"step": "soft labels"' "$T/soft.2.notes"
# Captures and nodes that are large enough for all processes to work on one of them at the same time.
"$D" synth -q -o "$T/large" --flows 40000 --train-captures 1 --test-captures 1 2>/dev/null
check "one capture, every process some of its flows" same one.dset extract "$T/large/train" -l "$T/large/labels.csv" -o @
check "and one that is not alone" same two.dset extract "$T/large" "$T/tr/train" -l "$T/large/labels.csv" --unlabelled rest -o @
check "one tree, every process some of its rows" same tree train "$T/one.dset.1" --leaves 60 -o @
check "and the odd one of three" same trees train "$T/one.dset.1" --trees 3 --sqrt --bootstrap --leaves 60 -o @
for n in 3 5; do
    check "the capture with $n processes" timeout 300 mpirun -n $n "$D" extract -q "$T/large/train" -l "$T/large/labels.csv" \
        -o "$T/one.$n" --threads $n
    check "the same bytes" cmp "$T/one.dset.1" "$T/one.$n"
done
check "the tree with 3" timeout 300 mpirun -n 3 "$D" train -q "$T/one.dset.1" --leaves 60 -o "$T/tree.3"
check "the same bytes again" cmp "$T/tree.1" "$T/tree.3"
head -c 9000000 "$(ls -S "$T"/large/train/* | head -n 1)" >"$T/cut.pcap"
"$D" extract -q "$T/cut.pcap" -l "$T/large/labels.csv" -o "$T/cut1.dset" >"$T/out1" 2>"$T/err1"
echo $? >>"$T/err1"
timeout 300 $M "$D" extract -q "$T/cut.pcap" -l "$T/large/labels.csv" -o "$T/cut2.dset" >"$T/out" 2>"$T/err"
check "a capture that ends too early: what one process says" grep -qF "$(head -n 1 "$T/err1")" "$T/err"
"$D" train -q "$R" --trees 5 -o "$T/f.json" >/dev/null 2>&1
"$D" analyze -q "$T/f.json" "$R" -o "$T/W.csv" --scores "$T/s.csv" >/dev/null 2>&1
"$D" partition -q --importance "$T/W.csv" --scores "$T/s.csv" --blocks 2 -o "$T/b.json" >/dev/null 2>&1
check "search" same sub search "$T/b.json" "$R" --budget tiny -o @
check "nothing else is left" sh -c "! ls '$T' | grep -q 'tmp-'"

timeout 60 $M "$D" plan "$T/none.dset" -o "$T/x.json" >"$T/out" 2>"$T/err"
check "an error ends all" [ $? != 0 ]
has "and is said" err 'dunectl plan: .*none.dset: cannot read it'
timeout 60 $M "$D" controller status >"$T/out" 2>"$T/err"
check "what is not an offline stage is refused" [ $? != 0 ]
has "by name" err 'controller does not run as several processes'
timeout 60 $M "$D" plan "$R" --time-limit 5 -o "$T/x.json" >"$T/out" 2>"$T/err"
has "no limit of time" err 'cannot agree on a limit of time'

# One process dies: the job ends with an error, what was tried is kept, and one process goes on from there.
"$D" plan "$R" --budget tiny --devices 2 -q -o "$T/whole.json" >/dev/null 2>&1
timeout 120 $M "$D" plan "$R" --budget tiny --devices 2 -q -o "$T/lost.json" >"$T/out" 2>"$T/err" &
job=$!
i=0
while [ "$(wc -l 2>/dev/null <"$T/lost.json.search" || echo 0)" -lt 5 ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
# the children of mpirun (behind timeout)
run=$(pgrep -P $job | head -n 1)
victim=$(pgrep -P "$run" | tail -n 1)
kill -KILL "$victim"
wait $job
check "a lost process ends the job" [ $? != 0 ]
has "with a clear error" err 'exited on signal 9'
check "nothing half is left" test ! -e "$T/lost.json"
check "what was tried is kept" [ "$(wc -l <"$T/lost.json.search")" -ge 5 ]
check "one process goes on from there" "$D" plan "$R" --budget tiny --devices 2 -q -o "$T/lost.json"
check "to the same bytes" cmp "$T/whole.json" "$T/lost.json"
check "and nothing is left of the search" test ! -e "$T/lost.json.search"
tap_done
