#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The core of compiled targets compiles for BPF: no libc, no floating point, no calls.
cd "${DUNE_SOURCE_ROOT:-.}" || exit 1
clang=$(command -v clang || true)
if [ -z "$clang" ] || ! echo 'int x;' | "$clang" -target bpf -x c -c -o /dev/null - 2>/dev/null; then
    echo "1..0 # SKIP clang for BPF is not installed"
    exit 0
fi
echo "1..2"
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
"$clang" -target bpf -mcpu=v3 -ffreestanding -O2 -Wall -Wextra -Werror -Isrc -S -o "$out" -x c - <<'SRC' && echo "ok 1 - compiles" || echo "not ok 1 - compiles"
#include "targets/core/dune_core_combine.h"
#include "targets/core/dune_core_flow.h"
#include "targets/core/dune_core_forest.h"
struct all {
    struct dune_core_layout layout;
    struct dune_core_fields fields;
    struct dune_core_takes takes;
    struct dune_core_rule rule;
    struct dune_core_node node[DUNE_CORE_NODE_MASK + 1];
};
int one_packet(struct all *a, struct dune_core_slot *s, struct dune_core_packet *p, struct dune_core_shim *h,
               unsigned long now)
{
    uint32_t x[DUNE_CORE_X_MAX + 1], leaf[3], at;
    dune_core_update(s, &a->layout, p, now);
    dune_core_vector(x, &a->fields, p, s, s->count);
    dune_core_take_all(x, &a->takes, p, s);
    for (int t = 0; t < 3; t++) {
        at = 0;
        for (int i = 0; i < 16; i++)
            at = dune_core_step(a->node, at, x);
        leaf[t] = a->node[DUNE_CORE_IDX(at, DUNE_CORE_NODE_MASK)].threshold;
    }
    if (!dune_core_combine(h, &a->rule, 1, dune_core_vote(leaf, 3), 1))
        dune_core_finish(h, &a->rule);
    return h->cls;
}
SRC
if grep -qE '^[[:space:]]+call ' "$out"; then
    grep -E '^[[:space:]]+call ' "$out" | sed 's/^/# /'
    echo "not ok 2 - calls nothing"
else
    echo "ok 2 - calls nothing"
fi
