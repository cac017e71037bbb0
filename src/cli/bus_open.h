/* SPDX-License-Identifier: Apache-2.0 */
/* Buses as the command line names them. */
#ifndef DUNE_CLI_BUS_OPEN_H
#define DUNE_CLI_BUS_OPEN_H

#include "dune/control.h"

/* "unix:PATH" or "nats://HOST:PORT" ("tls://" with TLS); creds and ca may be NULL. may_be_late: a NATS server that cannot be
 * reached yet is no error (a Unix bus never needs its server at once). */
int cli_bus_open(struct dune_bus **out, const char *spec, const char *creds, const char *ca, bool may_be_late,
                 struct dune_diag *d) DUNE_MUST_USE;

#endif
