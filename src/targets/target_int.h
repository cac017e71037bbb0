/* SPDX-License-Identifier: Apache-2.0 */
/* What targets share and nobody else needs. */
#ifndef DUNE_TARGET_INT_H
#define DUNE_TARGET_INT_H

#include "dune/engine.h"

/* Adds what a device did with a packet to the verdict of the chain; first: it is the first device. */
void dune_verdict_add(struct dune_verdict *v, const struct dune_device_trace *t, bool first);

/* Up to which tick live flows of a generation keep it when another one is stamped at tick now; its time-out may be endless. */
uint64_t dune_drain_deadline(uint64_t now, uint64_t timeout);

#endif
