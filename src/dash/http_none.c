/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libmicrohttpd: no dashboard. */
#include "dash/dash_int.h"

const char *dune_dash_http_library(void)
{
    return NULL;
}

int dash_http_start(struct dune_dash *dash, const char *listen_on, struct dune_diag *d)
{
    (void)dash;
    (void)listen_on;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no dashboard: install libmicrohttpd-dev and build again");
}

void dash_http_stop(struct dune_dash *dash)
{
    (void)dash;
}
