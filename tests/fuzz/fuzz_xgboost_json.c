/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost's JSON; what is accepted gives probabilities for any row. */
#include "base/base.h"
#include "dune/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ask(const struct dune_model *m)
{
    uint32_t value[4] = {0, 1, 700, UINT32_MAX}, *col[DUNE_N_FEATURES];
    struct dune_table t = {.n_rows = 4, .n_cols = m->n_feats, .n_classes = m->n_classes, .col = col};
    float *p = dune_mem_alloc(4 * (size_t)m->n_classes, sizeof(*p));
    struct dune_diag d = {0};

    for (uint32_t j = 0; j < m->n_feats; j++)
        col[j] = value;
    if (dune_model_proba(m, &t, p, &d) != 0)
        abort();
    dune_mem_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct dune_model_cfg cfg = {.features = 3, .threads = 1};
    struct dune_diag d = {0};
    struct dune_model *m;
    int rc = dune_model_xgb_parse(&m, "fuzz.json", (const char *)data, len, &cfg, NULL, &d);

    if (rc != d.code || (rc && !d.msg[0]) || (rc == 0) != (m != NULL))
        abort();
    if (rc == 0)
        ask(m);
    dune_model_free(m);
    return 0;
}
