/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: weighted confusion and F1. Class ids 0..n-1; the predicted column n means "unclaimed or
 * Other" and is always wrong. All sums are integers (flow level: DUNE_WEIGHT_ONE per flow).
 */
#ifndef DUNE_METRICS_H
#define DUNE_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct dune_confusion {
    uint32_t n_classes;
    uint64_t *cell; /* [n_classes][n_classes + 1], row = truth, column = prediction */
};
void dune_confusion_init(struct dune_confusion *c, uint32_t n_classes);
void dune_confusion_fini(struct dune_confusion *c);
void dune_confusion_clear(struct dune_confusion *c);
/* pred >= n_classes counts as unclaimed. */
void dune_confusion_add(struct dune_confusion *c, uint32_t truth, uint32_t pred, uint64_t w);

struct dune_class_score {
    double precision, recall, f1; /* 0..1; 0 where undefined */
    double support;               /* weight of the class in the truth, in flows or packets */
    int present;                  /* in the truth */
};
struct dune_f1 {
    double macro;    /* mean F1 over classes present in the truth */
    double weighted; /* by truth weight */
    double micro;    /* TP / total: unclaimed traffic is wrong */
    double coverage; /* share of weight with a claimed class */
};
/* per_class may be NULL or [n_classes]; unit: weight of one flow or packet. */
struct dune_f1 dune_f1_score(const struct dune_confusion *c, uint64_t unit,
                             struct dune_class_score *per_class);

/* 95 % bootstrap interval over groups (captures or flows): conf[g] is the confusion of group g. Draws
 * groups with replacement, keyed by seed. Paired difference of two solutions when b is not NULL. */
struct dune_interval {
    double mean, lo, hi, se;
};
/* mean, lo, hi (2.5 % and 97.5 % quantiles) and se are of the macro F1 (or difference) over the draws. */
struct dune_interval dune_f1_bootstrap(const struct dune_confusion *a, const struct dune_confusion *b,
                                       uint32_t n_groups, unsigned draws, uint64_t seed);
/* The same from sparse counts, for many groups (flows): entries in any order, group < n_groups. */
struct dune_vote {
    uint32_t group, truth, pred; /* pred >= n_classes: unclaimed */
    uint64_t w;
};
struct dune_interval dune_f1_bootstrap_votes(const struct dune_vote *a, size_t n_a,
                                             const struct dune_vote *b, size_t n_b,
                                             uint32_t n_classes, uint32_t n_groups, unsigned draws,
                                             uint64_t seed);

#endif
