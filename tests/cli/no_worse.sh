#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rule of the planner on traffic that nobody looked at: dune is not worse than its baselines by more than noise.
. "$(dirname "$0")/tap.sh"
cd "$T" || exit 1
command -v python3 >/dev/null || { skip "generated sets" "python3 is not there"; tap_done; exit; }
expect 0 "no worse than baselines on generated sets" python3 "$DUNE_SOURCE_ROOT/bench/no_worse.py" -o no-worse \
    --dunectl "$D" --sets 2 --flows 1500 --budgets tight,tiny
has "all sets were compared" out '^set 2 tiny '
sed 's/^/# /' out
tap_done
