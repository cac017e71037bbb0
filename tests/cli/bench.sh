#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dunectl bench: choosing, results, the report. Figures are not looked at.
. "$(dirname "$0")/tap.sh"

expect 0 "bench --list" "$D" bench --list
has "names a benchmark" out '^forest\.real '
expect 2 "a benchmark nobody knows" "$D" bench forests
has "is named" err 'no benchmark is called "forests"'
expect 2 "--report without --output" "$D" bench --report "$T/x.md" forest
expect 3 "a report of nothing" "$D" bench --report-only -o "$T/none" --report "$T/x.md"
has "says so" err 'there are no results here'
mkdir "$T/nodata"
expect 0 "a benchmark whose data is absent" "$D" bench forest.real --quick --data "$T/nodata" --peers "$T/nopeers" \
    --tmp "$T" -o "$T/res" --report "$T/perf.md"
has "says what it skips" out 'skipped: the shared captures are not here'
check "writes its result" test -s "$T/res/forest.real.quick.json"
has "and the report" "$T/perf.md" '^## forest.real$'
check "and leaves no inputs behind" sh -c "! ls -d '$T'/dune-bench-* 2>/dev/null"
echo '{"format": "other"}' >"$T/res/forest.real.quick.json"
expect 3 "a result in another format" "$D" bench --report-only -o "$T/res" --report "$T/perf.md"
tap_done
