/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-model of one block as published, and how blocks mistake each other's traffic. */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

int dune_block_fit_search(struct dune_block_fit *out, struct dune_space *s, const struct dune_grid_cfg *cfg,
                          const uint8_t *block, const uint8_t *train, const uint8_t *valid,
                          struct dune_diag *d)
{
    struct dune_fit_cfg fc;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = dune_grid_search(&out->grid, s, cfg, block, train, valid, d);
    if (rc)
        return rc;
    fc = dune_grid_fit_cfg(cfg, &out->grid.point[out->grid.best]);
    out->col = dune_mem_zalloc(s->n_items, sizeof(*out->col));
    rc = dune_fit_train(&out->judged, s, &fc, block, train, d);
    if (rc == 0)
        rc = dune_fit_answer(out->judged, s, valid, out->col, d);
    if (rc == 0)
        rc = dune_fit_train(&out->final, s, &fc, block, NULL, d);
    if (rc)
        dune_block_fit_fini(out);
    return rc;
}

void dune_block_fit_fini(struct dune_block_fit *b)
{
    dune_grid_fini(&b->grid);
    dune_fit_free(b->judged);
    dune_fit_free(b->final);
    dune_mem_free(b->col);
    memset(b, 0, sizeof(*b));
}

int dune_block_members(const struct dune_blocks *b, uint32_t i, const struct dune_dataset *ds,
                       uint8_t *member, struct dune_diag *d)
{
    memset(member, 0, ds->n_classes);
    for (uint32_t k = 0; k < b->block[i].n_classes; k++) {
        const char *name = b->class_name[b->block[i].cls[k]];
        int c = dune_dataset_find_class(ds, name);
        char place[64];

        snprintf(place, sizeof(place), "blocks[%u].classes", i);
        if (c < 0)
            return dune_diag_set_place(d, DUNE_E_INPUT, NULL, place,
                                       "class \"%.200s\" is not in the data set", name);
        member[c] = 1;
    }
    return 0;
}

dune_feature_mask dune_block_features(const struct dune_blocks *b, uint32_t i)
{
    dune_feature_mask m = 0;

    for (uint32_t k = 0; k < b->block[i].n_feats; k++) {
        int f = dune_feature_find(b->feat_name[b->block[i].feat[k]]);

        if (f >= 0)
            m |= UINT64_C(1) << f;
    }
    return m;
}

void dune_block_confusion(const struct dune_space *s, unsigned n, const uint8_t *member,
                          const struct dune_item_answer *const *col, const uint8_t *valid, double *out)
{
    uint64_t *sum = DUNE_NEW_N(uint64_t, (size_t)n * n);

    for (size_t item = 0; item < s->n_items; item++) {
        if (!valid[s->item_flow[item]])
            continue;
        for (unsigned truth = 0; truth < n; truth++) {
            if (!member[(size_t)truth * s->n_classes + s->item_cls[item]])
                continue;
            for (unsigned i = 0; i < n; i++)
                if (col[i][item].claim)
                    sum[(size_t)truth * n + i] += s->item_w[item];
        }
    }
    for (size_t i = 0; i < (size_t)n * n; i++)
        out[i] = (double)sum[i] / (double)DUNE_WEIGHT_ONE;
    dune_mem_free(sum);
}
