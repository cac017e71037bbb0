#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --memory: a data set several times the bound gives the same bytes, and the process stays below it.
. "$(dirname "$0")/tap.sh"

expect 2 "no amount" "$D" extract --memory much "$ROOT" -l x -o "$T/x.dset"
has "is named" err 'is no amount of memory'
expect 2 "too little" "$D" extract --memory 1M "$ROOT" -l x -o "$T/x.dset"
expect 5 "no place for the rest" env TMPDIR=/nonexistent "$D" extract --memory 64M "$ROOT" -l x -o "$T/x.dset"
has "and what to do" err 'TMPDIR names another directory'
if [ ! -r /proc/self/status ] || ! command -v python3 >/dev/null 2>&1; then
    skip "data larger than memory" "there is no python3 or /proc to measure with"
    tap_done
fi

# COMMAND...; the largest resident size of it in KiB goes to $T/rss
measure() {
    python3 - "$T/rss" "$@" <<'END'
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL)
open(sys.argv[1], "w").write("%d\n" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
END
}
below() { # KiB
    rss=$(cat "$T/rss")
    echo "# $rss KiB of $1"
    [ "$rss" -le "$1" ]
}
LIMIT=${DUNE_TEST_MEMORY:-64}
"$D" synth -q -o "$T/tr" --flows "${DUNE_TEST_FLOWS:-530000}" --train-captures 3 --test-captures 1 --snap 60 2>/dev/null
check "in memory" "$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$T/a.dset"
check "bounded" measure "$D" extract -q "$T/tr" -l "$T/tr/labels.csv" -o "$T/b.dset" --memory "${LIMIT}M"
check "extract stays below" below $((LIMIT * 1024))
check "with the same bytes" cmp "$T/a.dset" "$T/b.dset"
size=$(stat -c %s "$T/a.dset")
echo "# data set of $size bytes"
check "of a data set of at least 5 times that" [ "$size" -ge $((5 * LIMIT * 1048576)) ]
check "train in memory" "$D" train -q "$T/a.dset" --trees 1 --leaves 40 --n 3 -o "$T/a.json"
check "train bounded" measure "$D" train -q "$T/a.dset" --trees 1 --leaves 40 --n 3 -o "$T/b.json" --memory "${LIMIT}M"
check "train stays below" below $((LIMIT * 1024))
check "with the same bytes" cmp "$T/a.json" "$T/b.json"

# Every step, on a smaller set; threads and processes close chunks under each other.
"$D" synth -q -o "$T/small" --flows 30000 --train-captures 4 --test-captures 1 --snap 60 2>/dev/null
"$D" extract -q "$T/small" -l "$T/small/labels.csv" -o "$T/s.dset"
same() { # NAME COMMAND...: @ is the output
    name=$1
    shift
    # shellcheck disable=SC2001
    "$D" $(echo "$*" | sed "s|@|$T/$name.1|g") -q >/dev/null 2>"$T/err" || return 1
    # shellcheck disable=SC2001,SC2046
    measure "$D" $(echo "$*" | sed "s|@|$T/$name.2|g") -q --memory 40M 2>"$T/err" || return 1
    cmp "$T/$name.1" "$T/$name.2" && below $((40 * 1024))
}
check "bootstrap, two threads" same forest train "$T/s.dset" --trees 4 --bootstrap --sqrt --depth 12 --threads 2 -o @
check "analyze" same W analyze "$T/forest.1" "$T/s.dset" --scores "$T/s.csv" -o @
check "CSV" same csv extract "$T/small" -l "$T/small/labels.csv" -o "$T/x.dset" --csv @
expect 2 "not beside the network" "$D" controller status --memory 64M
has "is said" err 'run controller in a control group'
tap_done
