#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stage includes only stages to its left in meson.build's list, and public headers; another stage's
# _int.h is never included; every public header compiles alone. Public headers are open to all, so what a stage
# calls is read from its objects: nothing of a stage to its right.
cd "${DUNE_SOURCE_ROOT:-.}" || exit 1
stages=$(sed -n "/^stages = \[/,/\]/p" meson.build | tr -d "\n" | sed "s/.*\[//; s/\].*//; s/[',]/ /g")
stages="$stages api cli"
bad=0
seen=""
echo "1..3"
for s in $stages; do
    seen="$seen $s"
    for f in $(find "src/$s" -name '*.[ch]'); do
        for inc in $(sed -n 's/^#include "\([a-z0-9_]*\)\/.*/\1/p' "$f" | sort -u); do
            case " dune $seen " in
            *" $inc "*) ;;
            *)
                echo "# $f includes $inc/, which is to the right of $s"
                bad=1
                ;;
            esac
        done
        for inc in $(sed -n 's/^#include "\([a-z0-9_]*\)\/[a-z0-9_\/]*_int\.h".*/\1/p' "$f"); do
            [ "$inc" = "$s" ] || { echo "# $f includes a private header of $inc/"; bad=1; }
        done
    done
done
[ $bad = 0 ] && echo "ok 1 - layers" || echo "not ok 1 - layers"
bad=0
for h in include/dune/*.h; do
    echo "#include \"dune/$(basename "$h")\"" |
        ${CC:-cc} -std=gnu17 -Wall -Wextra -Iinclude -fsyntax-only -x c - 2>&1 || { echo "# $h does not stand alone"; bad=1; }
done | sed 's/^/# /' | { grep . && exit 1 || exit 0; } || bad=1
[ $bad = 0 ] && echo "ok 2 - headers stand alone" || echo "not ok 2 - headers stand alone"
objects=$(find "${DUNE_MODULES:-build}/libdune.a.p" -name 'src_*.o' 2>/dev/null)
if [ -z "$objects" ] || ! command -v nm >/dev/null 2>&1; then
    echo "ok 3 - stages call only what is to their left # SKIP no objects of libdune, or no nm"
    exit 0
fi
# shellcheck disable=SC2086
if nm -A -P $objects | awk -v list="$stages" '
    BEGIN { n = split(list, stage, " "); for (i = 1; i <= n; i++) rank[stage[i]] = i }
    {
        file = $1; sub(/.*\/src_/, "", file); sub(/:$/, "", file)
        name = file; sub(/_.*/, "", name)
        if ($3 == "U") { caller[++k] = file; from[k] = rank[name]; symbol[k] = $2 }
        else if ($3 ~ /^[A-TV-Z]$/) { at[$2] = rank[name]; where[$2] = file }
    }
    END {
        for (i = 1; i <= k; i++)
            if (symbol[i] in at && at[symbol[i]] > from[i]) { print "# " caller[i] " uses " symbol[i] " of " where[symbol[i]]; bad = 1 }
        if (!k) { print "# nm says nothing of the objects"; bad = 1 }
        exit bad
    }'; then
    echo "ok 3 - stages call only what is to their left"
else
    echo "not ok 3 - stages call only what is to their left"
fi
