/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libxgboost: models of XGBoost can be read, not trained or asked for contributions. */
#include "model/model_int.h"

static int absent(struct dune_diag *d, const char *what)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no XGBoost, which %s: install libxgboost-dev, then configure "
                         "and build again", what);
}

int dune_xgb_train(char **text, size_t *len, const struct dune_dataset *ds, unsigned n, enum dune_mode mode,
                   dune_feature_mask features, const struct dune_xgb_cfg *cfg, const uint8_t *use, struct dune_diag *d)
{
    (void)text, (void)len, (void)ds, (void)n, (void)mode, (void)features, (void)cfg, (void)use;
    return absent(d, "trains the model");
}

int xgb_contributions(const struct dune_model *m, const struct dune_table *t, double *w, struct dune_diag *d)
{
    (void)m, (void)t, (void)w;
    return absent(d, "says what features contribute (--method permutation needs none)");
}

const char *dune_xgb_version(void)
{
    return NULL;
}
