/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this stage share. */
#ifndef DUNE_DRIFT_INT_H
#define DUNE_DRIFT_INT_H

#include "base/base.h"
#include "dune/drift.h"
#include "plan/json_reader.h"

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

/* Largest count that is read: sums of two, and of many devices, stay exact, also as doubles. */
#define DRIFT_MOST (UINT64_C(1) << 52)
/* Reads the want numbers of array a, called what in errors; their sum. */
uint64_t drift_read_counts(struct dune_json_reader *r, const json_t *a, const char *what, uint64_t *out, uint32_t want);

struct dune_drift_limits *dune_drift_limits_new(const struct dune_drift_counts *c);

#endif
