/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/placement.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct dune_budget budget = {129, 6};
    struct dune_topology *t;
    struct dune_diag d = {0};

    if (dune_network_parse(&t, "fuzz", (const char *)data, len, "engine", &budget, &d) == 0) {
        for (uint32_t i = 0; i < t->n; i++)
            if (!t->dev[i].name[0] || !dune_profile_find(t->dev[i].profile) || t->order[i] >= t->n)
                abort();
        for (uint32_t i = 0; i < t->n_links; i++)
            if (t->dev[t->link[i].from].layer >= t->dev[t->link[i].to].layer)
                abort();
        dune_network_free(t);
    }
    return 0;
}
