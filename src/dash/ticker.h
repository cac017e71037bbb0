/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_DASH_TICKER_H
#define DUNE_DASH_TICKER_H

#include "dash/dash_int.h"

/* The thread that turns the producer's numbers into texts, series, history and log. */
int dash_ticker_start(struct dune_dash *dash, struct dune_diag *d) DUNE_MUST_USE;
void dash_ticker_stop(struct dune_dash *dash); /* also when it never ran */

#endif
