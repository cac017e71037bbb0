#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/examples/report.html has the shape of what the demo writes today: sections, tables, heads. What the planner chooses,
# and times, may differ; tools/report_example.sh makes it anew.
. "$(dirname "$0")/tap.sh"

CHECK="$(cd "$(dirname "$0")" && pwd)/report_check.py"
example=$ROOT/docs/examples/report.html
cd "$T" || exit 1
expect 0 "the demo on recorded traffic" sh "$ROOT/tools/report_example.sh" "$T/now.html"
check "the example is well-formed" python3 "$CHECK" safe "$example"
check "and has the shape of today's (tools/report_example.sh makes it so)" python3 "$CHECK" structure "$example" now.html
tap_done
