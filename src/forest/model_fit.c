/* SPDX-License-Identifier: Apache-2.0 */
/* Forests from data sets: rows of a view, names, scores. */
#include "forest/forest_int.h"

#include "dune/forest_search.h"
#include "dune/metrics.h"

#include <string.h>

static uint8_t *flows_of(const struct dune_dataset *ds, enum dune_split split)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, ds->n_flows);

    for (uint64_t f = 0; f < ds->n_flows; f++)
        use[f] = ds->flow_split[f] == split;
    return use;
}

int dune_model_fit(struct dune_forest **out, const struct dune_dataset *ds, const struct dune_model_spec *s,
                   const uint8_t *use, struct dune_diag *d)
{
    uint8_t *train = use ? NULL : flows_of(ds, DUNE_SPLIT_TRAIN);
    struct dune_view v = {.n = s->n, .mode = s->mode, .features = s->features, .flow_use = use ? use : train};
    struct dune_table t = {0};
    int rc;

    *out = NULL;
    rc = dune_table_build(&t, ds, &v, d);
    if (!rc) {
        dune_table_balance(&t, s->balance);
        rc = dune_forest_train(out, &t, &s->train, d);
    }
    if (!rc) {
        dune_forest_set_names(*out, ds->class_name);
        (*out)->n = s->n;
        (*out)->mode = s->mode;
        (*out)->recipe = (struct dune_forest_recipe){.known = true, .balance = s->balance, .train = s->train};
        (*out)->recipe.train.threads = 0;
        memcpy((*out)->recipe.rows, ds->hash, sizeof(ds->hash));
    }
    if (t.feat)
        dune_table_fini(&t);
    dune_mem_free(train);
    return rc;
}

int dune_model_score(double *macro, const struct dune_forest *f, const struct dune_dataset *ds,
                     const uint8_t *use, unsigned threads, struct dune_diag *d)
{
    struct dune_view v = {.n = f->n, .mode = f->mode, .flow_use = use};
    struct dune_table t = {0};
    struct dune_confusion c;
    uint16_t *got;
    int rc;

    for (uint32_t i = 0; i < f->n_feats; i++)
        v.features |= UINT64_C(1) << f->feat[i];
    rc = dune_table_build(&t, ds, &v, d);
    if (rc)
        return rc;
    got = dune_mem_alloc(t.n_rows, sizeof(*got));
    dune_forest_predict(f, &t, threads, got);
    dune_confusion_init(&c, t.n_classes);
    for (size_t r = 0; r < t.n_rows; r++)
        dune_confusion_add(&c, t.cls[r], got[r], t.w[r]);
    *macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    dune_mem_free(got);
    dune_table_fini(&t);
    return 0;
}
