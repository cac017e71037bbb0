/* SPDX-License-Identifier: Apache-2.0 */
/* Forest files: whatever is accepted must be a forest that can be walked and copied. */
#include "dune/forest.h"

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_diag d = {0};
    struct dune_forest *f, *p;
    uint32_t value[DUNE_N_FEATURES] = {0}, *col[DUNE_N_FEATURES];

    if (dune_forest_parse(&f, "fuzz", (const char *)data, len, &d))
        return 0;
    for (uint32_t c = 0; c < f->n_feats; c++) {
        value[c] = c % 2 ? UINT32_MAX : 0;
        col[c] = &value[c];
    }
    for (uint32_t i = 0; i < f->n_trees; i++) {
        uint32_t leaf = dune_tree_leaf(&f->tree[i], col, 0, 0);

        dune_leaf_make(f->tree[i].hist + (size_t)leaf * f->n_classes, f->n_classes, 0, f->n_trees);
        if (dune_tree_depth(&f->tree[i]) >= f->tree[i].n_nodes)
            __builtin_trap();
    }
    p = dune_forest_prefix(f, 1, 2);
    dune_forest_free(p);
    dune_forest_free(f);
    return 0;
}
