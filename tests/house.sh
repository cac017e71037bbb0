#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# House rules that a script can check: SPDX tags, file sizes, unique file names, function lengths.
cd "${DUNE_SOURCE_ROOT:-.}" || exit 1
echo "1..4"
files=$(git ls-files 2>/dev/null)
[ -n "$files" ] || files=$(find . -type f -not -path './.git/*' -not -path './build*' | sed 's|^\./||')
code=$(echo "$files" | grep -E '\.(c|h|def|sh|py|js|mjs|css|build)$|^run$|meson_options.txt|^\.ci/run$')
bad=0
for f in $code; do
    [ -f "$f" ] || continue
    head -n 5 "$f" | grep -q SPDX-License-Identifier || { echo "# $f has no SPDX tag"; bad=1; }
done
[ $bad = 0 ] && echo "ok 1 - SPDX tags" || echo "not ok 1 - SPDX tags"
bad=0
for f in $(echo "$code" | grep -E '\.[ch]$'); do
    [ -f "$f" ] || continue
    n=$(wc -l <"$f")
    [ "$n" -le 900 ] || { echo "# $f has $n lines"; bad=1; }
done
[ $bad = 0 ] && echo "ok 2 - no file over 900 lines" || echo "not ok 2 - no file over 900 lines"
dup=$(echo "$code" | grep -E '^src/.*\.c$' | sed 's|.*/||' | sort | uniq -d)
[ -z "$dup" ] && echo "ok 3 - file names are unique" || { echo "# $dup"; echo "not ok 3 - file names are unique"; }
if command -v ctags >/dev/null 2>&1 && ctags --version | grep -q Universal; then
    long=$(echo "$code" | grep -E '\.c$' | while read -r f; do [ -f "$f" ] && echo "$f"; done |
        ctags -L - -f - --languages=C --kinds-C=f --fields=+ne -n 2>/dev/null |
        awk -F'\t' '{l=0;e=0;for(i=4;i<=NF;i++){if($i~/^line:/)l=substr($i,6);if($i~/^end:/)e=substr($i,5)} if(e-l>120)print "# "$2":"l" "$1" "e-l" lines"}')
    [ -z "$long" ] && echo "ok 4 - no function over 120 lines" || { echo "$long"; echo "not ok 4 - no function over 120 lines"; }
else
    echo "ok 4 - no function over 120 lines # SKIP universal-ctags is not installed"
fi
