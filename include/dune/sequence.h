/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of the sub-models. "lop": C = confusion between blocks, row = true block, column = answering
 * sub-model, flow-weighted, Other left out, columns normalised to 100 (a zero column stays zero);
 * cost(i before j) = C[j][i] * (1 - F1_i/100), summed over ordered pairs; the linear ordering problem,
 * minimised exactly by subset DP (up to 24 blocks). Ties within 1e-9 are counted; the result is the
 * lexicographically smallest optimal order.
 */
#ifndef DUNE_SEQUENCE_H
#define DUNE_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#include "dune/error.h"

struct dune_order {
    uint32_t n;
    uint32_t order[64]; /* block indices, first to last */
    double objective;
    uint64_t ties;      /* optimal orders, including this one; UINT64_MAX: that many or more */
    int optimal;
};
/* confusion [n][n] counts or percent (normalised here), f1 [n] percent. n > 24: DUNE_E_INFEASIBLE. */
int dune_sequence_lop(struct dune_order *out, uint32_t n, const double *confusion, const double *f1,
                      struct dune_diag *d) DUNE_MUST_USE;
/* Objective of a given order (for checks and for comparing solutions); n <= 64. */
double dune_sequence_cost(uint32_t n, const double *confusion, const double *f1, const uint32_t *order);

/* C.csv: "block" then one column per answering sub-model, same names in the same order; F.csv: block,f1
 * percent. Accepts the published headers (unnamed index column, "Clusters", "true_cluster",
 * "macro_f1_percent", "Macro_f1_FL_With_Others", "macro_f1_fraction" (x 100) ...). */
int dune_sequence_read(const char *confusion_csv, const char *f1_csv, uint32_t *n, char ***names,
                       double **confusion, double **f1, struct dune_diag *d) DUNE_MUST_USE;
/* sequence.json of the order alone: {"method","objective","order","ties"}; order = names. *text is yours. */
int dune_sequence_format(const struct dune_order *o, const char *method, char *const *names, char **text,
                         size_t *len);

#endif
