/* SPDX-License-Identifier: Apache-2.0 */
/* A build without nDPI. */
#include "capture/labels_int.h"

int labels_ndpi_flows(ndpi_flow_records *out, const char *path, const struct ndpi_piece *piece, size_t n,
                      enum dune_ndpi_names names, struct dune_diag *d)
{
    (void)out, (void)path, (void)piece, (void)n, (void)names;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no nDPI: install libndpi-dev, then configure and build "
                         "again");
}

const char *dune_ndpi_version(void)
{
    return NULL;
}
