/* SPDX-License-Identifier: Apache-2.0 */
/* What targets share and nobody else needs. */
#ifndef DUNE_TARGET_INT_H
#define DUNE_TARGET_INT_H

#include "dune/engine.h"

/* Adds what a device did with a packet to the verdict of the chain; first: it is the first device. */
void dune_verdict_add(struct dune_verdict *v, const struct dune_device_trace *t, bool first);

/* What every engine asks of its table and of a plan: slots a power of two, 1 to 8 ways, not too many sub-models. DUNE_E_USAGE. */
int dune_state_check(const struct dune_plan *p, uint32_t slots, uint32_t ways, struct dune_diag *d) DUNE_MUST_USE;

/* Of a reflected CRC: table[k][b] is byte b with k zero bytes behind it. */
#define DUNE_CRC_SLICES 16
void dune_crc_slices(uint32_t poly, uint32_t table[DUNE_CRC_SLICES][256]);

/* Up to which tick live flows of a generation keep it when another one is stamped at tick now; its time-out may be endless. */
uint64_t dune_drain_deadline(uint64_t now, uint64_t timeout);

#endif
