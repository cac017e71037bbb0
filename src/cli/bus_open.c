/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_open.h"

#include <string.h>

int cli_bus_open(struct dune_bus **out, const char *spec, const char *creds, struct dune_diag *d)
{
    (void)creds;
    if (strncmp(spec, "unix:", 5) == 0 && spec[5])
        return dune_bus_unix_connect(out, spec + 5, d);
    if (strncmp(spec, "nats:", 5) == 0 || strncmp(spec, "tls:", 4) == 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no NATS client: install libnats-dev and build again");
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "a bus is unix:PATH or nats://HOST:PORT, not \"%.100s\"", spec);
}
