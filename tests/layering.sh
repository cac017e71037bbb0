#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stage includes only stages to its left in meson.build's list, and public headers; another stage's
# _int.h is never included; every public header compiles alone.
cd "${DUNE_SOURCE_ROOT:-.}" || exit 1
stages=$(sed -n "/^stages = \[/,/\]/p" meson.build | tr -d "\n" | sed "s/.*\[//; s/\].*//; s/[',]/ /g")
stages="$stages api cli"
bad=0
seen=""
echo "1..2"
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
