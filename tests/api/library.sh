#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libdune.so as it is built and installed: its symbols, its name, its header, pkg-config, the example of the
# documentation, and structs of the same size in C and in python/dune.py.
. "$DUNE_SOURCE_ROOT/tests/cli/tap.sh"
golden=$ROOT/tests/golden/api/symbols.txt

nm -D --defined-only "$DUNE_LIBRARY" | awk '$2 ~ /[TDBR]/ {sub(/@.*/, "", $3); print $3}' | sort >"$T/exported"
check "exports what the golden list has, nothing else" diff "$golden" "$T/exported"
sed -n 's/^[a-z].*[ *]\(dune_[a-z0-9_]*\)(.*/\1/p' "$ROOT/include/dune/dune.h" | sort -u >"$T/declared"
check "dune.h declares what is exported" diff "$golden" "$T/declared"
nm -D --defined-only "$DUNE_LIBRARY" | awk '$2 == "T" && $3 !~ /@@DUNE_1$/' >"$T/unversioned"
check "all of it is of version DUNE_1" test ! -s "$T/unversioned"
objdump -p "$DUNE_LIBRARY" >"$T/objdump"
has "soname" "$T/objdump" 'SONAME *libdune.so.1$'

for std in c11 c17; do
    echo '#include <dune/dune.h>' | cc -std=$std -Wall -Wextra -pedantic -Werror -I"$ROOT/include" -fsyntax-only -x c - \
        >"$T/header" 2>&1
    tap_ok $? "dune.h in $std, with -pedantic"
done
if command -v g++ >/dev/null 2>&1; then
    echo '#include <dune/dune.h>' | g++ -Wall -Wextra -pedantic -Werror -I"$ROOT/include" -fsyntax-only -x c++ - \
        >"$T/header" 2>&1
    tap_ok $? "dune.h in C++"
else
    skip "dune.h in C++" "g++ is not installed"
fi

# --- installed -------------------------------------------------------------------------------------------------
check "install" meson install -C "$DUNE_BUILD" --no-rebuild --quiet --destdir "$T/root"
pc=$(find "$T/root" -name dune.pc)
check "a file for pkg-config" test -n "$pc"
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$T/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
# shellcheck disable=SC2046
check "the example builds against what is installed" cc -std=gnu17 -Wall -Wextra -Werror "$ROOT/examples/classify.c" \
    $(pkg-config --cflags --libs dune) -o "$T/example"
check "the example has 30 lines of code" test "$(grep -cvE '^ *(/\*.*\*/)?$' "$ROOT/examples/classify.c")" -le 30
so=$(find "$T/root" -name libdune.so.1)
expect 0 "the example runs" env LD_LIBRARY_PATH="$(dirname "$so")" "$T/example" "$ROOT/tests/golden/plan/seven_nodes.json"
has "it classifies" out '^packet 4: .* \(confidence [0-9]+\), settled$'
cp "$T/out" "$T/installed"
expect 0 "and the one of the build" "$DUNE_EXAMPLE" "$ROOT/tests/golden/plan/seven_nodes.json"
check "says the same" diff "$T/installed" "$T/out"
expect 1 "a plan that is not there" "$DUNE_EXAMPLE" "$T/nothing.json"
has "is an error with its place" err "nothing.json: "
check "the Python binding is installed" test -n "$(find "$T/root" -name dune.py)"
check "no other header is installed" test "$(find "$T/root" -path '*include/dune/*' | wc -l)" = 2

# --- structs in C and in Python ---------------------------------------------------------------------------------
cat >"$T/sizes.c" <<'END'
#include <dune/dune.h>
#include <stdio.h>
#define SIZE(t) printf("%s %zu\n", #t, sizeof(struct t))
int main(void)
{
    SIZE(dune_diag), SIZE(dune_input), SIZE(dune_result), SIZE(dune_classifier_options), SIZE(dune_dataset_options);
    SIZE(dune_plan_options), SIZE(dune_plan_scores), SIZE(dune_score_options);
    return 0;
}
END
cat >"$T/sizes.py" <<'END'
import ctypes
import dune
for name, kind in (("diag", dune._Diag), ("input", dune._Input), ("result", dune.Result),
                   ("classifier_options", dune._ClassifierOptions), ("dataset_options", dune._DatasetOptions),
                   ("plan_options", dune._PlanOptions), ("plan_scores", dune.Scores),
                   ("score_options", dune._ScoreOptions)):
    print(f"dune_{name} {ctypes.sizeof(kind)}")
END
cc -I"$ROOT/include" "$T/sizes.c" -o "$T/sizes" && "$T/sizes" >"$T/sizes.txt"
check "sizes of structs are those of version 1" diff "$ROOT/tests/golden/api/sizes.txt" "$T/sizes.txt"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/python python3 "$T/sizes.py" >"$T/sizes2.txt"
check "and the same in Python" diff "$T/sizes.txt" "$T/sizes2.txt"
tap_done
