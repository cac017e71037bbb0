/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libnats. */
#include "controller/ctl_int.h"

int dune_bus_nats_connect(struct dune_bus **out, const struct dune_bus_nats_cfg *cfg, struct dune_diag *d)
{
    int rc = dune_bus_nats_check(cfg, d);

    *out = NULL;
    return rc ? rc : dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no NATS client: install libnats-dev, then "
                                   "configure and build again");
}

const char *dune_bus_nats_version(void)
{
    return NULL;
}
