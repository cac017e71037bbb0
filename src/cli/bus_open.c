/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_open.h"

#include <string.h>

int cli_bus_open(struct dune_bus **out, const char *spec, const char *creds, const char *ca, bool may_be_late,
                 struct dune_diag *d)
{
    const struct dune_bus_nats_cfg cfg = {.url = spec, .creds = creds, .ca = ca, .may_be_late = may_be_late};

    if (strncmp(spec, "unix:", 5) == 0 && spec[5])
        return dune_bus_unix_connect(out, spec + 5, d);
    if (strncmp(spec, "nats:", 5) == 0 || strncmp(spec, "tls:", 4) == 0)
        return dune_bus_nats_connect(out, &cfg, d);
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "a bus is unix:PATH, nats://HOST:PORT or tls://HOST:PORT, not \"%.100s\"",
                         dune_bus_nats_shown(spec));
}
