#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes docs/examples/report.html anew (or the file that is given): what the demo writes about the recorded traffic.
#
#   tools/report_example.sh [FILE]         DUNECTL: the program, default build/dunectl
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/docs/examples/report.html}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${DUNECTL:-$here/build/dunectl}" demo --data "$here/data/recorded" -o "$tmp" --quiet >/dev/null
cp "$tmp/report.html" "$out"
