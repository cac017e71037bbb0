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
check "train in memory" measure "$D" train -q "$T/a.dset" --trees 1 --leaves 40 --n 3 -o "$T/a.json"
whole=$(cat "$T/rss")
check "train bounded" measure "$D" train -q "$T/a.dset" --trees 1 --leaves 40 --n 3 -o "$T/b.json" --memory "${LIMIT}M"
# Its arrays are touched in any order, and the watch has to get a core: see docs/cluster.md.
check "train needs less than half of that ($whole KiB)" below $((whole / 2))
check "with the same bytes" cmp "$T/a.json" "$T/b.json"
tap_done
