/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this stage share. */
#ifndef DUNE_DRIFT_INT_H
#define DUNE_DRIFT_INT_H

#include "base/base.h"
#include "dune/drift.h"

/* Largest difference of the distribution functions of two histograms; a negative number when one is empty. */
double dune_drift_ks(const uint64_t *a, const uint64_t *b, uint32_t n);
/* Difference of the shares of entry i; negative when one has no answers. */
double dune_drift_share(const struct dune_drift_submodel *a, const struct dune_drift_submodel *b, uint32_t cls);
/* Difference of the mean confidence of a class; negative where one has fewer than DRIFT_MIN_CLAIMS claims. */
double dune_drift_mean(const struct dune_drift_submodel *a, const struct dune_drift_submodel *b, uint32_t cls);
enum { DRIFT_MIN_CLAIMS = 20 };
/* What windows with this mean and variance of a divergence exceed with probability DUNE_DRIFT_LEAF_ALARMS / n. */
double dune_drift_quantile(double mean, double variance, uint32_t n);
/* No limit on leaves; a divergence cannot reach it. */
#define DRIFT_LEAVES_MOST 1000.0

struct dune_drift_limits *dune_drift_limits_new(const struct dune_drift_counts *c);
void dune_drift_limits_free(struct dune_drift_limits *l, const struct dune_drift_counts *c);

#endif
