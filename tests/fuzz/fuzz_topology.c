/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct dune_budget budget = {129, 6};
    struct dune_plan_device *dev;
    struct dune_diag d = {0};
    uint32_t n;

    if (dune_topology_parse(&dev, &n, "fuzz", (const char *)data, len, "engine", &budget, &d) == 0) {
        for (uint32_t i = 0; i < n; i++)
            if (!dev[i].name[0] || !dune_profile_find(dev[i].profile))
                abort();
        dune_devices_free(dev, n);
    }
    return 0;
}
