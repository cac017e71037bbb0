/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_RETRAIN_INT_H
#define DUNE_RETRAIN_INT_H

#include "dune/retrain.h"

/* What the network wants of the old plan and no training decides: filter, class actions, flow state, parser limits, shim; and the
 * next generation number. p has no filter yet. */
void dune_retrain_keep(struct dune_plan *p, const struct dune_plan *old);

#endif
