/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as entries; what is read is asked for every sub-model. */
#include "base/base.h"
#include "dune/p4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ask(const struct dune_p4_tables *t)
{
    uint32_t features[DUNE_N_FEATURES] = {0};

    for (uint32_t k = 0; k < dune_p4_tables_submodels(t); k++) {
        struct dune_shim s = {.version = 1, .generation = 1, .flags = DUNE_SHIM_SETTLED};
        struct dune_sub_answer a = {0};
        struct dune_diag d = {0};

        for (uint32_t f = 0; f < DUNE_N_FEATURES; f++)
            features[f] = (f * 2654435761u) & dune_feature_max((int)f);
        if (dune_p4_tables_answer(t, 0, k, features, &a, &d) == 0 &&
            dune_p4_tables_combine(t, 0, k, &a, false, 1, &s, &d) != 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    for (int arch = DUNE_P4_V1MODEL; arch <= DUNE_P4_TNA; arch++) {
        struct dune_p4_tables *t;
        struct dune_diag d = {0};

        if (dune_p4_tables_parse(&t, (enum dune_p4_arch)arch, "fuzz", (const char *)data, len, &d) == 0) {
            ask(t);
            dune_p4_tables_free(t);
        }
    }
    return 0;
}
