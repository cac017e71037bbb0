/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_DASH_DASH_PLAN_H
#define DUNE_DASH_DASH_PLAN_H

#include "base/base.h"

/* The pictures of a run directory as a page without scripts, for the frame of the plan view, and its style sheet. */
int dash_plan_page(const char *dir, struct dune_buf *out, struct dune_diag *d) DUNE_MUST_USE;
void dash_plan_css(struct dune_buf *out);

#endif
